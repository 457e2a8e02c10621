"""Screens by name: ``screen('NAME')`` in the table of keys opens one. A new screen is a row here and a file.

The function of a row takes the screen on which the key was pressed, and opens its own, or says there in a notice why
it cannot. Its module is imported when it is first opened, so that no screen costs the first frame anything.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.tui.screens.base import TransportScreen

#: name: ``module:function``, of ``bptui.tui.screens``
SCREENS = {
    "breakpoints": "breakpoints:open_breakpoints",
    "builder": "builder.screen:open_builder",
    "charts": "charts:open_charts",
    "findings": "reading:open_findings",
    "go_to": "goto:open_go_to",
    "inspector": "inspector:open_inspector",
    "lens": "lens:open_lens",
    "open": "open:open_named",
    "output": "reading:open_output",
    "runs": "runs:open_runs",
    "settings": "settings:open_settings",
    "whatif": "whatif:open_whatif",
}


def opener(name: str) -> Callable[[TransportScreen], None]:
    """The function of a row."""
    module, _, function = SCREENS[name].partition(":")
    found: Callable[[TransportScreen], None] = getattr(import_module(f"bptui.tui.screens.{module}"), function)
    return found
