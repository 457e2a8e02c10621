"""``g``: to any step of what was recorded."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bptui.protocol.messages import GoTo
from bptui.tui.screens.base import TransportScreen
from bptui.tui.steps import step_of
from bptui.tui.widgets.field import Field
from bptui.tui.widgets.options import Options, OptionsScreen


class GoToScreen(ModalScreen[int | None]):
    """Asks for a step; gives it, or None."""

    BINDINGS = [Binding("escape", "back", "back", show=False)]  # noqa: RUF012 (as Textual declares it)

    def __init__(self, *, step: int, head: int, steps_per_epoch: int) -> None:
        super().__init__()
        self._step, self._head, self._steps_per_epoch = step, head, steps_per_epoch

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Go to"
            box.border_subtitle = "enter goes · esc back"
            yield Static(f"recorded: step 0 to {self._head:,}", markup=False)
            yield Field(placeholder="1284   +100   -10   epoch 3   end", id="where")
            yield Static("", markup=False, id="problem")

    def on_mount(self) -> None:
        self.query_one(Field).focus()

    def on_input_submitted(self, event: Field.Submitted) -> None:
        try:
            wanted = step_of(event.value, step=self._step, head=self._head, steps_per_epoch=self._steps_per_epoch)
        except ValueError as error:
            self.query_one("#problem", Static).update(str(error))
        else:
            self.dismiss(wanted)

    def action_back(self) -> None:
        self.dismiss(None)


class KeptScreen(OptionsScreen[int | None]):
    """A script cannot rewind: its kept snapshots, the newest first."""

    BINDINGS = [Binding("escape,q,g", "dismiss(None)", "back", show=False)]  # noqa: RUF012 (as Textual declares it)

    def __init__(self, steps: list[int]) -> None:
        super().__init__()
        self._steps = steps

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Roll back"
            box.border_subtitle = "enter rolls back · esc back"
            yield Static(
                "A script cannot rewind. A snapshot brings back weights, buffers and the optimiser; its data, "
                "schedule and variables go on.", markup=False,
            )  # fmt: skip
            yield Options(*(Option(f"step {step:,}", id=str(step)) for step in self._steps), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option_id or 0))


def open_kept(below: TransportScreen) -> None:
    """Ask for a kept snapshot, and roll back to it."""
    session = below.face.session
    if session is None or below.snapshot.read_only or below.snapshot.link == "ended":
        below.notice("the script has ended: there is nothing to roll back")
        return
    steps = sorted((int(path.stem) for path in session.directory.glob("keyframes/*.safetensors")), reverse=True)
    if not steps:
        below.notice("a script cannot rewind, and no snapshot is kept yet: K keeps one")
        return

    def go(step: int | None) -> None:
        if step is not None:
            said = f"weights and optimiser of step {step:,} are back; data and schedule go on"
            below.face.send(GoTo(step=step), said)

    below.app.push_screen(KeptScreen(steps), go)


def open_go_to(below: TransportScreen) -> None:
    """Ask for a step, and go there."""

    if below.snapshot.script:
        open_kept(below)
        return

    def go(step: int | None) -> None:
        if step is not None:
            below.face.send(GoTo(step=step))

    snapshot = below.snapshot
    head = snapshot.curves.last_step + 1 if snapshot.curves is not None else snapshot.step
    asked = GoToScreen(step=snapshot.step, head=head, steps_per_epoch=snapshot.model.steps_per_epoch)
    below.app.push_screen(asked, go)
