"""Frozen layers: their parameters stay, bit for bit, and the others learn as they would beside constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from bptui.engine import EngineError, create
from bptui.spec.experiment import SGD, AdamW, CrossEntropy, Data, Dense, Experiment
from bptui.spec.layers.shape import Add, Flatten

BODY = (Flatten(), Dense(units=6, activation="relu", l2=0.1, dropout=0.3), Dense(units=6, activation="tanh"))
HEAD = (Add(of=("dense1",)), Dense(units=3))
RULES = [SGD(lr=0.1, momentum=0.9, weight_decay=0.1), AdamW(lr=0.01, weight_decay=0.3, clip_norm=0.5)]


def experiment(frozen: set[str], rule: Any, graph: bool) -> Experiment:
    layers = BODY + HEAD if graph else (BODY[1], BODY[2], HEAD[1])
    names = ("flatten1", "dense1", "dense2", "add1", "dense3") if graph else ("dense1", "dense2", "dense3")
    model = tuple(
        replace(layer, freeze=name in frozen, name=name) for layer, name in zip(layers, names, strict=True)
    )
    return Experiment(data=Data(source="made"), model=model, loss=CrossEntropy(), optimizer=rule)


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
@pytest.mark.parametrize("rule", RULES, ids=["sgd", "adamw"])
@pytest.mark.parametrize("frozen", [{"dense1"}, {"dense1", "dense2"}, {"dense2"}], ids=lambda f: "+".join(sorted(f)))
def test_what_is_frozen_stays_and_the_rest_learns(
    engine_name: Any, batches: Any, rule: Any, frozen: set[str], graph: bool
) -> None:
    engine = create(experiment(frozen, rule, graph), 5, 3, engine=engine_name, dtype="f64")
    before = engine.state()
    losses = [engine.train_step(batch, step, rule.lr) for step, batch in enumerate(batches(5, 12, 5, 3) * 6)]
    after = engine.state()
    for layer in ("dense1", "dense2", "dense3"):
        for name in ("weight", "bias"):
            same = np.array_equal(before[f"{layer}.{name}"], after[f"{layer}.{name}"])
            assert same == (layer in frozen), f"{layer}.{name}"
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("graph", [False, True], ids=["chain", "graph"])
def test_both_engines_agree_and_a_layer_thaws_live(batches: Any, graph: bool) -> None:
    pytest.importorskip("torch")
    rule = SGD(lr=0.1, momentum=0.9, clip_norm=1.0)
    engines = [
        create(experiment({"dense1"}, rule, graph), 5, 3, engine=name, dtype="f64")  # type: ignore[arg-type]
        for name in ("numpy", "torch")
    ]
    for step, batch in enumerate(batches(6, 12, 5, 3) * 5):
        if step == 15:
            assert [engine.set("freeze.dense1", 0.0) for engine in engines] == [1.0, 1.0]
            assert [engine.set("freeze.dense2", 1.0) for engine in engines] == [0.0, 0.0]
        losses = [engine.train_step(batch, step, 0.1) for engine in engines]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    assert engines[0].settings()["freeze.dense2"] == 1.0 and engines[0].settings()["freeze.dense1"] == 0.0


def test_nothing_comes_back_to_a_frozen_body(engine_name: Any, batches: Any) -> None:
    engine = create(experiment({"dense1", "dense2"}, RULES[0], True), 5, 3, engine=engine_name)
    engine.train_step(batches(1, 12, 5, 3)[0], 0, 0.1)
    assert engine.tensor("delta", 4) is not None and engine.tensor("delta", 2) is None
    assert np.isnan(engine.reduce()[1, 5]) and engine.tensor("a", 1) is not None


def test_no_gradient_of_an_earlier_step_is_shown_of_a_layer_frozen_since(engine_name: Any, batches: Any) -> None:
    engine = create(experiment(set(), RULES[0], True), 5, 3, engine=engine_name)
    (batch,) = batches(1, 12, 5, 3)
    engine.train_step(batch, 0, 0.1)
    assert engine.tensor("grad_W", 1) is not None and engine.histogram("grad_W")[1].any()
    engine.set("freeze.dense1", 1.0)
    engine.begin(batch, 1)
    for layer in range(5):
        engine.forward(layer)
    engine.loss()
    for layer in reversed(range(5)):
        engine.backward(layer)
    assert engine.tensor("grad_W", 1) is None and engine.tensor("grad_b", 1) is None
    assert np.isnan(engine.reduce()[1, 0]) and not engine.histogram("grad_W")[1].any()
    assert engine.tensor("grad_W", 2) is not None and engine.reduce()[2, 0] > 0


def test_a_layer_without_parameters_cannot_be_frozen(engine_name: Any) -> None:
    engine = create(experiment(set(), RULES[0], True), 5, 3, engine=engine_name)
    with pytest.raises(EngineError, match="add1 has no parameters"):
        engine.set("freeze.add1", 1.0)
    with pytest.raises(EngineError, match="did you mean 'dense3'"):
        engine.set("freeze.dens3", 1.0)


def test_what_is_shown_of_a_layer_that_nothing_comes_back_to(engine_name: Any, batches: Any) -> None:
    engine = create(experiment({"dense1", "dense2"}, RULES[0], True), 5, 3, engine=engine_name)
    engine.train_step(batches(1, 12, 5, 3)[0], 0, 0.1)
    kinds: Any = ("upstream", "gate", "delta")
    assert [[engine.tensor(kind, layer) is None for kind in kinds] for layer in range(5)] == [
        *[[True] * 3] * 4, [True, True, False],
    ]  # fmt: skip
    engine.set("freeze.dense3", 1.0)
    engine.train_step(batches(1, 12, 5, 3)[0], 0, 0.1)
    assert [engine.tensor(kind, 4) is None for kind in kinds] == [True, True, False]
