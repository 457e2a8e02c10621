"""Faces without a screen: ``bptui train`` follows its run to the end; ``pause``, ``resume``, ``stop`` say one word."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from bptui.client.connect import RunHasEnded, connect
from bptui.client.delivering import deliver
from bptui.client.launch import discard
from bptui.client.progress import Bar, Display, Lines, Silent
from bptui.client.session import ConnectionLost, RequestRefused, Session
from bptui.protocol.framing import Frame
from bptui.protocol.messages import Findings, LogChunk, ModelInfo, Pause, Run, Status, Stop, TakeControl
from bptui.runs.history import History
from bptui.runs.info import RunError, alive, read_info
from bptui.runs.output import escape
from bptui.runs.processes import lives
from bptui.runs.report import report

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
    if not (lives(info, "trainer", directory) or lives(info, "hub", directory)):
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
        self._display: Display = Silent() if quiet else Bar() if sys.stdout.isatty() else Lines()

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
            if lives(info, "trainer", self.directory):
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
        return info.end is None and lives(info, "trainer", self.directory)

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
        if end["code"] == 2 and content["steps"] == 0 and read_info(self.directory).mode != "script":
            _discard(self.directory)
            raise HeadlessError(escape(str(end["error"])))
        if lost and content["steps"] == 0:
            if not self._trains():
                _discard(self.directory)
            raise HeadlessError(escape(lost))
        print(_summary(content))
        for finding in content["findings"]:
            print(f"  {_GLYPHS[finding['severity']]} {finding['fault']}: {escape(finding['message'])}")
        print(f"  run {escape(content['run'])}   {escape(str(self.directory))}")
        if end["error"]:
            print(f"bptui: {escape(str(end['error']))}", file=sys.stderr)
        if lost:
            print(f"bptui: {escape(lost)}", file=sys.stderr)
        code = deliver(content, report_path, fail_on)
        if self.interrupts:
            return 130
        return code or int(bool(end["code"] or lost))


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


_SHOWN = (
    "train_loss", "val_loss", "val_generator_loss", "val_accuracy", "val_r2", "test_accuracy", "test_r2", "val_return",
    "test_return", "val_modes", "val_near",
)  # fmt: skip
