"""The same start three times: Adam one tensor at a time, foreach and fused; three models, one after the other."""
import copy
import hashlib

import torch
from torch import nn

torch.manual_seed(8)
start = nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Linear(9, 2))
x, y = torch.randn(40, 5), torch.randn(40, 2)
for option in ({"foreach": False}, {"foreach": True}, {"fused": True}):
    model = copy.deepcopy(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad="foreach" in option, **option)
    for _ in range(7):
        optimizer.zero_grad()
        loss = nn.functional.smooth_l1_loss(model(x), y)
        loss.backward()
        optimizer.step()
    print(option, loss.item())
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
