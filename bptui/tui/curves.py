"""A run's history as the charts want it. Imported with the first data: it loads NumPy."""

from __future__ import annotations

from bptui.runs.history import History
from bptui.runs.pyramid import Pyramid, Sparse
from bptui.tui.ports import Columns


class HistoryCurves:
    """``ports.Curves`` over ``runs.history.History``."""

    def __init__(self) -> None:
        self._history = History()

    def feed(self, offset: int, data: bytes) -> None:
        """Bytes of the log from ``offset``; what is known already is skipped, a hole is left out until it comes."""
        known = self._history.offset
        if offset <= known < offset + len(data):
            self._history.feed(memoryview(data)[known - offset :])

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

    def bad(self, series: str) -> int:
        found = self._history.series.get(series)
        return found.bad if found is not None else 0
