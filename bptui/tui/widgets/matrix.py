"""A matrix of numbers that scrolls both ways under a cursor."""

from __future__ import annotations

import math
from typing import Any

from textual import events
from textual.message import Message

from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import Drawn, Line

CELL = 13
ROW_LABEL = 8


class Matrix(Drawn, can_focus=True):
    """``put`` gives it a NumPy array of one or two dimensions (more are folded into columns), or None."""

    class Moved(Message):
        """The cursor stands elsewhere."""

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.stale = False
        """What is shown is of a step gone by."""
        self._values: Any = None
        self._rows_are = "sample"
        self._vector = False
        self.row = self.column = 0
        self._top = self._left = 0
        self._fixed = False

    @property
    def shape(self) -> tuple[int, ...]:
        if self._values is None:
            return ()
        rows, columns = self._values.shape
        return (columns,) if self._vector else (rows, columns)

    def put(self, values: Any, rows_are: str) -> None:
        self._rows_are = rows_are
        self._values = None
        if values is not None and values.size:
            self._vector = values.ndim < 2
            self._values = values.reshape(1, -1) if values.ndim < 2 else values.reshape(values.shape[0], -1)
            finite = [abs(v) for v in self._values[:64, :64].ravel().tolist() if math.isfinite(v) and v != 0]
            self._fixed = bool(finite) and max(finite) < 1e4 and sorted(finite)[len(finite) // 10] >= 1e-3
            rows, columns = self._values.shape
            self.row, self.column = min(self.row, rows - 1), min(self.column, columns - 1)
        self.show()

    def place(self) -> tuple[int, ...]:
        return (self.column,) if self._vector else (self.row, self.column)

    def value(self) -> float | None:
        """The cell under the cursor, exactly."""
        return None if self._values is None else float(self._values[self.row, self.column])

    def _page(self) -> tuple[int, int]:
        return max(1, self.size.height - 1), max(1, (self.size.width - ROW_LABEL - 2) // CELL)

    def build(self, width: int, height: int) -> list[Line]:
        if self._values is None:
            return [[], [("  no values", "dim")]]
        rows, columns = self._values.shape
        tall, wide = self._page()
        self._top = max(0, min(max(self._top, self.row - tall + 1), self.row, max(0, rows - tall)))
        self._left = max(0, min(max(self._left, self.column - wide + 1), self.column, max(0, columns - wide)))
        shown = range(self._left, min(columns, self._left + wide))
        corner = "" if self._vector else f"{self._rows_are}"
        head: Line = [(f" {corner:<{ROW_LABEL}}", "dim")]
        head += [(f"{column:>{CELL}}", "key" if column == self.column else "dim") for column in shown]
        lines = [head]
        block = self._values[self._top : self._top + tall, self._left : self._left + wide].tolist()
        for row, values in enumerate(block, self._top):
            label = "" if self._vector else str(row)
            line: Line = [(f" {label:>{ROW_LABEL - 1}} ", "key" if row == self.row else "dim")]
            for column, value in zip(shown, values, strict=True):
                here = row == self.row and column == self.column
                line.append((f"{self._text(value):>{CELL}}", self._tone(value, here)))
            lines.append(line)
        return lines

    def _text(self, value: float) -> str:
        if value == 0:
            return "0"
        return f"{value:.5f}" if self._fixed else f"{value:.4e}"

    def _tone(self, value: float, here: bool) -> str:
        tone = "bad" if not math.isfinite(value) else "dim" if value == 0 or self.stale else "text"
        return ("strong" if here and tone == "text" else tone) + ("+cursor" if here else "")

    def on_key(self, event: events.Key) -> None:
        if self._values is None:
            return
        tall, wide = self._page()
        rows, columns = self._values.shape
        moves = {
            "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1),
            "pageup": (-tall, 0), "pagedown": (tall, 0),
            "home": (0, -columns), "end": (0, columns), "ctrl+home": (-rows, -columns), "ctrl+end": (rows, columns),
            "k": (-1, 0), "j": (1, 0), "l": (0, 1), "ctrl+left": (0, -wide), "ctrl+right": (0, wide),
        }  # fmt: skip
        if event.key in moves:
            event.stop()
            self._move(*moves[event.key])

    def _move(self, down: int, right: int) -> None:
        rows, columns = self._values.shape
        self.row = max(0, min(rows - 1, self.row + down))
        self.column = max(0, min(columns - 1, self.column + right))
        self.show()
        self.post_message(self.Moved())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        if self._values is not None:
            event.stop()
            self._move(3, 0)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        if self._values is not None:
            event.stop()
            self._move(-3, 0)

    def on_click(self, event: events.Click) -> None:
        if self._values is not None and event.y > 0:
            column = self._left + max(0, event.x - ROW_LABEL - 1) // CELL
            self._move(self._top + event.y - 1 - self.row, column - self.column)
