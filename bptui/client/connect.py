"""A live session: two Unix sockets to a run's hub."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, cast

import msgspec

from bptui.client.discover import live_processes
from bptui.client.launch import hub_ended, start_hub, started_here
from bptui.client.session import ConnectionLost, RequestRefused, Session
from bptui.protocol.framing import Frame, FrameError, encode
from bptui.protocol.messages import (
    AnyMessage,
    Goodbye,
    Hello,
    Leave,
    LogChunk,
    Refused,
    Request,
    Status,
    TakeControl,
    Welcome,
)
from bptui.protocol.streams import read_frame
from bptui.runs.info import read_info

WAIT_SECONDS = 20.0
"""How long a hub may take to come up."""
RETRY_SECONDS = 0.01
Role = Literal["controller", "observer"]


def connect(
    directory: Path, *, role: Role = "controller", owner: bool = False, face: str | None = None, offset: int = 0
) -> LiveSession:
    """A session of the run in ``directory``, not started yet.

    ``owner``: the trainer is stopped when this face is lost. ``offset``: where in the log to begin.
    """
    return LiveSession(directory, role=role, owner=owner, face=face, offset=offset)


async def open_session(directory: Path, *, role: Role = "controller", owner: bool = False, offset: int = 0) -> Session:
    """A started session: live where a process of the run lives, else from its files."""
    from bptui.client.file import FileSession

    session: Session = connect(directory, role=role, owner=owner, offset=offset)
    try:
        await session.start()
    except RunHasEnded:
        session = FileSession(directory)
        await session.start()
    return session


class RunHasEnded(ConnectionLost):
    """No process of the run lives: its files tell the rest."""


class _Dropped(ConnectionLost):
    """A connection that ended before its greeting was answered."""


class LiveSession(Session):
    """Two connections to a hub. A dead hub whose trainer lives is replaced by one that adopts the trainer."""

    read_only = False

    def __init__(
        self, directory: Path, *, role: Role = "controller", owner: bool = False, face: str | None = None,
        offset: int = 0,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.run = directory.name
        self.role = role
        self.owner = owner
        self.face = face or secrets.token_hex(8)
        self.offset = offset
        self.controller = False
        """Whether this face has control, as last heard."""
        self._control: asyncio.StreamWriter | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._next = 1
        self._answers: asyncio.Task[None] | None = None

    # -- connecting --------------------------------------------------------------------------------
    async def start(self) -> None:
        """Wait for the hub and greet it. RunHasEnded when no process lives; ConnectionLost when it does not answer.

        A session that is connected stays as it is.
        """
        if self._control is not None:
            return
        end = time.monotonic() + WAIT_SECONDS
        while True:
            reader, self._control = await self._reach(end)
            try:
                control, _ = await self._greet(reader, self._control, "control")
                break
            except _Dropped:  # a hub that was just ending: another, or the files, will answer
                self._control = None
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        self.run, self.controller = control.run, control.controller
        self._answers = asyncio.create_task(self._read_answers(reader))
        try:
            self._stream = await asyncio.open_unix_connection(read_info(self.directory).address)
            await self._greet(*self._stream, "stream")
        except (OSError, ConnectionLost) as error:
            await self.close(leave=False)
            raise ConnectionLost(str(error)) from None

    async def _reach(self, end: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        adopting = False
        while True:
            info = read_info(self.directory)
            with contextlib.suppress(OSError, ValueError):
                return await asyncio.open_unix_connection(info.address)
            live = live_processes(info, self.directory)
            if live.hub or started_here(self.directory) or (live.starting and not hub_ended(self.directory)):
                pass  # it is coming up, or about to end
            elif live.trainer:
                if not adopting:
                    adopting = True
                    start_hub(self.directory, adopt=True)
                elif hub_ended(self.directory):
                    raise ConnectionLost(self._why_not())
            elif info.trainer_pid == 0 and hub_ended(self.directory):
                raise ConnectionLost(self._why_not())
            else:
                raise RunHasEnded(f"run {info.id} has ended")
            if time.monotonic() > end:
                raise ConnectionLost(f"the hub of run {info.id} does not answer; see {self.directory / 'hub.log'}")
            await asyncio.sleep(RETRY_SECONDS)

    def _why_not(self) -> str:
        """What the hub wrote before it died."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (self.directory / "hub.log").read_text(errors="replace").strip().splitlines()
        return f"the hub of run {self.run} did not start" + (f": {lines[-1]}" if lines else "")

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, channel: Literal["control", "stream"]
    ) -> tuple[Welcome, Frame]:
        hello = Hello(channel=channel, face=self.face, role=self.role, owner=self.owner, offset=self.offset)
        try:
            writer.write(encode(hello))
            frame = await asyncio.wait_for(read_frame(reader), WAIT_SECONDS)
        except (ConnectionError, FrameError, TimeoutError) as error:
            frame, problem = None, str(error)
        else:
            problem = "it closed the connection"
        message = frame.message if frame is not None else None
        if frame is not None and isinstance(message, Welcome):
            return message, frame
        writer.transport.abort()
        if isinstance(message, Refused):
            raise ConnectionLost(f"the hub of run {self.run} did not let this face in: {message.message}")
        raise _Dropped(f"the hub of run {self.run} did not let this face in: {problem}")

    # -- stream ------------------------------------------------------------------------------------
    async def frames(self) -> AsyncIterator[Frame]:
        """As ``Session.frames``; keeps ``offset`` and ``controller`` up to date."""
        if self._stream is None:
            raise ConnectionLost("not connected")
        reader = self._stream[0]
        while True:
            try:
                frame = await read_frame(reader)
            except FrameError as error:
                raise ConnectionLost(f"the hub sent what is no frame: {error}") from None
            if frame is None:
                raise ConnectionLost(f"the connection to run {self.run} was lost")
            message = frame.message
            if isinstance(message, LogChunk):
                self.offset = message.offset + len(frame.raw(message.data))
            elif isinstance(message, Status):
                self.controller = message.controller
            yield frame
            if isinstance(message, Goodbye):
                return

    # -- requests ----------------------------------------------------------------------------------
    async def request(self, message: Request) -> Frame:
        if self._control is None or self._answers is None or self._answers.done():
            raise ConnectionLost(f"the connection to run {self.run} was lost")
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            self._control.write(encode(cast(AnyMessage, msgspec.structs.replace(message, id=number))))
            frame = await future
        except ConnectionError as error:
            raise ConnectionLost(str(error)) from None
        finally:
            self._pending.pop(number, None)
        if isinstance(frame.message, Refused):
            raise RequestRefused(frame.message.code, frame.message.message)
        return frame

    async def command(self, message: Request) -> Frame:
        """A request for which control is taken; whoever had it gets it back when this session closes."""
        if not self.controller:
            await self.request(TakeControl())
            self.controller = True
        return await self.request(message)

    async def _read_answers(self, reader: asyncio.StreamReader) -> None:
        try:
            while (frame := await read_frame(reader)) is not None:
                if isinstance(frame.message, Request):
                    future = self._pending.pop(frame.message.id, None)
                    if future is not None and not future.done():
                        future.set_result(frame)
        except FrameError:
            pass
        finally:
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(ConnectionLost(f"the connection to run {self.run} was lost"))

    async def close(self, leave: bool = True) -> None:
        if leave and self._answers is not None:
            with contextlib.suppress(ConnectionLost, RequestRefused, TimeoutError):
                await asyncio.wait_for(self.request(Leave()), 2.0)
        if self._answers is not None:
            self._answers.cancel()
            await asyncio.gather(self._answers, return_exceptions=True)
        for writer in (self._control, self._stream[1] if self._stream is not None else None):
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        self._control = self._stream = None
