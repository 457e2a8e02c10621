"""Pooling and upsampling in NumPy, by strided views: each place of the window is one view, of all windows.

Pictures and sequences are both seen as ``(M, H, W, B)``, and windows slide along H and W: pictures (N, C, H, W) are
``(N·C, H, W, 1)``, sequences (N, T, F) are ``(N, T, 1, F)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bptui.engine.numpy.buffers import Buffers
from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.spec.layers.pool import window
from bptui.spec.layers.windows import spread


class Pool(Node):
    """What max and average pooling share: windows as views."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pictures = len(self.inputs[0]) == 3
        its = window(self.layer, 2 if self._pictures else 1)
        first = 1 if self._pictures else 0
        last = first + len(its.kernel)
        one = () if self._pictures else (1,)
        self._size, self._placed = (*self.inputs[0][first:last], *one), (*self.geometry.output[first:last], *one)
        self._kernel, self._stride = (*its.kernel, *one), (*its.stride, *one)
        self._padding = (*its.padding, *(0 for _ in one))
        #: Whether some inputs are read by several windows.
        self._overlapping = any(s < k for s, k in zip(self._stride, self._kernel, strict=True))
        self._outputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.geometry.output), dtype))

    def _seen(self, x: Array, size: tuple[int, ...]) -> Array:
        """x as ``(M, *size, B)``."""
        return x.reshape(-1, *size, 1) if self._pictures else x.reshape(len(x), *size, -1)

    def _padded(self, parts: int, beside: int, fill: float, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """A picture full of ``fill``, padding included; and what of it the padding surrounds."""
        (height, width), (down, right) = self._size, self._padding
        whole = np.full((parts, height + 2 * down, width + 2 * right, beside), fill, dtype)
        return whole, whole[:, down : down + height, right : right + width]

    def _read(self, x: Array, fill: float, beyond: Array | None = None) -> Array:
        """x with its padding; what lies ``beyond`` (N, T) a sequence's end is padding, too."""
        seen = self._seen(x, self._size)
        if not any(self._padding):
            return seen
        whole, inside = self._padded(seen.shape[0], seen.shape[3], fill, seen.dtype)
        inside[:] = seen
        if beyond is not None:
            inside[beyond] = fill
        return whole

    def _taps(self, padded: Array) -> Iterator[tuple[int, Array]]:
        """For each place of the window, row by row: how far on it lies in memory, and that place of every window."""
        (down, right), (height, width) = self._placed, self._stride
        for i in range(self._kernel[0]):
            for j in range(self._kernel[1]):
                view = padded[
                    :, i : i + (down - 1) * height + 1 : height, j : j + (right - 1) * width + 1 : width
                ]  # (M, places down, places right, B)
                yield (i * padded.shape[2] + j) * padded.shape[3], view


class MaxPool(Pool):
    """The first place of a window that holds its largest number gets δ, as in torch."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._winners: Array | None = None  # how far from the window's corner its maximum lies
        self._corners: Buffers[Array] = Buffers(self._corners_of)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        z = self._outputs.of(x)
        best = self._seen(z, self._placed)
        taps = self._taps(self._read(x, -np.inf, context.beyond(x.shape[1])))
        np.copyto(best, next(taps)[1])
        winners = np.zeros(best.shape, np.int64) if context.training else None
        for offset, tap in taps:
            if winners is not None:
                np.copyto(winners, offset, where=tap > best)
            np.maximum(best, tap, out=best)
        self._winners = winners
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,)
        assert self._winners is not None
        whole, inside = self._padded(self._winners.shape[0], self._winners.shape[3], 0.0, delta.dtype)
        places = np.add(self._winners, self._corners.of(delta)).reshape(-1)
        if self._overlapping:
            np.add.at(whole.reshape(-1), places, delta.reshape(-1))
        else:
            whole.reshape(-1)[places] = delta.reshape(-1)
        return (inside.reshape(len(delta), *self.inputs[0]),)

    def _corners_of(self, rows: int, dtype: np.dtype[Any]) -> Array:
        """Where in memory each window of ``rows`` samples begins."""
        channels = self.inputs[0][0 if self._pictures else 1]
        parts, beside = (rows * channels, 1) if self._pictures else (rows, channels)
        whole, _ = self._padded(parts, beside, 0.0, np.dtype(np.int8))
        return next(self._taps(np.arange(whole.size).reshape(whole.shape)))[1]


class AveragePool(Pool):
    """Zeros over the edges count, as in torch."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        z = self._outputs.of(x)
        total = self._seen(z, self._placed)
        taps = self._taps(self._read(x, 0.0))
        np.copyto(total, next(taps)[1])
        for _, tap in taps:
            np.add(total, tap, total)
        np.divide(total, self._area, total)
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,)
        share = self._seen(delta / self._area, self._placed)
        whole, inside = self._padded(share.shape[0], share.shape[3], 0.0, delta.dtype)
        for _, tap in self._taps(whole):
            if self._overlapping:
                np.add(tap, share, tap)
            else:
                np.copyto(tap, share)
        return (inside.reshape(len(delta), *self.inputs[0]),)

    @property
    def _area(self) -> int:
        return math.prod(self._kernel)


class GlobalPool(Node):
    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        channels = x.reshape(*x.shape[:2], -1)  # (N, C, H·W)
        if self.layer.mode == "average":
            return np.asarray(channels.mean(axis=2))
        self._winners = channels.argmax(axis=2)[..., None]
        return np.take_along_axis(channels, self._winners, axis=2)[..., 0]

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,)
        below = np.zeros((len(delta), *self.inputs[0]), delta.dtype)
        channels = below.reshape(*delta.shape, -1)
        if self.layer.mode == "average":
            channels[:] = (delta / channels.shape[2])[..., None]
        else:
            np.put_along_axis(channels, self._winners, delta[..., None], axis=2)
        return (below,)


class Upsample(Node):
    """Each axis by itself: repeated, or a product with a matrix of the shares of the two nearest pixels."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._factors = spread(self.layer.factor, 2, "factor")
        self._outputs: Buffers[Array] = Buffers(lambda rows, dtype: np.empty((rows, *self.geometry.output), dtype))
        self._shares = [lines(n, f) for n, f in zip(self.inputs[0][1:], self._factors, strict=True)]

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        if self.layer.mode == "bilinear":
            down, right = (shares.astype(x.dtype, copy=False) for shares in self._shares)
            return np.matmul(down, np.matmul(x, right.T), out=self._outputs.of(x))  # (H′, H)·((H, W)·(W, W′))
        z = self._outputs.of(x)
        self._blocks(z)[:] = x[:, :, :, None, :, None]
        return z

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,)
        if self.layer.mode == "bilinear":
            down, right = (shares.astype(delta.dtype, copy=False) for shares in self._shares)
            return (np.matmul(np.matmul(down.T, delta), right),)
        blocks = self._blocks(delta)
        below = np.zeros((len(delta), *self.inputs[0]), delta.dtype)
        for i in range(self._factors[0]):
            for j in range(self._factors[1]):
                np.add(below, blocks[:, :, :, i, :, j], below)
        return (below,)

    def _blocks(self, large: Array) -> Array:
        """``(N, C, H, factor, W, factor)``."""
        _, height, width = self.inputs[0]
        return large.reshape(*large.shape[:2], height, self._factors[0], width, self._factors[1])


def lines(size: int, factor: int) -> Array:
    """``(size·factor, size)``: the share of each pixel in each place between them, on straight lines from centre to
    centre and level beyond the outermost."""
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0.0, size - 1.0)
    before = np.minimum(at.astype(np.int64), max(size - 2, 0))
    shares = np.zeros((size * factor, size))
    rows = np.arange(size * factor)
    shares[rows, before] = 1.0 - (at - before)
    if size > 1:
        shares[rows, before + 1] = at - before
    return shares
