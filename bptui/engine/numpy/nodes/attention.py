"""Multi-head attention, block by block: the scores of a block stay in the processor's cache.

    S = QKᵀ/√d    P = softmax(S)    O = PV
    ∂L/∂V = Pᵀ∂O    ∂L/∂P = ∂O·Vᵀ    ∂L/∂S = P⊙(∂L/∂P − rowsum(∂O⊙O))    ∂L/∂Q = ∂L/∂S·K/√d    ∂L/∂K = ∂L/∂Sᵀ·Q/√d

Only O and the logarithm of each row's sum are kept; backward makes P from them again (Dao and others 2022), so memory
grows with T, not with T².
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.spec.shapes import Placed

#: Bytes of scores in a block.
BLOCK = 1 << 18


class Block(NamedTuple):
    """Scores that are computed at once: samples × heads × rows, each row against the first ``keys`` steps."""

    samples: slice
    heads: slice
    rows: slice
    keys: slice


class Heads:
    """The arithmetic, for any layer that has attention inside."""

    def __init__(
        self, heads: int, causal: bool, values: Mapping[str, Array], gradients: Mapping[str, Array], prefix: str = ""
    ) -> None:
        self._heads, self._causal = heads, causal
        names = [f"{prefix}{name}" for name in ("qkv", "qkv_bias", "out", "out_bias")]
        self._qkv, self._qkv_bias, self._out, self._out_bias = (values[name] for name in names)
        self._gradients = tuple(gradients[name] for name in names)
        self._x: Array | None = None
        self._lengths: Array | None = None

    def forward(self, x: Array, lengths: Array | None) -> Array:
        """(N, T, D) → (N, T, D); keys beyond a sample's length are not looked at."""
        n, steps, features = x.shape
        self._x = x = np.ascontiguousarray(x)
        projected = np.dot(x.reshape(-1, features), self._qkv)
        projected += self._qkv_bias
        parts = projected.reshape(n, steps, 3, self._heads, features // self._heads).transpose(2, 0, 3, 1, 4)
        self._query = parts[0] * x.dtype.type(1.0 / math.sqrt(parts.shape[-1]))  # (N, heads, T, d)
        self._key, self._value = np.ascontiguousarray(parts[1]), np.ascontiguousarray(parts[2])
        self._lengths = None if lengths is None or bool((lengths >= steps).all()) else np.maximum(lengths, 1)
        self._logsum = np.empty((n, self._heads, steps, 1), x.dtype)
        context = np.empty((n, steps, self._heads, parts.shape[-1]), x.dtype)
        self._heard = context.transpose(0, 2, 1, 3)  # O
        for block in self._blocks():
            scores = self._scores(block)
            largest = scores.max(axis=-1, keepdims=True)
            np.subtract(scores, largest, scores)
            np.exp(scores, scores)
            total = scores.sum(axis=-1, keepdims=True)
            where = block.samples, block.heads, block.rows
            self._heard[where] = np.matmul(scores, self._value[block.samples, block.heads, block.keys]) / total
            self._logsum[where] = np.log(total) + largest
        self._joined = context.reshape(-1, features)
        out = np.dot(self._joined, self._out)
        out += self._out_bias
        return np.asarray(out.reshape(x.shape))

    def backward(self, delta: Array, wanted: bool) -> Array | None:
        """The parameters' gradients; ∂L/∂x (N, T, D) if wanted."""
        x = self._x
        assert x is not None
        n, steps, features = x.shape
        d_qkv, d_qkv_bias, d_out, d_out_bias = self._gradients
        rows = delta.reshape(-1, features)
        np.dot(self._joined.T, rows, d_out)
        np.sum(rows, axis=0, out=d_out_bias)
        heard = np.dot(rows, self._out.T).reshape(n, steps, self._heads, -1).transpose(0, 2, 1, 3)  # ∂L/∂O
        heard = np.ascontiguousarray(heard)
        along = np.einsum("nhtd,nhtd->nht", heard, self._heard)[..., None]
        projected = np.empty((n, steps, 3, self._heads, heard.shape[-1]), x.dtype)
        d_query, d_key, d_value = projected.transpose(2, 0, 3, 1, 4)
        for block in self._blocks():
            samples, heads, these, keys = block
            chance = self._chances(block)
            above = heard[samples, heads, these]
            inner = np.matmul(above, self._value[samples, heads, keys].swapaxes(-1, -2))
            np.subtract(inner, along[samples, heads, these], inner)
            np.multiply(inner, chance, inner)
            d_query[samples, heads, these] = np.matmul(inner, self._key[samples, heads, keys])
            value = np.matmul(chance.swapaxes(-1, -2), above)
            key = np.matmul(inner.swapaxes(-1, -2), self._query[samples, heads, these])
            # The block of the last rows comes first and has every key, so it sets what the others add to.
            if these.stop == steps:
                d_value[samples, heads], d_key[samples, heads] = value, key
            else:
                d_value[samples, heads, keys] += value
                d_key[samples, heads, keys] += key
        d_query *= x.dtype.type(1.0 / math.sqrt(heard.shape[-1]))
        flat = projected.reshape(-1, 3 * features)
        np.dot(x.reshape(-1, features).T, flat, d_qkv)
        np.sum(flat, axis=0, out=d_qkv_bias)
        return np.dot(flat, self._qkv.T).reshape(x.shape) if wanted else None

    def map(self, sample: int) -> Array | None:
        """P of one sample: (1, heads, T, T), 0 where a step may not look."""
        if self._x is None:
            return None
        steps = self._x.shape[1]
        shown = np.zeros((1, self._heads, steps, steps), self._x.dtype)
        for block in self._blocks():
            if block.samples.start <= sample < block.samples.stop:
                alone = block._replace(samples=slice(sample, sample + 1))
                shown[:, block.heads, block.rows, block.keys] = self._chances(alone)
        return shown

    def _blocks(self) -> Iterator[Block]:
        """Later rows first."""
        n, heads, steps, _ = self._query.shape
        each = steps * self._query.itemsize
        rows = max(1, min(steps, BLOCK // each))
        if rows < steps:
            for sample in range(n):
                for head in range(heads):
                    for stop in range(steps, 0, -rows):
                        keys = slice(0, stop if self._causal else steps)
                        these = slice(max(0, stop - rows), stop)
                        yield Block(slice(sample, sample + 1), slice(head, head + 1), these, keys)
            return
        whole = slice(0, steps)
        count = max(1, BLOCK // (each * steps))
        if count < heads:
            for sample in range(n):
                for first in range(0, heads, count):
                    yield Block(slice(sample, sample + 1), slice(first, min(heads, first + count)), whole, whole)
            return
        for first in range(0, n, count // heads):
            yield Block(slice(first, min(n, first + count // heads)), slice(0, heads), whole, whole)

    def _scores(self, block: Block) -> Array:
        """S, −inf where a step may not look."""
        samples, heads, rows, keys = block
        scores = np.matmul(self._query[samples, heads, rows], self._key[samples, heads, keys].swapaxes(-1, -2))
        if self._causal:
            later = np.arange(keys.stop) > np.arange(rows.start, rows.stop)[:, None]
            np.copyto(scores, -np.inf, where=later)
        if self._lengths is not None:
            beyond = np.arange(keys.stop) >= self._lengths[samples, None]
            np.copyto(scores, -np.inf, where=beyond[:, None, None])
        return np.asarray(scores)

    def _chances(self, block: Block) -> Array:
        """P, from S and the logarithms of its rows' sums."""
        scores = self._scores(block)
        np.subtract(scores, self._logsum[block.samples, block.heads, block.rows], scores)
        np.exp(scores, scores)
        return scores


class Attention(Node):
    """attention."""

    def __init__(
        self, place: Placed, values: Mapping[str, Array], gradients: Mapping[str, Array], buffers: Mapping[str, Array]
    ) -> None:
        super().__init__(place, values, gradients, buffers)
        layer = self.layer
        self._attention = Heads(layer.heads, layer.causal, values, gradients)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        return self._attention.forward(sources[0], context.lengths)

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        return (self._attention.backward(delta, wanted),)

    def views(self, sample: int = 0) -> dict[str, Array]:
        """``attention`` (1, heads, T, T)."""
        shown = self._attention.map(sample)
        return {} if shown is None else {"attention": shown}
