"""Faces without a screen: ``bptui train`` follows its run to the end; ``pause``, ``resume``, ``stop`` say one word."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from bptui.client.connect import RunHasEnded, connect
from bptui.client.launch import discard
from bptui.client.session import ConnectionLost, RequestRefused, Session
from bptui.protocol.framing import Frame
from bptui.protocol.messages import Findings, LogChunk, ModelInfo, Pause, Run, Status, Stop, TakeControl
from bptui.runs.history import History
from bptui.runs.info import RunError, alive, read_info, write_output
from bptui.runs.output import escape
from bptui.runs.report import encode, report
from bptui.spec.load import sizes

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds between two plain lines while an epoch takes long.
_LINE_EVERY = 10.0
_SEVERITY = {"info": 0, "warning": 1, "error": 2}
_VERBS = {"pause": (Pause, "paused"), "resume": (Run, "running"), "stop": (Stop, "stopped")}


class HeadlessError(ValueError):
    """A run that cannot be followed or told anything; one line."""


def follow(directory: Path, *, report: Path | None, fail_on: str | None, quiet: bool) -> int:
    """Stay until the run has ended; returns the exit status that DESIGN §5 gives it."""
    return asyncio.run(_Follower(directory, quiet).run(report, fail_on))


def command(directory: Path, verb: str) -> int:
    """Pause, resume or stop a live run, taking control for that word."""
    return asyncio.run(_command(directory, verb))


async def _command(directory: Path, verb: str) -> int:
    info = read_info(directory)
    if not (alive(info.trainer_pid, info.trainer_start) or alive(info.hub_pid, info.hub_start)):
        raise HeadlessError(f"{escape(info.id)}: this run has ended; nothing to {verb}")
    message, done = _VERBS[verb]
    session = connect(directory, role="observer")
    try:
        await session.start()
        await session.request(TakeControl())
        reply = await session.request(message())
    except RequestRefused as error:
        raise HeadlessError(f"{escape(info.id)}: {error}") from None
    except ConnectionLost:
        raise HeadlessError(f"{escape(info.id)}: the run ended before it answered") from None
    finally:
        await session.close()
    print(f"{escape(info.id)}  {done} at step {getattr(reply.message, 'step', 0):,}")
    return 0


class _Follower:
    """Shows a run's progress and knows how it ended."""

    def __init__(self, directory: Path, quiet: bool) -> None:
        self.directory = directory
        self.history = History()
        self.status: Status | None = None
        self.model: ModelInfo | None = None
        self.findings: Findings | None = None
        self.interrupts = 0
        self._told = ""
        self._offset = 0
        self._session: Session | None = None
        self._display: _Display = _Silent() if quiet else _Bar() if sys.stdout.isatty() else _Lines()

    async def run(self, report_path: Path | None, fail_on: str | None) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupted, number)
        with self._display:
            lost = await self._follow()
        return self._conclude(report_path, fail_on, lost)

    def _interrupted(self, number: int) -> None:
        """The first asks the trainer to stop after its step; the second kills it."""
        self.interrupts += 1
        if self.interrupts == 1 and self._session is not None:
            self._stopping = asyncio.ensure_future(self._ask_to_stop(self._session))
        elif self.interrupts > 1:
            info = read_info(self.directory)
            if alive(info.trainer_pid, info.trainer_start):
                os.kill(info.trainer_pid, signal.SIGKILL)

    async def _ask_to_stop(self, session: Session) -> None:
        with contextlib.suppress(RequestRefused, ConnectionLost):
            await session.request(Stop())

    async def _follow(self) -> str:
        """Frames until the run has ended; a hub that is lost or ended is replaced while the trainer lives.

        Returns why the run could not be followed to its end; empty: it was.
        """
        while True:
            session = connect(self.directory, role="controller", owner=True, offset=self._offset)
            try:
                await session.start()
            except RunHasEnded:
                return ""
            except ConnectionLost as error:
                return str(error)
            leave = False  # whatever ends this face before the run has ended (a pipe closed) ends the trainer too
            try:
                self._session = session
                if self.interrupts:
                    await self._ask_to_stop(session)
                with contextlib.suppress(ConnectionLost):
                    async for frame in session.frames():
                        self._take(frame)
                        if self._ended():
                            break
                leave = True
            finally:
                self._offset = session.offset
                await session.close(leave)
            if self._ended() or not self._trains():
                return ""

    def _ended(self) -> bool:
        return self.status is not None and self.status.code is not None

    def _trains(self) -> bool:
        info = read_info(self.directory)
        return info.end is None and alive(info.trainer_pid, info.trainer_start)

    def _take(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, LogChunk):
            self.history.feed(frame.raw(message.data))
        elif isinstance(message, Status):
            if message.state == "PAUSED" and message.text and message.text != self._told:
                self._told = message.text
                self._display.say(f"{message.text}: bptui attach {self.directory.name} looks, bptui resume … goes on")
            self.status = message
        elif isinstance(message, ModelInfo):
            self.model = message
        elif isinstance(message, Findings):
            self.findings = message
        if self.status is not None and self.model is not None:
            self._display.show(self.model, self.status, self.history)

    def _conclude(self, report_path: Path | None, fail_on: str | None, lost: str) -> int:
        """Say the result; remove a run that could not begin. ``lost``: why it was not followed to its end."""
        try:
            content = report(self.directory)
        except RunError as error:
            raise HeadlessError(str(error)) from None
        end = content["exit"]
        if end["code"] == 2 and content["steps"] == 0:
            _discard(self.directory)
            raise HeadlessError(escape(str(end["error"])))
        if lost and content["steps"] == 0:
            if not self._trains():
                _discard(self.directory)
            raise HeadlessError(escape(lost))
        if report_path is not None:
            write_output(report_path, encode(content))
        print(_summary(content))
        for finding in content["findings"]:
            print(f"  {_GLYPHS[finding['severity']]} {finding['fault']}: {escape(finding['message'])}")
        print(f"  run {escape(content['run'])}   {escape(str(self.directory))}")
        if end["error"]:
            print(f"bptui: {escape(str(end['error']))}", file=sys.stderr)
        if lost:
            print(f"bptui: {escape(lost)}", file=sys.stderr)
        if self.interrupts:
            return 130
        if end["code"] or lost:
            return 1
        worst = max((_SEVERITY[finding["severity"]] for finding in content["findings"]), default=-1)
        return 1 if fail_on is not None and worst >= _SEVERITY[fail_on] else 0


_GLYPHS = {"error": "✖", "warning": "▲", "info": "·"}


def _discard(directory: Path) -> None:
    """Remove a run that never began, once its hub has let go of it."""
    info = read_info(directory)
    deadline = time.monotonic() + 3
    while alive(info.hub_pid, info.hub_start) and time.monotonic() < deadline:
        time.sleep(0.02)
    discard(directory)


def _summary(content: dict) -> str:  # type: ignore[type-arg]
    """``completed · 900 steps in 1.2 s · val_accuracy 0.9721 …``."""
    metrics = content["metrics"]
    shown = [name for name in _SHOWN if name in metrics]
    figures = "  ".join(f"{name} {metrics[name]:.4g}" for name in shown)
    wall = content["timing"]["wall_s"]
    return f"{content['exit']['reason']} · {content['steps']:,} steps in {wall:.1f} s · {figures}"


_SHOWN = ("train_loss", "val_loss", "val_accuracy", "val_r2", "test_accuracy", "test_r2")


class _Display(Protocol):
    """What ``follow`` shows while a run goes on."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, model: ModelInfo, status: Status, history: History) -> None: ...
    def say(self, text: str) -> None: ...


class _Silent:
    def say(self, text: str) -> None:
        """One line that is no progress."""
        print(escape(text), flush=True)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        """Nothing."""


class _Lines(_Silent):
    """One line an epoch, or every ten seconds where epochs are long: for pipes and log files."""

    def __init__(self) -> None:
        self._began = False
        self._said: tuple[int, float] = (0, time.monotonic())

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        if not self._began:
            self._began = True
            print(
                f"{_title(model)} · {model.engine} {model.dtype} on {model.device} ({escape(model.engine_reason)})",
                flush=True,
            )
        last = history.last("loss")
        if last is None:
            return
        done = last[0] + 1  # the figures are those of the history, which may lag behind the status
        epoch = done // max(model.steps_per_epoch, 1)
        epoch_said, when = self._said
        if epoch > epoch_said or time.monotonic() - when > _LINE_EVERY:
            self._said = (epoch, time.monotonic())
            print(f"epoch {epoch}{_total(model)}  step {done:,}  {_figures(history)}", flush=True)


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: object = None

    def __enter__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str) -> None:
        assert self._progress is not None
        self._progress.print(escape(text), markup=False)

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        assert self._progress is not None
        if self._task is None:
            self._task = self._progress.add_task(_title(model), total=model.total_steps, figures="")
        figures = _figures(history) + (f"  {status.steps_per_second:,.0f} steps/s" if status.steps_per_second else "")
        self._progress.update(self._task, completed=status.step, figures=figures)  # type: ignore[arg-type]


def _title(model: ModelInfo) -> str:
    return escape(f"{model.title} · {sizes([model.features, *(layer.shape[-1] for layer in model.layers)])}")


def _total(model: ModelInfo) -> str:
    if model.total_steps is None or not model.steps_per_epoch:
        return ""
    return f"/{math.ceil(model.total_steps / model.steps_per_epoch)}"


def _figures(history: History) -> str:
    figures = []
    for name in ("loss", "val_loss", "val_accuracy", "val_r2"):
        last = history.last(name)
        if last is not None:
            figures.append(f"{name} {last[1]:.4f}")
    return "  ".join(figures)
