"""Micro-steps, previews, states and statistics: what the trainer relies on."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.engine import EngineError, create
from bptui.engine.base import COLUMNS, Batch, Engine, micro_steps
from bptui.engine.cells import FIRST, histogram
from bptui.runs.records import CELLS, LOW_EXPONENT
from bptui.spec.experiment import (
    SGD,
    Adam,
    BinaryCrossEntropy,
    CrossEntropy,
    Data,
    Dense,
    Experiment,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    RMSprop,
)

TORCH = find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not TORCH, reason="needs torch")
RICH = Adam(lr=0.01, weight_decay=0.01, clip_norm=0.5, clip_value=0.1)


def in_dtype(data: list[Batch], dtype: str) -> list[Batch]:
    kind = np.float32 if dtype == "f32" else np.float64
    return [Batch(b.x.astype(kind), b.y) for b in data]


def make(experiment: Experiment, features: int, engine: str, dtype: str = "f64", seed: int = 3) -> Engine:
    return create(experiment, features, experiment.model[-1].units, engine=engine, dtype=dtype, seed=seed)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("parts", [1, 3])
def test_micro_steps_and_the_fused_step_give_the_same_bits(
    engine_name: str, network: Any, batches: Any, dtype: str, parts: int
) -> None:
    experiment = network((16, 12, 4), activation="gelu", optimizer=RICH, dropout=0.3, l2=0.01)
    data = in_dtype([*batches(6, 10, 5, 4), *batches(1, 3, 5, 4)], dtype)
    fused, micro = (make(experiment, 5, engine_name, dtype) for _ in range(2))
    for step in range(20):
        group = [data[(step * parts + i) % len(data)] for i in range(parts)]
        whole = fused.train_step(group[0], step, 0.01) if parts == 1 else fused.accumulate(group, step, 0.01)
        values = [place.value for place in micro_steps(micro, group, step, 0.01) if place.phase == "loss"]
        assert whole == sum(v for v in values if v is not None) / parts
        assert same(fused.state(), micro.state()), f"step {step}"


def test_a_preview_leaves_no_trace(engine_name: str, network: Any, batches: Any) -> None:
    experiment = network((16, 12, 4), optimizer=SGD(lr=0.1, momentum=0.9, accumulate=2), dropout=0.3)
    data = batches(6, 10, 5, 4)
    plain, looked = (make(experiment, 5, engine_name) for _ in range(2))
    for step in range(12):
        group = [data[step % 6], data[(step + 1) % 6]]
        looked.watch(True)
        looked.begin(data[(step + 3) % 6], step)
        looked.forward(0)  # left half-way, too
        looked.begin(group[0], step)
        for layer in range(3):
            looked.forward(layer)
        looked.loss()
        for layer in (2, 1, 0):
            looked.backward(layer)
        looked.reduce()
        looked.histogram("delta")
        looked.predict(group[1].x)
        looked.tensor("delta", 1)
        assert plain.accumulate(group, step, 0.1) == looked.accumulate(group, step, 0.1)
        assert same(plain.state(), looked.state())


def test_predicting_keeps_the_tensors_of_the_step(engine_name: str, network: Any, batches: Any) -> None:
    (batch,) = batches(1, 10, 5, 4)
    engine = make(network((8, 4)), 5, engine_name)
    engine.train_step(batch, 0, 0.1)
    before = [engine.tensor(kind, 0) for kind in ("a", "z", "delta", "grad_W", "x")]
    engine.predict(batch.x[::-1].copy())
    for old, kind in zip(before, ("a", "z", "delta", "grad_W", "x"), strict=True):
        np.testing.assert_array_equal(old, engine.tensor(kind, 0))


LOSSES = {
    "classes": CrossEntropy(),
    "binary": BinaryCrossEntropy(),
    "floats": MeanSquaredError(),
}


@pytest.mark.parametrize(
    "activation", ["identity", "relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_delta_is_upstream_times_gate_bit_for_bit(
    engine_name: str, network: Any, batches: Any, activation: str, dtype: str
) -> None:
    experiment = network(
        (7, 6, 3), activation=activation, loss=MeanSquaredError(), dropout=0.2, last={"activation": activation}
    )
    engine = make(experiment, 5, engine_name, dtype)
    for step, batch in enumerate(in_dtype(batches(3, 9, 5, 3, kind="floats"), dtype)):
        engine.train_step(batch, step, 0.1)
        for layer in range(3):
            upstream, gate, delta = (engine.tensor(kind, layer) for kind in ("upstream", "gate", "delta"))
            assert upstream is not None and gate is not None
            np.testing.assert_array_equal(upstream * gate, delta)


def test_tensors_are_those_of_the_formulas(engine_name: str, network: Any, batches: Any) -> None:
    (batch,) = batches(1, 9, 5, 3)
    engine = make(network((7, 3), activation="tanh"), 5, engine_name)
    engine.watch(True)
    t = engine.tensor
    W0, W1, b0 = t("W", 0), t("W", 1), t("b", 0)
    engine.train_step(batch, 0, 0.1)
    z0, a0, d0, d1 = t("z", 0), t("a", 0), t("delta", 0), t("delta", 1)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # noqa: E731
    np.testing.assert_array_equal(t("x", 0), batch.x)
    np.testing.assert_array_equal(t("y", 0), batch.y)
    close(z0, batch.x @ W0 + b0)
    close(a0, np.tanh(z0))
    p = np.exp(t("z", 1))
    p /= p.sum(axis=1, keepdims=True)
    close(d1, (p - np.eye(3)[batch.y]) / 9)
    close(d0, (d1 @ W1.T) * (1 - a0**2))
    close(t("grad_W", 0), batch.x.T @ d0)
    close(t("grad_b", 1), d1.sum(axis=0))
    close(t("update_W", 1), -0.1 * t("grad_W", 1))
    assert t("upstream", 1) is None and t("gate", 1) is None
    engine.watch(False)
    engine.train_step(batch, 1, 0.1)
    assert t("update_W", 0) is None  # of that update it was not kept


def test_what_is_not_computed_yet_is_none(engine_name: str, network: Any, batches: Any) -> None:
    first, second = batches(2, 9, 5, 3)
    engine = make(network((7, 6, 3)), 5, engine_name)
    assert engine.tensor("a", 0) is None and engine.tensor("W", 0) is not None
    assert np.isnan(engine.reduce()[:, 0]).all()
    engine.train_step(first, 0, 0.1)
    engine.begin(second, 1)
    assert all(engine.tensor(kind, 0) is None for kind in ("a", "z", "delta", "grad_W", "grad_b", "upstream", "gate"))
    assert engine.tensor("x", 0) is not None
    engine.forward(0)
    assert engine.tensor("a", 0) is not None and engine.tensor("a", 1) is None
    assert engine.fired()[1] is None
    engine.forward(1)
    engine.forward(2)
    assert engine.tensor("delta", 2) is None
    engine.loss()
    assert engine.tensor("delta", 2) is not None and engine.tensor("grad_W", 2) is None
    engine.backward(2)
    assert engine.tensor("grad_W", 2) is not None and engine.tensor("delta", 1) is None
    table = engine.reduce()
    assert np.isnan(table[0, 0]) and table[2, 0] > 0


@pytest.mark.parametrize(
    "optimizer", [RICH, SGD(lr=0.1, momentum=0.9, dampening=0.1), RMSprop(centered=True, momentum=0.5)]
)
def test_a_state_brings_back_the_same_run(engine_name: str, network: Any, batches: Any, optimizer: Any) -> None:
    experiment, data = network((8, 4), optimizer=optimizer, dropout=0.1), batches(5, 9, 5, 4)
    engine = make(experiment, 5, engine_name, "f32")
    kept = {}
    for step in range(8):
        kept[step] = engine.state()
        engine.train_step(data[step % 5], step, 0.01)
    end = engine.state()
    for start in (0, 4):
        other = make(experiment, 5, engine_name, "f32", seed=3)
        other.load_state(kept[start])
        assert same(other.state(), kept[start])
        for step in range(start, 8):
            other.train_step(data[step % 5], step, 0.01)
        assert same(other.state(), end)


@needs_torch
@pytest.mark.parametrize(
    "optimizer", [RICH, SGD(lr=0.1, momentum=0.9, dampening=0.1), RMSprop(centered=True, momentum=0.5)]
)
@pytest.mark.parametrize("way", [("numpy", "torch"), ("torch", "numpy")])
def test_a_state_moves_between_the_engines(network: Any, batches: Any, optimizer: Any, way: tuple[str, str]) -> None:
    experiment, data = network((8, 4), optimizer=optimizer), batches(5, 9, 5, 4)
    one, other = make(experiment, 5, way[0]), make(experiment, 5, way[1], seed=9)
    for step in range(6):
        one.train_step(data[step % 5], step, 0.01)
    other.load_state(one.state())
    assert same(one.state(), other.state())
    for step in range(6, 20):
        expected = pytest.approx(one.train_step(data[step % 5], step, 0.01), rel=1e-10)
        assert other.train_step(data[step % 5], step, 0.01) == expected


@needs_torch
def test_a_layer_without_a_formula_goes_back_by_autograd(
    network: Any, batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bptui.engine.torch import layers

    experiment, data = network((8, 6, 4), optimizer=RICH, dropout=0.1, activation="silu"), batches(4, 9, 5, 4)
    formula = make(experiment, 5, "torch")
    monkeypatch.delitem(layers.BACKWARD, "dense")
    graph = make(experiment, 5, "torch")
    for step in range(6):
        group = data[step % 4 : step % 4 + 2]
        assert graph.accumulate(group, step, 0.01) == pytest.approx(formula.accumulate(group, step, 0.01), rel=1e-10)
        for kind in ("delta", "grad_W", "grad_b", "upstream"):
            np.testing.assert_allclose(graph.tensor(kind, 0), formula.tensor(kind, 0), rtol=1e-8, atol=1e-13)


@needs_torch
def test_both_engines_start_alike_in_every_initialiser(network: Any) -> None:
    from bptui.engine.initialise import RULES

    for init in RULES:
        experiment = network((6, 9, 3), init=init, gain=0.7, value=0.2, bias=0.1)
        a, b = (make(experiment, 6, name).state() for name in ("numpy", "torch"))
        assert all(
            np.array_equal(a[f"dense{i}.{k}"], b[f"dense{i}.{k}"]) for i in (1, 2, 3) for k in ("weight", "bias")
        )


def test_orthogonal_columns_and_he_spread(network: Any) -> None:
    W = make(network((40, 3), init="orthogonal", gain=2.0), 64, "numpy").tensor("W", 0)
    assert W is not None
    np.testing.assert_allclose(W.T @ W, 4.0 * np.eye(40), atol=1e-12)
    W = make(network((400, 3)), 300, "numpy").tensor("W", 0)
    assert W is not None
    assert W.std() == pytest.approx(math.sqrt(2 / 300), rel=0.01) and abs(W.mean()) < 1e-3


def test_a_wrong_state_is_refused_by_name_and_changes_nothing(engine_name: str, network: Any) -> None:
    engine = make(network((8, 4), optimizer=Adam()), 5, engine_name)
    before = engine.state()
    bad = {**before, "dense1.weight": before["dense1.weight"] + 1, "dense2.bias": np.zeros(9)}
    with pytest.raises(ValueError, match=r"dense2\.bias has shape \(9,\), expected \(4,\)"):
        engine.load_state(bad)
    del bad["optimizer.exp_avg.dense1.weight"]
    with pytest.raises(ValueError, match="dense"):
        engine.load_state(bad)
    assert same(engine.state(), before)


def test_a_setting_changes_live(engine_name: str, network: Any, batches: Any) -> None:
    data = batches(4, 9, 5, 4)
    changed = make(network((8, 4), optimizer=SGD(lr=0.1)), 5, engine_name)
    changed.train_step(data[0], 0, 0.1)
    state = changed.state()
    assert changed.set("momentum", 0.9) == 0.0
    assert changed.set("clip_norm", 0.3) == math.inf
    born = make(network((8, 4), optimizer=SGD(lr=0.1, momentum=0.9, clip_norm=0.3)), 5, engine_name)
    born.load_state({**born.state(), **state})
    for step in range(1, 8):
        assert changed.train_step(data[step % 4], step, 0.1) == born.train_step(data[step % 4], step, 0.1)
    assert changed.set("clip_norm", math.inf) == pytest.approx(0.3)
    with pytest.raises(EngineError, match="did you mean 'momentum'"):
        changed.set("momentun", 0.5)
    with pytest.raises(EngineError, match="negative"):
        changed.set("momentum", -0.5)


def test_the_table_holds_norms_and_silent_units(engine_name: str, network: Any, batches: Any) -> None:
    base = network((6, 3))
    experiment = Experiment(
        data=base.data, loss=base.loss, model=(Dense(units=6, activation="relu", bias=-50.0), base.model[1])
    )
    engine = make(experiment, 5, engine_name)
    engine.watch(True)
    engine.train_step(batches(1, 9, 5, 3)[0], 0, 0.1)
    table = {name: engine.reduce()[:, i] for i, name in enumerate(COLUMNS)}
    assert table["silent"][0] == 6 and np.isnan(table["silent"][1])
    fired, last = engine.fired()
    assert last is None and fired is not None and not fired.any() and fired.shape == (6,)
    for name, kind in (("grad_norm", "grad_W"), ("weight_norm", "W"), ("delta_norm", "delta")):
        expected = [np.linalg.norm(engine.tensor(kind, i)) for i in range(2)]  # type: ignore[arg-type]
        np.testing.assert_allclose(table[name], expected, rtol=1e-6)
    a = [engine.tensor("a", i) for i in range(2)]
    np.testing.assert_allclose(table["activation_mean"], [x.mean() for x in a if x is not None], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(table["activation_std"], [x.std() for x in a if x is not None], rtol=1e-5, atol=1e-9)
    ratio = [np.linalg.norm(engine.tensor("update_W", i)) / np.linalg.norm(engine.tensor("W", i)) for i in range(2)]  # type: ignore[arg-type]
    np.testing.assert_allclose(table["update_ratio"], ratio, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_are_powers_of_two(dtype: Any) -> None:
    tiny = np.nextafter(dtype(0), dtype(1))
    x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, tiny, 2.0**-41, 2.0**24, -3e30, 1.0, -1.5, 2.0, 2.0**-40], dtype)
    cells = histogram(x)
    assert cells.shape == (CELLS,) and cells.sum() == x.size
    assert cells[:FIRST].tolist() == [2, 1, 2, 2, 2]
    assert cells[FIRST - LOW_EXPONENT] == 2 and cells[FIRST - LOW_EXPONENT + 1] == 1 and cells[FIRST] == 1


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_histograms_count_every_element(engine_name: str, network: Any, batches: Any, dtype: str) -> None:
    engine = make(network((6, 3)), 5, engine_name, dtype)
    engine.train_step(in_dtype(batches(1, 9, 5, 3), dtype)[0], 0, 0.1)
    for kind in ("grad_W", "W", "a", "delta"):
        expected = np.stack([histogram(engine.tensor(kind, i)) for i in range(2)])  # type: ignore[arg-type]
        np.testing.assert_array_equal(engine.histogram(kind), expected)  # type: ignore[arg-type]


def test_an_overflow_is_a_number_and_not_a_warning(engine_name: str, network: Any, batches: Any) -> None:
    experiment = network((6, 1), activation="silu", loss=MeanSquaredError(), optimizer=SGD(lr=1e30))
    engine = make(experiment, 5, engine_name, "f32")
    losses = [engine.train_step(b, i, 1e30) for i, b in enumerate(in_dtype(batches(6, 9, 5, 1, kind="floats"), "f32"))]
    assert not math.isfinite(losses[-1])
    assert engine.histogram("W")[:, 1:3].sum() > 0
    engine.reduce()


@st.composite
def small_networks(draw: st.DrawFn) -> tuple[Experiment, int, list[Batch]]:
    activation = st.sampled_from(
        ["identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
    )
    kind = draw(st.sampled_from(["classes", "binary", "floats"]))
    features, outputs = draw(st.integers(1, 5)), draw(st.integers(2 if kind == "classes" else 1, 4))
    hidden = draw(st.lists(st.tuples(st.integers(1, 6), activation, st.sampled_from([0.0, 0.3])), max_size=3))
    model = (*(Dense(units=n, activation=a, dropout=p) for n, a, p in hidden), Dense(units=outputs))  # type: ignore[arg-type]
    loss: Any = LOSSES[kind]
    if kind == "floats":
        loss = draw(st.sampled_from([MeanSquaredError(), MeanAbsoluteError(), Huber(delta=0.5)]))
    rule: Any = draw(st.sampled_from([SGD(lr=0.05, momentum=0.5), Adam(lr=0.01), RMSprop(lr=0.01)]))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    data = []
    for rows in draw(st.lists(st.integers(1, 7), min_size=2, max_size=4)):
        y: Any = numbers.normal(size=(rows, outputs))
        y = y.argmax(axis=1) if kind == "classes" else (y > 0).astype(float) if kind == "binary" else y
        data.append(Batch(numbers.normal(size=(rows, features)), y))
    return Experiment(data=Data(source="made"), model=model, loss=loss, optimizer=rule), features, data


@needs_torch
@settings(max_examples=40, deadline=None)
@given(small_networks())
def test_the_engines_agree_on_any_small_network(case: tuple[Experiment, int, list[Batch]]) -> None:
    experiment, features, data = case
    a, b = (make(experiment, features, name) for name in ("numpy", "torch"))
    for step, batch in enumerate(data):
        assert a.train_step(batch, step, 0.01) == pytest.approx(b.train_step(batch, step, 0.01), rel=1e-9, abs=1e-12)
        for layer in range(len(experiment.model)):
            for kind in ("a", "z", "delta", "grad_W", "grad_b"):
                one, other = a.tensor(kind, layer), b.tensor(kind, layer)  # type: ignore[arg-type]
                np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-11)
