"""Explain what is focused, then the keys."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from bptui.tui.keys import Place, keys_of


class HelpScreen(ModalScreen[None]):
    """Text about one pane, and the table of keys of its screen."""

    BINDINGS = [("escape,question_mark,q,enter", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, title: str, text: str, place: Place) -> None:
        super().__init__()
        self._title, self._text, self._place = title, text, place

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box wide reading") as box:
            box.border_title = self._title
            box.border_subtitle = "esc closes"
            yield Static(Content(self._text))
            yield Static(key_table(self._place))

    def action_dismiss_none(self) -> None:
        self.dismiss(None)


def key_table(place: Place) -> Content:
    """Key, then its sentence, a line each."""
    rows = keys_of(place)
    width = max(cell_len(_names(key.keys, key.shown)) for key in rows)
    parts: list[Content] = [Content("\n")]
    for key in rows:
        names = _names(key.keys, key.shown)
        parts.append(Content.styled(names + " " * (width - cell_len(names) + 2), "bold $primary"))
        parts.append(Content(key.help + "\n"))
    return Content("").join(parts)


def _names(keys: tuple[str, ...], shown: str) -> str:
    return "i Enter" if "enter" in keys else shown
