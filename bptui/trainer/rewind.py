"""Back in time: to any step by the nearest state that was kept, and from there by the same updates again.

Going back changes nothing: the future that was recorded stays until something is changed in the past.
Then what is recorded of it no longer holds, and recording begins anew from there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from bptui.runs import keyframes
from bptui.runs.info import RunError
from bptui.runs.ring import Record
from bptui.trainer.course import Course, Tensors

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer

#: States held in memory may take so many bytes.
BUDGET_BYTES = 64 << 20


class Kept(NamedTuple):
    """A state held in memory."""

    step: int
    tensors: Tensors
    words: dict[str, str]
    size: int
    """Bytes."""


class Change(NamedTuple):
    """A setting that was changed before the update from state ``step``."""

    step: int
    key: str
    value: float
    before: float


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

    def changed(self, change: Change) -> None:
        """A change was made; one of the same setting in the same state is superseded."""
        same = (change.step, change.key)
        self.changes = [*(one for one in self.changes if (one.step, one.key) != same), change]


def go_to(trainer: Trainer, step: int) -> None:
    """Be in state ``step`` of what was recorded. ValueError: it lies in no past, or its keyframe is damaged."""
    if not 0 <= step <= trainer.head:
        raise ValueError(f"there is no step {step:,} yet: 0 to {trainer.head:,} can be gone to")
    trainer.leave_update()
    if step == trainer.step:
        return
    if step < trainer.step or trainer.memory.nearest(step) is not None:
        _restore_nearest(trainer, step)
    while trainer.step < step:
        apply_changes(trainer, trainer.memory.changes)
        Course.update(trainer)
    trainer.ring.set_step(step)
    trainer.previewed = -1


def apply_changes(course: Course, changes: list[Change]) -> None:
    """The changes that were made in the present state."""
    for change in changes:
        if change.step == course.step:
            course.change(change.key, change.value)


def _restore_nearest(trainer: Trainer, step: int) -> None:
    held = trainer.memory.nearest(step)
    frame = keyframes.nearest(trainer.directory, step)
    here = trainer.step if trainer.step <= step else -1
    best = max(here, held.step if held else -1, frame.step if frame else -1)
    if best == here:
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


def change_past(trainer: Trainer) -> None:
    """Something is about to be changed: what was recorded after this step no longer holds."""
    step, head = trainer.step, trainer.head
    if step >= head:
        return
    trainer.memory.forget_after(step)
    for frame in keyframes.keyframes(trainer.directory):
        if frame.step > step:
            frame.path.unlink(missing_ok=True)
    trainer.recorded_to(step)
    event = {"step": step, "phase": "", "change": "rewound", "before": head, "after": step}
    trainer.ring.write(Record.EVENT, step, json.dumps(event).encode())
