"""A frozen backbone gets a new head; half way its last layer is thawed and joins as a group of its own."""
import hashlib
import torch
from torch import nn

torch.manual_seed(70)
backbone = nn.Sequential()
backbone.add_module("conv", nn.Conv1d(2, 6, 3))
backbone.add_module("act", nn.ReLU())
backbone.add_module("pool", nn.AdaptiveMaxPool1d(4))
backbone.add_module("flat", nn.Flatten())
backbone.add_module("top", nn.Linear(24, 12))
backbone.requires_grad_(False)
model = nn.Sequential(backbone, nn.Linear(12, 3))
opt = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1, momentum=0.9)
x, y = torch.randn(40, 2, 10), torch.randint(0, 3, (40,))
for i in range(14):
    if i == 7:
        for p in backbone.top.parameters():
            p.requires_grad = True
        opt.add_param_group({"params": backbone.top.parameters(), "lr": 0.01})
    loss = nn.functional.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, len(opt.param_groups), loss.item())
print("sha256", hashlib.sha256(b"".join(t.numpy().tobytes() for t in model.state_dict().values())).hexdigest())
