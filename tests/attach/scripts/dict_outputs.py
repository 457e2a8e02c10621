"""Modules that take keyword arguments and return dicts, tuples in tuples and named tuples."""
import collections
import hashlib
import torch
from torch import nn

Encoded = collections.namedtuple("Encoded", "hidden extras")


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(8, 12)

    def forward(self, *, batch, scale=1.0):
        h = torch.tanh(self.proj(batch["x"])) * scale
        return Encoded(h, {"norm": h.norm(dim=-1), "parts": (h[:, :6], [h[:, 6:]])})


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.heads = nn.ModuleDict({"boxes": nn.Linear(12, 4), "scores": nn.Linear(12, 1)})

    def forward(self, batch):
        encoded = self.encoder(batch=batch, scale=0.5)
        out = {name: head(encoded.hidden) for name, head in self.heads.items()}
        losses = {
            "boxes": nn.functional.l1_loss(out["boxes"], batch["boxes"]),
            "scores": nn.functional.binary_cross_entropy_with_logits(out["scores"][:, 0], batch["there"]),
            "norm": 0.01 * encoded.extras["norm"].mean(),
        }
        return {"losses": losses, "outputs": out, "step": None}


torch.manual_seed(6)
detector = Detector()
optimizer = torch.optim.SGD(detector.parameters(), lr=0.3)
for _ in range(10):
    batch = {"x": torch.randn(20, 8), "boxes": torch.rand(20, 4), "there": torch.randint(0, 2, (20,)).float()}
    losses = detector(batch)["losses"]
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    print({k: round(v.item(), 6) for k, v in losses.items()})
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in detector.parameters())).hexdigest())
