"""What the UI needs from outside: a session with a hub, and the curves of a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from bptui.client.session import ConnectionLost, RequestRefused, Session

__all__ = ["Columns", "ConnectionLost", "Curves", "RequestRefused", "Session"]


class Columns(msgspec.Struct, frozen=True):
    """A series in columns: lowest and highest finite value of each (nan: none), and where one was not finite."""

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
