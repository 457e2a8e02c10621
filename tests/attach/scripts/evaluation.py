"""Dropout and batch norm, validation inside the epoch, the best state kept and loaded again at the end."""
import copy
import hashlib

import torch
from torch import nn

torch.manual_seed(31)
x = torch.randn(160, 10)
y = (x[:, :2].sum(1) > 0).long()
train_x, val_x, train_y, val_y = x[:128], x[128:], y[:128], y[128:]
model = nn.Sequential(
    nn.Linear(10, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(24, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3),
    nn.Linear(24, 2), nn.LogSoftmax(dim=1),
)
loss_fn = nn.NLLLoss()
opt = torch.optim.Adam(model.parameters(), lr=0.01)
best, best_state = float("inf"), None
for epoch in range(4):
    order = torch.randperm(128)
    for i in range(0, 128, 32):
        model.train()
        rows = order[i : i + 32]
        opt.zero_grad()
        loss_fn(model(train_x[rows]), train_y[rows]).backward()
        opt.step()
        if i % 64 == 0:
            model.eval()
            with torch.no_grad():
                val = loss_fn(model(val_x), val_y).item()
            if val < best:
                best, best_state = val, copy.deepcopy(model.state_dict())
    print(epoch, "best", best)
model.load_state_dict(best_state)
h = hashlib.sha256()
for v in model.state_dict().values():
    h.update(v.numpy().tobytes())
print("sha256", h.hexdigest())
