"""Layer × step: ‖∇W‖ of every layer over the whole run, as colour and height."""

from __future__ import annotations

import math

from rich.cells import cell_len
from textual import events

from bptui.tui.axis import steps_end, ticks
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.ports import Heat
from bptui.tui.ramps import LEVELS, amount
from bptui.tui.store import Snapshot
from bptui.tui.text import fit_layer, integer, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.raster import joined

#: Columns of the table that can be shown, and their names.
COLUMNS = (("grad_norm", "‖∇W‖", "|dW|"), ("update_ratio", "Δ/W", "d/W"), ("delta_norm", "‖δ‖", "|delta|"))


class HeatChart(ChartPane):
    """A row a layer, a column some steps; the scale is logarithmic and holds for all layers."""

    number, title = 5, "Heat"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.column = 0
        """Index in COLUMNS."""
        self.row = 0
        self.at: int | None = None
        """The column of cells under the cursor."""
        self._first = 0
        self._plot = 0
        self._lead = 0
        self._end = 20
        self._heat = Heat((), ())
        self._ends = (0.0, 0.0)

    def select(self, index: int) -> None:
        self.row = index
        self.show()

    def turn(self) -> str:
        """The next column of the table; its name."""
        self.column = (self.column + 1) % len(COLUMNS)
        self.show()
        return self._symbol

    @property
    def _symbol(self) -> str:
        return COLUMNS[self.column][2 if self.glyphs.name == "ascii" else 1]

    # -- frame -------------------------------------------------------------------------------------
    def top(self, width: int) -> list[tuple[int, str, str]]:
        texts = [(6 + len(self.title), f" {self._symbol} of each layer ", "strong")]
        if self._ends[1] > 0 and width > 70:
            low, high = self._ends
            column = width - 2 - (len(small(low)) + len(small(high)) + LEVELS + 4)
            texts.append((column, f" {small(low)} ", "dim"))
            column += len(small(low)) + 2
            for level in range(LEVELS):
                texts.append((column + level, amount(level, self.glyphs), f"ramp{level}"))
            texts.append((column + LEVELS, f" {small(high)} ", "dim"))
        return texts

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        texts: list[tuple[int, str, str]] = []
        occupied = 0
        if self._plot < 10:
            return []
        for value in ticks(0, self._end, max(1, self._plot // 16)):
            text = f" {integer(int(value))} "
            column = 2 + self._lead + round(value / self._end * (self._plot - 1)) - len(text) // 2
            column = max(2 + self._lead, min(column, width - 2 - len(text)))
            if value == int(value) and column >= occupied:
                texts.append((column, text, "dim"))
                occupied = column + len(text) + 1
        zero = f" {self._zero} all 0  {self.glyphs.gap} not finite "
        if occupied + len(zero) + 1 < width:
            texts.append((-1, zero, "dim"))
        return texts

    @property
    def _zero(self) -> str:
        return "0" if self.glyphs.name == "ascii" else "○"

    # -- cells -------------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        layers, curves = self.snapshot.model.layers, self.snapshot.curves
        longest = max((cell_len(layer.name) for layer in layers), default=6)
        self._lead = min(max(6, longest), max(6, width // 5)) + 3
        self._plot = max(0, width - self._lead)
        if curves is not None and curves.last_step >= 0:
            self._end = steps_end(curves.last_step, self.snapshot.total_steps)
            self._heat = curves.heat(COLUMNS[self.column][0], 0, self._end, self._plot)
        else:
            self._heat = Heat((), ())
        if not self._heat.values or not layers:
            self._plot, self._ends = 0, (0.0, 0.0)
            return self.empty(width, height, "No table of norms yet:", "two a second are kept while training runs.")
        values = [v for row in self._heat.values for v in row if math.isfinite(v) and v > 0]
        self._ends = _decades(min(values), max(values)) if values else (0.0, 0.0)
        tall = max(1, min(5, height // len(layers)))
        shown = max(1, height // tall)
        self._first = min(max(self._first, self.row - shown + 1), self.row)
        self._first = max(0, min(self._first, len(layers) - shown))
        lines: list[Line] = []
        for index in range(self._first, min(len(layers), self._first + shown, len(self._heat.values))):
            lines += self._layer(index, tall)
        return lines

    def _layer(self, index: int, tall: int) -> list[Line]:
        name = fit_layer(self.snapshot.model.layers[index].name, self._lead - 3)
        here = index == self.row
        cells = [
            self._cell(value, step) for value, step in zip(self._heat.values[index], self._heat.steps, strict=True)
        ]
        if here and self.at is not None and 0 <= self.at < len(cells):
            cells[self.at] = (cells[self.at][0], "strong+cursor")
        body = joined(cells)
        lead: Line = [(f"{self.glyphs.cursor} " if here else "  ", "key"), (f"{name} ", "strong" if here else "text")]
        # where a layer has several rows the upper ones are the ground alone, so that heights stay comparable
        blank = joined([(" ", style) for _, style in cells])
        return [[(" " * self._lead, "text"), *blank] for _ in range(tall - 2)] + [lead + body] + [[]] * (tall > 1)

    def _cell(self, value: float, step: int) -> tuple[str, str]:
        if step < 0:
            return " ", "text"
        if not math.isfinite(value):
            return self.glyphs.gap, "bad"
        if value <= 0:
            return self._zero, "dim"
        return amount(level := self.level(value), self.glyphs), f"ramp{level}"

    def level(self, value: float) -> int:
        """0 … LEVELS − 1 on the logarithmic scale."""
        low, high = self._ends
        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return max(0, min(LEVELS - 1, int(share * LEVELS)))

    def readout(self) -> Line:
        """The cell under the cursor."""
        layers = self.snapshot.model.layers
        if self.at is None or not self._heat.values or self.row >= len(self._heat.values):
            return []
        at = min(self.at, len(self._heat.steps) - 1)
        value, step = self._heat.values[self.row][at], self._heat.steps[at]
        if step < 0:
            return [(f" {layers[self.row].name}: not reached yet", "dim")]
        style = "text" if math.isfinite(value) else "bad"
        return [
            (f" step {integer(step)} ", "key"),
            (f" {layers[self.row].name}  {self._symbol} {value:.6g}", style),
            ("  (measured then, and held until the next table)", "dim"),
        ]

    # -- keys --------------------------------------------------------------------------------------
    def on_key(self, event: events.Key) -> None:
        total = len(self.snapshot.model.layers)
        moves = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0), "ctrl+left": (0, -10),
                 "ctrl+right": (0, 10), "home": (0, -10_000), "end": (0, 10_000), "pageup": (-10, 0),
                 "pagedown": (10, 0)}  # fmt: skip
        if event.key in moves and total and self._plot:
            event.stop()
            down, right = moves[event.key]
            self.row = max(0, min(total - 1, self.row + down))
            reached = sum(step >= 0 for step in self._heat.steps)
            if right:
                start = reached - 1 if self.at is None else self.at + right
                self.at = max(0, min(max(0, reached - 1), start))
            self.show()
            self.post_message(self.Moved())
        elif event.key == "escape" and self.at is not None:
            event.stop()
            self.at = None
            self.show()
            self.post_message(self.Moved())

    def clicked(self, row: int) -> None:
        self.show()


def _decades(low: float, high: float) -> tuple[float, float]:
    """Powers of ten around the values, at most eight apart: what is smaller is shown as the smallest."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last <= first:
        last = first + 1
    return 10.0 ** max(first, last - 8), 10.0**last
