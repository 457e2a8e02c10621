"""Back in time: to any step by the nearest state that was kept, and from there by the same updates again.

Going back changes nothing. What is changed in the past begins a branch: a run of its own (``runs.branches``), which is
what its user goes on with; this run stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.runs import branches, keyframes
from bptui.runs.info import RunError
from bptui.runs.interventions import Change, changes
from bptui.trainer.changes import Value
from bptui.trainer.course import Course
from bptui.trainer.keep import keep, keep_state

if TYPE_CHECKING:
    from bptui.trainer.recorded import Recorded

#: A state so many updates before the one that is gone to is held: a step back from there is short.
LAID = frozenset(1 << power for power in range(11))
#: Seconds between two words on how far it is.
TOLD_SECONDS = 0.2
#: Seconds after which another request may interrupt the way: before, it waits until this one has arrived.
PATIENCE = 0.4


def go_to(trainer: Recorded, step: int, *, interruptible: bool = False) -> str:
    """Be in state ``step`` of what was recorded, with what was changed in it.

    ``interruptible``: another request may end it, anywhere on the way. Returns what is to be said of it: a keyframe
    that could not be read. ValueError: it lies in no past, or no state before it can be read; the trainer is then
    where it was.
    """
    if not 0 <= step <= trainer.head:
        raise ValueError(f"there is no step {step:,} yet: 0 to {trainer.head:,} can be gone to")
    trainer.leave_update()
    if step == trainer.step:
        return ""
    if trainer.step == trainer.head:
        trainer.remember()
    problem = restore_nearest(trainer, step)
    _walk(trainer, step, interruptible)
    trainer.relive_here()
    trainer.ring.set_step(trainer.step)
    trainer.shows = "other"
    return problem


def _walk(trainer: Recorded, step: int, interruptible: bool = False) -> None:
    """The updates from here to ``step`` again."""
    begin, first = time.perf_counter(), trainer.step
    told = begin
    while (left := step - trainer.step) > 0:
        if left in LAID:
            trainer.memory.lay(trainer)
        trainer.relive_here()
        Course.update(trainer)
        now = time.perf_counter()
        if now - told >= TOLD_SECONDS:
            told = now
            trainer.say(f"on the way to step {step:,}: {(trainer.step - first) / (step - first):.0%}")
            if interruptible and now - begin >= PATIENCE and trainer.interrupted():
                return


def restore_nearest(trainer: Recorded, step: int) -> str:
    """Be in the last state at or before ``step`` that can be had; returns which keyframe could not be read.

    ValueError: there is none; nothing has changed.
    """
    problem = ""
    held = trainer.memory.nearest(step)
    here = trainer.step if trainer.begun and trainer.step <= step else -1
    if held is not None and held.step <= here:
        held = None
    for frame in keyframes.before(trainer.directory, step):
        if frame.step <= max(here, held.step if held is not None else -1):
            break
        before = trainer.capture()
        try:
            trainer.restore(frame.step, *keyframes.read(frame.path))
            return problem
        except RunError as error:
            problem = problem or str(error)
        except ValueError as error:
            problem = problem or f"{frame.path}: {error}"
            trainer.restore(trainer.step, *before)
    if held is not None:
        trainer.restore(held.step, held.tensors, held.words)
    elif here < 0:
        raise ValueError(problem or f"no state before step {step:,} was kept")
    return problem


def cut(trainer: Recorded) -> None:
    """Nobody has seen what lies ahead of this state: it becomes the head again, and is recorded from here anew."""
    step = trainer.step
    if step >= trainer.head:
        return
    trainer.memory.forget_after(step)
    trainer.shelf.forget_after(step)
    trainer.recorded_to(step)


def begin_branch(trainer: Recorded, step: int) -> None:
    """Be where this run, which is a branch, leaves its parent, with the changes that it leaves with.

    ValueError: no state before it can be read.
    """
    trainer.memory.changes = changes(trainer.directory)
    trainer.head = step
    restore_nearest(trainer, step)
    _walk(trainer, step)
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
    held = trainer.memory.at(trainer.head)
    if held is not None and not trainer.shelf.has(trainer.head):
        keep_state(trainer, held.step, held.tensors, held.words)
