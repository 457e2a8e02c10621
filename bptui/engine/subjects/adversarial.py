"""Two networks against each other: of each its own loss, through the other one."""

from __future__ import annotations

from collections.abc import Iterator

from bptui.engine.subjects.base import DATA, Subject
from bptui.spec.experiment import Adversary, BinaryCrossEntropy, Dense, Experiment, Layer
from bptui.spec.layers.conv import Conv2d
from bptui.spec.layers.norm_features import LayerNorm
from bptui.spec.layers.shape import Concat, Flatten, Reshape


def subjects() -> Iterator[Subject]:
    rows = (Dense(units=5, activation="tanh"), Dense(units=3))
    judge = (Dense(units=5, activation="gelu", dropout=0.2), Dense(units=1))
    for goal in ("non_saturating", "minimax"):
        adversary = Adversary(model=judge, noise=4, goal=goal)
        experiment = Experiment(data=DATA, model=rows, loss=BinaryCrossEntropy(pos_weight=0.7), adversary=adversary)
        yield Subject(f"adversary {goal}", experiment, (3,))
    pictures: tuple[Layer, ...] = (
        Dense(units=8, activation="tanh"), Reshape(shape=(2, 2, 2)), Conv2d(units=1, padding="same"),
    )  # fmt: skip
    looks: tuple[Layer, ...] = (
        Conv2d(units=2, kernel=2, activation="tanh"), Flatten(), Dense(units=3, input="input", activation="sigmoid"),
        Concat(of=("flatten1",)), LayerNorm(), Dense(units=1),
    )  # fmt: skip
    experiment = Experiment(data=DATA, model=pictures, loss=BinaryCrossEntropy(), adversary=Adversary(model=looks))
    yield Subject("adversary of pictures, branched", experiment, (1, 2, 2))
