"""Activations, losses and dense networks."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bptui.engine.gradcheck import made
from bptui.engine.subjects.base import DATA, Subject, layers
from bptui.spec.base import Activation
from bptui.spec.experiment import (
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Experiment,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)

LOSSES: tuple[tuple[str, Loss], ...] = (
    ("cross_entropy", CrossEntropy()),
    ("cross_entropy smoothed, weighted", CrossEntropy(label_smoothing=0.1, class_weights=(0.5, 1.0, 2.0))),
    ("binary_cross_entropy", BinaryCrossEntropy()),
    ("binary_cross_entropy smoothed, weighted", BinaryCrossEntropy(label_smoothing=0.1, pos_weight=2.0)),
    ("mse", MeanSquaredError()),
    ("mae", MeanAbsoluteError()),
    ("huber", Huber(delta=0.5)),
)
#: How much each of six samples counts.
WEIGHTS = (0.5, -1.0, 2.0, 0.0, 1.0, 1.5)


def subjects() -> Iterator[Subject]:
    """4 features, 3 outputs."""
    for activation in typing.get_args(Activation):
        model = (Dense(units=5, activation=activation), Dense(units=3, activation=activation))
        yield Subject(f"activation {activation}", Experiment(data=DATA, model=model, loss=MeanSquaredError()), (4,))
    for name, loss in LOSSES:
        model = (Dense(units=5, activation="tanh"), Dense(units=3))
        experiment = Experiment(data=DATA, model=model, loss=loss)
        yield Subject(f"loss {name}", experiment, (4,))
        batch = replace(made(loss, (4,), (3,)), weights=np.array(WEIGHTS))
        yield Subject(f"loss {name}, a weight a sample", experiment, (4,), batch)
    deep = (*(Dense(units=5, activation="relu", dropout=0.2, bias=0.05) for _ in range(3)), Dense(units=3))
    yield layers("dense, dropout", deep, (4,))._replace(name="layers dense, dropout")
