"""The dead-unit lens: what each unit does over a fixed set of training samples, in one state, dropout off.

    zˡ = aˡ⁻¹Wˡ + bˡ      aˡ = g(zˡ)

The engine's own tensors (and dropout masks) stay those of the step that is looked at: a chain of dense layers is
computed here from W and b, any other network by ``Engine.passes``. What it means that a unit *fires*
depends on g: see ``protocol.lens.Gate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Batch, Engine
from bptui.engine.numpy.activations import ACTIVATIONS
from bptui.probe.units import CENSUS_SAMPLES, SATURATED
from bptui.protocol.lens import Gate, LensLayer, LensUnit, LensView, UnitState
from bptui.spec.layers.base import size

Array = npt.NDArray[np.floating]
GATES: dict[str, Gate] = {
    "relu": "zero", "elu": "left", "selu": "left", "gelu": "left", "silu": "left", "softplus": "left",
    "sigmoid": "both", "tanh": "both", "leaky_relu": "open", "identity": "open",
}  # fmt: skip
_EDGE: dict[Gate, float] = {"zero": 0.0, "left": -SATURATED}
DORMANT = 0.025
"""A unit whose mean |a| is at most this share of its layer's mean is dormant (Sokar et al. 2023, τ = 0.025)."""
MOST_VALUES = 1 << 22
"""Values of the largest layer that are looked at at once."""
QUIET = 0.01
"""A unit that fires for at most this share of the samples is quiet."""


@dataclass(frozen=True, slots=True)
class LayerSeen:
    """One layer over the samples, and over the places of pictures and sequences; every array is (units,)."""

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


def census_rows(blocks: Iterable[Batch]) -> Batch:
    """The first CENSUS_SAMPLES samples of the training part (their order is a seeded shuffle), or all."""
    pieces, left = [], CENSUS_SAMPLES
    for block in blocks:
        lengths = None if block.lengths is None else block.lengths[:left]
        pieces.append(Batch(np.array(block.x[:left]), np.array(block.y[:left]), lengths))
        left -= len(pieces[-1].x)
        if left <= 0:
            break
    counts = [piece.lengths for piece in pieces if piece.lengths is not None]
    return Batch(
        np.concatenate([piece.x for piece in pieces]),
        np.concatenate([piece.y for piece in pieces]),
        np.concatenate(counts) if counts else None,
    )


def activate(name: str, z: Array) -> Array:
    """g(z), in an array of its own."""
    h = np.empty_like(z, order="C")
    z = np.ascontiguousarray(z)
    if name == "identity":
        return z.copy()
    for operation in ACTIVATIONS[name](z, h, np.empty_like(h))[0]:
        operation()
    return h


def forward(layers: Sequence[Layer], x: npt.NDArray[Any]) -> Iterator[tuple[Array, Array]]:
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
        return np.zeros(z.shape[-1], z.dtype)
    over = tuple(range(z.ndim - 1))
    nearest = np.abs(z).min(axis=over) - SATURATED if gate == "both" else _EDGE[gate] - z.max(axis=over)
    return np.asarray(np.maximum(nearest, 0))


class _Tally:
    """One layer's units, piece of samples by piece."""

    def __init__(self, name: str, activation: str, unit_axis: int = -1) -> None:
        self.name, self.activation, self._axis = name, activation, unit_axis
        self.gate: Gate = GATES.get(activation, "open")
        self.samples = self._places = 0

    def add(self, z: Array, a: Array) -> None:
        """z and a of some samples. A unit fires for a sample where it does at any place."""
        z, a = self._by_units(z), self._by_units(a)  # (n, places, units)
        values = [
            firing(self.gate, z).any(axis=1).sum(axis=0), z.max(axis=(0, 1)), z.sum(axis=(0, 1), dtype=np.float64),
            _distance(self.gate, z), np.abs(a).sum(axis=(0, 1), dtype=np.float64),
        ]  # fmt: skip
        if not self.samples:
            self._fired, self._top, self._sum, self._near, self._size = values
        else:
            self._fired, self._sum, self._size = self._fired + values[0], self._sum + values[2], self._size + values[4]
            self._top, self._near = np.maximum(self._top, values[1]), np.minimum(self._near, values[3])
        self.samples += len(z)
        self._places += z.shape[0] * z.shape[1]

    def _by_units(self, values: Array) -> Array:
        moved = np.moveaxis(values, 1, -1) if self._axis == 0 else values
        return moved.reshape(len(values), -1, moved.shape[-1])

    def seen(self, *, output: bool) -> LayerSeen:
        strength = self._size / self._places
        mean = strength.mean()
        score = strength / mean if mean > 0 else np.full(len(strength), np.nan)
        return LayerSeen(
            self.name, self.activation, self.gate, self._fired, self._top, self._sum / self._places, self._near,
            score, _states(self.gate, self._fired, self.samples, score, output=output),
        )  # fmt: skip


def plain(engine: Engine) -> bool:
    """Whether its layers are a chain of dense ones, whose forward pass is computed here."""
    return all(
        info.kind == "dense" and len(info.shape) == 1 and info.sources == (index - 1,)
        for index, info in enumerate(engine.layers)
    )


def pieces(engine: Engine, samples: Batch) -> Iterator[Batch]:
    """As many samples at once as the largest layer of the engine allows."""
    largest = max(size(info.shape) for info in engine.layers)
    rows = len(samples.x) if plain(engine) else max(8, MOST_VALUES // largest)
    for first in range(0, len(samples.x), max(1, rows)):
        part = slice(first, first + rows)
        yield Batch(samples.x[part], samples.y[part], None if samples.lengths is None else samples.lengths[part])


def passes(engine: Engine, samples: Batch) -> Iterator[tuple[Array, Array]]:
    """z and a of one layer after the other, of these samples at once."""
    if plain(engine):
        return forward(layers_of(engine), samples.x)
    return engine.passes(samples.x, samples.lengths)


def see(layers: Sequence[Layer], x: Array) -> list[LayerSeen]:
    """The lens over a chain of dense layers: its units over the samples ``x`` (n, features)."""
    return _seen([_Tally(layer.name, layer.activation) for layer in layers], [forward(layers, x)])


def look(engine: Engine, samples: Batch) -> list[LayerSeen]:
    """The lens: every layer's units over the samples."""
    tallies = [_Tally(info.name, info.activation, info.unit_axis) for info in engine.layers]
    return _seen(tallies, (passes(engine, piece) for piece in pieces(engine, samples)))


def _seen(tallies: Sequence[_Tally], parts: Iterable[Iterator[tuple[Array, Array]]]) -> list[LayerSeen]:
    with np.errstate(all="ignore"):
        for part in parts:
            for tally, (z, a) in zip(tallies, part, strict=True):
                tally.add(z, a)
        return [tally.seen(output=index == len(tallies) - 1) for index, tally in enumerate(tallies)]


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
