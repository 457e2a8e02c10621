"""The histograms of one layer: ∇W, W, a, δ side by side, with what has no bar counted apart."""

from __future__ import annotations

from textual import events

from bptui.runs.records import LOW_EXPONENT, QUANTITIES
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import Histogram, Snapshot
from bptui.tui.text import fit, integer
from bptui.tui.widgets import bins
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.gradients import symbol_of
from bptui.tui.widgets.pane import Line, width_of

_GAP = 3
_WIDE = 100
"""From this width the four stand in one row, below it two by two."""
_TAIL = 3
"""Rows under the bars: the axis, and two of what has no bar."""


class HistogramChart(ChartPane):
    """Layer ``selected``; ``exponent`` is that of the bar whose exact counts are shown."""

    number, title = 3, "Histograms"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.selected = 0
        self.exponent: int | None = None

    def select(self, index: int) -> None:
        self.selected = index
        self.show()

    def _views(self) -> list[Histogram | None]:
        out: list[Histogram | None] = []
        for quantity in QUANTITIES:
            every = self.snapshot.histogram(quantity)
            out.append(every[self.selected] if self.selected < len(every) else None)
        return out

    def top(self, width: int) -> list[tuple[int, str, str]]:
        layers = self.snapshot.model.layers
        if self.selected >= len(layers):
            return []
        text = f" {fit(layers[self.selected].name, min(24, len(layers[self.selected].name)))} "
        text += f"{self.selected + 1}/{len(layers)} "
        return [(6 + len(self.title), text, "strong")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        words = "floor(log2|x|)" if self.glyphs.name == "ascii" else "floor(log₂|x|)"
        return [(-1, f" counts of {words}, each chart to its own height ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        views = self._views()
        if all(view is None for view in views):
            return self.empty(width, height, "No histogram yet: they come with the first step.")
        across = 4 if width >= _WIDE else 2
        each = (width - _GAP * (across - 1)) // across
        down = -(-4 // across)
        tall = max(1, (height - down + 1) // down)
        lines: list[Line] = []
        for start in range(0, 4, across):
            charts = [self._chart(index, views[index], each, tall) for index in range(start, start + across)]
            for row in range(tall):
                line: Line = []
                for number, chart in enumerate(charts):
                    piece = chart[row] if row < len(chart) else []
                    line += [*piece, (" " * (each - width_of(piece) + (_GAP if number < across - 1 else 0)), "text")]
                lines.append(line)
            lines.append([])
        return lines[:height]

    def _chart(self, index: int, view: Histogram | None, width: int, height: int) -> list[Line]:
        """Heading, bars, axis, and what has no bar: ``height`` lines."""
        name = symbol_of(QUANTITIES[index], self.glyphs)
        if view is None:
            return [[(name, "strong")], [("nothing counted yet", "dim")]]
        all_of = bins.total(view)
        head: Line = [(name, "strong")]
        if self.exponent is None:
            head.append((f"  {integer(all_of)} values", "dim"))
        at = bins.axis([view.cells], width, widest=6)
        tall = max(1, height - 1 - _TAIL)
        lines = [head]
        if at is None:
            lines += [[]] * (tall - 1) + [[("no value in range", "dim")], []]
        else:
            if self.exponent is not None:
                head += self._exact(view, all_of, width - len(name))
            rows = bins.bars(view.cells, at, at.cells, tall, self.glyphs)
            lines += [self._bar_row(row, at) for row in rows]
            lines.append([(bins.labels(at, width, self.glyphs), "dim")])
        words = bins.specials(view)
        lines.append(self._special(words[:3]))
        lines.append(self._special(words[3:]))
        return lines

    def _exact(self, view: Histogram, all_of: int, room: int) -> Line:
        """The bar under the cursor in numbers, as many of them as there is room for."""
        assert self.exponent is not None
        index = self.exponent - LOW_EXPONENT
        count = view.cells[index] if 0 <= index < len(view.cells) else 0
        words = [f"  {bins.power(self.exponent, self.glyphs)}: {integer(count)}"]
        if all_of:
            words += [f" of {integer(all_of)}", f", {count / all_of * 100:.1f} %"]
        while len(words) > 1 and sum(map(len, words)) > room:
            words.pop()
        return [("".join(words), "key")]

    def _bar_row(self, row: str, at: bins.Exponents) -> Line:
        if self.exponent is None or not at.low <= self.exponent <= at.high:
            return [(row, "first")]
        cell = at.cell(self.exponent)
        under = row[cell : cell + at.scale]
        if under.isspace():
            under = (":" if self.glyphs.name == "ascii" else "┊") + " " * (len(under) - 1)
        return [(row[:cell], "first"), (under, "key"), (row[cell + at.scale :], "first")]

    def _special(self, words: list[tuple[str, int]]) -> Line:
        line: Line = []
        for word, count in words:
            style = "dim" if not count else "bad" if word in ("NaN", "Inf") else "warn" if word != "zero" else "text"
            sign = f"{self.glyphs.gap} " if style == "bad" else ""
            line.append((f"{sign}{bins.special_text(word, count, self.glyphs)}  ", style))
        return line

    def on_key(self, event: events.Key) -> None:
        by = {"left": -1, "right": 1, "ctrl+left": -8, "ctrl+right": 8}.get(event.key)
        if by is not None:
            event.stop()
            self._move(by)
        elif event.key == "escape" and self.exponent is not None:
            event.stop()
            self.exponent = None
            self.show()

    def _move(self, by: int) -> None:
        used = [
            LOW_EXPONENT + index
            for view in self._views()
            if view is not None
            for index, cell in enumerate(view.cells)
            if cell
        ]
        if not used:
            return
        start = max(used) if self.exponent is None else self.exponent + by
        self.exponent = max(min(used), min(max(used), start))
        self.show()
