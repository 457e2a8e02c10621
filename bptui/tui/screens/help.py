"""Explain what is focused, then the keys."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from bptui.tui.keys import Key, Place, keys_of

WIDTH = 110
"""Cells of the box, as in app.tcss."""


class HelpScreen(ModalScreen[None]):
    """Text about one pane, and the table of keys of its screen."""

    BINDINGS = [("escape,question_mark,q,enter", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, title: str, text: str, place: Place) -> None:
        super().__init__()
        self._title, self._text, self._place = title, text, place

    def compose(self) -> ComposeResult:
        width = min(WIDTH, int(self.app.size.width * 0.96)) - 7  # frame, padding, scroll bar
        with VerticalScroll(classes="box wide reading") as box:
            box.border_title = self._title
            box.border_subtitle = "esc closes"
            yield Static(Content("\n".join(folded(self._text, width))))
            yield Static(key_table(self._place, width))


def folded(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells; an indented line goes on under its own second column."""
    out: list[str] = []
    for line in text.splitlines():
        lead = len(line) - len(line.lstrip())
        hang = " " * (lead + 7 if lead else 0)
        out += textwrap.wrap(line, max(20, width), subsequent_indent=hang) or [""]
    return out


def key_table(place: Place, width: int) -> Content:
    """Key, then its sentence under itself."""
    rows = keys_of(place)
    column = max(cell_len(_names(key)) for key in rows) + 2
    parts: list[Content] = [Content("\n")]
    for key in rows:
        names = _names(key)
        parts.append(Content.styled(names + " " * (column - cell_len(names)), "bold $text-primary"))
        indent = "\n" + " " * column
        parts.append(Content(indent.join(textwrap.wrap(key.help, max(20, width - column))) + "\n"))
    return Content("").join(parts)


def _names(key: Key) -> str:
    return "i Enter" if "enter" in key.keys else key.shown
