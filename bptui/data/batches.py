"""Seeded batches: epoch e's order is ``Stream(seed, "batches").permutation(e, N)``, so any place can be drawn again.

An epoch of small data is gathered at once and handed out as views, which makes ``next`` an index into
a list; larger data are gathered a few batches at a time. Both give the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.dataset import MappedRows, Part
from bptui.data.raw import Indices, Values
from bptui.engine.base import Batch
from bptui.philox import Stream

#: An epoch up to this size is gathered whole; a larger one in pieces of about a quarter of a level-2 cache.
WHOLE_EPOCH_BYTES = 16 << 20
PIECE_BYTES = 256 << 10
REUSED_BYTES = 64 << 20
#: A batch's arrays stay as they are during at least this many further calls of ``next``.
KEPT = 64


class Batches:
    """Endless batches of a part; the last, short one of an epoch is kept.

    The arrays of a batch are views of buffers that are used again: they hold for ``KEPT`` (64) further calls of
    ``next``; copy what is to be held for longer.
    """

    def __init__(self, part: Part, batch_size: int, seed: int, shuffle: bool = True) -> None:
        if len(part) == 0:
            raise ValueError("a part without rows has no batches")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self._rows = self.samples = len(part)
        self.batch_size = min(batch_size, self._rows)
        self.steps_per_epoch = -(-self._rows // self.batch_size)
        self._stream = Stream(seed, "batches")
        self._shuffle = shuffle
        self._order: Indices = np.arange(self._rows)
        self._order_epoch = -1
        row_bytes = max(1, _row_bytes(part.x))
        whole = self._rows * row_bytes <= WHOLE_EPOCH_BYTES
        self._piece = self.steps_per_epoch if whole else max(1, PIECE_BYTES // (row_bytes * self.batch_size))
        self._buffers = _Buffers(part, min(self._piece * self.batch_size, self._rows), self.batch_size)
        self._epoch = 0
        self._first = 0  # offset of the first gathered batch
        self._at = 0  # batches of the gathered piece already given
        self._ready: list[Batch] = []

    # -- where it is -------------------------------------------------------------------------------
    @property
    def epoch(self) -> int:
        """The epoch, from 0, of the coming batch."""
        return self._place()[0]

    @property
    def offset(self) -> int:
        """How many batches of that epoch have been given."""
        return self._place()[1]

    def _place(self) -> tuple[int, int]:
        offset = self._first + self._at
        return (self._epoch + 1, 0) if offset == self.steps_per_epoch else (self._epoch, offset)

    # -- batches -----------------------------------------------------------------------------------
    def next(self) -> Batch:
        """The coming batch; the place moves on by one."""
        at = self._at
        if at == len(self._ready):
            self._gather()
            at = self._at
        self._at = at + 1
        return self._ready[at]

    def peek(self) -> Batch:
        """The batch that ``next`` will give; nothing moves."""
        if self._at == len(self._ready):
            self._gather()
        return self._ready[self._at]

    def rows(self, given: bool = False) -> Indices:
        """Rows of the part that the coming batch holds; ``given``: those of the last batch that ``next`` gave."""
        if not given:
            self.peek()
        first = (self._first + self._at - given) * self.batch_size
        return np.array(self._order[first : first + self.batch_size])

    def figures(self) -> dict[str, float]:
        """What there is to tell of the batches given: of rows, nothing."""
        return {}

    def _gather(self) -> None:
        """Gather the piece of the epoch that holds the coming batch."""
        self._epoch, offset = self._place()
        self._first = offset - offset % self._piece
        self._at = offset - self._first
        if self._shuffle and self._order_epoch != self._epoch:
            self._order = self._stream.permutation(self._epoch, self._rows)
            self._order_epoch = self._epoch
        begin = self._first * self.batch_size
        self._ready = self._buffers.fill(self._order[begin : begin + self._piece * self.batch_size])

    # -- state -------------------------------------------------------------------------------------
    def state(self) -> dict[str, npt.NDArray[np.int64]]:
        """The place, as arrays: ``epoch``, ``offset``, and ``rows`` and ``batch_size`` to know a misfit by."""
        epoch, offset = self._place()
        return {
            "epoch": np.array(epoch, np.int64),
            "offset": np.array(offset, np.int64),
            "rows": np.array(self._rows, np.int64),
            "batch_size": np.array(self.batch_size, np.int64),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go to a place; ValueError where the state is of other data or another batch size."""
        for key, mine in (("rows", self._rows), ("batch_size", self.batch_size)):
            if key in state and int(state[key]) != mine:
                raise ValueError(f"batches: {key} is {mine} here, the state was saved with {int(state[key])}")
        epoch, offset = int(state["epoch"]), int(state["offset"])
        if epoch < 0 or not 0 <= offset < self.steps_per_epoch:
            raise ValueError(f"batches: no place {offset} in epoch {epoch} of {self.steps_per_epoch} batches")
        self._epoch, self._first, self._at, self._ready = epoch, offset, 0, []


class _Buffers:
    """Where pieces are gathered: in buffers used in turn, with their views made once; very large ones afresh."""

    def __init__(self, part: Part, rows: int, batch_size: int) -> None:
        sources: list[Values | MappedRows] = [part.x, part.y]
        self._sources = sources if part.lengths is None else [*sources, part.lengths]
        self._batch_size = batch_size
        row_bytes = _row_bytes(part.x) + _row_bytes(part.y)
        turns = 2 + -(-KEPT * batch_size // rows)
        # A fresh array of this size comes as untouched pages: faulting them in can cost ten times the gathering.
        reused = turns * rows * row_bytes <= REUSED_BYTES
        self._turns = [self._views(self._allocate(rows)) for _ in range(turns)] if reused else []
        self._turn = 0

    def fill(self, order: Indices) -> list[Batch]:
        """Batches of the rows ``order``, as views of one buffer."""
        if not self._turns:
            into, batches = self._views(self._allocate(len(order)))
        else:
            self._turn = (self._turn + 1) % len(self._turns)
            into, batches = self._turns[self._turn]
            if len(order) < len(into[0]):  # the last piece of an epoch
                into, batches = self._views([array[: len(order)] for array in into])
        for source, out in zip(self._sources, into, strict=True):
            if isinstance(source, MappedRows):
                out[:] = source.take(order)
            else:
                # mode="clip" lets take write into ``out`` directly; the indices are in range anyway.
                np.take(source, order, axis=0, out=out, mode="clip")
        return batches

    def _allocate(self, rows: int) -> list[Values]:
        return [np.empty((rows, *source.shape[1:]), source.dtype) for source in self._sources]

    def _views(self, arrays: list[Values]) -> tuple[list[Values], list[Batch]]:
        size = self._batch_size
        starts = range(0, len(arrays[0]), size)
        return arrays, [Batch(*(array[start : start + size] for array in arrays)) for start in starts]


def _row_bytes(source: Values | MappedRows) -> int:
    return math.prod(source.shape[1:]) * source.dtype.itemsize
