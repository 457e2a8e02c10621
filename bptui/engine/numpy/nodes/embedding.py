"""Embeddings: rows of a table, and places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.engine.positions import sinusoids
from bptui.spec.shapes import Placed


class Embedding(Node):
    """Tokens (N, T) → (N, T, units)."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (self._tokens,) = sources
        return np.asarray(self.values["weight"].take(self._tokens, axis=0))

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        """Rows of δ added up by token: sorted, so that each token's rows lie together and add up in one order."""
        gradient = self.gradients["weight"]
        tokens = self._tokens.reshape(-1)
        order = np.argsort(tokens, kind="stable")
        sorted_tokens = tokens[order]
        begins = np.flatnonzero(np.r_[True, sorted_tokens[1:] != sorted_tokens[:-1]])
        gradient.fill(0.0)
        gradient[sorted_tokens[begins]] = np.add.reduceat(delta.reshape(len(tokens), -1)[order], begins, axis=0)
        if self.layer.padding is not None:
            gradient[self.layer.padding] = 0.0
        return (None,)


class PositionalEmbedding(Node):
    """Adds a row of a table to each step: (N, T, F) → (N, T, F)."""

    def __init__(
        self, place: Placed, values: Mapping[str, Array], gradients: Mapping[str, Array], buffers: Mapping[str, Array]
    ) -> None:
        super().__init__(place, values, gradients, buffers)
        self._table: Array | None = values.get("weight")

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        if self._table is None:
            self._table = sinusoids(*x.shape[1:]).astype(x.dtype)
        return np.asarray(x + self._table)

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if "weight" in self.gradients:
            np.sum(delta, axis=0, out=self.gradients["weight"])
        return (delta if wanted else None,)
