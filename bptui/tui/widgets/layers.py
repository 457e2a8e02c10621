"""What the panes with a row a layer share: a selection, a window that follows it, and the mark of a micro-step."""

from __future__ import annotations

from textual import events
from textual.message import Message

from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import Pane


class LayerPane(Pane):
    """``selected`` is the index of a layer; the screen keeps it alike in all such panes."""

    class Selected(Message):
        """Another layer is selected in ``pane``: the one that is by the time this is heard."""

        def __init__(self, pane: LayerPane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.selected = 0
        self._first = 0
        self._shown = 0
        self._tall = 1

    def select(self, index: int) -> None:
        self.selected = index
        self.show()

    def window(self, rows: int) -> tuple[int, int]:
        """Which layers are seen in ``rows`` rows: [first, end), the selected one among them."""
        total = len(self.snapshot.model.layers)
        rows = max(1, rows)
        first = min(max(self._first, self.selected - rows + 1), self.selected)
        self._first = max(0, min(first, total - rows))
        self._shown = min(rows, total)
        return self._first, min(total, self._first + rows)

    def scroll_text(self) -> tuple[int, str, str]:
        """``12–30 of 100`` for the lower border, where not all are seen."""
        total = len(self.snapshot.model.layers)
        if self._shown >= total:
            return (2, "", "dim")
        dash = "-" if self.glyphs.name == "ascii" else "–"
        return (2, f" {self._first + 1}{dash}{self._first + self._shown} of {total} ", "dim")

    def on(self, index: int) -> str:
        """The style suffix of a row: the selected one of the focused pane stands on the cursor's background."""
        return "+cursor" if index == self.selected and self.has_focus else ""

    def lead(self, index: int) -> tuple[str, str]:
        """Two cells before a name."""
        layer = self.snapshot.model.layers[index]
        if layer.name == self.snapshot.micro_layer:
            return f"{self.glyphs.here} ", "second" + self.on(index)
        if index == self.selected:
            return f"{self.glyphs.cursor} ", "key" + self.on(index)
        return "  ", "text" + self.on(index)

    def move(self, by: int) -> None:
        total = len(self.snapshot.model.layers)
        if total:
            self.choose(max(0, min(total - 1, self.selected + by)))

    def choose(self, index: int) -> None:
        """Select here at once, so that the next key counts from it; the other panes follow."""
        self.select(index)
        self.post_message(self.Selected(self))

    def on_key(self, event: events.Key) -> None:
        page = max(1, self._shown - 1)
        total = len(self.snapshot.model.layers)
        moves = {"up": -1, "down": 1, "k": -1, "j": 1, "pageup": -page, "pagedown": page, "home": -total, "end": total}
        if event.key in moves:
            event.stop()
            self.move(moves[event.key])

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-1)
