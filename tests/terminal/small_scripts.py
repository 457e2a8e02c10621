"""PyTorch scripts that the tests run: a small CNN, in float64 so that its numbers can be computed again exactly.

One thread each, and a wait for data at each update, so that several of them leave a processor to the others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

HEAD = """
import os, signal, sys, time
import torch
from torch import nn
torch.set_num_threads(1)
torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.ReLU())
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))

    def forward(self, x):
        return self.classifier(self.features(x))


def batch(k):
    given = torch.Generator().manual_seed(k)
    return torch.randn(4, 1, 8, 8, generator=given).double(), torch.randint(0, 3, (4,), generator=given)


net = Net().double()
"""

LOOP = """
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
sys.stdout.buffer.write(b"\\x00\\xff\\x1b[31mnoise\\n")
print("begins", flush=True)
for k in range(10**9):
    time.sleep(0.01)
    x, y = batch(k)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    if k == LAST:
        END
"""


def script(folder: Path, *, last: int = -1, end: str = "pass", name: str = "cnn.py") -> Path:
    """A script that trains on without an end, or does ``end`` after the update of step ``last``."""
    path = folder / name
    path.write_text(HEAD + LOOP.replace("LAST", str(last)).replace("END", end))
    return path


def environment(home: Path) -> Mapping[str, str]:
    return {"BPTUI_HOME": str(home), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def whole(home: Path) -> dict[str, str]:
    return {**os.environ, **environment(home)}
