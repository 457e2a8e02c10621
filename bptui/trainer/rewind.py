"""Back in time: to any step by the nearest state that was kept, and from there by the same updates again.

Going back changes nothing. What is changed in the past begins a branch: a run of its own (``runs.branches``), which is
what its user goes on with; this run stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bptui.runs import branches, keyframes
from bptui.runs.events import Change, changes
from bptui.runs.info import RunError
from bptui.trainer.changes import Value
from bptui.trainer.course import Course, Tensors
from bptui.trainer.keep import keep, keep_state

if TYPE_CHECKING:
    from bptui.trainer.recorded import Recorded

#: States held in memory may take so many bytes.
BUDGET_BYTES = 64 << 20


class Kept(NamedTuple):
    """A state held in memory."""

    step: int
    tensors: Tensors
    words: dict[str, str]
    size: int
    """Bytes."""


class Memory:
    """States of the recent past, thinned so that their distances grow with their age; and every change."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self.changes: list[Change] = []

    def keep(self, course: Course) -> None:
        """Hold the present state."""
        if any(kept.step == course.step for kept in self._kept):
            return
        tensors, words = course.capture()
        self._kept.append(Kept(course.step, tensors, words, sum(value.nbytes for value in tensors.values())))
        self._kept.sort()
        while len(self._kept) > 2 and sum(kept.size for kept in self._kept) > BUDGET_BYTES:
            last = self._kept[-1].step
            gaps = [
                (after.step - before.step) / max(last - here.step, 1)
                for before, here, after in zip(self._kept, self._kept[1:], self._kept[2:], strict=False)
            ]
            del self._kept[1 + gaps.index(min(gaps))]

    def nearest(self, step: int) -> Kept | None:
        """The last state at or before ``step``."""
        return max((kept for kept in self._kept if kept.step <= step), key=lambda kept: kept.step, default=None)

    def forget_after(self, step: int) -> None:
        """What came after ``step`` no longer holds."""
        self._kept = [kept for kept in self._kept if kept.step <= step]
        self.changes = [change for change in self.changes if change.step <= step]


def go_to(trainer: Recorded, step: int) -> None:
    """Be in state ``step`` of what was recorded, with what was changed in it.

    ValueError: it lies in no past, or its keyframe is damaged.
    """
    if not 0 <= step <= trainer.head:
        raise ValueError(f"there is no step {step:,} yet: 0 to {trainer.head:,} can be gone to")
    trainer.leave_update()
    if step == trainer.step:
        return
    if trainer.step == trainer.head:
        trainer.remember()
    _restore_nearest(trainer, step)
    while trainer.step < step:
        trainer.relive_here()
        Course.update(trainer)
    trainer.relive_here()
    trainer.ring.set_step(step)
    trainer.shows = "other"


def _restore_nearest(trainer: Recorded, step: int) -> None:
    held = trainer.memory.nearest(step)
    frame = keyframes.nearest(trainer.directory, step)
    here = trainer.step if trainer.step <= step else -1
    best = max(here, held.step if held else -1, frame.step if frame else -1)
    if best == here and here >= 0:
        return
    if held is not None and held.step == best:
        trainer.restore(held.step, held.tensors, held.words)
    elif frame is not None:
        try:
            tensors, words = keyframes.read(frame.path)
        except RunError as error:
            raise ValueError(str(error)) from None
        trainer.restore(frame.step, tensors, words)
    else:
        raise ValueError(f"no state before step {step:,} was kept")


def cut(trainer: Recorded) -> None:
    """Nobody has seen what lies ahead of this state: it becomes the head again, and is recorded from here anew."""
    step = trainer.step
    if step >= trainer.head:
        return
    trainer.memory.forget_after(step)
    for frame in keyframes.keyframes(trainer.directory):
        if frame.step > step:
            frame.path.unlink(missing_ok=True)
    trainer.recorded_to(step)


def begin_branch(trainer: Recorded, step: int) -> None:
    """Be where this run, which is a branch, leaves its parent, with the changes that it leaves with.

    ValueError: no state before it can be read.
    """
    trainer.memory.changes = changes(trainer.directory)
    trainer.head = step
    _restore_nearest(trainer, step)
    while trainer.step < step:
        trainer.relive_here()
        Course.update(trainer)
    trainer.recorded_to(step)
    trainer.remember()  # before the changes of the branch: they are done again by whoever comes back
    trainer.relive_here()
    trainer.ring.set_step(step)


def branch(trainer: Recorded, step: int, wanted: Sequence[tuple[str, Value]]) -> Path:
    """Make a branch that leaves this run in state ``step`` with these changes; this run stays as it is.

    The changes are tried here first and taken back. ValueError: no such step, or a change that cannot be made there.
    """
    was, running = trainer.step, trainer.state == "RUNNING"
    go_to(trainer, step)
    if trainer.memory.nearest(trainer.head) is not None:
        _keep_head(trainer)
    keep(trainer, asked=True)
    tensors, words = trainer.capture()
    tried = []
    try:
        for key, value in wanted:
            before = trainer.change(key, value)
            tried.append(Change(step, key, value, before))
    finally:
        trainer.restore(step, tensors, words)
        trainer.shows = "other"
        if was != step:
            go_to(trainer, was)
    try:
        return branches.make(
            trainer.directory, step, tried, past=trainer.memory.changes, running=running, pace=trainer.pace,
            breaks=trainer.armed_texts,
        )  # fmt: skip
    except RunError as error:
        raise ValueError(str(error)) from None


def _keep_head(trainer: Recorded) -> None:
    """The head's state is on disk before the run is left for its branch."""
    held = trainer.memory.nearest(trainer.head)
    if held is not None and held.step == trainer.head:
        keep_state(trainer, held.step, held.tensors, held.words)
