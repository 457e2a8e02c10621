"""The histograms of one layer over time, one above the other: where the values of a quantity went."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from bptui.runs.records import LOW_EXPONENT, QUANTITIES, SPECIAL_CELLS
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.ramps import LEVELS
from bptui.tui.store import Snapshot
from bptui.tui.text import count, integer, right
from bptui.tui.widgets import bins
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.gradients import symbol_of
from bptui.tui.widgets.pane import Line

_STEP = 11
_SPECIAL = len(SPECIAL_CELLS)
_SIDE = 26
"""Cells to the right of the bars: what has no bar."""


class RidgeChart(ChartPane):
    """Layer ``selected``, quantity ``quantity``: a ridge for each of some steps, the newest below."""

    number, title = 4, "Ridge"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.selected = 0
        self.quantity = QUANTITIES[0]
        self.at: int | None = None
        """From the newest ridge upwards: the one whose exact counts are shown."""
        self._rows = 0

    def select(self, index: int) -> None:
        self.selected = index
        self.show()

    def turn(self) -> str:
        self.quantity = QUANTITIES[(QUANTITIES.index(self.quantity) + 1) % len(QUANTITIES)]
        self.show()
        return self.quantity

    def top(self, width: int) -> list[tuple[int, str, str]]:
        layers = self.snapshot.model.layers
        if self.selected >= len(layers):
            return []
        symbol = symbol_of(self.quantity, self.glyphs)
        log = "log2" if self.glyphs.name == "ascii" else "log₂"
        name = layers[self.selected].name[:24]
        return [
            (6 + len(self.title), f" {log}|{symbol}| of {name} {self.selected + 1}/{len(layers)} ", "strong"),
            (-1, " older above, newest below ", "dim"),
        ]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(-1, " each ridge to its own height ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        curves = self.snapshot.curves
        side = _SIDE if width >= 76 else 0
        room = width - _STEP - side
        tall = 2 if height >= 16 else 1
        rows = curves.ridge(self.quantity, self.selected, max(1, (height - 1) // tall)) if curves is not None else []
        self._rows = len(rows)
        tall = max(tall, min(5, (height - 1) // max(1, len(rows))))
        if not rows:
            return self.empty(
                width, height, "No histograms in the record yet:", "one set a second is kept while training runs."
            )
        cells = [row[_SPECIAL:] for _, row in rows]
        at = bins.axis(cells, room, widest=12)
        lines: list[Line] = []
        for index, (step, row) in enumerate(rows):
            chosen = self.at is not None and len(rows) - 1 - self.at == index
            level = round(index / max(1, len(rows) - 1) * (LEVELS - 1))
            drawn = bins.bars(cells[index], at, room, tall, self.glyphs) if at is not None else [" " * room] * tall
            for part, text in enumerate(drawn):
                foot = part == tall - 1
                label = right(integer(step), _STEP - 2) + ("┤ " if self.glyphs.name != "ascii" else "| ")
                line: Line = [(label if foot else " " * _STEP, "key" if chosen else "dim")]
                line.append((text, "strong" if chosen else f"tint{level}"))
                if foot and side:
                    line += self._apart(row)
                lines.append(line)
        if at is not None:
            lines.append([(" " * _STEP, "text"), (bins.labels(at, room, self.glyphs), "dim")])
        return [[] for _ in range(max(0, height - len(lines)))] + lines

    def _apart(self, row: Sequence[int]) -> Line:
        line: Line = []
        for word, value in zip(("zero", "NaN", "Inf", "below", "above"), row[:_SPECIAL], strict=True):
            if value:
                style = "bad" if word in ("NaN", "Inf") else "dim" if word == "zero" else "warn"
                sign = f"{self.glyphs.gap} " if style == "bad" else ""
                line.append((f" {sign}{word} {count(value)}", style))
        return line

    def readout(self) -> Line:
        """The ridge under the cursor in numbers."""
        curves = self.snapshot.curves
        if self.at is None or curves is None or not self._rows:
            return []
        rows = curves.ridge(self.quantity, self.selected, self._rows)
        at = len(rows) - 1 - min(self.at, len(rows) - 1)
        step, row = rows[at]
        cells = row[_SPECIAL:]
        counted = sum(cells)
        total = counted + sum(row[:_SPECIAL])
        below, median = 0, None
        for index, value in enumerate(cells):
            below += value
            if 2 * below >= counted > 0 and median is None:
                median = LOW_EXPONENT + index + 1
        zero, nan, inf, low, high = row[:_SPECIAL]
        middle = f", half of them below {bins.power(median, self.glyphs)}" if median is not None else ""
        return [
            (f" step {integer(step)} ", "key"),
            (f" {integer(total)} values{middle}, zero {integer(zero)}, NaN {integer(nan)}, "
             f"Inf {integer(inf)}, out of range {integer(low + high)}", "text"),
        ]  # fmt: skip

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down"):
            event.stop()
            by = 1 if event.key == "up" else -1
            self.at = 0 if self.at is None else max(0, min(max(0, self._rows - 1), self.at + by))
            self.show()
            self.post_message(self.Moved())
        elif event.key == "escape" and self.at is not None:
            event.stop()
            self.at = None
            self.show()
            self.post_message(self.Moved())
