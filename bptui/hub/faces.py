"""Faces: their connections, who controls, and a sender each that a slow face blocks alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Literal

from bptui.protocol.framing import Body, encode
from bptui.protocol.messages import Goodbye, LogChunk

INTERVAL = 0.1
"""Seconds between two rounds of topics to one face, unless something is urgent."""
CHUNK_BYTES = 256 << 10
HIGH_WATER = 32 << 10
TOPICS = ("model", "status", "findings", "events", "layers", "histograms", "output")
"""In the order in which they are sent."""

Source = Callable[[str, "Face"], Iterable[bytes]]
"""Frames of a topic as it is now, for a face."""


class Face:
    """One face with its control and its stream connection, either of which may be missing."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.role: Literal["controller", "observer"] = "observer"
        self.owner = False
        self.left = False
        self.control: asyncio.StreamWriter | None = None
        self.stream: Stream | None = None
        self.took_from: Face | None = None
        """Who had control before this face took it."""

    @property
    def gone(self) -> bool:
        return self.control is None and self.stream is None


class Stream:
    """Sends topics to one face: for each topic the latest when there is room, and the log from its offset on.

    Nothing is queued: what is dirty is made into a frame only when the one before it has gone out, so
    a face that stops reading costs one frame.
    """

    def __init__(self, face: Face, writer: asyncio.StreamWriter, offset: int, source: Source, log: LogSource) -> None:
        self._face = face
        self._writer = writer
        self._source = source
        self._log = log
        self.offset = offset
        self._dirty: set[str] = set(TOPICS)
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._goodbye = ""
        writer.transport.set_write_buffer_limits(high=HIGH_WATER)
        self._wake.set()
        self._hurry.set()

    def mark(self, topics: Iterable[str], *, urgent: bool = False) -> None:
        """Something changed."""
        self._dirty.update(topics)
        self._wake.set()
        if urgent:
            self._hurry.set()

    def goodbye(self, reason: str) -> None:
        """Send what there is, then Goodbye, then end."""
        self._goodbye = reason
        self._wake.set()
        self._hurry.set()

    async def run(self) -> None:
        """Until the connection is lost or Goodbye is said."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._hurry.clear()
                await self._round()
                if self._goodbye and not self._dirty:
                    await self._send(encode(Goodbye(reason=self._goodbye)))
                    return
                if not self._hurry.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), INTERVAL)

    async def _round(self) -> None:
        await self._topics()
        started = time.monotonic()
        while data := self._log(self.offset, CHUNK_BYTES):
            body = Body()
            chunk = LogChunk(offset=self.offset, data=body.add_bytes(data))
            await self._send(encode(chunk, body.bytes()))
            self.offset += len(data)
            # A long log must not hold back what is true now.
            if self._hurry.is_set() or time.monotonic() - started > INTERVAL:
                self._hurry.clear()
                await self._topics()
                started = time.monotonic()

    async def _topics(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for topic in TOPICS:
            if topic in dirty:
                for frame in self._source(topic, self._face):
                    await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        self._writer.write(frame)
        await self._writer.drain()


LogSource = Callable[[int, int], bytes]
"""Bytes of the log: from an offset, so many at the most."""


class Faces:
    """All faces, and the one that controls."""

    def __init__(self) -> None:
        self.all: dict[str, Face] = {}
        self.controller: Face | None = None
        self.came = False
        """Whether there ever was a face."""
        self.owned = False
        """Whether one of them was a foreground command."""
        self.empty_since = time.monotonic()

    def __len__(self) -> int:
        return len(self.all)

    def face(self, word: str) -> Face:
        """The face of that word; a new one if there is none."""
        self.came = True
        if word not in self.all:
            self.all[word] = Face(word)
        return self.all[word]

    def join(self, face: Face) -> None:
        """A face's control connection was made: it gets control if it wants it and nobody has it."""
        self.owned = self.owned or face.owner
        if face.role == "controller" and self.controller is None:
            self.controller = face

    def take(self, face: Face) -> None:
        """A face takes control."""
        if self.controller is not face:
            face.took_from, self.controller = self.controller, face

    def drop(self, face: Face) -> None:
        """A face lost a connection; once it has none it is gone.

        Control goes back to whoever it was taken from, or on to a face that is left alone.
        """
        if self.controller is face and face.control is None:
            before, face.took_from = face.took_from, None
            self.controller = before if before is not None and before.control is not None else None
        if face.gone:
            self.all.pop(face.word, None)
            self.empty_since = time.monotonic()
        rest = list(self.all.values())
        if self.controller is None and len(rest) == 1 and rest[0].role == "controller" and rest[0].control is not None:
            self.controller = rest[0]

    def mark(self, topics: Iterable[str], *, urgent: bool = False) -> None:
        for face in self.all.values():
            if face.stream is not None:
                face.stream.mark(topics, urgent=urgent)
