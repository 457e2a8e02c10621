"""A list of choices in a dialog, which takes Enter from the moment its dialog is there."""

from __future__ import annotations

from textual.widgets import OptionList


class Options(OptionList):
    """The first row is chosen from the beginning: focus, and with it Textual's highlight, comes only later.

    Who types ``q`` and Enter in one go must not lose the Enter, so a dialog binds ``enter`` to ``take`` as well.
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
