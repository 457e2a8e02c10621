"""Requests to the trainer over its socket, and their replies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from bptui.protocol.framing import Frame, FrameError, encode
from bptui.protocol.messages import AnyReply, AnyRequest, Hello, Refused, TrainerReply, Welcome
from bptui.protocol.streams import read_frame

RETRY_SECONDS = 0.05


class TrainerGone(Exception):
    """The trainer has ended, or its connection was lost: nobody will answer."""


class TrainerLink:
    """One connection, made as soon as the trainer listens and made again when it breaks.

    ``bell`` is rung after each frame (it raises the ring's flag): only then does the trainer look.
    """

    def __init__(self, address: str, bell: Callable[[], None]) -> None:
        self._address = address
        self._bell = bell
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._unsent: list[bytes] = []
        self._next = 1
        self._closed = False
        self._send = asyncio.Lock()

    async def run(self) -> None:
        """Keep the connection until ``close``."""
        while not self._closed:
            try:
                reader, writer = await asyncio.open_unix_connection(self._address)
            except (OSError, ValueError):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            # High-water mark 0: ``drain`` means that the kernel has all of it, so the bell is rung after it.
            writer.transport.set_write_buffer_limits(high=0)
            try:
                self._writer = writer
                unsent, self._unsent = self._unsent, []
                await self._write(encode(Hello(id=0, channel="trainer")) + b"".join(unsent))
                while (frame := await read_frame(reader)) is not None:
                    self._answer(frame)
            except (FrameError, ConnectionError):
                pass  # what cannot be understood is treated as a connection that broke
            finally:
                self._writer = None
                writer.transport.abort()
                self._fail("the trainer closed its connection")
            await asyncio.sleep(RETRY_SECONDS)

    def _answer(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Welcome | TrainerReply):
            future = self._pending.pop(message.id, None)
            if future is not None and not future.done():
                future.set_result(frame)

    async def _write(self, data: bytes) -> None:
        async with self._send:
            if self._writer is None:
                return
            with contextlib.suppress(ConnectionError):
                self._writer.write(data)
                self._bell()
                await self._writer.drain()
                self._bell()

    async def request(self, message: AnyRequest) -> Frame:
        """The trainer's reply, with this link's own id in it. Raises TrainerGone."""
        if self._closed:
            raise TrainerGone("the trainer has ended")
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        data = encode(msgspec.structs.replace(message, id=number))
        if self._writer is None:
            self._unsent.append(data)
        else:
            await self._write(data)
        try:
            return await future
        finally:
            self._pending.pop(number, None)

    def _fail(self, why: str) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_exception(TrainerGone(why))
        self._pending.clear()
        self._unsent.clear()

    def close(self) -> None:
        """The trainer has ended: whoever waits learns it now."""
        self._closed = True
        self._fail("the trainer has ended")
        if self._writer is not None:
            self._writer.transport.abort()


def readdress(frame: Frame, number: int) -> tuple[AnyReply, bytes]:
    """A trainer's reply as the face asked for it: with the face's id."""
    message = frame.message
    if isinstance(message, TrainerReply):
        return msgspec.structs.replace(message, id=number), frame.body
    return Refused(id=number, code="bad-request", message="the trainer gave no proper answer"), b""
