"""Columns of ids: what comes more than once in a batch adds up, and both engines go the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptui.engine import create, torch_installed
from bptui.engine.base import Batch
from bptui.spec.experiment import Adam, Data, Dense, Experiment, Layer, MeanSquaredError
from bptui.spec.layers.embedding import Embedding
from bptui.spec.layers.shape import Add, Dot, Multiply

USERS, ITEMS, UNITS = 9, 7, 4
MODEL: tuple[Layer, ...] = (
    Embedding(name="user", units=UNITS, vocabulary=USERS, column=0, padding=0, std=0.5),
    Embedding(name="item", units=UNITS, vocabulary=ITEMS, column=1, input="input", padding=0, std=0.5, l2=1e-3),
    Dot(of=("user",)),
    Embedding(name="item_bias", units=1, vocabulary=ITEMS, column=1, input="input", init="zeros"),
    Add(name="both", of=("dot1",)),
    Dense(units=1, bias=3.5),
)
ENGINES: tuple[Any, ...] = ("numpy", "torch") if torch_installed() else ("numpy",)


def _engine(name: Any, model: tuple[Layer, ...] = MODEL) -> Any:
    experiment = Experiment(data=Data(source="ratings"), model=model, loss=MeanSquaredError(), optimizer=Adam(lr=0.02))
    return create(experiment, 2, 1, engine=name, dtype="f64", seed=0, shape=(2,), ids=True)


def _batch(seed: int, rows: int = 32) -> Batch:
    """Few ids in many rows, the unknown ones (0) among them."""
    draw = np.random.default_rng(seed)
    x = np.stack([draw.integers(0, USERS, rows), draw.integers(0, ITEMS, rows)], axis=1)
    return Batch(x, draw.normal(3.5, 1.0, (rows, 1)))


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_ids_that_come_again_add_up(engine: Any) -> None:
    one = _engine(engine)
    x = np.array([[1, 2], [1, 2], [1, 3], [0, 2]])
    one.begin(Batch(x, np.zeros((4, 1))), 0)
    for layer in range(6):
        one.forward(layer)
    one.loss()
    for layer in reversed(range(6)):
        one.backward(layer)
    state, delta = one.state(), one.tensor("delta", 2)
    p, q = state["user.weight"], state["item.weight"]
    user, item = np.zeros_like(p), np.zeros_like(q)
    for row, (u, i) in enumerate(x):
        user[u] += delta[row] * q[i] * (u != 0)  # the unknown user's vector stays 0
        item[i] += delta[row] * p[u]
    np.testing.assert_allclose(one.tensor_of("weight", 0, "gradient"), user, atol=1e-14)
    np.testing.assert_allclose(one.tensor_of("weight", 1, "gradient"), item, atol=1e-14)
    assert not p[0].any() and not q[0].any() and np.count_nonzero(user.any(axis=1)) == 1


@pytest.mark.skipif(len(ENGINES) < 2, reason="needs torch")
@pytest.mark.parametrize("model", [MODEL, (*MODEL[:2], Multiply(of=("user", "item"), activation="tanh"), MODEL[5])])
def test_the_engines_agree_over_100_steps(model: tuple[Layer, ...]) -> None:
    ours, theirs = (_engine(name, model) for name in ENGINES)
    for step in range(100):
        batch = _batch(step)
        assert ours.train_step(batch, step, 0.02) == pytest.approx(theirs.train_step(batch, step, 0.02), abs=1e-8)
    x = _batch(1000).x
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-8)
    assert not ours.state()["user.weight"][0].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_of_an_unknown_user_and_item_what_all_have_in_common_is_left(engine: Any) -> None:
    one = _engine(engine)
    for step in range(20):
        one.train_step(_batch(step), step, 0.05)
    state = one.state()
    bias = state["item_bias.weight"][0, 0]
    common = bias * state["dense1.weight"][0, 0] + state["dense1.bias"][0]
    np.testing.assert_allclose(one.predict(np.array([[0, 0]])), [[common]], atol=1e-12)
