"""What was changed in a run while it trained: what a replay does again and a branch begins with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bptui.runs.digest import Note
from bptui.runs.events import lines, number
from bptui.runs.load import load

_NO_CHANGE = frozenset({"break", "branch"})
"""Events of the trainer that change nothing of the computation."""


class Change(msgspec.Struct, frozen=True):
    """Something was changed in state ``step``, before its update."""

    step: int
    key: str
    value: float | str
    before: float | str = ""


def changes(run: Path) -> list[Change]:
    """What the trainer changed, in the order in which it did, also what no hub has filed. RunError: no run.json."""
    return [change for line in told(run, load(run).digest.events) if (change := change_of(line)) is not None]


def told(run: Path, unfiled: Iterable[Note]) -> list[dict[str, Any]]:
    """Lines of the trainer in ``events.jsonl``, and those that follow them, each once.

    A hub files an event before it counts its record as read: one that is killed between the two leaves both.
    """
    found: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    rest = ({"time": note.time, "source": "trainer", **note.content} for note in unfiled)
    for line in (*lines(run), *rest):
        key = (line.get("time"), line.get("step"), line.get("change"), str(line.get("after")))
        if line.get("source") == "trainer" and (key not in seen or line.get("time") is None):
            seen.add(key)
            found.append(line)
    return found


def change_of(line: dict[str, Any]) -> Change | None:
    """The change that a line tells of; None for what is none."""
    step, key, value = line.get("step"), line.get("change"), line.get("after")
    if not isinstance(step, int) or not isinstance(key, str) or value is None or key in _NO_CHANGE:
        return None
    as_number, was = number(value), number(line.get("before"))
    before = str(line.get("before") or "") if was is None else was
    return Change(step, key, str(value) if as_number is None else as_number, before)
