"""A table of rows under a cursor, as what-if, the lens of dead units and other screens have one."""

from __future__ import annotations

from typing import Generic, TypeVar

from textual import events
from textual.message import Message

from bptui.tui.glyphs import Glyphs
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import Pane

Row = TypeVar("Row")


class RowsPane(Pane, Generic[Row]):
    """``rows`` below a line of headings; keys and clicks move the cursor, and the window follows it."""

    class Moved(Message):
        """The cursor stands on another row."""

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs, *, id: str) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.rows: list[Row] = []
        self.row = 0
        self._top = 0

    @property
    def selected(self) -> Row:
        """The row under the cursor; there must be one."""
        return self.rows[self.row]

    def seen(self, height: int) -> range:
        """Which rows are shown in ``height`` lines, one of which is the heading."""
        tall = max(1, height - 1)
        self._top = max(0, min(max(self._top, self.row - tall + 1), self.row, max(0, len(self.rows) - tall)))
        return range(self._top, min(len(self.rows), self._top + tall))

    def go(self, row: int) -> None:
        """Put the cursor on a row, or on the nearest that there is."""
        self.row = max(0, min(len(self.rows) - 1, row))
        self.show()
        self.post_message(self.Moved())

    def on_key(self, event: events.Key) -> None:
        page, total = max(1, self.size.height - 4), len(self.rows)
        moves = {"up": -1, "down": 1, "k": -1, "j": 1, "pageup": -page, "pagedown": page, "home": -total, "end": total}
        if event.key in moves and total:
            event.stop()
            self.go(self.row + moves[event.key])

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.go(self.row + 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.go(self.row - 1)

    def clicked(self, row: int) -> None:
        if 1 <= row <= len(self.rows):
            self.go(self._top + row - 1)
