"""What the UI needs from outside: a session with a hub, and the curves of a history."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from bptui.client.session import ConnectionLost, RequestRefused, Session
from bptui.tui.text import clean

__all__ = ["Columns", "ConnectionLost", "Curves", "RequestRefused", "Session", "close", "one_line"]


class Columns(msgspec.Struct, frozen=True):
    """A series in columns: lowest and highest finite value of each (nan: none), and where one was not finite."""

    low: Sequence[float]
    high: Sequence[float]
    bad: Sequence[bool]


class Trace(msgspec.Struct, frozen=True):
    """A series across a chart: for each entry its column of dots, lowest and highest value, and whether any was bad."""

    places: Sequence[int]
    low: Sequence[float]
    high: Sequence[float]
    bad: Sequence[bool]


class Heat(msgspec.Struct, frozen=True):
    """A column of the layers' table over the run: ``values[layer][column]``, nan where it is not a number."""

    values: Sequence[Sequence[float]]
    steps: Sequence[int]
    """A column: the step at which it was measured; −1: there is nothing."""


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

    def names(self) -> Sequence[str]:
        """The series that there are."""
        ...

    def trace(self, series: str, first: int, last: int, columns: int) -> Trace:
        """Steps ``first`` … ``last``, both included, across ``columns`` of dots: each point where there is room."""
        ...

    def at(self, series: str, step: int) -> tuple[int, float] | None:
        """Step and exact value of the newest point at or before ``step``."""
        ...

    def heat(self, column: str, first: int, last: int, columns: int) -> Heat: ...

    def ridge(self, quantity: str, layer: int, most: int) -> Sequence[tuple[int, Sequence[int]]]:
        """At most ``most`` histograms of a layer, evenly over the run: step and cells (``records.CELLS``)."""
        ...

    def bad(self, series: str) -> int:
        """How many of its values are not finite."""
        ...


async def close(session: Session) -> None:
    """Leave a run; it goes on."""
    with contextlib.suppress(ConnectionLost, OSError):  # gone already
        await session.close(leave=True)


def one_line(error: BaseException) -> str:
    """What went wrong, for one line of the screen or the shell."""
    text = str(getattr(error, "message", "")) or str(error) or type(error).__name__
    return clean(text.splitlines()[0] if text.splitlines() else text, 400)
