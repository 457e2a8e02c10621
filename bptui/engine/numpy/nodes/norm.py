"""Batch and group normalisation in NumPy: each a line through x whose slope and height follow from sums.

    z = γ·x̂ + β      x̂ = (x − μ)/σ      ∂L/∂x = (γ/σ)·(δ − mean(δ) − x̂·mean(δ·x̂))

(a group norm has γ inside both means, since its groups hold several channels)

Of padded sequences only real steps count: what lies beyond the end is 0 in x and δ and is made 0 in x − μ, so that
it adds nothing to a sum; divided is by the number of real steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bptui.engine.numpy.buffers import Buffers
from bptui.engine.numpy.nodes.base import Array, Context, Node


class Normalising(Node):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._outputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.geometry.output), dtype))
        self._centred: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.geometry.output), dtype))
        self._inputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.inputs[0]), dtype))
        self._products: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.inputs[0]), dtype))


class BatchNorm(Normalising):
    """Everything is seen as ``(M, channels, S)``: pictures with S = H·W, features with S = 1."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        x = self._seen(sources[0])
        z, weight, bias = self._outputs.of(sources[0]), self.values["weight"], self.values["bias"]
        if not context.training:
            slope = weight / np.sqrt(self.buffers["running_var"] + self.layer.eps)
            np.multiply(x, slope[:, None], self._seen(z))
            self._seen(z)[:] += (bias - self.buffers["running_mean"] * slope)[:, None]
            return z
        beyond = context.beyond(sources[0].shape[1])
        self._count = count = x.shape[0] * x.shape[2] if beyond is None else beyond.size - int(beyond.sum())
        mean = x.sum(axis=(0, 2)) / count
        centred = self._centred.of(sources[0])
        self._offsets = self._seen(centred)
        np.subtract(x, mean[:, None], self._offsets)
        if beyond is not None:
            centred[beyond] = 0.0
        variance = _products(self._offsets, self._offsets) / count
        self._inverse = 1.0 / np.sqrt(variance + self.layer.eps)
        np.multiply(self._offsets, (weight * self._inverse)[:, None], self._seen(z))
        self._seen(z)[:] += bias[:, None]
        m = self.layer.momentum
        unbiased = variance * (count / max(count - 1, 1))
        self.pending["running_mean"] = (1.0 - m) * self.buffer("running_mean") + m * mean
        self.pending["running_var"] = (1.0 - m) * self.buffer("running_var") + m * unbiased
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        seen, inverse = self._seen(delta), self._inverse
        np.sum(seen, axis=(0, 2), out=self.gradients["bias"])
        np.multiply(_products(seen, self._offsets), inverse, self.gradients["weight"])  # Σ δ·x̂
        if not wanted:
            return (None,)
        count, below = self._count, self._inputs.of(delta)
        slope = self.values["weight"] * inverse
        out, product = self._seen(below), self._seen(self._products.of(delta))
        np.multiply(self._offsets, (inverse * self.gradients["weight"] / count)[:, None], product)
        np.subtract(seen, product, out)
        np.subtract(out, (self.gradients["bias"] / count)[:, None], out)
        np.multiply(out, slope[:, None], out)
        return (below,)

    def _seen(self, x: Array) -> Array:
        if x.ndim == 4:
            return x.reshape(*x.shape[:2], -1)
        return x.reshape(-1, x.shape[-1], 1)


class GroupNorm(Normalising):
    """Everything is seen as ``(N, channels, S)``; of a sequence all steps of a feature are normalised together.

    A group is a row, so sums of groups and of channels are products with a vector of ones. A number a channel is laid
    out over its places before it multiplies: two calls over whole arrays take half the time of one that repeats it.
    """

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        x, z = _channels_first(sources[0]), self._outputs.of(sources[0])
        (rows, channels, steps), groups = x.shape, self.layer.groups
        beyond = context.beyond(steps) if sources[0].ndim == 3 else None
        self._places = steps if beyond is None else (~beyond).sum(axis=1, dtype=x.dtype)[:, None]
        self._offsets = self._centred.of(sources[0]).reshape(x.shape)  # x − μ
        square = self._products.of(sources[0]).reshape(rows * groups, -1)
        by_group, offsets = np.ascontiguousarray(x).reshape(square.shape), self._offsets.reshape(square.shape)
        ones, members = np.ones(square.shape[1], x.dtype), channels // groups * self._places
        mean = np.dot(by_group, ones).reshape(rows, groups) / members
        np.copyto(offsets, mean.reshape(-1, 1))
        np.subtract(by_group, offsets, offsets)
        if beyond is not None:
            self._offsets.swapaxes(1, 2)[beyond] = 0.0
        np.multiply(offsets, offsets, square)
        inverse = 1.0 / np.sqrt(np.dot(square, ones).reshape(rows, groups) / members + self.layer.eps)
        self._inverse = np.repeat(inverse, channels // groups, axis=1)  # (N, channels)
        out = _channels_first(z)
        np.copyto(out, (self._inverse * self.values["weight"])[..., None])
        np.multiply(out, self._offsets, out)
        np.add(out, self.values["bias"][:, None], out)
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        seen, centred, weight = _channels_first(delta), self._offsets, self.values["weight"]
        rows, channels, places = seen.shape
        product = self._products.of(delta).reshape(seen.shape)
        ones = np.ones(places, delta.dtype)
        np.multiply(seen, centred, product)
        level = np.dot(np.ascontiguousarray(seen).reshape(-1, places), ones).reshape(rows, channels)  # Σ δ
        along = np.dot(product.reshape(-1, places), ones).reshape(rows, channels) * self._inverse  # Σ δ·x̂
        np.sum(level, axis=0, out=self.gradients["bias"])
        np.sum(along, axis=0, out=self.gradients["weight"])
        if not wanted:
            return (None,)
        below = self._inputs.of(delta)
        out = _channels_first(below)
        slope = self._group_mean(along * weight) * self._inverse**2
        np.copyto(product, slope[..., None])
        np.multiply(product, centred, product)
        np.add(product, (self._group_mean(level * weight) * self._inverse)[..., None], product)
        np.copyto(out, (weight * self._inverse)[..., None])
        np.multiply(out, seen, out)
        np.subtract(out, product, out)
        return (below,)

    def _group_mean(self, sums: Array) -> Array:
        """Sums a channel ``(N, channels)`` → the mean of each one's group, again a channel."""
        rows, channels = sums.shape
        members = channels // self.layer.groups
        means = sums.reshape(rows, -1, members).sum(axis=2) / (members * self._places)
        return np.repeat(means, members, axis=1)


def _channels_first(x: Array) -> Array:
    """A view ``(N, channels, S)`` of pictures, sequences (features are channels) or rows."""
    return x.swapaxes(1, 2) if x.ndim == 3 else x.reshape(*x.shape[:2], -1)


def _products(a: Array, b: Array) -> Array:
    """Σ a·b a channel, of two ``(M, channels, S)``."""
    return np.asarray(np.einsum("mcs,mcs->c", a, b))
