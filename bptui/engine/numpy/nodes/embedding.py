"""Embeddings: rows of a table, and places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.engine.positions import sinusoids
from bptui.spec.shapes import Placed

#: Tokens up to which a product adds up δ: a number costs as much as 100 multiply-adds when it is added by itself.
FEW = 128


class Embedding(Node):
    """Tokens (N, T) → (N, T, units); of one column (N, units)."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (tokens,) = sources
        self._tokens = tokens if self.layer.column is None else tokens[:, self.layer.column]
        return np.asarray(self.values["weight"].take(self._tokens, axis=0))

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        """Rows of δ added up by token, in the order of the batch: a product with the tokens' rows of ones and zeros
        where there are few, else number by number."""
        gradient, tokens = self.gradients["weight"], self._tokens.reshape(-1)
        rows = np.ascontiguousarray(delta).reshape(len(tokens), -1)
        vocabulary, units = gradient.shape
        if vocabulary <= FEW:
            which = np.zeros((len(tokens), vocabulary), delta.dtype)
            which[np.arange(len(tokens)), tokens] = 1.0
            np.dot(which.T, rows, gradient)
        else:
            gradient.fill(0.0)
            places = np.add(tokens[:, None] * units, np.arange(units)).reshape(-1)
            np.add.at(gradient.reshape(-1), places, rows.reshape(-1))  # flat, which is ten times as fast as by rows
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
