"""Layers without weights that form their inputs anew."""

from __future__ import annotations

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


class Concat(Node):
    def _axis(self) -> int:
        return 1 if self.geometry.unit_axis == 0 else -1

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        return np.concatenate(sources, axis=self._axis())

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        ends = np.cumsum([shape[self.geometry.unit_axis] for shape in self.inputs])[:-1]
        return tuple(np.split(delta, ends, axis=self._axis()))
