"""One trunk, two heads, two backwards over one graph, then one update."""
import hashlib
import torch
import torch.nn as nn

torch.manual_seed(88)
trunk = nn.Sequential(nn.Linear(10, 20), nn.Mish())
classify, regress = nn.Linear(20, 4), nn.Linear(20, 1)
heads = nn.ModuleDict({"classify": classify, "regress": regress})
params = [*trunk.parameters(), *heads.parameters()]
opt = torch.optim.SGD(params, lr=0.05, momentum=0.5)
for i in range(11):
    x = torch.randn(24, 10)
    features = trunk(x)
    ce = nn.functional.cross_entropy(heads["classify"](features), x[:, :4].argmax(1))
    mse = nn.functional.mse_loss(heads["regress"](features)[:, 0], x.sum(1))
    opt.zero_grad()
    ce.backward(retain_graph=True)
    (0.1 * mse).backward()
    opt.step()
    print(f"ce={ce.item():.6f} mse={mse.item():.6f}")
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in params)).hexdigest())
