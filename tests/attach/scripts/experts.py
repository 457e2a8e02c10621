"""A list of experts chosen by a router; the last one is never chosen and gets no gradient."""
import hashlib
import torch
import torch.nn as nn


class Mixture(nn.Module):
    def __init__(self, experts=4):
        super().__init__()
        self.router = nn.Linear(6, experts - 1)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)) for _ in range(experts))

    def forward(self, x):
        weight, chosen = self.router(x).softmax(-1).max(-1)
        out = x.new_zeros(len(x), 2)
        for k in range(len(self.experts) - 1):
            rows = (chosen == k).nonzero()[:, 0]
            if len(rows):
                out = out.index_add(0, rows, weight[rows, None] * self.experts[k](x[rows]))
        return out


torch.manual_seed(26)
moe = Mixture()
opt = torch.optim.Adam(moe.parameters(), lr=1e-2)
for i in range(12):
    x = torch.randn(64, 6)
    loss = nn.functional.mse_loss(moe(x), x[:, :2].abs())
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item(), [e[0].weight.grad is None for e in moe.experts])
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in moe.parameters())).hexdigest())
