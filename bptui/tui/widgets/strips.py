"""One line of styled text that a screen sets."""

from __future__ import annotations

from bptui.tui.widgets.pane import Drawn, Line, cut


class TextLine(Drawn):
    """``put`` sets the line."""

    _line: Line = []  # noqa: RUF012 (never changed in place)

    def put(self, line: Line) -> None:
        self._line = line
        self.show()

    def build(self, width: int, height: int) -> list[Line]:
        return [cut(self._line, width)]
