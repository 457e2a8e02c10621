"""Explain what is focused, then the keys.

One pane that is drawn whole, on a screen that stays mounted: a key must be answered at once also where a trainer has
the processor, and laying out a box of widgets takes as long as all the rest.
"""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Key, Place, keys_of
from bptui.tui.plain import spell
from bptui.tui.spans import SpanCompositor
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import STYLES, Line, Pane

WIDEST = 110
"""Cells of the page at the most."""


class Page(Pane):
    """Lines that scroll, and how far they are scrolled."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(Snapshot(), glyphs=glyphs, id="page")
        self._title = self._text = ""
        self._place: Place = "main"
        self._folded: tuple[int, list[Line]] = (0, [])
        self.at = 0

    def put(self, title: str, text: str, place: Place) -> None:
        """Other lines, from their beginning."""
        self._title, self._text, self._place = title, text, place
        self._folded, self.at = (0, []), 0
        self.show()

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self._title} ", "title")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        rest = len(self._folded[1]) - self.at - (self.size.height - 2)
        more = [(1, f" {rest} more line{'s' * (rest > 1)}: {self.glyphs.down} pgdn ", "key")] if rest > 0 else []
        return [*more, (-1, " esc closes ", "dim")]

    def build(self, width: int, height: int) -> list[Line]:
        page = min(WIDEST, width)
        margin: Line = [(" " * ((width - page) // 2), "text")]
        return [margin + line for line in super().build(page, height)]

    def inside(self, width: int, height: int) -> list[Line]:
        if self._folded[0] != width:
            ascii_only = self.glyphs.name == "ascii"
            text = spell(self._text) if ascii_only else self._text
            lines: list[Line] = [[(line, "text")] for line in folded(text, width)]
            self._folded = (width, lines + key_table(self._place, width, ascii_only))
        lines = self._folded[1]
        self.at = max(0, min(self.at, len(lines) - height))
        return lines[self.at :]

    def scroll_by(self, lines: int) -> None:
        """Further down; negative: up."""
        self.at = max(0, self.at + lines)
        self.show()

    def on_key(self, event: events.Key) -> None:
        rows = max(1, self.size.height - 3)
        far = len(self._folded[1])
        by = {
            "down": 1, "j": 1, "up": -1, "k": -1, "pagedown": rows, "space": rows, "pageup": -rows, "end": far,
            "home": -far,
        }.get(event.key)  # fmt: skip
        if by is not None:
            event.stop()
            self.scroll_by(by)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_by(-3)


class HelpScreen(Screen[None]):
    """Text about one pane, and the table of keys of its screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"drawn--{name}" for name in STYLES}
    BINDINGS = [("escape,question_mark,q,enter,f1", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="help")
        self._compositor = SpanCompositor()
        self.page = Page(glyphs)

    def compose(self) -> ComposeResult:
        yield self.page


def folded(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells; an indented line goes on under its own second column."""
    out: list[str] = []
    for line in text.splitlines():
        lead = len(line) - len(line.lstrip())
        hang = " " * (lead + 7 if lead else 0)
        out += textwrap.wrap(line, max(20, width), subsequent_indent=hang) or [""]
    return out


def key_table(place: Place, width: int, ascii_only: bool = False) -> list[Line]:
    """Key, then its sentence under itself."""
    rows = keys_of(place)
    column = max(cell_len(_names(key)) for key in rows) + 2
    lines: list[Line] = [[]]
    for key in rows:
        lead = _names(key)
        for part in textwrap.wrap(spell(key.help) if ascii_only else key.help, max(20, width - column)):
            lines.append([(lead + " " * (column - cell_len(lead)), "key"), (part, "text")])
            lead = ""
    return lines


def _names(key: Key) -> str:
    return "i Enter" if key.keys == ("i", "enter") else key.shown
