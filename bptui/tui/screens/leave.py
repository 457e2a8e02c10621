"""What to do with a run that has not ended, when its user leaves."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bptui.tui.store import Snapshot
from bptui.tui.widgets.options import Options, OptionsScreen

RUNNING = (
    ("detach", "Detach: training goes on without a screen"),
    ("stop", "Stop after this step and keep the run"),
    ("cancel", "Stay here"),
)
PAUSED = (
    ("resume", "Resume, and detach: training goes on without a screen"),
    ("detach", "Detach: it stays paused"),
    ("stop", "Stop and keep the run"),
    ("cancel", "Stay here"),
)


HELD = (
    ("resume", "Let the script end with its exception"),
    ("detach", "Detach: it stays held"),
    ("cancel", "Stay here"),
)


def choices(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """Options for this state, the first one for Enter; empty: leave at once."""
    if snapshot.link != "live" or snapshot.read_only or snapshot.code is not None or not snapshot.controller:
        return ()  # an observer's going changes nothing
    if snapshot.state == "WAITING" or (snapshot.state == "RUNNING" and snapshot.script):
        return tuple((name, text.replace("training", "the script")) for name, text in RUNNING)
    return {"RUNNING": RUNNING, "PAUSED": PAUSED, "HELD": HELD}.get(snapshot.state, ())


class LeaveScreen(OptionsScreen[str]):
    """Gives back one of ``detach``, ``stop``, ``resume``, ``cancel``."""

    BINDINGS = [("escape,q", "dismiss('cancel')", "Stay")]  # noqa: RUF012

    def __init__(self, state: str, options: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self._state = state
        self._options = options

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Leave"
            yield Static(f"The run is {self._state}. What shall become of it?", markup=False)
            yield Options(*(Option(text, id=name) for name, text in self._options), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "cancel")
