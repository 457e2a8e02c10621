"""A run's history as the charts want it. Imported with the first data: it loads NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptui.runs.history import History
from bptui.runs.pyramid import Pyramid, Sparse
from bptui.runs.records import TABLE_COLUMNS
from bptui.tui.ports import Columns, Heat, Trace

MOST_WAITING = 1 << 17
"""Bytes: a long log is taken in while it comes, not all at once when it is looked at."""


class HistoryCurves:
    """``ports.Curves`` over ``runs.history.History``. A log grows ten times a second and is looked at four times: what
    came waits until then, and small pieces are taken in as one."""

    def __init__(self) -> None:
        self._taken = History()
        self._waiting: list[bytes] = []
        self._offset = 0

    def feed(self, offset: int, data: bytes) -> None:
        """Bytes of the log from ``offset``; what is known already is skipped, a hole is left out until it comes."""
        if not offset <= self._offset < offset + len(data):
            return
        self._waiting.append(data[self._offset - offset :])
        self._offset = offset + len(data)
        if sum(map(len, self._waiting)) >= MOST_WAITING:
            self._take()

    @property
    def offset(self) -> int:
        """Bytes of the log that are known."""
        return self._offset

    @property
    def _history(self) -> History:
        if self._waiting:
            self._take()
        return self._taken

    def _take(self) -> None:
        data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting = []
        self._taken.feed(data)

    @property
    def last_step(self) -> int:
        losses = self._history.losses
        return losses.end - 1 if len(losses) else -1

    def latest(self, series: str) -> float | None:
        last = self._history.last(series)
        return last[1] if last is not None else None

    def reduce(self, series: str, first: int, last: int, columns: int) -> Columns:
        """Steps ``first`` … ``last``, both included, in ``columns`` equal parts."""
        found = self._history.series.get(series)
        if found is None:
            nothing = [float("nan")] * columns
            return Columns(nothing, nothing, [False] * columns)
        reduced = found.reduce(first, last + 1, columns)
        return Columns(reduced.low.tolist(), reduced.high.tolist(), (reduced.bad > 0).tolist())

    def points(self, series: str) -> tuple[list[int], list[float]]:
        found = self._history.series.get(series)
        if isinstance(found, Sparse):
            return found.steps.tolist(), found.values.tolist()
        if isinstance(found, Pyramid):
            return list(range(found.first, found.end)), found.values(found.first, found.end).tolist()
        return [], []

    def names(self) -> Sequence[str]:
        return list(self._history.series)

    def trace(self, series: str, first: int, last: int, columns: int) -> Trace:
        """As ``ports.Curves.trace``; where points are fewer than columns the next one on either side joins them."""
        found = self._history.series.get(series)
        if found is None or last < first or columns < 1:
            return Trace((), (), (), ())
        span = max(1, last - first)
        if isinstance(found, Pyramid):
            lower, upper = max(first, found.first), min(last, found.end - 1)
            if span >= columns:
                reduced = found.reduce(first, last + 1, columns)
                return Trace(range(columns), reduced.low.tolist(), reduced.high.tolist(), (reduced.bad > 0).tolist())
            reduced = found.reduce(lower, upper + 1, max(0, upper + 1 - lower))  # one step a part
            shown, bad = reduced.low.tolist(), (reduced.bad > 0).tolist()
            return Trace(_places(np.arange(lower, upper + 1), first, span, columns), shown, shown, bad)
        start, stop = np.searchsorted(found.steps, (first, last + 1)).tolist()
        if stop - start > columns:
            reduced = found.reduce(first, last + 1, columns)
            return Trace(range(columns), reduced.low.tolist(), reduced.high.tolist(), (reduced.bad > 0).tolist())
        start, stop = max(0, start - 1), min(len(found), stop + 1)
        steps, values = _clipped(found.steps[start:stop], found.values[start:stop], first, last)
        shown = np.where(np.isfinite(values), values, np.nan).tolist()
        return Trace(_places(steps, first, span, columns), shown, shown, (~np.isfinite(values)).tolist())

    def at(self, series: str, step: int) -> tuple[int, float] | None:
        found = self._history.series.get(series)
        if isinstance(found, Pyramid):
            step = min(step, found.end - 1)
            values = found.values(step, step + 1)
            return (step, float(values[0])) if step >= found.first and len(values) else None
        if found is None or not len(found):
            return None
        index = int(np.searchsorted(found.steps, step, side="right")) - 1
        return (int(found.steps[index]), float(found.values[index])) if index >= 0 else None

    def heat(self, column: str, first: int, last: int, columns: int) -> Heat:
        """The newest table of each column of steps; one without a table shows the one before it, up to the head."""
        tables = self._history.tables.get(0, [])
        if not tables or columns < 1 or last < first:
            return Heat((), ())
        steps = np.array([table.step for table in tables])
        ends = first + (np.arange(columns, dtype=np.int64) + 1) * (last + 1 - first) // columns
        begins = first + np.arange(columns, dtype=np.int64) * (last + 1 - first) // columns
        index = np.searchsorted(steps, np.maximum(ends, begins + 1)) - 1
        head = max(self.last_step, int(steps[-1]))
        index[begins > head] = -1
        name = TABLE_COLUMNS.index(column)
        used = {at: tables[at].values[:, name].astype(np.float64) for at in set(index.tolist()) if at >= 0}
        blank = np.full(len(tables[-1].values), np.nan)
        values = np.stack([used.get(at, blank) for at in index.tolist()], axis=1)
        return Heat(values.tolist(), [int(steps[at]) if at >= 0 else -1 for at in index.tolist()])

    def ridge(self, quantity: str, layer: int, most: int) -> Sequence[tuple[int, Sequence[int]]]:
        kept = self._history.histograms.get((0, quantity), [])
        count = min(most, len(kept))
        if count < 1:
            return []
        chosen = sorted({round(i * (len(kept) - 1) / max(1, count - 1)) for i in range(count)}) if count > 1 else [-1]
        rows = [kept[at] for at in chosen]
        return [(row.step, row.counts[layer].tolist()) for row in rows if layer < len(row.counts)]

    def bad(self, series: str) -> int:
        found = self._history.series.get(series)
        return found.bad if found is not None else 0


def _places(steps: npt.NDArray[np.int64], first: int, span: int, columns: int) -> list[int]:
    """Columns of dots of steps."""
    places: list[int] = np.rint((steps - first) / span * (columns - 1)).astype(int).tolist()
    return places


def _clipped(
    steps: npt.NDArray[np.int64], values: npt.NDArray[np.float64], first: int, last: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Points whose neighbours beyond [first, last] are moved to its ends, along the line that joins them."""
    steps, values = steps.copy(), values.copy()
    for outer, inner, end in ((0, 1, first), (-1, -2, last)):
        if len(steps) > 1 and not first <= steps[outer] <= last:
            share = (end - steps[inner]) / (steps[outer] - steps[inner])
            values[outer] = values[inner] + share * (values[outer] - values[inner])
            steps[outer] = end
    inside = (steps >= first) & (steps <= last)
    return steps[inside], values[inside]
