"""A matrix as a screen looks at it: a window of it, sorted, zoomed, with a condition marked; never the whole.

A vector is a matrix of one row. Orders, counts and matches are kept once they are known, so that scrolling over ten
million cells costs a slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.expr.cells import CellCondition
from bptui.probe.ledger import norm

Values = npt.NDArray[Any]
Ids = npt.NDArray[np.intp]


class Order(NamedTuple):
    """How rows or columns are sorted: not (``""``), by ``norm``, or by ``value`` at ``at`` of the other axis."""

    by: str = ""
    at: int = 0
    ascending: bool = False


class Window(NamedTuple):
    """Blocks of ``zoom`` × ``zoom`` cells: ``rows`` × ``columns`` of them, the first at block (top, left)."""

    top: int
    left: int
    rows: int
    columns: int
    zoom: int = 1


class Seen(NamedTuple):
    """What is in a window. A block of several cells is the one of largest magnitude (nan where one is nan)."""

    values: Values
    rows: Ids
    """Ids of the rows: of the first cell of each block."""
    columns: Ids
    matches: npt.NDArray[np.bool_]
    """Whether any cell of the block meets the condition."""


class Facts(NamedTuple):
    """Of the whole matrix. ``low`` … ``mean`` are of the finite values; nan where there are none."""

    norm: float
    low: float
    high: float
    mean: float
    zeros: int
    not_finite: int


class Sheet:
    """One matrix of a paused place."""

    def __init__(self, values: Values) -> None:
        """``values``: one or two dimensions; more are folded into columns."""
        self.vector = values.ndim < 2
        self.values: Values = values.reshape(1, -1) if self.vector else values.reshape(values.shape[0], -1)
        self._orders: dict[tuple[int, Order], Ids] = {}
        self._facts: Facts | None = None
        self._matched: tuple[str, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.values.shape
        return rows, columns

    def facts(self) -> Facts:
        """Norm, extremes, mean, zeros, and how many values are not finite."""
        if self._facts is None:
            values = self.values
            finite = np.isfinite(values)
            count = int(np.count_nonzero(finite))
            within = values if count == values.size else values[finite]
            low = high = mean = math.nan
            if count:
                low, high = float(within.min()), float(within.max())
                mean = float(within.mean(dtype=np.float64))
            zeros = values.size - int(np.count_nonzero(values))
            self._facts = Facts(norm(values), low, high, mean, zeros, values.size - count)
        return self._facts

    def order(self, axis: int, order: Order) -> Ids | None:
        """Ids of rows (axis 0) or columns (1) in this order; None: as they are. ValueError: unknown, or no such id."""
        if not order.by:
            return None
        found = self._orders.get((axis, order))
        if found is None:
            found = self._orders[axis, order] = self._sorted(axis, order)
        return found

    def _sorted(self, axis: int, order: Order) -> Ids:
        if order.by == "norm":
            letters = "ij,ij->i" if axis == 0 else "ij,ij->j"
            keys = np.einsum(letters, self.values, self.values, dtype=np.float64)
        elif order.by == "value":
            others = self.shape[1 - axis]
            if not 0 <= order.at < others:
                raise ValueError(f"there is no {'column' if axis == 0 else 'row'} {order.at}: there are {others}")
            keys = np.asarray(self.values[:, order.at] if axis == 0 else self.values[order.at], np.float64)
        else:
            raise ValueError(f"cannot sort by {order.by[:20]!r} (one of norm, value)")
        last = -math.inf if order.ascending else math.inf  # nan stands first when the largest do
        keys = np.where(np.isnan(keys), -last if order.ascending else last, keys)
        return np.argsort(keys if order.ascending else -keys, kind="stable")

    def matched(self, condition: CellCondition) -> int:
        """How many cells meet it."""
        if self._matched is None or self._matched[0] != condition.text:
            self._matched = condition.text, int(np.count_nonzero(condition.test(self.values)))
        return self._matched[1]

    def place(self, axis: int, order: Order, number: int) -> int:
        """Where row (or column) ``number`` stands in this order."""
        ids = self.order(axis, order)
        return number if ids is None else int(np.flatnonzero(ids == number)[0])

    def next_match(self, condition: CellCondition, orders: tuple[Order, Order], after: tuple[int, int]) -> Any:
        """The place, in sorted rows and columns, of the next cell behind ``after`` that meets it; None: none does."""
        mask = np.asarray(condition.test(self.values))
        for axis, order in enumerate(orders):
            ids = self.order(axis, order)
            if ids is not None:
                mask = mask.take(ids, axis=axis)
        flat = np.flatnonzero(mask)
        if not flat.size:
            return None
        at = after[0] * self.shape[1] + after[1]
        index = int(flat[np.searchsorted(flat, at, "right") % flat.size])
        return divmod(index, self.shape[1])

    def window(
        self, window: Window, rows: Order | None = None, columns: Order | None = None,
        condition: CellCondition | None = None,
    ) -> Seen:  # fmt: skip
        """The part that is asked for, cut to what there is. ValueError as in ``order``."""
        ids = [
            _part(self.order(axis, order or Order()), self.shape[axis], first, count, window.zoom)
            for axis, order, first, count in (
                (0, rows, window.top, window.rows), (1, columns, window.left, window.columns)
            )
        ]  # fmt: skip
        block = self.values[ids[0]][:, ids[1]]
        mask = np.zeros(block.shape, bool) if condition is None else np.asarray(condition.test(block))
        starts = [_ids(each, self.shape[axis])[:: window.zoom] for axis, each in enumerate(ids)]
        if window.zoom > 1:
            block = _blocks(block, window.zoom, _largest)
            mask = _blocks(mask, window.zoom, lambda cells: np.logical_or.reduce(cells, axis=(1, 3)))
        return Seen(np.ascontiguousarray(block), starts[0], starts[1], np.ascontiguousarray(mask))


def _part(ids: Ids | None, total: int, first: int, count: int, zoom: int) -> Ids | slice:
    start = max(0, min(first * zoom, total))
    stop = min(total, start + max(0, count) * zoom)
    return slice(start, stop) if ids is None else ids[start:stop]


def _ids(part: Ids | slice, total: int) -> Ids:
    return np.arange(*part.indices(total)) if isinstance(part, slice) else part


def _blocks(cells: Values, zoom: int, reduce: Callable[[Values], Values]) -> Values:
    """``cells`` in blocks of ``zoom``²; the last, smaller ones are filled up with their own edge."""
    rows, columns = cells.shape
    if not rows or not columns:
        return cells
    missing = (0, -rows % zoom), (0, -columns % zoom)
    padded = np.pad(cells, missing, mode="edge") if any(more for _, more in missing) else cells
    blocks = padded.reshape(padded.shape[0] // zoom, zoom, padded.shape[1] // zoom, zoom)
    return np.asarray(reduce(blocks))


def _largest(cells: Values) -> Values:
    high, low = cells.max(axis=(1, 3)), cells.min(axis=(1, 3))
    return np.asarray(np.where(high >= -low, high, low))
