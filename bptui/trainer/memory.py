"""States held in memory: of the head's recent past, and around where its user has gone; and every change."""

from __future__ import annotations

from typing import NamedTuple

from bptui.runs.interventions import Change
from bptui.trainer.course import Course, Tensors

#: Bytes for states of the recent past, and for those around the places that were gone to.
NEAR_BYTES, VISITED_BYTES = 64 << 20, 32 << 20
_MOST = 512
"""States of a kind: of a small network more would only be slow to look through."""


class Kept(NamedTuple):
    """A state held in memory."""

    step: int
    tensors: Tensors
    words: dict[str, str]
    size: int
    """Bytes."""


class Memory:
    """The recent past is thinned so that distances grow with age; of what was visited the oldest visit goes first."""

    def __init__(self) -> None:
        self._near: list[Kept] = []
        self._visited: dict[int, Kept] = {}
        self.changes: list[Change] = []

    def keep(self, course: Course) -> None:
        """Hold the present state, which is the head's."""
        if any(kept.step == course.step for kept in self._near):
            return
        self._near.append(_captured(course))
        self._near.sort(key=_step)
        while len(self._near) > 2 and (_bytes(self._near) > NEAR_BYTES or len(self._near) > _MOST):
            last = self._near[-1].step
            gaps = [
                (after.step - before.step) / max(last - here.step, 1)
                for before, here, after in zip(self._near, self._near[1:], self._near[2:], strict=False)
            ]
            del self._near[1 + gaps.index(min(gaps))]

    def lay(self, course: Course) -> None:
        """Hold the present state, which is on the way to a place that is gone to."""
        if course.step in self._visited or any(kept.step == course.step for kept in self._near):
            return
        self._visited[course.step] = _captured(course)
        while len(self._visited) > 1 and (
            _bytes(list(self._visited.values())) > VISITED_BYTES or len(self._visited) > _MOST
        ):
            del self._visited[next(iter(self._visited))]

    def nearest(self, step: int) -> Kept | None:
        """The last state at or before ``step``."""
        return max(
            (kept for kept in (*self._near, *self._visited.values()) if kept.step <= step), key=_step, default=None
        )

    def at(self, step: int) -> Kept | None:
        """The state of that very step."""
        kept = self.nearest(step)
        return kept if kept is not None and kept.step == step else None

    def forget_after(self, step: int) -> None:
        """What came after ``step`` no longer holds."""
        self._near = [kept for kept in self._near if kept.step <= step]
        self._visited = {at: kept for at, kept in self._visited.items() if at <= step}
        self.changes = [change for change in self.changes if change.step <= step]

    def forget(self) -> None:
        """Hold no state."""
        self._near, self._visited = [], {}


def _captured(course: Course) -> Kept:
    tensors, words = course.capture()
    return Kept(course.step, tensors, words, sum(value.nbytes for value in tensors.values()))


def _step(kept: Kept) -> int:
    return kept.step


def _bytes(states: list[Kept]) -> int:
    return sum(kept.size for kept in states)
