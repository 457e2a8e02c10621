"""Trains at the bottom of a deep recursion, with a model that is nested deeply as well."""
import hashlib
import sys
import torch

sys.setrecursionlimit(3000)


class Nest(torch.nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3) / 10)
        self.inner = Nest(depth - 1) if depth else None

    def forward(self, x):
        x = x + torch.tanh(x * self.weight)
        return x if self.inner is None else self.inner(x)


def descend(levels):
    return descend(levels - 1) if levels else train()


def train():
    model = Nest(40)
    opt = torch.optim.SGD(model.parameters(), lr=0.001)
    for _ in range(8):
        opt.zero_grad()
        loss = model(torch.randn(10, 3)).square().mean()
        loss.backward()
        opt.step()
    return model, loss.item()


torch.manual_seed(1)
model, loss = descend(2000)
print("loss", loss)
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
