"""Draws one family of series as lines of cells: axis labels, curves, gaps, a crosshair, marks on the axis of steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from bptui.tui.axis import Range, log_ticks, ticks
from bptui.tui.families import Family
from bptui.tui.glyphs import Glyphs
from bptui.tui.marks import Kind, Mark, axis_row
from bptui.tui.ports import Curves, Trace
from bptui.tui.smooth import smoothed
from bptui.tui.text import small
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.raster import FAINT, FIRST, SECOND, Raster, joined, overlaid

if TYPE_CHECKING:
    import numpy.typing as npt

LABEL = 7
_LIMIT = 1e300  # axes stay within what doubles can round up
_STYLES = ("text", "first", "second", "dim")
_MARKED_ROWS = 5
"""Rows from which the lowest one is the axis with its marks."""


class Frame(msgspec.Struct, frozen=True):
    """What to draw: steps ``first`` … ``last``, both included."""

    first: int
    last: int
    width: int
    height: int
    log: bool = False
    tight: bool = False
    smooth: float = 0.0
    cursor: int | None = None
    marks: tuple[Mark, ...] = ()
    epochs: tuple[int, ...] = ()

    @property
    def plot(self) -> int:
        """Cells of the curves."""
        return self.width - LABEL - 1

    def cell(self, step: int) -> int:
        """The cell of the curves in which a step lies."""
        return round((step - self.first) / max(1, self.last - self.first) * (self.plot - 1))

    def step(self, cell: int) -> int:
        """The step in the middle of a cell."""
        return self.first + round(cell / max(1, self.plot - 1) * (self.last - self.first))


class Plot:
    """Keeps the range of values, which changes rarely; ``kinds`` are the marks that are seen."""

    def __init__(self, glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self.kinds: set[Kind] = set()
        self._range = Range()
        self._of = ""

    def lines(self, curves: Curves, family: Family, frame: Frame, beneath: Curves | None = None) -> list[Line]:
        """``frame.height`` lines of ``frame.width`` cells; the lowest is the axis of steps where there is room.

        ``beneath``: of the run that this one is a branch of, drawn faint.
        """
        if family.title != self._of:
            self._range, self._of = Range(), family.title
        axis = frame.height >= _MARKED_ROWS
        raster = Raster(frame.plot, frame.height - axis, self.glyphs)
        first = curves.trace(family.first, frame.first, frame.last, raster.columns)
        second = curves.trace(family.second, frame.first, frame.last, raster.columns)
        parent = None
        if beneath is not None:
            parent = beneath.trace(family.first or family.second, frame.first, frame.last, raster.columns)
        mean = smoothed(first.low, first.high, first.bad, frame.smooth) if frame.smooth else None
        low, high = self._ends((first, second) if parent is None else (first, second, parent), frame.log, frame.tight)
        scale = _Scale(low, high, frame.log)
        if parent is not None:
            self._thin(raster, parent, scale, FAINT)
        self._band(raster, first, scale, FAINT if mean is not None else FIRST)
        if mean is not None:
            self._thin(raster, Trace(first.places, mean, mean, first.bad), scale, FIRST)
        if family.first:
            self._thin(raster, second, scale, SECOND, stride=2 * self.glyphs.dots[0])
        else:
            self._band(raster, second, scale, SECOND)
        lines = self._body(raster, scale, frame, {place // self.glyphs.dots[0] for place in _bad(first, second)})
        if axis:
            cells, self.kinds = axis_row(
                list(frame.marks), list(frame.epochs), frame.first, frame.last, frame.plot, self.glyphs
            )
            if frame.cursor is not None and 0 <= (at := frame.cell(frame.cursor)) < len(cells):
                cells[at] = (self.glyphs.up, "key") if cells[at][1] == "border" else (cells[at][0], "key")
            corner = self.glyphs.frame[4] if self.glyphs.name == "ascii" else "└"
            lines.append([(" " * LABEL, "text"), (corner, "border"), *joined(cells)])
        return lines

    def _ends(self, traces: tuple[Trace, ...], log: bool, tight: bool) -> tuple[float, float]:
        import numpy as np  # late: the first frame has no curve

        values = np.concatenate([ends for trace in traces for ends in (trace.low, trace.high)], dtype=np.float64)
        values = values[np.isfinite(values) & (values > 0) if log else np.isfinite(values)]
        if not len(values):
            self._range = Range()
            return self._range.include(1.0, 10.0, True) if log else self._range.include(0.0, 1.0, False)
        low, high = max(float(values.min()), -_LIMIT), min(float(values.max()), _LIMIT)
        if log:
            low, high = max(low, 1e-300), max(high, 1e-300)
        return self._range.include(low, high, log, tight)

    @staticmethod
    def _band(raster: Raster, trace: Trace, scale: _Scale, series: int) -> None:
        """From the lowest to the highest value of each column, each joined to the one before."""
        before: tuple[int, int, int] | None = None  # column, top row, bottom row
        tops, bottoms = scale.rows(trace.high, raster.rows), scale.rows(trace.low, raster.rows)
        for place, top, bottom, bad in zip(trace.places, tops, bottoms, trace.bad, strict=True):
            if top < 0 or bottom < 0:
                if bad:
                    before = None  # a gap: nothing is drawn across what is not finite
                continue
            if before is not None and place - before[0] > 1:
                raster.line((before[0], before[1]), (place, top), series)
            elif before is not None and top > before[2] + 1:
                top = before[2] + 1
            elif before is not None and bottom < before[1] - 1:
                bottom = before[1] - 1
            raster.span(place, top, bottom, series)
            before = (place, top, bottom)

    @staticmethod
    def _thin(raster: Raster, trace: Trace, scale: _Scale, series: int, stride: int = 1) -> None:
        """The middle of each column as one line; ``stride`` > 1 dots it."""
        import numpy as np

        before: tuple[int, int] | None = None
        span = raster.span
        rows = scale.rows(np.divide(trace.low, 2) + np.divide(trace.high, 2), raster.rows)
        for at, row, bad in zip(trace.places, rows, trace.bad, strict=True):
            if row < 0:
                if bad:
                    before = None
                continue
            apart = stride if before is None else at - before[0]
            if before is not None and apart == stride == 1:  # most columns: joined to the one beside it
                joint = before[1] + (1 if row > before[1] else -1 if row < before[1] else 0)
                span(at, min(row, joint), max(row, joint), series)
            else:
                if before is not None and (apart > 1 or stride == 1):
                    raster.line(before, (at, row), series, stride)
                if apart >= stride or at % stride == 0:  # each of a few points, every so many columns of many
                    raster.dot(at, row, series)
            before = (at, row)

    def _body(self, raster: Raster, scale: _Scale, frame: Frame, gaps: set[int]) -> list[Line]:
        height = raster.height
        most = max(2, height // 3)
        labels: dict[int, float] = {}
        for value in log_ticks(scale.low, scale.high, most) if scale.log else ticks(scale.low, scale.high, most):
            labels.setdefault(scale.row(value, height), value)
        cross: dict[int, tuple[str, str]] = {}
        if frame.cursor is not None and frame.first <= frame.cursor <= frame.last:
            cross = {frame.cell(frame.cursor): (":" if self.glyphs.name == "ascii" else "┊", "key")}
        marks = dict.fromkeys(gaps, (self.glyphs.gap, "bad"))
        side = self.glyphs.frame[3]
        lines: list[Line] = []
        for y, cells in enumerate(raster.drawn(_STYLES)):
            text = _label(labels[y]) if y in labels else ""
            lead: Line = [(f"{text:>{LABEL - 1}} ", "dim"), (self.glyphs.tick if y in labels else side, "border")]
            if cross:
                cells = overlaid(cells, cross, blank_only=True)
            if y == height - 1 and marks:
                cells = overlaid(cells, marks)
            lines.append(lead + cells)
        return lines


class _Scale:
    """Values to rows."""

    def __init__(self, low: float, high: float, log: bool) -> None:
        self.low, self.high, self.log = low, high, log
        self._from = math.log(low) if log else low
        self._span = (math.log(high) if log else high) - self._from

    def row(self, value: float, rows: int) -> int:
        """0 is the top; what lies outside goes to the nearest row."""
        if self.log:
            if value <= 0:
                return rows - 1
            value = math.log(value)
        share = (value - self._from) / self._span
        return 0 if share >= 1 else rows - 1 if share <= 0 else round((1 - share) * (rows - 1))

    def rows(self, values: npt.ArrayLike, rows: int) -> list[int]:
        """``row`` of each value at once; −1 for what is not finite."""
        import numpy as np

        given = np.asarray(values, np.float64)
        known = np.isfinite(given)
        with np.errstate(all="ignore"):
            scaled = np.log(given) if self.log else given  # at or below 0: nan or −inf, the lowest row
            share = np.nan_to_num((scaled - self._from) / self._span, nan=0.0)
            found = np.clip(np.rint((1 - share) * (rows - 1)), 0, rows - 1).astype(np.int64)
        found[~known] = -1
        row: list[int] = found.tolist()
        return row


def _bad(*traces: Trace) -> list[int]:
    return [place for trace in traces for place, bad in zip(trace.places, trace.bad, strict=True) if bad]


def _label(value: float) -> str:
    text = f"{value:.4g}"
    return text if len(text) < LABEL else small(value)
