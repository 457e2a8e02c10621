"""The loss chart: training solid, validation dotted, what is not finite as a marked gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bptui.tui.axis import Range, log_ticks, steps_end, ticks
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.ports import Columns, Curves
from bptui.tui.store import Snapshot
from bptui.tui.text import integer, loss_text, small
from bptui.tui.widgets.pane import Line, Pane
from bptui.tui.widgets.raster import FIRST, SECOND, Raster

LABEL = 7
_LIMIT = 1e300  # axes stay within what doubles can round up


class LossChart(Pane):
    """``curves`` of the snapshot; the axis of steps starts at 0."""

    number, title = 2, "Loss"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.log_axis = False
        self._range = Range()
        self._end = 20

    def toggle_log(self) -> None:
        self.log_axis = not self.log_axis
        self.title = "Loss, log" if self.log_axis else "Loss"
        self.show()

    # -- frame -------------------------------------------------------------------------------------
    def top(self, width: int) -> list[tuple[int, str, str]]:
        curves = self.snapshot.curves
        if curves is None or curves.last_step < 0:
            return []
        train, validation = curves.latest("loss"), curves.latest("val_loss")
        bad = curves.bad("loss")
        parts = []
        accuracy = curves.latest("val_accuracy")
        if accuracy is not None:
            parts.append((f" val accuracy {accuracy * 100:.1f} % ", "second"))
        if bad:
            parts.append((f" {self.glyphs.gap} {integer(bad)} not finite ", "bad"))
        if train is not None:
            parts.append((f" train {self.glyphs.train} {loss_text(train)} ", "first"))
        if validation is not None:
            parts.append((f" val {self.glyphs.validation} {loss_text(validation)} ", "second"))
        while parts and sum(len(text) + 1 for text, _ in parts) > width - 10 - len(self.title):
            parts.pop(0)
        column = width - 2 - sum(len(text) + 1 for text, _ in parts) + 1
        placed = []
        for text, style in parts:
            placed.append((column, text, style))
            column += len(text) + 1
        return placed

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        plot = width - 4 - LABEL - 1
        curves = self.snapshot.curves
        if plot < 20 or curves is None or curves.last_step < 0:
            return []
        texts = []
        occupied = 0
        for value in ticks(0, self._end, max(1, plot // 16)):
            if value != int(value):
                continue
            text = f" {integer(int(value))} "
            column = 2 + LABEL + 1 + round(value / self._end * (plot - 1)) - len(text) // 2
            column = max(2 + LABEL, min(column, width - 2 - len(text)))
            if column >= occupied:
                texts.append((column, text, "dim"))
                occupied = column + len(text) + 1
        if occupied + 6 < width - 1:
            texts.append((-1, " step ", "dim"))
        return texts

    # -- plot --------------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        curves = self.snapshot.curves
        plot = width - LABEL - 1
        if curves is None or curves.last_step < 0 or plot < 4 or height < 2:
            return self._empty(width, height)
        self._end = steps_end(curves.last_step, self.snapshot.total_steps)
        raster = Raster(plot, height, self.glyphs)
        places, columns = self._train(curves, raster.columns)
        steps, values = self._validation(curves)
        finite = [v for v in (*columns.low, *columns.high, *values) if math.isfinite(v)]
        low, high = self._ends(finite)
        self._draw_train(raster, places, columns, low, high)
        self._draw_validation(raster, steps, values, low, high)
        return self._lines(raster, low, high, self._gaps(places, columns, raster))

    def _empty(self, width: int, height: int) -> list[Line]:
        state = self.snapshot.shown_state
        text = {
            "READY": "No step yet: space runs it.",
            "STARTING": "Starting …",
            "FAILED": "It failed before its first step.",
        }.get(state, "No loss yet.")
        pad = max(0, (width - len(text)) // 2)
        return [[] for _ in range(max(0, (height - 1) // 2))] + [[(" " * pad, "text"), (text, "dim")]]

    def _train(self, curves: Curves, dots: int) -> tuple[list[int], Columns]:
        """Columns of dots and their lowest and highest loss: a step a point where there is room, else min and max."""
        end = self._end
        if end + 1 <= dots:
            steps = curves.last_step + 1
            columns = curves.reduce("loss", 0, curves.last_step, steps)
            return [round(step / end * (dots - 1)) for step in range(steps)], columns
        # over the whole axis, so that a column's steps stay its own while the run goes on
        return list(range(dots)), curves.reduce("loss", 0, end, dots)

    def _validation(self, curves: Curves) -> tuple[Sequence[int], Sequence[float]]:
        steps, values = curves.points("val_loss")
        if len(steps) > 400:
            stride = len(steps) // 200
            return steps[::stride], values[::stride]
        return steps, values

    def _ends(self, finite: list[float]) -> tuple[float, float]:
        if self.log_axis:
            finite = [v for v in finite if v > 0]
        if not finite:
            return self._range.low, self._range.high
        low, high = max(min(finite), -_LIMIT), min(max(finite), _LIMIT)
        if self.log_axis:
            low, high = max(low, 1e-300), max(high, 1e-300)
        return self._range.include(low, high, self.log_axis)

    def _row(self, value: float, low: float, high: float, rows: int) -> int:
        if self.log_axis:
            if value <= 0:
                return rows - 1
            share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        else:
            share = (value - low) / (high - low)
        return round((1 - min(1.0, max(0.0, share))) * (rows - 1))

    def _draw_train(self, raster: Raster, places: list[int], columns: Columns, low: float, high: float) -> None:
        before: tuple[int, int, int] | None = None  # column, top row, bottom row
        for place, least, most, bad in zip(places, columns.low, columns.high, columns.bad, strict=True):
            if not (math.isfinite(least) and math.isfinite(most)):
                if bad:
                    before = None  # a gap: nothing is drawn across what is not finite
                continue
            top, bottom = self._row(most, low, high, raster.rows), self._row(least, low, high, raster.rows)
            if before is not None and place - before[0] > 1:
                raster.line((before[0], before[1]), (place, top), FIRST)
            elif before is not None and top > before[2] + 1:
                top = before[2] + 1
            elif before is not None and bottom < before[1] - 1:
                bottom = before[1] - 1
            raster.span(place, top, bottom, FIRST)
            before = (place, top, bottom)

    def _draw_validation(
        self, raster: Raster, steps: Sequence[int], values: Sequence[float], low: float, high: float
    ) -> None:
        before: tuple[int, int] | None = None
        for step, value in zip(steps, values, strict=True):
            if not math.isfinite(value):
                before = None
                continue
            place = (round(step / self._end * (raster.columns - 1)), self._row(value, low, high, raster.rows))
            if before is not None:
                raster.line(before, place, SECOND, stride=2 * raster.glyphs.dots[0])
            raster.dot(*place, SECOND)
            before = place

    def _gaps(self, places: list[int], columns: Columns, raster: Raster) -> set[int]:
        """Cells of the lowest row that carry the mark of a value that is not finite."""
        across = self.glyphs.dots[0]
        return {place // across for place, bad in zip(places, columns.bad, strict=True) if bad}

    def _lines(self, raster: Raster, low: float, high: float, gaps: set[int]) -> list[Line]:
        height = raster.height
        most = max(2, height // 3)
        values = log_ticks(low, high, most) if self.log_axis else ticks(low, high, most)
        labels: dict[int, float] = {}
        for value in values:
            row = self._row(value, low, high, height)
            labels.setdefault(row, value)
        lines: list[Line] = []
        side = self.glyphs.frame[3]
        for y in range(height):
            text = _label(labels[y]) if y in labels else ""
            lead: Line = [(f"{text:>{LABEL - 1}} ", "dim"), (self.glyphs.tick if y in labels else side, "border")]
            cells = raster.row(y, ("text", "first", "second"))
            if y == height - 1 and gaps:
                cells = _mark(cells, gaps, self.glyphs.gap)
            lines.append(lead + cells)
        return lines


def _mark(runs: list[tuple[str, str]], gaps: set[int], glyph: str) -> list[tuple[str, str]]:
    cells = [(character, style) for text, style in runs for character in text]
    return [(glyph, "bad") if index in gaps else cell for index, cell in enumerate(cells)]


def _label(value: float) -> str:
    text = f"{value:.4g}"
    return text if len(text) < LABEL else small(value)
