"""Small networks and batches for the engines' tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from bptui.engine.base import Batch
from bptui.spec.experiment import CrossEntropy, Data, Dense, Experiment, Loss, Optimizer

ENGINES = ["numpy", pytest.param("torch", marks=pytest.mark.skipif(find_spec("torch") is None, reason="needs torch"))]

Network = Callable[..., Experiment]
Batches = Callable[..., list[Batch]]


def _network(
    units: Sequence[int],
    *,
    activation: str = "relu",
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    last: dict[str, Any] | None = None,
    **layer: Any,
) -> Experiment:
    hidden = [Dense(units=n, activation=activation, **layer) for n in units[:-1]]
    extra: dict[str, Any] = {} if optimizer is None else {"optimizer": optimizer}
    model = (*hidden, Dense(units=units[-1], **(last or {})))
    return Experiment(data=Data(source="made"), model=model, loss=loss or CrossEntropy(), **extra)


def _batches(
    count: int, rows: int, features: int, outputs: int, *, kind: str = "classes", seed: int = 0
) -> list[Batch]:
    draw = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        x = draw.normal(size=(rows, features))
        # targets that can be learned: on noise a fast learning rate is chaos, which no two roundings survive
        signal = np.sin(2.0 * x[:, np.arange(outputs) % features] + np.arange(outputs))
        y: Any = signal
        if kind == "classes":
            y = signal.argmax(axis=1)
        elif kind == "binary":
            y = (signal > 0).astype(np.float64)
        batches.append(Batch(x, y))
    return batches


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def network() -> Network:
    return _network


@pytest.fixture
def batches() -> Batches:
    return _batches
