"""Everything in float64, by the default type."""
import hashlib
import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(64)
x = torch.randn(25, 2)
y = (x[:, :1] * x[:, 1:]).sin()
model = torch.nn.Sequential(torch.nn.Linear(2, 11), torch.nn.Sigmoid(), torch.nn.Linear(11, 1))
opt = torch.optim.Adadelta(model.parameters(), lr=1.0)
history = []
for _ in range(17):
    opt.zero_grad()
    loss = torch.mean((model(x) - y) ** 2)
    loss.backward()
    opt.step()
    history.append(loss.item())
print(repr(history[-1]))
assert next(model.parameters()).dtype == torch.float64
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
