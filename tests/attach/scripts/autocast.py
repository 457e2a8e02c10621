"""Mixed precision on the CPU: bfloat16 by autocast around forward and loss."""
import hashlib
import torch
from torch import nn

torch.manual_seed(23)
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 4))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for i in range(12):
    x = torch.randn(64, 16)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        out = model(x)
        assert out.dtype == torch.bfloat16
        loss = nn.functional.cross_entropy(out, x[:, :4].argmax(1))
    loss.backward()
    optimizer.step()
    print(i, loss.item(), torch.is_autocast_enabled("cpu"))
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
