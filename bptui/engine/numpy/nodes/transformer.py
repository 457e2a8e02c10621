"""The transformer block: attention and two dense layers, each a branch that is added to the stream.

    pre   u = x + attention(norm₁(x))    y = u + feed(norm₂(u))
    post  u = norm₁(x + attention(x))    y = norm₂(u + feed(u))

Dropout acts on what a branch gives, before the sum (Vaswani and others 2017, section 5.4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptui.engine.numpy.activations import ACTIVATIONS
from bptui.engine.numpy.nodes.attention import Heads
from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.engine.numpy.nodes.norm_features import FeatureNorm
from bptui.engine.numpy.operations import Operation, run
from bptui.spec.layers.attention import NORM_EPS
from bptui.spec.shapes import Placed

#: Elements of the hidden layer that its activation takes at once, so that they stay in the cache.
PIECE = 1 << 14


class Feed:
    """``g(xU + c)V + d`` for each step."""

    def __init__(self, activation: str, values: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self._activation = activation
        names = ("feed.up", "feed.up_bias", "feed.down", "feed.down_bias")
        self._up, self._up_bias, self._down, self._down_bias = (values[name] for name in names)
        self._gradients = tuple(gradients[name] for name in names)
        self._rows = -1

    def forward(self, x: Array) -> Array:
        """(N, T, D) → (N, T, D)."""
        self._x = rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        if len(rows) != self._rows:
            self._make(len(rows), rows)
        np.dot(rows, self._up, self._z)
        np.add(self._z, self._up_bias, self._z)
        run(self._squash)
        y = np.dot(self._h, self._down)
        y += self._down_bias
        return np.asarray(y.reshape(x.shape))

    def backward(self, delta: Array) -> Array:
        """The parameters' gradients; ∂L/∂x (N, T, D)."""
        d_up, d_up_bias, d_down, d_down_bias = self._gradients
        rows = delta.reshape(-1, delta.shape[-1])
        np.dot(self._h.T, rows, d_down)
        np.sum(rows, axis=0, out=d_down_bias)
        hidden = np.dot(rows, self._down.T)
        if self._activation != "identity":
            run(self._slope)
            np.multiply(hidden, self._gate, hidden)
        np.dot(self._x.T, hidden, d_up)
        np.sum(hidden, axis=0, out=d_up_bias)
        return np.asarray(np.dot(hidden, self._up.T).reshape(delta.shape))

    def _make(self, rows: int, like: Array) -> None:
        """Arrays for so many rows, and the calls that go from one to the other, piece by piece."""
        self._rows, width = rows, self._up.shape[1]
        self._z = np.empty((rows, width), like.dtype)
        self._h = self._z if self._activation == "identity" else np.empty_like(self._z)
        self._gate = np.empty_like(self._z)
        self._squash: list[Operation] = []
        self._slope: list[Operation] = []
        if self._activation == "identity":
            return
        step = max(1, PIECE // width)
        for first in range(0, rows, step):
            piece = slice(first, first + step)
            there, back = ACTIVATIONS[self._activation](self._z[piece], self._h[piece], self._gate[piece])
            self._squash += there
            self._slope += back


class TransformerBlock(Node):
    """transformer_block."""

    def __init__(
        self, place: Placed, values: Mapping[str, Array], gradients: Mapping[str, Array], buffers: Mapping[str, Array]
    ) -> None:
        super().__init__(place, values, gradients, buffers)
        layer = self.layer
        self._norms = [FeatureNorm.of(NORM_EPS[layer.norm], values, gradients, f"norm{k}.") for k in (1, 2)]
        self._attention = Heads(layer.heads, layer.causal, values, gradients, "attention.")
        self._feed = Feed(layer.feed_activation, values, gradients)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        first, second = self._norms
        self._masks = context.masks
        if self.layer.order == "pre":
            self._branches = [self._dropped("attention", self._attention.forward(first.forward(x), context.lengths))]
            middle = x + self._branches[0]
            self._branches.append(self._dropped("feed", self._feed.forward(second.forward(middle))))
            self._streams = (x, middle)
            return np.asarray(middle + self._branches[1])
        self._branches = [self._dropped("attention", self._attention.forward(x, context.lengths))]
        middle = first.forward(x + self._branches[0])
        self._branches.append(self._dropped("feed", self._feed.forward(middle)))
        self._streams = (x, middle)
        return second.forward(middle + self._branches[1])

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        first, second = self._norms
        if self.layer.order == "pre":
            inner = second.backward(self._feed.backward(self._dropped("feed", delta)), True)
            assert inner is not None
            middle = delta + inner
            branch = self._attention.backward(self._dropped("attention", middle), True)
            assert branch is not None
            inner = first.backward(branch, wanted)
            return (None if inner is None else middle + inner,)
        stream = second.backward(delta, True)
        assert stream is not None
        stream = first.backward(stream + self._feed.backward(self._dropped("feed", stream)), True)
        assert stream is not None
        inner = self._attention.backward(self._dropped("attention", stream), wanted)
        return (None if inner is None else stream + inner,)

    def _dropped(self, branch: str, array: Array) -> Array:
        """What of a branch's output, or of ∂L/∂ of it, dropout lets through."""
        mask = self._masks.get(branch)
        return array if mask is None else array * mask

    def views(self, sample: int = 0) -> dict[str, Array]:
        """``attention`` (1, heads, T, T); ``share.attention`` and ``share.feed`` (N, T): what part of the sum's
        two lengths, ‖stream‖ + ‖branch‖, is the branch's."""
        chances = self._attention.map(sample)
        if chances is None:
            return {}
        shown = {"attention": chances}
        for name, stream, branch in zip(("attention", "feed"), self._streams, self._branches, strict=True):
            lengths = np.linalg.norm(stream, axis=-1), np.linalg.norm(branch, axis=-1)
            shown[f"share.{name}"] = lengths[1] / np.maximum(lengths[0] + lengths[1], np.finfo(stream.dtype).tiny)
        return shown
