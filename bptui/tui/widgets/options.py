"""A list of choices in a dialog, which takes Enter from the moment its dialog is there."""

from __future__ import annotations

from typing import TypeVar

from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import OptionList

Answer = TypeVar("Answer")


class Options(OptionList):
    """The first row is chosen from the beginning: focus, and with it Textual's highlight, comes only later.

    Who types ``q`` and Enter in one go must not lose the Enter, so its dialog is an ``OptionsScreen``.
    """

    def on_mount(self) -> None:
        self.focus()
        if self.highlighted is None:
            self.action_first()

    def take(self) -> None:
        """Choose the row under the cursor, the first one where there is no cursor yet."""
        if self.highlighted is None:
            self.action_first()
        self.action_select()


class OptionsScreen(ModalScreen[Answer]):
    """A dialog that holds ``Options``: Enter chooses wherever the focus is."""

    BINDINGS = [Binding("enter", "take", "choose", show=False)]  # noqa: RUF012 (as Textual declares it)

    def action_take(self) -> None:
        self.query_one(Options).take()
