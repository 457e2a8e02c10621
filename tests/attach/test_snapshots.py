"""Kept states of a script's models and optimisers: what is rolled back to is what was kept, and trains on as it did."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from bptui.attach.discover import models_of
from bptui.attach.snapshots import Snapshots


@pytest.mark.parametrize("dropped", [False, True], ids=["kept on", "its moments dropped"])
@pytest.mark.parametrize(
    "make",
    [
        lambda ps: torch.optim.Adam(ps, lr=torch.tensor(0.01)),
        lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9),
        lambda ps: torch.optim.Adagrad(ps, lr=0.1),
    ],
    ids=["adam with a tensor as rate", "sgd", "adagrad"],
)
def test_rolled_back_it_trains_on_as_it_did(tmp_path: Path, make: Any, dropped: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    optimizer = make(net.parameters())
    optimizer.param_groups[0]["owners"] = [net]  # of the script's own: no setting
    x = torch.randn(12, 4)
    session = SimpleNamespace(step=0, run=tmp_path)
    observer = SimpleNamespace(session=session, models=models_of(net), optimizers=[optimizer])
    snapshots = Snapshots(cast(Any, observer))

    def train(steps: int) -> list[float]:
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = net(x).logsumexp(1).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    train(3)
    session.step = 3
    snapshots.keep()
    known = train(4)
    rate = optimizer.param_groups[0]["lr"]
    if isinstance(rate, torch.Tensor):
        rate.fill_(0.5)
    else:
        optimizer.param_groups[0]["lr"] = 0.5
    train(2)
    if dropped:
        optimizer.state.clear()
    snapshots.back(3)
    assert train(4) == known
