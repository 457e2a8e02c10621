"""torch.compile: a model, a module inside another one in place, and a function that calls a third; frames are counted."""
import hashlib

import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(41)


class Tail(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(8, 8), nn.Linear(8, 3)
        self.inner.compile(backend="eager")

    def forward(self, h):
        return self.last(F.relu(self.inner(h)))


body = torch.compile(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2)), backend="eager")
tail, gate = Tail(), nn.Linear(8, 8)
gated = torch.compile(lambda h: h * torch.sigmoid(gate(h)), backend="eager")
opt = torch.optim.AdamW([*body.parameters(), *tail.parameters(), *gate.parameters()], lr=0.01)
data, classes = torch.randn(24, 5), torch.randint(0, 3, (24,))
for epoch in range(12):
    opt.zero_grad()
    error = F.cross_entropy(tail(gated(body(data))), classes)
    error.backward()
    opt.step()
    print(epoch, error.item())
print(counters["frames"]["ok"], counters["stats"]["unique_graphs"])
parts = [p.detach().numpy().tobytes() for p in (*body.parameters(), *tail.parameters(), *gate.parameters())]
print("sha256", hashlib.sha256(b"".join(parts)).hexdigest())
