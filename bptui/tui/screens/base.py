"""What the main screen and the inspector share: bindings from the table of keys, and the transport."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from bptui.client.reference import Reference
from bptui.protocol.messages import Back, Keep, MicroStep, Pace, Pause, Run, Step, TakeControl
from bptui.tui.keys import Place, keys_of, why_not
from bptui.tui.leaving import ask_to_leave
from bptui.tui.screens.registry import opener
from bptui.tui.spans import SpanCompositor
from bptui.tui.store import Snapshot
from bptui.tui.text import clean
from bptui.tui.widgets.header import pace_word
from bptui.tui.widgets.pane import STYLES

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp

PACES = (-1.0, 1.0, 10.0, 50.0, 100.0, 0.0)
"""From micro-play to as fast as it goes."""


def bindings(place: Place, first: bool = True) -> list[BindingType]:
    """The table's rows as bindings; transport keys go ``first``, before whatever has the focus."""
    return [
        Binding(",".join(key.keys), key.action, key.label, show=False, priority=key.transport and first)
        for key in keys_of(place)
    ]


def next_pace(pace: float, by: int) -> float:
    """The next pace of PACES above (``by`` 1) or below (−1)."""
    order = [float("inf") if p == 0 else p for p in PACES]
    now = float("inf") if pace == 0 else pace
    wanted = [p for p in order if p > now] if by > 0 else [p for p in reversed(order) if p < now]
    chosen = wanted[0] if wanted else now
    return 0.0 if chosen == float("inf") else chosen


class TransportScreen(Screen[None]):
    """A screen in which space, s, n, +, - steer the trainer; it holds the styles of all that is drawn in it."""

    PLACE: ClassVar[Place] = "main"
    """Whose rows of the table of keys are this screen's."""
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"drawn--{name}" for name in STYLES}

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual's, which repaints the whole screen when the focus moves: here the panes repaint their frames."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._compositor = SpanCompositor()

    @property
    def face(self) -> BptuiApp:
        return cast("BptuiApp", self.app)

    @property
    def snapshot(self) -> Snapshot:
        return self.face.store.snapshot

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""

    def notice(self, text: str, tone: str = "info") -> None:
        """Say one line."""

    def has(self, action: str) -> bool:
        """Whether this kind of run has the action of a row of the table of keys; why not is said."""
        why = why_not(action, self.snapshot.script)
        if why:
            self.notice(why)
        return not why

    def action_run_pause(self) -> None:
        self.face.send(Pause() if self.snapshot.state in ("RUNNING", "WAITING") else Run())

    def action_step(self) -> None:
        self.face.send(Pause() if self.snapshot.state == "RUNNING" else Step())

    def action_micro_step(self) -> None:
        if self.has("micro_step"):
            self.face.send(Pause() if self.snapshot.state == "RUNNING" else MicroStep())

    def action_step_back(self) -> None:
        self._back(Back())

    def action_micro_back(self) -> None:
        self._back(Back(micro=True))

    def _back(self, request: Back) -> None:
        if self.snapshot.script:  # it cannot rewind
            opener("go_to")(self)
        else:
            self.face.send(request)

    def action_keep(self) -> None:
        self.face.send(Keep(), "a snapshot of the weights is kept; g goes back to it")

    def action_pace(self, by: int) -> None:
        if not self.has(f"pace({by})"):
            return
        wanted = self.face.pace_wanted  # a second press counts from the first, also before the trainer has answered
        pace = next_pace(self.snapshot.pace if wanted is None else wanted, by)
        word = {"micro": "micro-play", "max": "as fast as it goes"}.get(pace_word(pace), f"{pace:g} steps/s")
        self.face.send(Pace(steps_per_second=pace), f"pace: {word}")

    def action_take_control(self) -> None:
        if self.snapshot.controller:
            self.notice("you have control already")
        else:
            self.face.send(TakeControl(), "you have control now", watching=True)

    def work(
        self, group: str, function: Callable[..., Coroutine[Any, Any, None]], *given: Any, alone: bool = True
    ) -> None:
        """Run ``function(*given)`` beside the keys; ``alone``: in the place of what its group is doing.

        The coroutine is made when its turn comes, so that one that is taken back before leaves nothing unawaited.
        """
        begin: Any = partial(function, *given)
        self.run_worker(begin, group=group, exclusive=alone)

    def place(self) -> tuple[Reference, str] | None:
        """What is under the cursor, and its value in words; None: nothing."""
        return None

    def reference(self, step: int, layer: str = "", quantity: str = "", cell: tuple[int, ...] = ()) -> Reference:
        """A place in the run that is shown."""
        session = self.face.session
        return Reference(clean(session.run) if session is not None else "?", step, layer, quantity, cell)

    def action_copy(self) -> None:
        found = self.place()
        if found is None:
            self.notice("nothing here to copy")
            return
        where, value = found
        text = f"{where} = {value}" if value else str(where)
        self.face.copy(text)
        self.notice(f"copied {text}")

    def action_screen(self, name: str) -> None:
        """Open a screen of the registry."""
        if self.has(f"screen('{name}')"):
            opener(name)(self)

    def action_suspend(self) -> None:
        driver = self.app._driver
        if driver is None or not driver.can_suspend:
            self.notice("there is no shell here to go back to")
        else:
            self.app.action_suspend_process()

    def action_palette(self) -> None:
        self.app.action_command_palette()

    def action_leave(self) -> None:
        ask_to_leave(self.face)

    def action_explain(self) -> None:
        self.face.explain(*self.explanation())

    def explanation(self) -> tuple[str, str, Place]:
        """Title and text about what is focused, and whose keys to list."""
        raise NotImplementedError
