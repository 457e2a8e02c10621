"""The app: it opens a session, keeps the store, and gives snapshots to the screen at 4 Hz or at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.geometry import Size
from textual.screen import Screen

from bptui.client.reference import Reference
from bptui.protocol.framing import Frame
from bptui.protocol.messages import AnyRequest, Findings, Keep, Pace, Pause, Run, Stop
from bptui.runs.info import RunError
from bptui.spec.experiment import Experiment
from bptui.tui.config import ConfigError, NoticeChoice
from bptui.tui.glyphs import SETS, GlyphName
from bptui.tui.notices import Attention, happened, passed_through, sequence
from bptui.tui.plain import AsciiOnly
from bptui.tui.ports import ConnectionLost, Curves, RequestRefused, Session
from bptui.tui.screens.base import TransportScreen
from bptui.tui.screens.main import MainScreen
from bptui.tui.store import ENDED, Snapshot, Store
from bptui.tui.text import clean, integer, loss_text
from bptui.tui.themes import OWN

if TYPE_CHECKING:
    from textual.command import Provider

    from bptui.client.launch import Start
    from bptui.tui.plan import Plan
    from bptui.tui.screens.builder.draft import Machine
    from bptui.tui.screens.settings import Changed

PAINT_SECONDS = 0.25
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
STOP_SECONDS = 5.0
NO_CONTROL = "another face has control; c takes it"

Opener = Callable[[], Awaitable[Session]]
Connector = Callable[[Path], Awaitable[Session]]
Relauncher = Callable[..., Path]
"""Called with the experiment, and a ``client.launch.Start`` where it is not started as the run before."""


class ExitResult(msgspec.Struct, frozen=True):
    """What is left to do and to say once the screen is given back."""

    code: int = 0
    lines: tuple[str, ...] = ()
    """For standard output, or standard error where ``code`` is 2."""
    discard: tuple[Path, ...] = ()
    """Run directories whose trainer failed before its first step: their launcher removes them."""


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
        self.theme = theme
        self._notices: NoticeChoice = notices
        self._at = at
        self._lesson = lesson
        self.attention = Attention()
        self._size_seen = Size(0, 0)
        if glyphs == "ascii":
            self._filters.append(AsciiOnly())
        self._open_session = open_session
        self.experiment = experiment
        self.relaunch = relaunch
        self._connect = connect
        self._curves = curves or _history_curves
        self.glyphs = SETS[glyphs]
        self._title = title
        self.store = Store(experiment, title, self._curves)
        self.session: Session | None = None
        self.main = MainScreen(self.store.snapshot, self.glyphs)
        self._listener: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dirty = False
        self._first_run = True
        self._discard: list[Path] = []
        self._leaving = False
        self.live_changes: list[Changed] = []
        """Settings that were changed here, the last one last."""
        self.pace_wanted: float | None = None
        """Asked for and not answered yet."""

    def get_default_screen(self) -> Screen[Any]:
        return self.main

    def on_mount(self) -> None:
        self.set_interval(PAINT_SECONDS, self._tick)
        self.app_resume_signal.subscribe(self, lambda _: self._draw_again())
        self.call_after_refresh(self._begin)
        if self._lesson is not None:
            self._open_lesson(*self._lesson)

    def _open_lesson(self, name: str, again: bool) -> None:
        from bptui.tui.screens.lesson import LessonScreen

        self.push_screen(LessonScreen(name, self.store.snapshot, self.glyphs, again=again))

    # -- the terminal ------------------------------------------------------------------------------
    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self.attention.key()
        await super().on_event(event)

    def on_app_focus(self) -> None:
        self.attention.focus(True)

    def on_app_blur(self) -> None:
        self.attention.focus(False)

    def watch_theme(self, theme: str) -> None:
        """A theme that was chosen in the palette is there the next time."""
        if theme == self._theme_given or self._remember is None or not self.is_running:
            return
        self._theme_given = theme
        try:
            self._remember("theme", theme.removeprefix("bptui-"))
        except ConfigError as error:
            self.notice(clean(str(error)), "warn")

    def _draw_again(self) -> None:
        """Back from the shell: what stood on the screen is gone, so changed spans are not enough."""
        for screen in self.screen_stack:
            screen.refresh(repaint=True, layout=True)

    def _follow_size(self) -> None:
        """Make sure of the terminal's size: signals of quick resizes interrupt each other, and the last to be told
        may be an old one."""
        driver = self._driver
        if driver is None or driver.is_headless or driver.is_web or not hasattr(driver, "fileno"):
            return
        try:
            now = Size(*os.get_terminal_size(driver.fileno))
        except OSError:
            return
        if now != self.size and now == self._size_seen and now.width and now.height:
            self.post_message(events.Resize(now, now))
        self._size_seen = now

    def copy(self, text: str) -> None:
        """To the terminal's clipboard (OSC 52); inside tmux and screen also to that of the terminal outside."""
        self.copy_to_clipboard(text)
        wrapped = passed_through("\x1b]52;c;" + _base64(text) + "\x1b\\", os.environ)
        if self._driver is not None and wrapped.startswith("\x1bP"):
            self._driver.write(wrapped)

    def _tell(self, before: Snapshot) -> None:
        """The bell, or a desktop notice, about what happened while its user looks elsewhere."""
        text = happened(before, self.store.snapshot)
        if text and self.attention.elsewhere and self._driver is not None:
            self._driver.write(sequence(text, self._notices, os.environ))

    # -- the session -------------------------------------------------------------------------------
    def _begin(self) -> None:
        self._listener = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            session = await self._open_session()
            await session.start()
        except (OSError, ValueError, RuntimeError, ConnectionLost, RequestRefused) as error:
            self._finish(ExitResult(2, (_one_line(error),)))
            return
        await self._listen(session)

    async def _listen(self, session: Session) -> None:
        """Frames until the end, through lost connections."""
        while True:
            self.session = session
            self.store.connected(session.read_only)
            self._paint()
            try:
                async for frame in session.frames():
                    self._take(frame)
            except (ConnectionLost, OSError) as error:
                if self.store.snapshot.link != "ended":
                    self.store.set_link("lost", f"connection lost ({_one_line(error)}), trying again")
            if self.store.snapshot.link == "ended" or self._leaving:
                self._paint()
                return
            if self.store.snapshot.link == "live":
                self.store.set_link("lost", "connection lost, trying again")
            self._paint()
            again = await self._again(session)
            if again is None:
                return
            session = again

    async def _again(self, lost: Session) -> Session | None:
        """The same run once more; None where nothing can be done."""
        await _close(lost)
        if self._connect is None:
            self.store.set_link("lost", "connection lost; q leaves")
            self._paint()
            return None
        attempt = 0
        while True:
            delay = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
            await asyncio.sleep(delay)
            attempt += 1
            try:
                session = await self._connect(lost.directory)
                await session.start()
            except (OSError, ValueError, RuntimeError, ConnectionLost, RequestRefused) as error:
                self.store.set_link("lost", f"connection lost, tried {attempt}×: {_one_line(error)}")
                self._paint()
            else:
                return session

    def _take(self, frame: Frame) -> None:
        before = self.store.snapshot
        urgent = self.store.apply(frame)
        self._dirty = True
        snapshot = self.store.snapshot
        self._tell(before)
        if self._at is not None and isinstance(frame.message, Findings):  # the last that files give
            at, self._at = self._at, None
            self.call_later(self.main.go_to, at)
        if snapshot.pace == self.pace_wanted:
            self.pace_wanted = None
        if snapshot.state == "FAILED" and snapshot.code == 2 and snapshot.step == 0 and self.session is not None:
            self._failed_at_setup(snapshot, self.session)
        if urgent:
            self._paint()

    def _failed_at_setup(self, snapshot: Snapshot, session: Session) -> None:
        if session.read_only or session.directory in self._discard or self.relaunch is None:
            return
        self._discard.append(session.directory)
        if self._first_run:  # what was asked for on the command line cannot run: say so there
            self._finish(ExitResult(2, (snapshot.text or "the trainer failed before its first step",)))

    # -- painting ----------------------------------------------------------------------------------
    def _tick(self) -> None:
        self._follow_size()
        if self._dirty and not self._behind():
            self._paint()

    def _behind(self) -> bool:
        """Whether the terminal has not taken yet what was painted before: a slow line gets fewer frames, no queue."""
        writes = getattr(getattr(self._driver, "_writer_thread", None), "_queue", None)
        return writes is not None and writes.qsize() > 0

    def _paint(self) -> None:
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

    # -- requests ----------------------------------------------------------------------------------
    def send(self, request: AnyRequest, done: str = "", *, watching: bool = False) -> None:
        """Send one request without waiting; ``done`` is said once it is granted. ``watching``: an observer may."""
        if not watching and self.session is not None and not self._may_steer():
            return
        if isinstance(request, Pace):
            self.pace_wanted = request.steps_per_second
        self._spawn(self._ask_and_say(request, done))

    def _may_steer(self) -> bool:
        snapshot = self.store.snapshot
        if snapshot.read_only:
            self.notice("this run is shown from its files: nothing runs that could be steered")
        elif snapshot.link == "ended":
            self.notice("the run has ended; R starts it again" if self.relaunch else "the run has ended")
        elif snapshot.link == "lost":
            self.notice("not connected")
        elif not snapshot.controller:
            self.notice(NO_CONTROL)
        else:
            return True
        return False

    async def _ask_and_say(self, request: AnyRequest, done: str) -> None:
        granted = await self.ask(request) is not None
        if granted and done:
            self.notice(done)
        if isinstance(request, Pace) and not granted:
            self.pace_wanted = None

    async def ask(self, request: AnyRequest) -> Frame | None:
        """The reply; None where it was refused or there is no connection, which has been said then."""
        if self.session is None:
            self.notice("not connected yet")
            return None
        try:
            return await self.session.request(request)
        except RequestRefused as refused:
            self.notice(NO_CONTROL if refused.code == "not-controller" else clean(str(refused.message)), "warn")
        except (ConnectionLost, OSError):
            self.notice("connection lost", "bad")
        return None

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- another run -------------------------------------------------------------------------------
    def machine(self) -> Machine:
        """The engine and device that were asked for when the run was started."""
        from bptui.runs.info import read_info
        from bptui.tui.screens.builder.draft import Machine

        with contextlib.suppress(RunError):
            if self.session is not None:
                info = read_info(self.session.directory)
                return msgspec.convert({"engine": info.engine, "device": info.device}, Machine)
        return Machine()

    def build(self, plan: Plan) -> None:
        """What the builder asks for."""
        if not plan.keep:
            self.restart(plan.experiment, "changed, and started anew: space runs it", plan)
        else:
            self.restart(plan.experiment, "changed, with the weights that fit: space runs it", plan)

    def may_restart(self) -> bool:
        """Whether this face may put another run in the place of this one; why not is said."""
        snapshot = self.store.snapshot
        if snapshot.controller or snapshot.link != "live" or snapshot.read_only:
            return True
        self.notice(NO_CONTROL)
        return False

    def restart(self, experiment: Experiment, done: str, plan: Plan | None = None) -> None:
        """Launch a new run of ``experiment``, stop the old one and look at the new one."""
        if not self.may_restart():
            return
        self._spawn(self._restart(experiment, done, plan))

    async def _restart(self, experiment: Experiment, done: str, plan: Plan | None) -> None:
        assert self.relaunch is not None
        if self._connect is None:
            return
        try:
            start = await self._start_of(plan) if plan is not None else None
            directory = await asyncio.to_thread(self.relaunch, experiment, *([start] if start is not None else []))
            session = await self._connect(directory)
            await session.start()
        except (OSError, ValueError, RuntimeError, ConnectionLost, RequestRefused) as error:
            self.notice(_one_line(error), "bad")
            return
        old, listener = self.session, self._listener
        if listener is not None:
            listener.cancel()
        if old is not None:
            if self.store.snapshot.link == "live" and not old.read_only:
                with contextlib.suppress(ConnectionLost, RequestRefused, OSError):  # it may have ended by itself
                    await old.request(Stop())
            await _close(old)
        self._first_run = False
        self.live_changes.clear()
        self.experiment = experiment
        self.store = Store(experiment, self._title, self._curves)
        self._listener = asyncio.create_task(self._listen(session))
        self.notify(done, timeout=3)

    async def _start_of(self, plan: Plan) -> Start | None:
        """How a planned run is started; None: as the run before it. A keyframe of the present state comes first."""
        from bptui.client.launch import Start

        weights = ""
        if plan.keep and (session := self.session) is not None:
            if self.store.snapshot.link == "live" and not session.read_only:
                with contextlib.suppress(RequestRefused):  # it has ended meanwhile, and left a keyframe
                    await session.request(Keep())
            from bptui.runs.keyframes import keyframes

            kept = await asyncio.to_thread(keyframes, session.directory)
            if not kept:
                raise RunError("the run has kept no weights to go on with")
            weights = str(kept[-1].path)
        start = Start(engine=plan.engine, device=plan.device, weights=weights)
        return start if start != Start() else None

    # -- leaving -----------------------------------------------------------------------------------
    async def action_quit(self) -> None:
        """Ctrl-Q does what q does."""
        self.leave()

    def action_help_quit(self) -> None:
        """Ctrl-C, where nothing is selected, does what q does."""
        self.leave()

    def leave(self) -> None:
        """At once when nothing runs, else ask."""
        from bptui.tui.screens.leave import LeaveScreen, choices

        snapshot = self.store.snapshot
        options = choices(snapshot)
        if not options:
            self._spawn(self._leave("leave"))
        elif not isinstance(self.screen, LeaveScreen):
            self.push_screen(LeaveScreen(snapshot.state, options), self._left)

    def _left(self, choice: str | None) -> None:
        if choice not in (None, "cancel"):
            self._spawn(self._leave(str(choice)))

    async def _leave(self, choice: str) -> None:
        if self._leaving:
            return
        self._leaving = True
        session = self.session
        if session is None:
            if self._listener is not None:
                self._listener.cancel()
            self._finish(ExitResult(0))
            return
        if choice == "stop" and await self.ask(Stop()) is not None:
            await self._until_ended()
        elif choice == "resume":
            await self.ask(Run())
        elif choice == "pause":
            await self.ask(Pause())
        if self._listener is not None:
            self._listener.cancel()
        lines = farewell(self.store.snapshot, session, choice)  # closing is a lost connection to the listener
        await _close(session)
        self._finish(ExitResult(0, lines))

    async def _until_ended(self) -> None:
        with contextlib.suppress(TimeoutError):  # it ends after its step; the run directory will say so
            async with asyncio.timeout(STOP_SECONDS):
                while self.store.snapshot.code is None and self.store.snapshot.link == "live":
                    await asyncio.sleep(0.02)

    def _finish(self, result: ExitResult) -> None:
        self._leaving = True
        discard = tuple(self._discard)
        code = result.code
        if code == 0 and self.store.snapshot.state == "FAILED" and self.store.snapshot.code:
            code = self.store.snapshot.code
        self.exit(ExitResult(code, result.lines, discard), return_code=code)


def farewell(snapshot: Snapshot, session: Session, choice: str = "leave") -> tuple[str, ...]:
    """Run, result, directory and how to come back, for the shell. ``choice``: as in ``screens.leave``."""
    state = {"resume": "RUNNING", "stop": "STOPPED"}.get(choice, snapshot.shown_state)
    ended = snapshot.code is not None or snapshot.link == "ended" or state in ENDED
    words = {"RUNNING": "training goes on", "PAUSED": "paused"}.get(state, state.lower())
    result = [f"{words} at step {integer(snapshot.step)}"]
    if snapshot.curves is not None:
        for series, word in (("loss", "loss"), ("val_loss", "validation loss")):
            if (value := snapshot.curves.latest(series)) is not None:
                result.append(f"{word} {loss_text(value)}")
        if (value := snapshot.curves.latest("val_accuracy")) is not None:
            result.append(f"validation accuracy {value * 100:.1f} %")
    lines = [f"run     {clean(session.run)}" + (f" ({snapshot.model.title})" if snapshot.model.title else "")]
    if snapshot.step == 0 and snapshot.state in ("READY", "STARTING") and not ended:
        return (*lines, "result  never started, nothing kept")
    lines.append("result  " + ", ".join(result))
    if snapshot.state == "FAILED" and snapshot.text:
        lines.append(f"        {snapshot.text}")
    lines.append(f"files   {clean(str(session.directory))}")
    lines.append(f"again   bptui {'open' if ended else 'attach'} {clean(session.run)}")
    return tuple(lines)


async def _close(session: Session) -> None:
    with contextlib.suppress(ConnectionLost, OSError):  # gone already
        await session.close(leave=True)


def _one_line(error: BaseException) -> str:
    text = str(getattr(error, "message", "")) or str(error) or type(error).__name__
    return clean(text.splitlines()[0] if text.splitlines() else text, 400)


def _base64(text: str) -> str:
    from base64 import b64encode

    return b64encode(text.encode()).decode()


def _history_curves() -> Curves:
    from bptui.tui.curves import HistoryCurves  # numpy: only once data come

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
