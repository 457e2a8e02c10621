"""The dead-unit lens: what each unit does over a fixed set of training samples, in one state, dropout off.

    zˡ = aˡ⁻¹Wˡ + bˡ      aˡ = g(zˡ)

It is computed here from W and b, not by the engine, whose own tensors (and dropout masks) so stay those of the step
that is looked at. What it means that a unit *fires* depends on g: see ``protocol.lens.Gate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Batch, Engine
from bptui.engine.numpy.activations import ACTIVATIONS
from bptui.probe.units import CENSUS_SAMPLES, SATURATED
from bptui.protocol.lens import Gate, LensLayer, LensUnit, LensView, UnitState

Array = npt.NDArray[np.floating]
GATES: dict[str, Gate] = {
    "relu": "zero", "elu": "left", "selu": "left", "gelu": "left", "silu": "left", "softplus": "left",
    "sigmoid": "both", "tanh": "both", "leaky_relu": "open", "identity": "open",
}  # fmt: skip
_EDGE: dict[Gate, float] = {"zero": 0.0, "left": -SATURATED}
DORMANT = 0.025
"""A unit whose mean |a| is at most this share of its layer's mean is dormant (Sokar et al. 2023, τ = 0.025)."""
QUIET = 0.01
"""A unit that fires for at most this share of the samples is quiet."""


@dataclass(frozen=True, slots=True)
class LayerSeen:
    """One layer over the samples; every array is (units,)."""

    name: str
    activation: str
    gate: Gate
    fired: npt.NDArray[np.int64]
    """For how many samples."""
    z_max: Array
    z_mean: Array
    distance: Array
    """How far the nearest sample's z is from firing; 0 where the unit fires."""
    score: Array
    """mean |a| as a share of the layer's mean of it; nan where the layer gives nothing but 0."""
    states: npt.NDArray[np.uint8]
    """``UnitState`` of each."""


class Layer(NamedTuple):
    """What the forward pass needs of a layer."""

    name: str
    activation: str
    weight: Array
    """(inputs, units)."""
    bias: Array
    """(units,)."""


def layers_of(engine: Engine) -> list[Layer]:
    """Copies of an engine's parameters."""
    found = []
    for index, info in enumerate(engine.layers):
        weight, bias = engine.tensor("W", index), engine.tensor("b", index)
        assert weight is not None and bias is not None
        found.append(Layer(info.name, info.activation, weight, bias))
    return found


def census_rows(blocks: Iterator[Batch]) -> Array:
    """(n, features): the first CENSUS_SAMPLES rows of the training part (their order is a seeded shuffle), or all."""
    pieces, left = [], CENSUS_SAMPLES
    for block in blocks:
        pieces.append(np.array(block.x[:left]))
        left -= len(pieces[-1])
        if left <= 0:
            break
    return np.concatenate(pieces)


def activate(name: str, z: Array) -> Array:
    """g(z), in an array of its own."""
    h = np.empty_like(z, order="C")
    z = np.ascontiguousarray(z)
    if name == "identity":
        return z.copy()
    for operation in ACTIVATIONS[name](z, h, np.empty_like(h))[0]:
        operation()
    return h


def forward(layers: Sequence[Layer], x: Array) -> Iterator[tuple[Array, Array]]:
    """z and a, (n, units), of one layer after the other."""
    a = x
    for layer in layers:
        z = a @ layer.weight + layer.bias  # (n, units)
        a = activate(layer.activation, z)
        yield z, a


def firing(gate: Gate, z: Array) -> npt.NDArray[np.bool_]:
    """Which z let δ through."""
    if gate == "zero":
        return z > 0
    if gate == "left":
        return z > -SATURATED
    if gate == "both":
        return np.abs(z) < SATURATED
    return np.ones(z.shape, dtype=bool)


def _distance(gate: Gate, z: Array) -> Array:
    if gate == "open":
        return np.zeros(z.shape[1], z.dtype)
    nearest = np.abs(z).min(axis=0) - SATURATED if gate == "both" else _EDGE[gate] - z.max(axis=0)
    return np.asarray(np.maximum(nearest, 0))


def see(layers: Sequence[Layer], x: Array) -> list[LayerSeen]:
    """The lens: every layer's units over the samples ``x`` (n, features)."""
    seen = []
    with np.errstate(all="ignore"):
        for index, (layer, (z, a)) in enumerate(zip(layers, forward(layers, x), strict=True)):
            gate = GATES.get(layer.activation, "open")
            fired = firing(gate, z).sum(axis=0)
            strength = np.abs(a).mean(axis=0, dtype=np.float64)
            mean = strength.mean()
            score = strength / mean if mean > 0 else np.full(len(strength), np.nan)
            output = index == len(layers) - 1
            seen.append(LayerSeen(
                layer.name, layer.activation, gate, fired, z.max(axis=0), z.mean(axis=0), _distance(gate, z),
                score, _states(gate, fired, len(x), score, output=output),
            ))  # fmt: skip
    return seen


def _states(
    gate: Gate, fired: npt.NDArray[np.int64], samples: int, score: Array, *, output: bool
) -> npt.NDArray[np.uint8]:
    states = np.full(len(fired), UnitState.ALIVE, np.uint8)
    if gate != "open":
        states[fired <= QUIET * samples] = UnitState.QUIET
    if not output:  # a class's logit may well be small
        states[score <= DORMANT] = UnitState.DORMANT
    if gate != "open":
        states[fired == 0] = UnitState.DEAD if gate == "zero" else UnitState.SATURATED
    return states


def stopped(seen: Sequence[LayerSeen]) -> int:
    """How many units no sample's δ comes through: dead or saturated ones."""
    return sum(int(np.count_nonzero(layer.fired == 0)) for layer in seen if layer.gate != "open")


def table(seen: Sequence[LayerSeen]) -> npt.NDArray[np.float64]:
    """(units of all layers, columns of ``protocol.lens.COLUMNS``)."""
    return np.concatenate([
        np.stack([layer.fired, layer.z_max, layer.z_mean, layer.distance, layer.score, layer.states], axis=1)
        for layer in seen
    ]).astype("<f8")  # fmt: skip


def view(seen: Sequence[LayerSeen], step: int, samples: int, rows: int) -> LensView:
    """The lens as it is shown."""
    values = iter(table(seen).tolist())
    return LensView(step, samples, rows, tuple(
        LensLayer(layer.name, layer.activation, layer.gate, tuple(unit(next(values)) for _ in layer.fired))
        for layer in seen
    ))  # fmt: skip


def unit(row: Sequence[float]) -> LensUnit:
    """One row of the table."""
    fired, *numbers, state = row
    z_max, z_mean, distance, score = (value if np.isfinite(value) else None for value in numbers)
    return LensUnit(int(fired), z_max, z_mean, distance, score, UnitState(int(state)))
