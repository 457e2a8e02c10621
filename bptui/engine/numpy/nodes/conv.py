"""Convolutions in NumPy: which of a cross-correlation's three products is forward, and which is backward."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from bptui.engine.numpy.buffers import Buffers
from bptui.engine.numpy.correlation import Correlation, Geometry
from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.spec.layers.base import Shape
from bptui.spec.layers.conv import Window, window


class Sliding(Node):
    """What all convolutions share: the correlation for so many rows, and pictures as views of sequences."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._correlations = Buffers(lambda rows, dtype: Correlation(self._sizes(), rows, dtype))
        self._outputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.geometry.output), dtype))
        self._inputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.inputs[0]), dtype))
        self._now: Correlation | None = None

    @abstractmethod
    def _sizes(self) -> Geometry:
        """Of the cross-correlation that this layer is, or is the transpose of."""

    def _correlation(self, x: Array) -> Correlation:
        self._now = self._correlations.of(x)
        return self._now

    @property
    def _weight(self) -> Array:
        """(outer, inner / groups, rows, columns)."""
        return _as_pictures(self.values["weight"])

    def _bias_gradient(self, delta: Array) -> None:
        """Sums by products with ones: over the places of each picture and the samples, or over all steps."""
        into = self.gradients["bias"]
        if delta.ndim == 3:  # (N, T, channels)
            steps = delta.reshape(-1, delta.shape[2])
            np.dot(np.ones(len(steps), delta.dtype), steps, into)
        else:
            places = delta.reshape(*delta.shape[:2], -1)
            np.sum(np.dot(places, np.ones(places.shape[2], delta.dtype)), axis=0, out=into)


class Convolution(Sliding):
    """conv1d, conv2d: z = x ⋆ W + b; ∂L/∂x = δ ⋆ᵀ W."""

    def _sizes(self) -> Geometry:
        shape, output, its = self.inputs[0], self.geometry.output, window(self.layer)
        if len(shape) == 3:
            return _geometry(shape[0], output[0], shape[1:], output[1:], its, self.layer.groups)
        return _geometry(shape[1], output[1], shape[:1], output[:1], its, self.layer.groups)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        correlation, z = self._correlation(x), self._outputs.of(x)
        correlation.take(_pictures(x))
        correlation.product(self._weight, _pictures(z), self.values["bias"])
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        assert self._now is not None
        pictures = _pictures(delta)
        self._now.take_delta(pictures)
        self._now.weight_gradient(_as_pictures(self.gradients["weight"]))
        self._bias_gradient(delta)
        if not wanted:
            return (None,)
        below = self._inputs.of(delta)
        self._now.transposed_product(self._weight, _pictures(below))
        return (below,)


class TransposedConvolution(Sliding):
    """conv_transpose2d: z = x ⋆ᵀ W + b, the backward of the convolution that reads z; ∂L/∂x = δ ⋆ W."""

    def _sizes(self) -> Geometry:
        shape, output, its = self.inputs[0], self.geometry.output, window(self.layer)
        return _geometry(output[0], shape[0], output[1:], shape[1:], its, self.layer.groups)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        correlation, z = self._correlation(x), self._outputs.of(x)
        correlation.take_delta(x)
        correlation.transposed_product(self._weight, z, self.values["bias"])
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        assert self._now is not None
        self._now.take(delta)
        self._now.weight_gradient(self.gradients["weight"])
        self._bias_gradient(delta)
        if not wanted:
            return (None,)
        below = self._inputs.of(delta)
        self._now.product(self._weight, below)
        return (below,)


def _pictures(x: Array) -> Array:
    """A view ``(N, channels, rows, columns)``: a sequence ``(N, T, F)`` is pictures of one row."""
    return x if x.ndim == 4 else x.swapaxes(1, 2)[:, :, None, :]


def _as_pictures(weight: Array) -> Array:
    return weight if weight.ndim == 4 else weight[:, :, None, :]


def _geometry(inner: int, outer: int, size: Shape, output: Shape, its: Window, groups: int) -> Geometry:
    """A sequence is a picture of one row."""

    def pair(sizes: Shape, rows: int = 1) -> tuple[int, int]:
        return (rows, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])

    return Geometry(
        inner, outer, pair(size), pair(output), pair(its.kernel), pair(its.stride), pair(its.padding, 0),
        pair(its.dilation), groups,
    )  # fmt: skip
