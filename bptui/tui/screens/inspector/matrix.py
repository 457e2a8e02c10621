"""One matrix: digits, short numbers, shades of ever larger blocks, or pictures; under a cursor, sorted and marked."""

from __future__ import annotations

import math

from textual import events
from textual.message import Message

from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.ramps import LEVELS as AMOUNTS
from bptui.tui.ramps import amount
from bptui.tui.screens.inspector.formula import pending
from bptui.tui.screens.inspector.grid import Grid
from bptui.tui.screens.inspector.picture import picture, size
from bptui.tui.screens.inspector.views import Nothing, SheetView
from bptui.tui.store import Snapshot
from bptui.tui.text import integer, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.raster import joined

LABEL = 8
"""Cells of a row's label."""
DECADES = 6
"""Of magnitude below the largest, over which shades run."""
MOVES = {
    "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "k": (-1, 0), "j": (1, 0), "l": (0, 1),
}  # fmt: skip
PANS = {"pageup": (-1, 0), "pagedown": (1, 0), "ctrl+left": (0, -1), "ctrl+right": (0, 1)}
FAR = 1 << 40
ENDS = {"home": (0, -FAR), "end": (0, FAR), "ctrl+home": (-FAR, -FAR), "ctrl+end": (FAR, FAR)}


class GridPane(ChartPane):
    """A pane with a cursor in a grid: keys move it, and ``Wanted`` asks for what is not there."""

    class Wanted(Message):
        """The window lies, in part, beyond what has come."""

    def __init__(self, snapshot: Snapshot, grid: Grid, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.grid = grid
        self.stale = False
        """What is shown is of a step gone by."""

    def complete(self) -> bool:
        """Whether all of the window has come."""
        raise NotImplementedError

    def moved(self) -> None:
        """The cursor or the window stands elsewhere."""
        self.show()
        self.post_message(self.Moved())
        if not self.complete():
            self.post_message(self.Wanted())

    def on_key(self, event: events.Key) -> None:
        if not self.grid.rows:
            return
        if event.key in MOVES:
            self.grid.move(*MOVES[event.key])
        elif event.key in PANS:
            self.grid.pan(*PANS[event.key])
        elif event.key in ENDS:
            self.grid.move(*ENDS[event.key])
        else:
            return
        event.stop()
        self.moved()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.grid.move(3, 0)
        self.moved()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.grid.move(-3, 0)
        self.moved()


class MatrixPane(GridPane):
    """``put`` gives it a window of a matrix; ``pictures`` shows its rows or columns as pictures."""

    number, title = 2, "Matrix"

    def __init__(self, snapshot: Snapshot, grid: Grid, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, grid, glyphs=glyphs, id=id)
        self.view: SheetView | Nothing | None = None
        self.pictures = False
        self.word = ""
        """The quantity, as it is written."""
        self.labels: tuple[str, str] = ("row", "unit")
        """What a row and a column are."""

    def put(self, view: SheetView | Nothing) -> None:
        self.view, self.stale = view, False
        if isinstance(view, SheetView):
            if view.found is not None:
                self.grid.row, self.grid.column = view.found
            self.grid.sized(*view.shape)
        else:
            self.grid.sized(0, 0)
        self.show()

    def complete(self) -> bool:
        view, grid = self.view, self.grid
        if not isinstance(view, SheetView) or self.pictures:
            return not isinstance(view, SheetView) or view.holds(grid.top, grid.left, 1, 1, view.zoom)
        return view.holds(grid.top, grid.left, grid.tall, grid.wide, grid.zoom)

    def value(self) -> float | None:
        """The number under the cursor, exactly; of a block of several cells, that of the largest magnitude."""
        view, grid = self.view, self.grid
        if not isinstance(view, SheetView) or view.zoom != grid.zoom:
            return None
        return view.block(grid.row // grid.zoom, grid.column // grid.zoom)

    def cell(self) -> tuple[int, int] | None:
        """Row and column, as numbers in the matrix, of what is under the cursor."""
        view, grid = self.view, self.grid
        if not isinstance(view, SheetView):
            return None
        row, column = grid.row // grid.zoom - view.top, grid.column // grid.zoom - view.left
        if not (0 <= row < len(view.rows) and 0 <= column < len(view.columns)) or view.zoom != grid.zoom:
            return None
        return view.rows[row], view.columns[column]

    # -- frame -------------------------------------------------------------------------------------
    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.number} ", "key"), (4, f"{self.word} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if not isinstance(view, SheetView):
            return []
        size = " × ".join(integer(n) for n in (view.shape[1:] if view.vector else view.shape))
        texts = [(5 + len(self.word), f" {size} ", "dim")]
        words = []
        for label, order in zip(self.labels, (self.grid.row_order, self.grid.column_order), strict=True):
            if order.by:
                at = f" at {order.at}" if order.by == "value" else ""
                words.append(f"{label}s by {order.by}{at} {self.glyphs.up if order.ascending else self.glyphs.down}")
        if self.grid.condition:
            words.append(f"{self.grid.condition}: {integer(view.matched)}")
        if words:
            texts.append((-1, f" {', '.join(words)} ", "warn"))
        return texts

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if not isinstance(view, SheetView):
            return []
        facts = view.facts
        text = f" norm {small(facts.norm)}  {small(facts.low)} … {small(facts.high)}  mean {small(facts.mean)}"
        text += f"  zeros {integer(facts.zeros)}"
        texts = [(2, text + " ", "dim")]
        if facts.not_finite:
            texts.append((2 + len(text) + 1, f" not finite {integer(facts.not_finite)} ", "bad"))
        if self.grid.zoom > 1:
            texts.append((-1, f" {self.grid.zoom}×{self.grid.zoom} cells a shade ", "dim"))
        return texts

    # -- cells -------------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        view, grid = self.view, self.grid
        if view is None:
            return self.empty(width, height, "asking …")
        if isinstance(view, Nothing):
            return self.empty(width, height, "no values", pending(view.missing) if view.missing else view.note)
        if self.pictures and view.picture:
            return self._pictures(view, width, height)
        grid.fits(height - 1, width - LABEL)
        shown = range(grid.left, min(-(-grid.columns // grid.zoom), grid.left + grid.wide))
        lines = [self._head(view, shown)]
        for row in range(grid.top, min(-(-grid.rows // grid.zoom), grid.top + grid.tall)):
            lines.append(self._row(view, row, shown))
        return lines

    def _head(self, view: SheetView, shown: range) -> Line:
        corner = "" if view.vector else self.labels[0]
        line: Line = [(f"{corner:<{LABEL}}", "dim")]
        at = self.grid.column // self.grid.zoom
        if self.grid.shaded:
            number = self._number(view.columns, at - view.left)
            word = f"{self.labels[1]} {number}"
            place = max(0, min((at - self.grid.left) * self.grid.cell, len(shown) * self.grid.cell - len(word)))
            return [*line, (" " * place, "dim"), (word, "key")]
        width = self.grid.cell
        for column in shown:
            text = self._number(view.columns, column - view.left)
            line.append((f"{text:>{width}}", "key" if column == at else "dim"))
        return line

    @staticmethod
    def _number(ids: object, at: int) -> str:
        assert isinstance(ids, list)
        return str(ids[at]) if 0 <= at < len(ids) else "…"

    def _row(self, view: SheetView, row: int, shown: range) -> Line:
        grid = self.grid
        here = row == grid.row // grid.zoom
        label = "" if view.vector else self._number(view.rows, row - view.top)
        line: Line = [(f"{label:>{LABEL - 1}} ", "key" if here else "dim")]
        cursor = grid.column // grid.zoom
        cells = []
        for column in shown:
            value = view.block(row, column)
            marked = bool(view.matches) and value is not None and bool(
                view.matches[row - view.top][column - view.left]
            )  # fmt: skip
            on = "+cursor" if here and column == cursor else ""
            if value is None:
                cells.append((f"{'…':>{grid.cell}}", "dim" + on))
            elif grid.shaded:
                cells += self._shade(value, view, marked, bool(on))
            else:
                text = self._text(value, grid.cell)
                gap = len(text) - len(text.lstrip())
                lead = [(" " * gap, "text" + on)] if on or not marked else [(" " * gap, "text")]
                cells += [*lead, (text[gap:], self._tone(value, marked, bool(on)))]
        return line + joined(cells)

    def _text(self, value: float, width: int) -> str:
        if width < 10:
            return f"{small(value):>{width}}"
        if value == 0:
            return f"{0:>{width}}"
        fixed = 1e-3 <= abs(value) < 1e4
        return f"{value:>{width}.5f}" if fixed else f"{value:>{width}.4e}"

    def _tone(self, value: float, marked: bool, here: bool) -> str:
        quiet = value == 0 or self.stale
        tone = "bad" if not math.isfinite(value) else "warn" if marked else "dim" if quiet else "text"
        return ("strong" if here and tone == "text" else tone) + ("+cursor" if here else "")

    def _shade(self, value: float, view: SheetView, marked: bool, here: bool) -> list[tuple[str, str]]:
        """A sign and a height: the magnitude on a logarithmic scale below the matrix's largest."""
        on = "+cursor" if here else ""
        if not math.isfinite(value):
            return [(" ", "text" + on), (self.glyphs.gap, "bad" + on)]
        if value == 0:
            return [(" ", "text" + on), ("·", ("warn" if marked else "dim") + on)]
        most = max(abs(view.facts.low), abs(view.facts.high)) or 1.0
        level = max(0, min(AMOUNTS - 1, int((1 + math.log10(abs(value) / most) / DECADES) * AMOUNTS)))
        sign = "-" if value < 0 else " "
        if marked or here:
            tone = ("warn" if marked else "strong") + on
            return [(sign, tone), (amount(level, self.glyphs), tone)]
        return [(sign, "dim"), (amount(level, self.glyphs), f"tint{level}")]

    # -- pictures ----------------------------------------------------------------------------------
    def _pictures(self, view: SheetView, width: int, height: int) -> list[Line]:
        """Rows of x, or columns of W, from the cursor's on, side by side."""
        across, down = size(view.picture, self.glyphs)
        by_rows = view.kind == "x"
        count = max(1, (width + 2) // (across + 2))
        tall = max(1, height // (down + 1))
        first = (self.grid.row - view.top) if by_rows else (self.grid.column - view.left)
        whole = len(view.columns) == view.shape[1] if by_rows else len(view.values) == view.shape[0]
        if not whole or first < 0 or view.zoom != 1:
            return self.empty(width, height, "asking …")
        ids = view.rows if by_rows else view.columns
        lines: list[Line] = []
        for start in range(first, min(first + count * tall, len(ids)), count):
            group = range(start, min(start + count, len(ids)))
            drawn = []
            for at in group:
                values = view.values[at] if by_rows else [row[at] for row in view.values]
                drawn.append(picture(values, view.picture, self.glyphs, signed=not by_rows))
            head: Line = []
            for at in group:
                word = f"{self.labels[0 if by_rows else 1]} {ids[at]}"
                style = "key+cursor" if at == first else "dim"
                head += [(f"{word:<{across}.{across}}", style), ("  ", "text")]
            lines.append(head)
            for y in range(down):
                line: Line = []
                for pixels in drawn:
                    row = pixels[y] if y < len(pixels) else []
                    line += [*row, (" " * (across - sum(len(text) for text, _ in row)) + "  ", "text")]
                lines.append(joined([(text, style) for text, style in line]))
        return lines

    async def on_click(self, event: events.Click) -> None:
        self.focus()
        grid = self.grid
        if isinstance(self.view, SheetView) and event.y > 1 and event.x >= LABEL + 2 and not self.pictures:
            row, column = grid.top + event.y - 2, grid.left + (event.x - LABEL - 2) // grid.cell
            grid.move(row - grid.row // grid.zoom, column - grid.column // grid.zoom)
            self.moved()
