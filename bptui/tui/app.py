"""The app: it keeps the store of one run, and gives snapshots to the screens at 4 Hz or at once.

The parts: ``link`` (the session), ``another`` (a run in the place of this one), ``leaving``, ``terminal``. Screens are
found by ``screens/registry.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from bptui.client.reference import Reference
from bptui.protocol.framing import Frame
from bptui.protocol.messages import AnyRequest, Branched, Findings, GoTo, Pace
from bptui.spec.experiment import Experiment
from bptui.tui import garbage
from bptui.tui.another import Relauncher, follow_branch, lay_beneath, machine_of, replace_run
from bptui.tui.config import ConfigError, NoticeChoice
from bptui.tui.glyphs import SETS, GlyphName
from bptui.tui.keys import Place
from bptui.tui.leaving import ExitResult, ask_to_leave
from bptui.tui.link import Connector, Link, Opener
from bptui.tui.plain import AsciiOnly
from bptui.tui.ports import ConnectionLost, Curves, RequestRefused, Session
from bptui.tui.screens.base import TransportScreen
from bptui.tui.screens.main import MainScreen
from bptui.tui.store import Snapshot, Store
from bptui.tui.terminal import Terminal
from bptui.tui.text import clean
from bptui.tui.themes import OWN

if TYPE_CHECKING:
    from textual.command import Provider

    from bptui.tui.plan import Plan
    from bptui.tui.screens.builder.draft import Machine
    from bptui.tui.screens.settings import Changed

PAINT_SECONDS = 0.25
ANSWER_SECONDS = 0.1
"""After a key the next frame belongs to its answer: neither charts nor the collector get in its way."""
NO_CONTROL = "another face has control; c takes it"


def _key_commands() -> type[Provider]:
    from bptui.tui.commands import KeyCommands  # Textual's palette takes longer to load than a first frame may

    return KeyCommands


class BptuiApp(App[ExitResult]):
    """One face of one run at a time."""

    CSS_PATH = "app.tcss"
    TITLE = "bptui"
    COMMANDS = App.COMMANDS | {_key_commands}
    BINDINGS = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True)]  # noqa: RUF012 (as Textual declares it)

    def __init__(
        self,
        open_session: Opener,
        *,
        title: str = "",
        experiment: Experiment | None = None,
        relaunch: Relauncher | None = None,
        connect: Connector | None = None,
        glyphs: GlyphName = "braille",
        curves: Callable[[], Curves] | None = None,
        theme: str = "bptui-dark",
        notices: NoticeChoice = "auto",
        remember: Callable[[str, str], None] | None = None,
        at: Reference | None = None,
        lesson: tuple[str, bool] | None = None,
    ) -> None:
        self._theme_given, self._remember = theme, remember
        super().__init__()
        for own in OWN:
            self.register_theme(own)
        self.set_reactive(App.theme, theme)
        self._at = at
        self._lesson = lesson
        if glyphs == "ascii":
            self._filters.append(AsciiOnly())
        self.experiment = experiment
        self.relaunch = relaunch
        self._curves = curves or _history_curves
        self.glyphs = SETS[glyphs]
        self._title = title
        self.store = Store(experiment, title, self._curves)
        self.link = Link(self, open_session, connect)
        self.terminal = Terminal(self, notices)
        self.main = MainScreen(self.store.snapshot, self.glyphs)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dirty = False
        self._held_back = False
        self._first_run = True
        self._discard: list[Path] = []
        self.leaving = False
        self.live_changes: list[Changed] = []
        """Settings that were changed here, the last one last."""
        self.following: set[str] = set()
        """Directories of the branches that were gone on in."""
        self.pace_wanted: float | None = None
        """Asked for and not answered yet."""

    @property
    def session(self) -> Session | None:
        return self.link.session

    def get_default_screen(self) -> Screen[Any]:
        return self.main

    def on_mount(self) -> None:
        self.set_interval(PAINT_SECONDS, self._tick)
        self.app_resume_signal.subscribe(self, lambda _: self.terminal.draw_again())
        self.call_after_refresh(self._begin)
        if self._lesson is not None:
            from bptui.tui.screens.lesson import LessonScreen

            name, again = self._lesson
            self.push_screen(LessonScreen(name, self.store.snapshot, self.glyphs, again=again))

    def _begin(self) -> None:
        """The first frame is there."""
        garbage.settle()
        self.link.begin()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self.terminal.attention.key()
        await super().on_event(event)

    def on_app_focus(self) -> None:
        self.terminal.attention.focus(True)

    def on_app_blur(self) -> None:
        self.terminal.attention.focus(False)

    def watch_theme(self, theme: str) -> None:
        """A theme that was chosen in the palette is there the next time."""
        if theme == self._theme_given or self._remember is None or not self.is_running:
            return
        self._theme_given = theme
        try:
            self._remember("theme", theme.removeprefix("bptui-"))
        except ConfigError as error:
            self.notice(clean(str(error)), "warn")

    # -- frames ------------------------------------------------------------------------------------
    def take(self, frame: Frame) -> None:
        """One frame of the session."""
        before = self.store.snapshot
        urgent = self.store.apply(frame)
        self._dirty = True
        snapshot = self.store.snapshot
        self.terminal.tell(before, snapshot)
        if self._at is not None and isinstance(frame.message, Findings):  # the last that files give
            at, self._at = self._at, None
            self.call_later(self.main.go_to, at)
        if snapshot.pace == self.pace_wanted:
            self.pace_wanted = None
        if snapshot.state == "FAILED" and snapshot.code == 2 and snapshot.step == 0 and self.session is not None:
            self._failed_at_setup(snapshot, self.session)
        if urgent:
            self.paint()

    def _failed_at_setup(self, snapshot: Snapshot, session: Session) -> None:
        if session.read_only or session.directory in self._discard or self.relaunch is None or snapshot.script:
            return  # a script's status 2 is its own affair: argparse says in its output what was wrong
        self._discard.append(session.directory)
        if self._first_run:  # what was asked for on the command line cannot run: say so there
            self.finish(ExitResult(2, (snapshot.text or "the trainer failed before its first step",)))

    def look_at(self, at: Reference | None) -> None:
        """Go to a place of the run that is being opened, once all of it has come."""
        self._at = at

    # -- painting ----------------------------------------------------------------------------------
    def _tick(self) -> None:
        self.terminal.follow_size()
        if self.terminal.attention.since_key < ANSWER_SECONDS and not self._held_back:
            self._held_back = True  # once: where keys come all the time, every second frame does
            return
        self._held_back = False
        if self._dirty and not self.terminal.behind():
            self.paint()
        if self.terminal.attention.since_key > ANSWER_SECONDS:
            garbage.rest()

    def paint(self) -> None:
        """Give the newest snapshot to the screens."""
        self._dirty = False
        if not self.is_running:
            return
        snapshot = self.store.snapshot
        for screen in self.screen_stack:
            if isinstance(screen, TransportScreen) and screen.is_mounted:
                screen.show(snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        """One line in the key bar of the screen that is seen."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, TransportScreen):
                screen.notice(text, tone)
                return

    def explain(self, title: str, text: str, place: Place) -> None:
        """Show a text and the keys of ``place``, on a screen that is made once."""
        from bptui.tui.screens.help import HelpScreen

        if not self.is_screen_installed("help"):
            self.install_screen(HelpScreen(self.glyphs), "help")
        screen = self.get_screen("help", HelpScreen)
        screen.page.put(title, text, place)
        self.push_screen(screen)

    def copy(self, text: str) -> None:
        """To the clipboard of the terminal."""
        self.terminal.copy(text)

    # -- requests ----------------------------------------------------------------------------------
    def send(self, request: AnyRequest, done: str = "", *, watching: bool = False) -> None:
        """Send one request without waiting; ``done`` is said once it is granted. ``watching``: an observer may."""
        if not watching and self.session is not None and not self._may_steer(request):
            return
        if isinstance(request, Pace):
            self.pace_wanted = request.steps_per_second
        self.spawn(self._ask_and_say(request, done))

    def _may_steer(self, request: AnyRequest) -> bool:
        snapshot = self.store.snapshot
        if snapshot.read_only and self.may_ask(request):
            return True
        if snapshot.read_only:
            past = "; g, s and S go to its steps" if self.may_ask(GoTo(step=0)) else ""
            self.notice(f"this run is shown from its files: nothing runs that could be steered{past}")
        elif snapshot.link == "ended":
            self.notice("the run has ended; R starts it again" if self.relaunch else "the run has ended")
        elif snapshot.link == "lost":
            self.notice("not connected")
        elif not snapshot.controller:
            self.notice(NO_CONTROL)
        else:
            return True
        return False

    def may_ask(self, request: AnyRequest) -> bool:
        """Whether anybody could answer: a trainer, or files that hold enough."""
        return self.session is not None and self.store.snapshot.link != "ended" and self.session.allows(request)

    async def _ask_and_say(self, request: AnyRequest, done: str) -> None:
        reply = await self.ask(request)
        granted = reply is not None
        if reply is not None and done and not isinstance(reply.message, Branched):
            self.notice(done)
        if isinstance(request, Pace) and not granted:
            self.pace_wanted = None

    async def ask(self, request: AnyRequest) -> Frame | None:
        """The reply; None where it was refused or there is no connection, which has been said then."""
        if self.session is None:
            self.notice("not connected yet")
            return None
        try:
            reply = await self.session.request(request)
        except RequestRefused as refused:
            self.notice(NO_CONTROL if refused.code == "not-controller" else clean(str(refused.message)), "warn")
        except (ConnectionLost, OSError):
            self.notice("connection lost", "bad")
        else:
            if isinstance(reply.message, Branched):
                await follow_branch(self, reply.message)
            return reply
        return None

    def spawn(self, work: Any) -> None:
        """Run a coroutine beside the app."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- another run -------------------------------------------------------------------------------
    def machine(self) -> Machine:
        """The engine and device that were asked for when the run was started."""
        return machine_of(self)

    def may_restart(self) -> bool:
        """Whether this face may put another run in the place of this one; why not is said."""
        snapshot = self.store.snapshot
        if snapshot.controller or snapshot.link != "live" or snapshot.read_only:
            return True
        self.notice(NO_CONTROL)
        return False

    def restart(self, experiment: Experiment, done: str, plan: Plan | None = None) -> None:
        """A new run of ``experiment`` in the place of this one."""
        if self.may_restart():
            self.spawn(replace_run(self, experiment, done, plan))

    def branched(self, directory: Path) -> None:
        """A run is shown from now on: where it is a branch, with its parent's curves beneath."""
        self.spawn(lay_beneath(self, directory))

    def begin_anew(self, experiment: Experiment | None) -> None:
        """Forget the run that was shown."""
        self._first_run = False
        self.live_changes.clear()
        self.experiment = experiment
        self.store = Store(experiment, self._title, self._curves)

    # -- leaving -----------------------------------------------------------------------------------
    async def action_quit(self) -> None:
        """Ctrl-Q does what q does."""
        ask_to_leave(self)

    def action_help_quit(self) -> None:
        """Ctrl-C, where nothing is selected, does what q does."""
        ask_to_leave(self)

    def finish(self, result: ExitResult) -> None:
        """Give the screen back, and ``result`` to the shell."""
        self.leaving = True
        code, snapshot = result.code, self.store.snapshot
        if code == 0 and snapshot.state == "FAILED" and snapshot.code:
            code = snapshot.code
        self.exit(ExitResult(code, result.lines, tuple(self._discard)), return_code=code)


def _history_curves() -> Curves:
    from bptui.tui.curves import HistoryCurves  # numpy: only once data come

    garbage.settle()
    return HistoryCurves()


def run(
    open_session: Opener,
    *,
    title: str = "",
    experiment: Experiment | None = None,
    relaunch: Relauncher | None = None,
    connect: Connector | None = None,
    glyphs: GlyphName = "braille",
    mouse: bool = True,
    theme: str = "bptui-dark",
    notices: NoticeChoice = "auto",
    remember: Callable[[str, str], None] | None = None,
    at: Reference | None = None,
    lesson: tuple[str, bool] | None = None,
) -> ExitResult:
    """Run the app in this terminal until its user leaves; the caller prints ``lines`` and exits with ``code``."""
    app = BptuiApp(
        open_session, title=title, experiment=experiment, relaunch=relaunch, connect=connect, glyphs=glyphs,
        theme=theme, notices=notices, remember=remember, at=at, lesson=lesson,
    )  # fmt: skip
    result = app.run(mouse=mouse)
    return result if result is not None else ExitResult(app.return_code or 0)
