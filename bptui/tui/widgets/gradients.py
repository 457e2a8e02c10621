"""The gradients pane: a row a layer with ‖∇W‖, Δ/W, dead units and a log₂ histogram on one shared axis."""

from __future__ import annotations

import math

import msgspec
from rich.cells import cell_len

from bptui.runs.records import LOW_EXPONENT, QUANTITIES
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import Histogram, Row, Snapshot, exponents
from bptui.tui.text import count, fit, fit_layer, integer, right, small
from bptui.tui.widgets.layers import LayerPane
from bptui.tui.widgets.pane import Line

SYMBOL = {"grad_W": "∇W", "W": "W", "a": "a", "delta": "δ"}
ASCII_SYMBOL = {"grad_W": "grad W", "W": "W", "a": "a", "delta": "delta"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ALARM_SHARE = 0.1


class _Columns(msgspec.Struct, frozen=True):
    """Widths in cells; 0: folded away."""

    name: int
    norm: int
    ratio: int
    dead: int
    bars: int
    note: int


def columns(width: int, longest: int) -> _Columns:
    """What fits: the update ratio goes first, then the norm, then the histogram; name and dead units stay."""
    name = min(longest, max(8, width // 4))
    note = 12 if width >= 66 else 0
    free = width - 2 - name - note
    norm, ratio, dead = 9, 9, 9
    if free - norm - ratio - dead < 12:
        ratio = 0
    if free - norm - ratio - dead < 10:
        norm = 0
    bars = free - norm - ratio - dead - 2
    return _Columns(name, norm, ratio, dead, bars if bars >= 6 else 0, note)


class Gradients(LayerPane):
    """Rows of the last table; histograms of one quantity (``turn`` shows the next)."""

    number, title = 3, "Gradients"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.quantity = QUANTITIES[0]
        self._axis: tuple[int, int] | None = None
        self._axis_of = self.quantity

    def turn(self) -> str:
        """Show the next quantity; its name."""
        self.quantity = QUANTITIES[(QUANTITIES.index(self.quantity) + 1) % len(QUANTITIES)]
        self.show()
        return self.quantity

    def _layout(self, width: int) -> _Columns:
        names = [layer.name for layer in self.snapshot.model.layers]
        return columns(width, max((cell_len(name) for name in names), default=6))

    def rows_wanted(self) -> int:
        return len(self.snapshot.model.layers) + 2

    # -- frame -------------------------------------------------------------------------------------
    def top(self, width: int) -> list[tuple[int, str, str]]:
        ascii_only = self.glyphs.name == "ascii"
        at = self._layout(width - 4)
        texts = []
        column = 4 + at.name
        heads = (
            ("|dW|" if ascii_only else "‖∇W‖", at.norm),
            ("d/W" if ascii_only else "Δ/W", at.ratio),
            ("dead", at.dead),
        )
        for head, size in heads:
            if size:
                texts.append((column + size - len(head) - 1, f" {head} ", "dim"))
            column += size
        symbol = (ASCII_SYMBOL if ascii_only else SYMBOL)[self.quantity]
        if at.bars:
            words = f" histogram of {'log2' if ascii_only else 'log₂'}|{symbol}| "
            short = f" {'log2' if ascii_only else 'log₂'}|{symbol}| "
            texts.append((column + 1, words if len(words) <= at.bars + 2 else short, "dim"))
        return texts

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        at = self._layout(width - 4)
        texts = [self.scroll_text()] if self.scroll_text()[1] else []
        if not at.bars or self._axis is None:
            return texts
        low, high = self._axis
        start = 2 + 2 + at.name + at.norm + at.ratio + at.dead + 2
        scale, group = _scale(low, high, at.bars)
        occupied = 0
        stride = 4 if scale >= 2 else 8
        for exponent in range(low, high + 1):
            if exponent % stride:
                continue
            text = self._power(exponent)
            column = start + (exponent - low) * scale // group - 1
            if column >= occupied and column + len(text) < width - 2:
                texts.append((column, text, "dim"))
                occupied = column + len(text) + 2
        return texts

    def _power(self, exponent: int) -> str:
        return f" 2^{exponent} " if self.glyphs.name == "ascii" else f" 2{str(exponent).translate(_SUPERSCRIPT)} "

    # -- rows --------------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        layers = self.snapshot.model.layers
        if not layers:
            return [[("No layers known yet.", "dim")]]
        at = self._layout(width)
        views = self.snapshot.histogram(self.quantity)
        self._follow(views)
        tall = max(1, min(4, height // len(layers)))
        first, last = self.window(height // tall)
        lines: list[Line] = []
        for index in range(first, last):
            row = self.snapshot.rows[index] if index < len(self.snapshot.rows) else None
            view = views[index] if index < len(views) else None
            lines += self._layer(index, row, view, at, tall)
        return lines

    def _follow(self, views: tuple[Histogram, ...]) -> None:
        """Widen the shared axis at once and narrow it rarely, so that bars keep their place."""
        used = exponents(views)
        if self._axis_of != self.quantity:
            self._axis, self._axis_of = None, self.quantity
        if used is None:
            return
        low, high = used[0] - used[0] % 4, used[1] + 3 - used[1] % 4
        if self._axis is not None:
            inside = self._axis[0] <= low and high <= self._axis[1]
            if inside and (high - low) * 2 > self._axis[1] - self._axis[0]:
                return
            if not inside:
                low, high = min(low, self._axis[0]), max(high, self._axis[1])
        self._axis = (low, high)

    def _layer(self, index: int, row: Row | None, view: Histogram | None, at: _Columns, tall: int) -> list[Line]:
        on = self.on(index)
        layer = self.snapshot.model.layers[index]
        bars = self._bars(view, at.bars, tall) if at.bars else [""] * tall
        none = "-" if self.glyphs.name == "ascii" else "–"
        lines: list[Line] = []
        for level in range(tall):
            bar_style = "first" + on
            if level < tall - 1:  # the numbers stand at the bars' foot
                blank = 2 + at.name + at.norm + at.ratio + at.dead + 2
                lines.append([(" " * blank, "text" + on), (bars[level], bar_style), (" " * at.note, "text" + on)])
                continue
            line: Line = [self.lead(index), (fit_layer(layer.name, at.name), ("strong" if on else "text") + on)]
            if at.norm:
                line.append(
                    (
                        right(self._value(row.grad_norm if row else None, none), at.norm),
                        self._tone(row.grad_norm if row else None) + on,
                    )
                )
            if at.ratio:
                line.append(
                    (
                        right(self._value(row.update_ratio if row else None, none), at.ratio),
                        self._tone(row.update_ratio if row else None) + on,
                    )
                )
            alarm = row is not None and row.dead > 0 and row.dead > _ALARM_SHARE * row.units
            dead = none if row is None or row.dead < 0 or row.units == 0 else f"{row.dead}/{row.units}"
            if alarm and not at.note:
                dead = f"{self.glyphs.alarm} {dead}"
            line.append((right(dead, at.dead), ("warn" if alarm else "dim" if dead == none else "text") + on))
            if at.bars:
                line += [("  ", "text" + on), (bars[level], bar_style)]
            if at.note:
                text, style = self._note(view, alarm)
                line.append((right(text, at.note), style + on))
            lines.append(line)
        return lines

    def _value(self, value: float | None, none: str) -> str:
        return none if value is None or (math.isnan(value) and self.quantity != "") else small(value)

    @staticmethod
    def _tone(value: float | None) -> str:
        if value is None or math.isnan(value):
            return "dim"
        return "bad" if math.isinf(value) else "text"

    def _note(self, view: Histogram | None, alarm: bool) -> tuple[str, str]:
        if view is not None and (view.nan or view.inf):
            parts = [f"{count(n)} {word}" for n, word in ((view.nan, "nan"), (view.inf, "inf")) if n]
            return f"{self.glyphs.gap} {' '.join(parts)}", "bad"
        if alarm:
            return f"{self.glyphs.alarm} dead units", "warn"
        if view is not None and view.zero:
            return f"{count(view.zero)} zero", "dim"
        return "", "text"

    def _bars(self, view: Histogram | None, width: int, tall: int) -> list[str]:
        """Rows of bar cells, the top one first."""
        if view is None or self._axis is None:
            return [" " * width] * tall
        low, high = self._axis
        scale, group = _scale(low, high, width)
        cells = view.cells[low - LOW_EXPONENT : high + 1 - LOW_EXPONENT]
        grouped = [sum(cells[start : start + group]) for start in range(0, len(cells), group)]
        most = max(grouped, default=0)
        full = len(self.glyphs.bars) - 1
        highest = full * tall - (2 if tall > 1 and full == 8 else 0)  # air below the row above
        heights = [0 if not n else max(1, round(n / most * highest)) for n in grouped]
        rows = []
        for level in range(tall - 1, -1, -1):
            text = "".join(self.glyphs.bars[max(0, min(full, h - level * full))] * scale for h in heights)
            rows.append(fit(text, width))
        return rows

    def describe(self) -> str:
        """The selected row in words, for the help screen."""
        if not (0 <= self.selected < len(self.snapshot.rows)):
            return ""
        row, layer = self.snapshot.rows[self.selected], self.snapshot.model.layers[self.selected]
        dead = (
            f"{row.dead} of {row.units} units gave 0 for each of {integer(row.seen)} samples"
            if row.dead >= 0
            else "its units cannot die"
        )
        return f"{layer.name}: ‖∇W‖ {small(row.grad_norm)}, Δ/W {small(row.update_ratio)}, {dead}."


def _scale(low: int, high: int, width: int) -> tuple[int, int]:
    """Cells an exponent takes, and exponents that share a cell (one of the two is 1)."""
    exponents_shown = high - low + 1
    if width >= exponents_shown:
        return min(3, width // exponents_shown), 1
    return 1, math.ceil(exponents_shown / width)


def symbol_of(quantity: str, glyphs: Glyphs) -> str:
    return (ASCII_SYMBOL if glyphs.name == "ascii" else SYMBOL)[quantity]
