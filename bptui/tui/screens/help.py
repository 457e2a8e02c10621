"""Explain what is focused, then the keys."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen

from bptui.tui.glyphs import ASCII
from bptui.tui.keys import Key, Place, keys_of
from bptui.tui.plain import spell
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import STYLES, Drawn, Line

WIDTH = 110
"""Cells of the box, as in app.tcss."""


class Lines(Drawn):
    """Lines as tall as they are many. (A ``Static`` lays the same text out three times, which a key can feel.)"""

    def __init__(self, lines: list[Line]) -> None:
        super().__init__(Snapshot())
        self._lines = lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines)

    def build(self, width: int, height: int) -> list[Line]:
        return self._lines


class HelpScreen(ModalScreen[None]):
    """Text about one pane, and the table of keys of its screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"drawn--{name}" for name in STYLES}
    BINDINGS = [("escape,question_mark,q,enter", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, title: str, text: str, place: Place) -> None:
        super().__init__()
        self._title, self._text, self._place = title, text, place

    def compose(self) -> ComposeResult:
        ascii_only = getattr(self.app, "glyphs", None) is ASCII
        text = spell(self._text) if ascii_only else self._text
        width = min(WIDTH, int(self.app.size.width * 0.96)) - 7  # frame, padding, scroll bar
        with VerticalScroll(classes="box wide reading") as box:
            box.border_title = self._title
            box.border_subtitle = "esc closes"
            yield Lines([[(line, "text")] for line in folded(text, width)] + key_table(self._place, width, ascii_only))


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
