"""One line that is typed: a condition, a number. What is wrong with it is said below, with its place."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from bptui.tui.widgets.field import Field


class AskScreen(ModalScreen[str | None]):
    """Gives the text once ``check`` takes it, or None. ``check`` raises ValueError; its ``at`` is shown by a caret."""

    BINDINGS = [Binding("escape", "back", "back", show=False)]  # noqa: RUF012 (as Textual declares it)

    def __init__(
        self, title: str, about: str, *, value: str = "", hint: str = "", check: Callable[[str], object] | None = None
    ) -> None:
        super().__init__()
        self._title, self._about, self._value, self._hint, self._check = title, about, value, hint, check
        self._early: str | None = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "enter takes it · esc back"
            yield Static(self._about, markup=False)
            yield Field(self._value, placeholder=self._hint, id="answer")
            yield Static("", markup=False, id="problem")

    def on_mount(self) -> None:
        field = self.query_one(Field)
        field.focus()
        if self._early:
            field.insert_text_at_cursor(self._early)
        self._early = None

    def on_key(self, event: events.Key) -> None:
        """What is typed before there is a line to type in, as over a slow connection, is not lost."""
        if self._early is not None and event.is_printable and event.character:
            event.stop()
            self._early += event.character

    def on_input_submitted(self, event: Field.Submitted) -> None:
        try:
            if self._check is not None:
                self._check(event.value)
        except ValueError as error:
            at = getattr(error, "at", -1)
            caret = f"{event.value[:60]}\n{' ' * at}^\n" if 0 <= at <= 60 and event.value else ""
            self.query_one("#problem", Static).update(f"{caret}{error}")
        else:
            self.dismiss(event.value)

    def action_back(self) -> None:
        self.dismiss(None)
