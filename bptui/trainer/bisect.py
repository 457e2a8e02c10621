"""The first step of a run in whose state a condition holds: by the record, by keyframes, or by doing the run again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bptui.expr import Condition, ConditionError, parse
from bptui.expr.columns import Column, truths
from bptui.runs.report import losses
from bptui.trainer.replay import Progress, Replayed, ReplayError
from bptui.trainer.state_look import StateLook, stays


class Found(NamedTuple):
    """Where a condition first held."""

    step: int | None
    """None: at no step that was looked at."""
    looked_at: int
    values: dict[str, float]
    """What each part of the condition was there."""
    not_comparable: str
    way: str
    """``by the record``, ``by keyframes`` or ``by scanning``."""


def bisect(run: Path, text: str, *, to: int | None = None, progress: Progress | None = None) -> Found:
    """The first state, from 0 to ``to`` (None: the last), in which the condition holds.

    *By the record*, where it reads only what is recorded of every step. *By keyframes*, where it stays true once it
    is, as far as dead units stay dead: a binary search over the keyframes, then each state between two of them. Else
    *by scanning*: every state, in order, as halving the run could miss its first time. ``loss`` is that of the state;
    norms, Δ/W and δ are those of its update; ``dead`` is a census of the state. Raises ReplayError, ConditionError.
    """
    condition = parse(text)  # what cannot be read is told before anything is loaded
    if not condition.calls and condition.names <= _RECORDED:
        return _by_record(run, condition, to)
    again = Replayed(run, to, first=True)
    names = [layer.name for layer in again.course.engine.layers]
    condition = parse(text, layers=names)
    looked, way = 0, "by scanning"
    with np.errstate(all="ignore"):
        if condition.calls and stays(condition.tree):
            looked, way = _narrow(again, condition, progress), "by keyframes"
        found = _scan(again, condition, progress)
    return found._replace(looked_at=found.looked_at + looked, way=way)


#: What is recorded of every step.
_RECORDED = frozenset({"loss", "step"})


def _by_record(run: Path, condition: Condition, to: int | None) -> Found:
    recorded = losses(run)
    last = len(recorded) if to is None else to
    if not 0 <= last <= len(recorded):
        raise ReplayError(f"{run.name}: there is no step {last:,}: 0 to {len(recorded):,} are recorded")
    values = np.append(recorded, np.nan)[: last + 1]
    known = np.arange(last + 1) < len(recorded)
    columns = {"loss": Column(values, known), "step": Column(np.arange(last + 1, dtype=np.float64))}
    held = truths(condition, columns, 0, last + 1)
    if not held.any():
        return Found(None, last + 1, {}, "", "by the record")
    step = int(np.argmax(held))
    there = {name: float(columns[name].values[step]) for name in sorted(condition.names)}
    return Found(step, step + 1, there, "", "by the record")


def _narrow(again: Replayed, condition: Condition, progress: Progress | None) -> int:
    """Be in the last keyframe in which the condition does not hold yet; returns how many were looked at."""
    frames = [frame for step, frame in sorted(again.frames.items()) if again.course.step < step <= again.to]
    looked, low, high, first = 0, 0, len(frames), again.course.capture()
    start = again.course.step
    while low < high:
        middle = (low + high) // 2
        if progress is not None:
            progress(frames[middle].step, again.to)
        try:
            again.be_in(frames[middle])
        except ReplayError:
            del frames[middle]  # damaged: the search does without it
            high -= 1
            continue
        looked += 1
        look = StateLook(again.course, [condition], again.change)
        if look.holds(condition, look.before()):
            high = middle
        else:
            low = middle + 1
    if low:
        again.be_in(frames[low - 1])
    else:
        again.course.restore(start, *first)
    return looked


def _scan(again: Replayed, condition: Condition, progress: Progress | None) -> Found:
    look, looked = StateLook(again.course, [condition], again.change), 0
    while True:
        step = again.course.step
        ended = step >= again.to
        values = look.before() if ended else look.through()
        looked += 1
        if look.holds(condition, values):
            return Found(step, looked, look.parts(condition, values), again.not_comparable, "")
        if ended:
            return Found(None, looked, {}, again.not_comparable, "")
        if progress is not None and step % 50 == 0:
            progress(step, again.to)


__all__ = ["ConditionError", "Found", "bisect"]
