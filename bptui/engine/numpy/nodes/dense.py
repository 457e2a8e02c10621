"""Dense: z = aW + b, over the last axis."""

from __future__ import annotations

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node


class Dense(Node):
    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (source,) = sources
        self._rows = source.reshape(-1, source.shape[-1])  # (N·T, inputs)
        z: Array = np.dot(self._rows, self.values["weight"])  # (N·T, units)
        z += self.values["bias"]
        return z.reshape(*source.shape[:-1], -1)

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        rows = delta.reshape(-1, delta.shape[-1])
        np.dot(self._rows.T, rows, out=self.gradients["weight"])  # aᵀδ, (inputs, units)
        np.add.reduce(rows, axis=0, out=self.gradients["bias"])
        if not wanted:
            return (None,)
        below = np.dot(rows, self.values["weight"].T)  # δWᵀ, (N·T, inputs)
        return (below.reshape(*delta.shape[:-1], -1),)
