"""The past of a run that is shown from its files: a trainer that goes to any of its steps and does the updates again.

It works on a branch of the run at its last step, which is thrown away with the face that asked for it; the run's own
files are only read. What a face may ask it is what changes nothing: to be at a step, and to look.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bptui.client.connect import LiveSession, connect
from bptui.client.discover import live_processes
from bptui.client.launch import hub_ended, start_hub
from bptui.client.session import ConnectionLost, RequestRefused
from bptui.protocol.framing import Frame
from bptui.protocol.messages import (
    Back,
    GoTo,
    Histograms,
    Layers,
    Looking,
    MicroStep,
    Request,
    Status,
    Step,
    Stop,
)
from bptui.runs import branches, keyframes
from bptui.runs.info import RunError, RunInfo, read_info

SHOWN = (Status, Layers, Histograms)
"""Of what its hub tells: the figures of the step at which it stands."""
STOP_SECONDS = 5.0
FORGOTTEN_SECONDS = 60.0
"""A folder that a killed face has left is removed by the next one, if no process lives in it after so long."""


def has_past(directory: Path, info: RunInfo) -> bool:
    """Whether its updates can be done again: bptui's own training, with a keyframe."""
    return info.mode != "script" and bool(keyframes.keyframes(directory))


def may_ask(message: Request) -> bool:
    """Whether it changes nothing."""
    return isinstance(message, Looking | GoTo | Back | Step | MicroStep)


class Past:
    """One trainer of a run's past. ``tell`` is given each frame of SHOWN."""

    def __init__(self, directory: Path, head: int, tell: Callable[[Frame], None]) -> None:
        self._directory, self._tell = directory, tell
        self.head = head
        """The last step that was recorded."""
        self.step = head
        self._folder: Path | None = None
        self._session: LiveSession | None = None
        self._listener: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def request(self, message: Request) -> Frame:
        """The trainer's reply; the first request starts it. RequestRefused, also where there is nothing to go to."""
        if isinstance(message, Step | MicroStep) and self.step >= self.head:
            raise RequestRefused("bad-request", "this is the end of what was recorded")
        async with self._starting:
            session = self._session or await self._start()
        reply = await session.request(message)
        if isinstance(message, GoTo | Back | Step):
            self.step = getattr(reply.message, "step", self.step)
        return reply

    async def close(self) -> None:
        """End the trainer, and remove its folder."""
        session, self._session = self._session, None
        if self._listener is not None:
            self._listener.cancel()
        if session is not None:
            with contextlib.suppress(ConnectionLost, RequestRefused, OSError, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await session.request(Stop())
            await session.close(leave=False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    while not hub_ended(session.directory):
                        await asyncio.sleep(0.01)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def _start(self) -> LiveSession:
        try:
            run = await asyncio.to_thread(self._make)
            await asyncio.to_thread(start_hub, run)
            session = connect(run, owner=True)
            await session.start()
        except (RunError, OSError, ConnectionLost) as error:
            raise RequestRefused("ended", f"its updates cannot be done again: {error}") from None
        self._session = session
        standing = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(session, standing))
        await standing.wait()
        return session

    def _make(self) -> Path:
        root = self._directory.resolve().parent
        if not os.access(root, os.W_OK):
            root = Path(tempfile.gettempdir())
        _sweep(root)
        self._folder = root / f".past-{secrets.token_hex(6)}"
        self._folder.mkdir(mode=0o700)
        return branches.make(self._directory, self.head, (), folder=self._folder, pace=0.0, breaks=())

    async def _listen(self, session: LiveSession, standing: asyncio.Event) -> None:
        """Hand on what it shows; at its beginning it stands where the files end, which is shown already."""
        try:
            async for frame in session.frames():
                message = frame.message
                if isinstance(message, Status):
                    if message.state in ("PAUSED", "FAILED", "DONE"):
                        standing.set()
                    self.step = message.step
                if isinstance(message, SHOWN) and standing.is_set():
                    self._tell(frame)
        except (ConnectionLost, OSError):
            pass
        finally:
            standing.set()
            self._session = None  # the next request starts another


def _sweep(root: Path) -> None:
    """Remove what killed faces have left."""
    with contextlib.suppress(OSError):
        for place in root.glob(".past-*"):
            made = place.stat()
            if made.st_uid == os.getuid() and time.time() - made.st_mtime > FORGOTTEN_SECONDS and not _lives(place):
                shutil.rmtree(place, ignore_errors=True)


def _lives(place: Path) -> bool:
    for run in place.iterdir():
        with contextlib.suppress(RunError):
            if any(live_processes(read_info(run), run)):
                return True
    return False
