"""Interventions of a run, from ``events.jsonl``: those that a chart marks on its axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

MOST = 500
"""So many of the last events are told to faces."""
_TRANSPORT = frozenset(
    {"run", "pause", "step", "microstep", "pace", "leave", "takecontrol", "inspect", "look", "arm", ""}
)
"""Changes that move the run on or hold it, and leave the computation as it is."""


class Event(msgspec.Struct, frozen=True):
    """What was changed in state ``step``. ``before`` is None where it is not known or there was nothing."""

    step: int
    change: str
    before: float | str | None = None
    after: float | str | None = None


def charted(line: Mapping[str, Any]) -> Event | None:
    """The event of one line of ``events.jsonl``; None for what no chart marks.

    A request that the trainer carried out has two lines: as it was asked, and as it was done. The second counts.
    """
    change, step = str(line.get("change") or ""), line.get("step")
    if change in _TRANSPORT or not isinstance(step, int) or isinstance(step, bool):
        return None
    if line.get("source") == "request" and change not in ("stop", "kill"):
        return None
    return Event(step, change[:80], _value(line.get("before")), _value(line.get("after")))


_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
"""JSON has no such numbers: ``events.jsonl`` holds these words for them."""


def encode(line: Mapping[str, Any]) -> bytes:
    """One line of ``events.jsonl``; a value that is no finite number as ``"inf"``, ``"-inf"`` or ``"nan"``."""
    return msgspec.json.encode({key: _told(value) for key, value in line.items()}) + b"\n"


def _told(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def number(value: Any) -> float | None:
    """A number of a line, also one that ``encode`` put into words; None for what is none."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _value(value: Any) -> float | str | None:
    found = number(value)
    return found if found is not None or value is None else str(value)[:80]


def read_events(run: Path) -> list[Event]:
    """The charted events of a run directory; lines that are torn or no events are passed over."""
    return [event for line in lines(run) if (event := charted(line)) is not None][-MOST:]


def lines(run: Path) -> Iterator[dict[str, Any]]:
    """Every whole line of ``events.jsonl``."""
    try:
        data = (run / "events.jsonl").read_bytes()
    except OSError:
        return
    for raw in data.splitlines():
        try:
            line = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line
