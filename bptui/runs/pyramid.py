"""A series of millions of points, reduced to the minimum and maximum of each pixel column.

Level 0 holds every value as float32; each level above holds the minimum, maximum and count of
non-finite values of ``FANOUT`` entries below. Ten million points take about 50 MB, and a query
touches at most ``2 · FANOUT`` entries of a level for each column.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

FANOUT = 16
MAX_GAP = 1 << 24
"""Steps that may be missing between two values; a wider gap is damage."""
_LARGEST = float(np.finfo(np.float32).max)
_MISSING = np.array([0x7FC0DEAD], dtype=np.uint32)  # a NaN that says: no value at this step


class Reduced(NamedTuple):
    """One entry a column. ``low`` and ``high`` are nan where the column has no finite value."""

    low: Floats
    high: Floats
    bad: npt.NDArray[np.int64]
    """NaN and Inf values of the column: to be marked, never dropped."""


class _Array:
    """A one-dimensional array that grows in place by an eighth."""

    def __init__(self, dtype: Any) -> None:
        self._data: npt.NDArray[Any] = np.empty(1024, dtype)
        self.size = 0

    @property
    def view(self) -> npt.NDArray[Any]:
        return self._data[: self.size]

    @property
    def nbytes(self) -> int:
        return int(self._data.nbytes)

    def extend(self, values: npt.NDArray[Any]) -> None:
        end = self.size + len(values)
        if end > len(self._data):
            # realloc moves pages, it does not copy them: no moment with two copies of a long history
            self._data.resize(max(end, len(self._data) * 9 // 8), refcheck=False)
        self._data[self.size : end] = values
        self.size = end


class _Level:
    """Minimum, maximum and number of non-finite values of each whole group of ``FANOUT`` entries below."""

    def __init__(self) -> None:
        self.low, self.high, self.bad = _Array(np.float32), _Array(np.float32), _Array(np.uint32)


class Pyramid:
    """Values at successive steps from ``first``."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._values = _Array(np.float32)
        self._levels: list[_Level] = []
        self.bad = 0
        """NaN and Inf values in all."""

    def __len__(self) -> int:
        return self._values.size

    @property
    def end(self) -> int:
        """The step after the last."""
        return self.first + self._values.size

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + sum(
            level.low.nbytes + level.high.nbytes + level.bad.nbytes for level in self._levels
        )

    def last(self) -> tuple[int, float] | None:
        """The last step and its value."""
        return (self.end - 1, float(self._values.view[-1])) if len(self) else None

    def values(self, first: int, last: int) -> Floats:
        """A copy of the values of steps ``first`` ≤ step < ``last``, as far as there are any."""
        lower, upper = max(first - self.first, 0), max(last - self.first, 0)
        return np.array(self._values.view[lower:upper])

    def append(self, step: int, values: npt.NDArray[Any]) -> None:
        """Values of ``step``, ``step`` + 1 … A step that was there is replaced, with all after it (a rewind)."""
        if len(values) == 0:
            return
        if len(self) == 0:
            self.first = step
        if step < self.end:
            self._truncate(step)
        elif step - self.end > MAX_GAP:
            raise ValueError(f"steps {self.end} to {step} are missing")
        gap = step - self.end
        if gap > 0:
            self._values.extend(np.broadcast_to(_MISSING, gap).view(np.float32))
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = np.asarray(values).astype(np.float32)
        overflow = np.isinf(narrow) & np.isfinite(values)
        if overflow.any():  # finite, only too large for float32: it must not look like an Inf
            narrow[overflow] = np.copysign(_LARGEST, np.asarray(values)[overflow])
        self.bad += int(np.count_nonzero(~np.isfinite(narrow)))
        self._values.extend(narrow)
        self._grow()

    def _truncate(self, step: int) -> None:
        if step <= self.first:
            self.first, self._values, self._levels, self.bad = step, _Array(np.float32), [], 0
            return
        size = step - self.first
        self.bad -= int(_bad(self._values.view[size:]).sum())
        self._values.size = size
        for level in self._levels:
            size //= FANOUT
            level.low.size = level.high.size = level.bad.size = size

    def _grow(self) -> None:
        """Bring every level up to date with the one below."""
        depth, below = 0, self._values.size
        while below // FANOUT:
            if depth == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[depth]
            start, stop = level.low.size, below // FANOUT
            if stop > start:
                low, high, bad = self._entries(depth, start * FANOUT, stop * FANOUT)
                level.low.extend(np.fmin.reduce(low.reshape(-1, FANOUT), axis=1))
                level.high.extend(np.fmax.reduce(high.reshape(-1, FANOUT), axis=1))
                level.bad.extend(bad.reshape(-1, FANOUT).sum(axis=1))
            below, depth = stop, depth + 1

    def _entries(self, depth: int, start: int, stop: int) -> tuple[Floats, Floats, npt.NDArray[Any]]:
        """Minimum, maximum and bad counts of the entries of a depth (0: the values themselves)."""
        if depth == 0:
            values = self._values.view[start:stop]
            finite = np.where(np.isfinite(values), values, np.float32(np.nan))
            return finite, finite, _bad(values)
        level = self._levels[depth - 1]
        return level.low.view[start:stop], level.high.view[start:stop], level.bad.view[start:stop]

    def reduce(self, first: int, last: int, columns: int) -> Reduced:
        """Minimum and maximum of each of ``columns`` equal parts of the steps ``first`` ≤ step < ``last``.

        Where parts are long, they meet at whole entries of a level: at most a sixteenth of a part from where they
        would, which no one can see, and the levels below are looked at only for the two ends.
        """
        low = np.full(columns, np.nan, np.float32)
        high = np.full(columns, np.nan, np.float32)
        bad = np.zeros(columns, np.int64)
        result = Reduced(low, high, bad)
        if columns <= 0 or last <= first or len(self) == 0:
            return result
        edges = first + np.arange(columns + 1, dtype=np.int64) * (last - first) // columns - self.first
        whole = 1
        while (last - first) // columns >= whole * FANOUT * FANOUT:
            whole *= FANOUT
        edges[1:-1] -= edges[1:-1] % whole
        edges = np.clip(edges, 0, len(self))
        start, stop = edges[:-1], edges[1:]
        depth = 0
        while True:
            top = depth >= len(self._levels) or not np.any(stop // FANOUT - -(-start // FANOUT) > 1)
            if top:
                self._merge(result, depth, start, stop)
                return result
            up_start, up_stop = -(-start // FANOUT), stop // FANOUT
            inside = up_stop > up_start
            self._merge(result, depth, start, np.where(inside, up_start * FANOUT, stop))
            self._merge(result, depth, np.where(inside, up_stop * FANOUT, stop), stop)
            start, stop = np.where(inside, up_start, 0), np.where(inside, up_stop, 0)
            depth += 1

    def _merge(self, result: Reduced, depth: int, start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> None:
        """Merge entries ``start`` ≤ i < ``stop`` of a depth into each column."""
        some = np.flatnonzero(stop > start)
        if not len(some):
            return
        # only the entries asked for are gathered: the parts between them lie on the level above
        begin, size = start[some], (stop - start)[some]
        heads = np.concatenate(([0], np.cumsum(size)[:-1]))
        index = np.repeat(begin - heads, size) + np.arange(int(size.sum()))
        if depth == 0:
            values = self._values.view[index]
            lows = highs = np.where(np.isfinite(values), values, np.float32(np.nan))
        else:
            level = self._levels[depth - 1]
            lows, highs = level.low.view[index], level.high.view[index]
        result.low[some] = np.fmin(result.low[some], np.fmin.reduceat(lows, heads))
        result.high[some] = np.fmax(result.high[some], np.fmax.reduceat(highs, heads))
        if self.bad:
            bads = _bad(values) if depth == 0 else level.bad.view[index]
            result.bad[some] += np.add.reduceat(bads, heads, dtype=np.int64)


def _bad(values: Floats) -> npt.NDArray[np.uint32]:
    """1 for NaN and Inf, 0 for finite values and for steps without a value."""
    bad: npt.NDArray[np.bool_] = ~np.isfinite(values) & (values.view(np.uint32) != _MISSING[0])
    return bad.astype(np.uint32)


class Sparse:
    """Values at some steps only (an epoch's validation loss), float64."""

    def __init__(self) -> None:
        self._steps, self._values = _Array(np.int64), _Array(np.float64)

    def __len__(self) -> int:
        return self._steps.size

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        return self._steps.view

    @property
    def values(self) -> npt.NDArray[np.float64]:
        return self._values.view

    @property
    def bad(self) -> int:
        return int(np.count_nonzero(~np.isfinite(self.values)))

    def last(self) -> tuple[int, float] | None:
        return (int(self.steps[-1]), float(self.values[-1])) if len(self) else None

    def append(self, steps: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Ascending steps; those that were there already are replaced, with all after them (a rewind)."""
        if len(steps) == 0:
            return
        keep = int(np.searchsorted(self.steps, int(steps[0])))
        self._steps.size = self._values.size = keep
        self._steps.extend(np.asarray(steps).astype(np.int64))
        self._values.extend(np.asarray(values, dtype=np.float64))

    def reduce(self, first: int, last: int, columns: int) -> Reduced:
        """As ``Pyramid.reduce``."""
        low = np.full(columns, np.nan, np.float32)
        high = np.full(columns, np.nan, np.float32)
        bad = np.zeros(columns, np.int64)
        if columns > 0 and last > first and len(self):
            edges = first + np.arange(columns + 1, dtype=np.int64) * (last - first) // columns
            cuts = np.searchsorted(self.steps, edges)
            some = np.flatnonzero(cuts[1:] > cuts[:-1])
            if len(some):  # parts without a point are empty, so the others lie side by side
                values = self.values[cuts[0] : cuts[-1]]
                heads = (cuts - cuts[0])[some]
                finite = np.isfinite(values)
                shown = np.where(finite, np.clip(values, -_LARGEST, _LARGEST), np.nan).astype(np.float32)
                low[some] = np.fmin.reduceat(shown, heads)
                high[some] = np.fmax.reduceat(shown, heads)
                bad[some] = np.add.reduceat((~finite).astype(np.int64), heads)
        return Reduced(low, high, bad)
