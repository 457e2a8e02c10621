"""Waiting for what must happen, and a session with all that it was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bptui.client.session import ConnectionLost, Session
from bptui.protocol.framing import Frame
from bptui.protocol.messages import LogChunk, Status
from bptui.runs.history import History

SECONDS = 20.0


def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.005)


async def aio_until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.005)


class Watched:
    """A session with what its stream has said so far."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.latest: dict[str, Frame] = {}
        self.statuses: list[Status] = []
        self.history = History()
        self.ended = ""
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.session.frames():
                message = frame.message
                self.latest[type(message).__name__] = frame
                if isinstance(message, Status):
                    self.statuses.append(message)
                elif isinstance(message, LogChunk):
                    assert message.offset == self.history.offset
                    self.history.feed(frame.raw(message.data))
            self.ended = "goodbye"
        except ConnectionLost as error:
            self.ended = f"lost: {error}"

    @property
    def status(self) -> Status | None:
        return self.statuses[-1] if self.statuses else None

    @property
    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    async def until(self, condition: Callable[[], object]) -> None:
        try:
            await aio_until(condition)
        except AssertionError:
            told = f"{self.status}, {len(self.history.losses)} losses, {self.ended or 'live'}"
            raise AssertionError(f"did not happen in time; {told}") from None

    async def close(self, leave: bool = True) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.session.close(leave)
