"""Layers without weights that form their inputs anew."""

from __future__ import annotations

from functools import reduce

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node


class Reshape(Node):
    """Flatten and reshape."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (source,) = sources
        return source.reshape(len(source), *self.geometry.output)

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        return (delta.reshape(len(delta), *self.inputs[0]),)


class Add(Node):
    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        total = sources[0] + sources[1]
        for source in sources[2:]:
            total += source
        return total

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        return (delta,) * len(self.inputs)


class Multiply(Node):
    """Of two inputs, δ to each is δ ⊙ the other; of more, ⊙ all the others."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        self._sources = sources
        return _product(sources)

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,) * len(self._sources)
        return tuple(delta * _product(_others(self._sources, at)) for at in range(len(self._sources)))


class Dot(Multiply):
    """Σ_f Π of the inputs: δ (N, …, 1) goes to every feature."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        self._sources = sources
        return np.asarray(np.einsum("...f,...f->...", sources[0], _product(sources[1:]))[..., None])


def _product(factors: tuple[Array, ...]) -> Array:
    return reduce(np.multiply, factors)


def _others(factors: tuple[Array, ...], but: int) -> tuple[Array, ...]:
    return factors[:but] + factors[but + 1 :]


class Concat(Node):
    def _axis(self) -> int:
        return 1 if self.geometry.unit_axis == 0 else -1

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        return np.concatenate(sources, axis=self._axis())

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        ends = np.cumsum([shape[self.geometry.unit_axis] for shape in self.inputs])[:-1]
        return tuple(np.split(delta, ends, axis=self._axis()))
