"""Branches and shapes: residual and skip connections, flatten, reshape, a target a step; every loss in a graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptui.engine.base import Batch
from bptui.engine.gradcheck import made
from bptui.engine.subjects.base import DATA, Subject, layers
from bptui.engine.subjects.plain import LOSSES, WEIGHTS
from bptui.spec.experiment import CrossEntropy, Dense, Experiment, Layer, MeanSquaredError
from bptui.spec.layers.embedding import Embedding
from bptui.spec.layers.shape import Add, Concat, Dot, Flatten, Multiply, Reshape


def subjects() -> Iterator[Subject]:
    residual = (
        Dense(units=5, activation="tanh"), Dense(units=5, activation="gelu", dropout=0.2),
        Add(of=("dense1",), activation="tanh"), Dense(units=5, activation="silu"), Add(of=("add1", "dense2")),
        Dense(units=3),
    )  # fmt: skip
    yield layers("add", residual, (4,))
    skip = (
        Dense(units=5, activation="tanh"), Dense(units=2, input="input", activation="sigmoid"),
        Concat(of=("dense1", "input"), dropout=0.2), Dense(units=3),
    )  # fmt: skip
    yield layers("concat", skip, (4,))
    gated = (
        Dense(units=5, activation="tanh"), Dense(units=5, input="input", activation="sigmoid"),
        Multiply(of=("dense1",), activation="tanh"), Multiply(of=("dense1", "dense2")), Dense(units=3),
    )  # fmt: skip
    yield layers("multiply", gated, (4,))
    one = (Dense(units=5), Dense(units=5, input="input"), Dot(of=("dense1",), activation="tanh"), Dense(units=3))
    yield layers("dot", one, (4,))
    triple = (Dense(units=4), Dense(units=4, input="input"), Dot(of=("dense1", "dense1")), Flatten(), Dense(units=3))
    yield layers("dot of steps, of three", triple, (3, 2))
    yield layers("embedding of a column", _ratings(), (2,), loss=MeanSquaredError(), batch=_repeated())
    yield layers("flatten, reshape", (Reshape(shape=(3, -1)), Dense(units=4, activation="tanh"), Flatten(),
                                      Dense(units=3)), (2, 3, 2))  # fmt: skip
    channels = (Concat(of=("input",)), Reshape(shape=(-1,)), Dense(units=3))
    yield layers("concat of channels", channels, (2, 2, 2))
    steps = (Dense(units=4, activation="tanh"), Dense(units=3))
    batch = made(CrossEntropy(), (4, 2), (4, 3))
    y = np.where(np.arange(4) < np.array([4, 2, 3, 1, 4, 4])[:, None], batch.y, -1)  # the padding has no target
    for name, loss in LOSSES:
        if isinstance(loss, CrossEntropy):
            experiment = Experiment(data=DATA, model=steps, loss=loss)
            batch = Batch(batch.x, y, weights=np.array(WEIGHTS))
            yield Subject(f"loss {name}, a target a step, a weight a sample", experiment, (4, 2), batch)
        graph = (Flatten(), Dense(units=3, activation="tanh"), Dense(units=3))
        yield Subject(f"loss {name}, in a graph", Experiment(data=DATA, model=graph, loss=loss), (2, 2))


def _ratings() -> tuple[Layer, ...]:
    """Vectors of a user and of an item, their product, and a bias of each (Koren, Bell and Volinsky 2009)."""
    return (
        Embedding(name="user", units=3, vocabulary=5, column=0, padding=0, std=0.5),
        Embedding(name="item", units=3, vocabulary=4, column=1, input="input", std=0.5),
        Dot(of=("user",)),
        Embedding(name="user_bias", units=1, vocabulary=5, column=0, input="input", std=0.5),
        Add(of=("dot1",)),
        Dense(units=1),
    )


def _repeated() -> Batch:
    """Ids that come more than once in the batch: their rows of the table get a sum. Id 0 of users, whose vector is held
    at 0, is not among them."""
    x = np.array([[1, 0], [1, 3], [4, 3], [2, 3], [1, 0], [4, 1]])
    return Batch(x, np.linspace(-1.0, 1.0, len(x))[:, None])
