"""Cross-correlation of pictures by strided views and matrix products, and the two products of its backward.

    z[n,o,y,x] = Σ w[o,c,i,j]·x̄[n,c, s·y + d·i, s·x + d·j]        (x̄: x between zeros, stride s, dilation d)

The pictures of a batch lie behind each other in one long *stream* a channel, with zeros between their rows and
between the pictures, so that the neighbour (i, j) of every place of every picture is the same stream, read a fixed
number of places further on. The windows of a block of pictures are then ``kh·kw`` copies of long pieces (not of rows
of 16 numbers), and the rest is one matrix product. A stride of s parts a picture into s·s *phases* with a stream
each, in which the stride is 1 again. Both products of the backward are made the same way: ∂L/∂x reads δ's stream
backwards; ∂L/∂w is δ times the windows. Each ends in a copy to its picture's form.

Chellapilla, Puri and Simard 2006 for convolution as a matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[int, int]

#: Bytes of the windows of one block of pictures: of 0.25 to 8 MB the fastest, where a core has 1 MB of second cache.
BLOCK = 1 << 21


class Axis(NamedTuple):
    """One axis of a picture in one phase of its stream: which places it holds, and where."""

    begin: int
    """First place of the stream that holds a number of the picture."""
    places: int
    first: int
    """Which place of the picture that is; the next ones are a stride apart."""


@dataclass(frozen=True)
class Geometry:
    """Sizes of a cross-correlation of pictures ``(inner, *size)`` → ``(outer, *output)``."""

    inner: int
    outer: int
    size: Pair
    output: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def phase(self, axis: int, phase: int) -> Axis:
        """The places of the picture that fall into ``phase`` along ``axis`` (0: rows)."""
        s, p = self.stride[axis], self.padding[axis]
        begin = max(0, math.ceil((p - phase) / s))
        first = begin * s + phase - p
        return Axis(begin, max(0, math.ceil((self.size[axis] - first) / s)), first)

    def tap(self, axis: int, place: int) -> Pair:
        """(phase, places further on) of the kernel's ``place`` along ``axis``."""
        shift, phase = divmod(place * self.dilation[axis], self.stride[axis])
        return phase, shift

    def _pitch(self, axis: int) -> int:
        """Places from one row (picture) to the next: what is read past an end falls on the zeros of the next one."""
        pitch = self.output[axis]
        taps = [self.tap(axis, place) for place in range(self.kernel[axis])]
        for phase in {phase for phase, _ in taps}:
            begin, places, _ = self.phase(axis, phase)
            furthest = self.output[axis] - 1 + max(shift for its, shift in taps if its == phase)
            pitch = max(pitch, begin + places, furthest - begin + 1)
        return pitch

    @cached_property
    def pitch(self) -> Pair:
        """(rows of one picture, columns of one row) in a stream."""
        return self._pitch(0), self._pitch(1)

    @cached_property
    def phases(self) -> tuple[Pair, ...]:
        """The phases that some place of the kernel reads."""
        rows, columns = ({self.tap(axis, k)[0] for k in range(self.kernel[axis])} for axis in (0, 1))
        return tuple((i, j) for i in sorted(rows) for j in sorted(columns))

    @cached_property
    def taps(self) -> tuple[tuple[int, int, int, int], ...]:
        """(phase's index, places further on in its stream, i, j) of each place of the kernel, phase by phase."""
        found = []
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                (row, down), (column, right) = self.tap(0, i), self.tap(1, j)
                found.append((self.phases.index((row, column)), down * self.pitch[1] + right, i, j))
        return tuple(sorted(found))

    @cached_property
    def furthest(self) -> int:
        return max(offset for _, offset, _, _ in self.taps)


class Correlation:
    """A cross-correlation of ``rows`` pictures: its streams and blocks, and its three products.

    ``take`` and ``take_delta`` put pictures into the streams, where they stay for the products that follow.
    Weights are ``(outer, inner / groups, kh, kw)``; pictures ``(rows, channels, height, width)``.
    """

    def __init__(self, geometry: Geometry, rows: int, dtype: npt.DTypeLike) -> None:
        self.geometry, self.rows, self._dtype = geometry, rows, np.dtype(dtype)
        height, width = geometry.pitch
        self._picture = height * width
        length, margin = rows * self._picture, geometry.furthest
        groups, inner, outer = geometry.groups, geometry.inner // geometry.groups, geometry.outer // geometry.groups
        self._groups, self._inner, self._outer = groups, inner, outer
        #: x with zeros after it, one stream a phase and channel; δ with zeros before it.
        self._streams = np.zeros((len(geometry.phases), groups, inner, length + margin), self._dtype)
        self._delta = np.zeros((groups, outer, margin + length), self._dtype)
        self._margin = margin
        widest = max(inner, outer) * groups * len(geometry.taps) * self._picture * self._dtype.itemsize
        blocks = math.ceil(rows / max(1, BLOCK // widest))
        self._block = math.ceil(rows / blocks)
        self._blocks = [(first, min(first + self._block, rows)) for first in range(0, rows, self._block)]
        self._buffers: dict[str, Array] = {}

    # -- pictures into streams and back ---------------------------------------------------------------
    def _cut(self, pictures: Array, phase: Pair) -> tuple[Array, tuple[slice, slice]]:
        """What of the pictures falls into a phase, and where that lies in its stream."""
        rows, columns = self.geometry.phase(0, phase[0]), self.geometry.phase(1, phase[1])
        s, t = self.geometry.stride
        part = pictures[..., rows.first :: s, columns.first :: t]
        return part, (slice(rows.begin, rows.begin + rows.places), slice(columns.begin, columns.begin + columns.places))

    def take(self, x: Array) -> None:
        """x ``(rows, inner, *size)``."""
        length = self.rows * self._picture
        for stream, phase in zip(self._streams, self.geometry.phases, strict=True):
            part, place = self._cut(x, phase)
            held = stream.reshape(self.geometry.inner, -1)[:, :length]
            held = held.reshape(self.geometry.inner, self.rows, *self.geometry.pitch)
            held[:, :, place[0], place[1]] = part.swapaxes(0, 1)

    def take_delta(self, delta: Array) -> None:
        """δ ``(rows, outer, *output)``."""
        held = self._delta.reshape(self.geometry.outer, -1)[:, self._margin :]
        held = held.reshape(self.geometry.outer, self.rows, *self.geometry.pitch)
        held[:, :, : self.geometry.output[0], : self.geometry.output[1]] = delta.swapaxes(0, 1)

    def _windows(self, first: int, last: int) -> Array:
        """``(groups, taps·inner, places)``: what each tap reads at the places of pictures ``first`` to ``last``."""
        begin, places = first * self._picture, (last - first) * self._picture
        taps = self.geometry.taps
        if len(taps) == 1:
            return self._streams[taps[0][0], :, :, begin + taps[0][1] : begin + taps[0][1] + places]
        windows = self._buffer("windows", (self._groups, len(taps), self._inner, places))
        for tap, (phase, offset, _, _) in enumerate(taps):
            windows[:, tap] = self._streams[phase, :, :, begin + offset : begin + offset + places]
        return windows.reshape(self._groups, -1, places)

    def _buffer(self, name: str, shape: tuple[int, ...]) -> Array:
        """A place for a block; a smaller one lies at the beginning of the largest."""
        size = math.prod(shape)
        held = self._buffers.get(name)
        if held is None or held.size < size:
            held = self._buffers[name] = np.empty(size, self._dtype)
        return held[:size].reshape(shape)

    # -- the three products ---------------------------------------------------------------------------
    def _by_tap(self, weight: Array) -> Array:
        """``(groups, outer, inner, taps)`` in the order of the taps."""
        order = [i * self.geometry.kernel[1] + j for _, _, i, j in self.geometry.taps]
        return weight.reshape(self._groups, self._outer, self._inner, -1)[..., order]

    def product(self, weight: Array, out: Array, bias: Array | None = None) -> None:
        """z ``(rows, outer, *output)`` of the x that was taken."""
        matrix = np.ascontiguousarray(self._by_tap(weight).swapaxes(2, 3)).reshape(self._groups, self._outer, -1)
        height, width = self.geometry.output
        for first, last in self._blocks:
            windows = self._windows(first, last)
            z = self._buffer("z", (self._groups, self._outer, windows.shape[-1]))
            np.matmul(matrix, windows, out=z)  # (outer, taps·inner)·(taps·inner, places)
            _shift(z.reshape(self.geometry.outer, -1), bias)
            pictures = z.reshape(self.geometry.outer, last - first, *self.geometry.pitch)
            np.copyto(out[first:last], pictures[:, :, :height, :width].swapaxes(0, 1))

    def weight_gradient(self, out: Array) -> None:
        """∂L/∂w, in the shape of the weights, of the x and δ that were taken."""
        total: Array | None = None
        for first, last in self._blocks:
            windows = self._windows(first, last)
            begin = self._margin + first * self._picture
            delta = self._delta[:, :, begin : begin + windows.shape[-1]]
            # This way round: the other product packs the long matrix turned, and takes twice the time.
            part = np.matmul(windows, delta.swapaxes(1, 2))  # (taps·inner, places)·(places, outer)
            total = part if total is None else np.add(total, part, total)
        assert total is not None
        shaped = total.reshape(self._groups, -1, self._inner, self._outer).transpose(0, 3, 2, 1)
        held = out.reshape(self._groups, self._outer, self._inner, -1)
        held[..., [i * self.geometry.kernel[1] + j for _, _, i, j in self.geometry.taps]] = shaped

    def transposed_product(self, weight: Array, out: Array, bias: Array | None = None) -> None:
        """∂L/∂x ``(rows, inner, *size)`` of the δ that was taken: what a transposed convolution computes."""
        if len(self.geometry.phases) < math.prod(self.geometry.stride):  # places that no tap reads
            out[:] = 0.0 if bias is None else bias[:, None, None]
        by_tap = self._by_tap(weight)  # (groups, outer, inner, taps)
        for index, phase in enumerate(self.geometry.phases):
            mine = [tap for tap, (its, *_) in enumerate(self.geometry.taps) if its == index]
            matrix = np.ascontiguousarray(by_tap[..., mine].transpose(0, 2, 3, 1))
            matrix = matrix.reshape(self._groups, self._inner, -1)
            offsets = [self.geometry.taps[tap][1] for tap in mine]
            into, place = self._cut(out, phase)
            for first, last in self._blocks:
                begin, places = self._margin + first * self._picture, (last - first) * self._picture
                if len(mine) == 1:
                    windows = self._delta[:, :, begin - offsets[0] : begin - offsets[0] + places]
                else:
                    held = self._buffer("windows", (self._groups, len(mine), self._outer, places))
                    for tap, offset in enumerate(offsets):
                        held[:, tap] = self._delta[:, :, begin - offset : begin - offset + places]
                    windows = held.reshape(self._groups, -1, places)
                x = self._buffer("z", (self._groups, self._inner, places))
                np.matmul(matrix, windows, out=x)  # (inner, taps·outer)·(taps·outer, places)
                _shift(x.reshape(self.geometry.inner, -1), bias)
                pictures = x.reshape(self.geometry.inner, last - first, *self.geometry.pitch)
                np.copyto(into[first:last], pictures[:, :, place[0], place[1]].swapaxes(0, 1))


def _shift(block: Array, bias: Array | None) -> None:
    """Add each channel's bias while its numbers lie in one long row."""
    if bias is not None:
        np.add(block, bias[:, None], block)
