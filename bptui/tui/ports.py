"""What the UI needs from outside, as it sees it: a session with a hub, and the curves of a history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bptui.protocol.framing import Frame
from bptui.protocol.messages import Request


class Session(Protocol):
    """``client.session.Session``: one run's messages."""

    @property
    def run(self) -> str: ...

    @property
    def directory(self) -> Path: ...

    @property
    def read_only(self) -> bool: ...

    async def start(self) -> None: ...

    def frames(self) -> AsyncIterator[Frame]: ...

    async def request(self, message: Request) -> Frame: ...

    async def close(self, leave: bool = True) -> None: ...


@dataclass(frozen=True, slots=True)
class Columns:
    """A series reduced to columns: the lowest and highest finite value of each (nan: none), and where one was not finite."""

    low: Sequence[float]
    high: Sequence[float]
    bad: Sequence[bool]


class Curves(Protocol):
    """The history of one run, fed with the bytes of its log."""

    def feed(self, offset: int, data: bytes) -> None: ...

    @property
    def last_step(self) -> int:
        """Step of the newest loss; −1: none yet."""
        ...

    def latest(self, series: str) -> float | None: ...

    def reduce(self, series: str, first: int, last: int, columns: int) -> Columns: ...

    def points(self, series: str) -> tuple[Sequence[int], Sequence[float]]:
        """Steps and values of a series that comes now and then."""
        ...

    def bad(self, series: str) -> int:
        """How many of its values are not finite."""
        ...


try:
    from bptui.client.session import ConnectionLost, RequestRefused
except ImportError:

    class ConnectionLost(Exception):  # type: ignore[no-redef]
        """The hub is gone."""

    class RequestRefused(Exception):  # type: ignore[no-redef]
        """The hub said no: ``code``, ``message``."""

        def __init__(self, code: str, message: str) -> None:
            super().__init__(message)
            self.code = code
            self.message = message
