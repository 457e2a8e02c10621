"""The dead-unit lens against plain Python sums, for every kind of gate, and over the layers of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from bptui.data import load as load_data
from bptui.data import search_path
from bptui.engine import create
from bptui.engine.base import Batch
from bptui.protocol.lens import LensView, UnitState
from bptui.spec.load import load as load_spec
from bptui.trainer import lens

G: dict[str, Callable[[float], float]] = {
    "relu": lambda z: max(z, 0.0),
    "tanh": math.tanh,
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "identity": lambda z: z,
}
FIRES: dict[str, Callable[[float], bool]] = {
    "relu": lambda z: z > 0, "tanh": lambda z: abs(z) < 5, "sigmoid": lambda z: abs(z) < 5,
    "gelu": lambda z: z > -5, "identity": lambda z: True,
}  # fmt: skip


@pytest.mark.parametrize("activation", list(G))
def test_a_layer_against_plain_sums(activation: str) -> None:
    draw = np.random.default_rng(3)
    x, weight = draw.normal(size=(300, 4)), draw.normal(size=(4, 6))
    bias = np.array([0.0, -30.0, 30.0, -3.0, 1.0, 0.0])
    weight[:, 5] *= 0.001
    output = lens.Layer("out", "identity", np.ones((6, 2)), np.zeros(2))
    layers = [lens.Layer("first", activation, weight, bias), output]
    seen = lens.see(layers, x)[0]
    strength = []
    for unit in range(6):
        z = [sum(float(row[i]) * float(weight[i, unit]) for i in range(4)) + float(bias[unit]) for row in x]
        fired = sum(map(FIRES[activation], z))
        strength.append(sum(abs(G[activation](value)) for value in z) / len(z))
        assert seen.fired[unit] == fired
        assert seen.z_max[unit] == pytest.approx(max(z))
        assert seen.z_mean[unit] == pytest.approx(sum(z) / len(z))
        far = {"relu": -max(z), "gelu": -5 - max(z), "identity": 0.0}.get(activation, min(map(abs, z)) - 5)
        assert seen.distance[unit] == pytest.approx(max(far, 0.0))
    mean = sum(strength) / 6
    assert seen.score == pytest.approx([value / mean for value in strength])
    worst = {"relu": UnitState.DEAD, "identity": UnitState.ALIVE}.get(activation, UnitState.SATURATED)
    assert seen.states[1] == worst


def test_dead_dormant_quiet_and_alive_are_told_apart() -> None:
    x = np.linspace(-1, 1, 1001).reshape(-1, 1)[:-1]  # a thousand samples, of which half are above 0
    weight = np.array([[1.0, 1.0, 0.001, 1.0]])
    bias = np.array([0.0, -2.0, 0.0, -0.995])
    layers = [lens.Layer("h", "relu", weight, bias), lens.Layer("out", "identity", np.zeros((4, 1)), np.zeros(1))]
    seen = lens.see(layers, x)
    assert [UnitState(state) for state in seen[0].states[:3]] == [UnitState.ALIVE, UnitState.DEAD, UnitState.DORMANT]
    assert seen[0].states[3] == UnitState.DORMANT  # it hardly fires, and little then
    hidden = lens.Layer("h", "relu", np.array([[1.0, 1000.0]]), np.array([0.0, -995.0]))
    louder = [hidden, layers[1]._replace(weight=np.zeros((2, 1)))]
    assert lens.see(louder, x)[0].states.tolist() == [UnitState.ALIVE, UnitState.QUIET]
    assert seen[1].states.tolist() == [UnitState.ALIVE]  # an output that gives nothing is no dormant unit


def test_the_claim_says_how_many_samples_are_behind_it() -> None:
    assert LensView(1, 3000, 60000, ()).claim == "3,000 of 60,000 training samples: 0 of them means fewer than 0.10%"
    assert LensView(1, 150, 150, ()).claim == "all 150 training samples"


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_the_lens_sees_the_engines_own_network(engine: str) -> None:
    """Its forward pass ends in what the engine predicts; dropout is off, and the engine's step is left as it was."""
    if engine == "torch":
        pytest.importorskip("torch")
    experiment = load_spec("digits", ["model.dense1.dropout=0.5", "model.dense2.activation=gelu"])
    data = load_data(experiment.data, seed=1, dtype="f32", loss=experiment.loss, search=search_path([]))
    built = create(experiment, data.features, 10, engine=engine, seed=1)  # type: ignore[arg-type]
    batch = Batch(data.train.x[:32], data.train.y[:32])
    built.train_step(batch, 0, 0.1)
    before = built.tensor("a", 0)
    x = lens.census_rows(data.train.blocks(100)).x
    assert len(x) == min(3000, len(data.train.x))
    *_, (z, _) = lens.forward(lens.layers_of(built), x)
    np.testing.assert_allclose(z, built.predict(x), rtol=1e-3, atol=1e-4)
    assert np.array_equal(before, built.tensor("a", 0))
