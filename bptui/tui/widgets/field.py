"""An input line whose keys take effect in the order in which they were typed."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

#: Keys of editing → the action of ``Input`` that each runs.
_EDITING = {
    "backspace": "delete_left", "ctrl+h": "delete_left", "delete": "delete_right", "ctrl+d": "delete_right",
    "left": "cursor_left", "right": "cursor_right", "home": "home", "ctrl+a": "home", "end": "end", "ctrl+e": "end",
    "ctrl+w": "delete_left_word", "ctrl+u": "delete_left_all", "ctrl+k": "delete_right_all",
}  # fmt: skip


class Field(Input):
    """``Input`` inserts a character at once, but lets a key of editing travel up to the app before it acts.

    Keys that arrive together, as over a slow line, would then take effect in another order: ``1``,
    backspace, ``2`` would leave ``1``. Here the keys of editing act at once too.
    """

    async def _on_key(self, event: events.Key) -> None:
        action = _EDITING.get(event.key)
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            await self.action_submit()
        elif action is not None:
            event.stop()
            event.prevent_default()
            getattr(self, f"action_{action}")()
        else:
            await super()._on_key(event)
