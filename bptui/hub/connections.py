"""One connection of a face: greeting, then requests or the stream. What is wrong with it ends it alone."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from bptui.hub.faces import Face, Faces, LogSource, Source, Stream
from bptui.protocol.framing import FrameError, encode
from bptui.protocol.messages import (
    CAPABILITIES,
    VERSION,
    AnyMessage,
    AnyReply,
    Hello,
    Leave,
    Ok,
    Refused,
    Request,
    TakeControl,
    Welcome,
)
from bptui.protocol.streams import read_frame

MAX_REQUEST = 64 << 10
"""Requests are small; a longer frame is not one."""
GREETING_SECONDS = 10.0
REPLY_SECONDS = 30.0
OUTSTANDING = 16
"""Requests of one face that may wait for their answers."""

Reply = tuple[AnyReply, bytes]
Answer = Callable[[Face, Request], Awaitable[Reply]]


class Connections:
    """Serves every connection. ``answer`` deals with requests that are not about the connection itself."""

    def __init__(
        self, run: str, faces: Faces, *, answer: Answer, source: Source, log: LogSource,
        changed: Callable[[], None], orphaned: Callable[[], None],
    ) -> None:  # fmt: skip
        self._run = run
        self._faces = faces
        self._answer = answer
        self._source = source
        self._log = log
        self._changed = changed
        self._orphaned = orphaned
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The whole life of a connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                frame = await read_frame(reader, max_head=MAX_REQUEST, max_body=0)
            hello = frame.message if frame is not None else None
            if not isinstance(hello, Hello) or hello.channel == "trainer" or hello.offset < 0:
                return
            if VERSION not in hello.versions:
                await self._reply(writer, Refused(
                    id=hello.id, code="version",
                    message=f"this hub speaks version {VERSION}, the face {', '.join(map(str, hello.versions[:8]))}",
                ))  # fmt: skip
                return
            face = self._faces.face(hello.face or secrets.token_hex(8))
            if hello.channel == "control":
                await self._serve_control(face, hello, reader, writer)
            else:
                await self._serve_stream(face, hello, reader, writer)
        except (FrameError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # closed below; nobody else is touched
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _welcome(self, face: Face, hello: Hello, writer: asyncio.StreamWriter) -> None:
        common = tuple(name for name in CAPABILITIES if name in hello.capabilities)
        await self._reply(writer, Welcome(
            id=hello.id, version=VERSION, capabilities=common, run=self._run,
            controller=self._faces.controller is face,
        ))  # fmt: skip

    @staticmethod
    async def _reply(writer: asyncio.StreamWriter, reply: AnyReply, body: bytes = b"") -> None:
        writer.write(encode(reply, body))
        async with asyncio.timeout(REPLY_SECONDS):
            await writer.drain()

    # -- control -----------------------------------------------------------------------------------
    async def _serve_control(
        self, face: Face, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if face.control is not None:
            return  # one control connection a face
        face.control, face.role, face.owner, face.left = writer, hello.role, hello.owner, False
        self._faces.join(face)
        self._changed()
        room = asyncio.Semaphore(OUTSTANDING)
        requests: set[asyncio.Task[None]] = set()
        try:
            await self._welcome(face, hello, writer)
            while True:
                await room.acquire()
                frame = await read_frame(reader, max_head=MAX_REQUEST, max_body=0)
                if frame is None:
                    break
                request = asyncio.create_task(self._request(face, frame.message, writer, room))
                requests.add(request)
                request.add_done_callback(requests.discard)
        finally:
            for request in requests:
                request.cancel()
            face.control = None
            self._lost(face)

    async def _request(
        self, face: Face, message: AnyMessage, writer: asyncio.StreamWriter, room: asyncio.Semaphore
    ) -> None:
        try:
            if not isinstance(message, Request):
                raise FrameError("not a request")
            reply, body = await self._own(face, message) or await self._answer(face, message)
            await self._reply(writer, reply, body)
        except (FrameError, ConnectionError, TimeoutError):
            writer.transport.abort()
        finally:
            room.release()

    async def _own(self, face: Face, message: Request) -> Reply | None:
        """Requests about the connection itself; None for all others."""
        if isinstance(message, Hello):
            return Refused(id=message.id, code="bad-request", message="already greeted"), b""
        if isinstance(message, TakeControl):
            self._faces.take(face)
            self._changed()
            return Ok(id=message.id), b""
        if isinstance(message, Leave):
            face.left = True
            return Ok(id=message.id), b""
        return None

    # -- stream ------------------------------------------------------------------------------------
    async def _serve_stream(
        self, face: Face, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if face.stream is not None:
            return  # one stream a face
        stream = face.stream = Stream(face, writer, hello.offset, self._source, self._log)
        self._changed()
        try:
            await self._welcome(face, hello, writer)
            sender = asyncio.create_task(stream.run())
            # A face says nothing more here: what comes is the end of the connection, or makes it so.
            watcher = asyncio.create_task(reader.read(1))
            await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
            for task in (sender, watcher):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task
            with contextlib.suppress(ConnectionError):
                writer.close()
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
        finally:
            face.stream = None
            self._lost(face)

    def _lost(self, face: Face) -> None:
        if face.owner and not face.left and face.control is None:
            face.owner = False
            self._orphaned()
        self._faces.drop(face)
        self._changed()

    async def close(self, reason: str, *, seconds: float = 2.0) -> None:
        """Say Goodbye on every stream, wait a little for faces to take it, then end all connections."""
        streams = [face.stream for face in self._faces.all.values() if face.stream is not None]
        for stream in streams:
            stream.goodbye(reason)
        end = asyncio.get_running_loop().time() + seconds
        while any(face.stream is not None for face in self._faces.all.values()):
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
