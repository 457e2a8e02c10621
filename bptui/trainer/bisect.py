"""The first step of a run in whose state a condition holds: by the record, by keyframes, or by doing the run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bptui.engine.base import COLUMNS, Engine
from bptui.expr import Condition, ConditionError, parse
from bptui.expr.columns import Column, truths
from bptui.expr.language import LayerFunction, Remembered
from bptui.expr.tree import Binary, Both, Call, Either, Name, Node, Number
from bptui.probe.units import Census
from bptui.runs.report import losses
from bptui.trainer.replay import Progress, Replayed, ReplayError

#: Functions that are columns of the table that an engine reduces a step to.
_COLUMNS = {
    name: COLUMNS.index(name) for name in ("grad_norm", "update_ratio", "weight_norm", "activation_mean", "delta_norm")
}


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
        if condition.calls and _stays(condition.tree):
            looked, way = _narrow(again, condition, names, progress), "by keyframes"
        found = _scan(again, _Look(again, condition, names), progress)
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


def _stays(node: Node) -> bool:
    """Whether what holds goes on holding: more dead units than so many, later than some step, and both or either."""
    match node:
        case Both(_, left, right) | Either(_, left, right):
            return _stays(left) and _stays(right)
        case Binary(_, ">" | ">=", Call(_, "dead", _) | Name(_, "step" | "epoch"), Number()):
            return True
        case Binary(_, "<" | "<=", Number(), Call(_, "dead", _) | Name(_, "step" | "epoch")):
            return True
    return False


def _narrow(again: Replayed, condition: Condition, names: list[str], progress: Progress | None) -> int:
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
        look = _Look(again, condition, names)
        again.change()
        if look.holds(look.before()):
            high = middle
        else:
            low = middle + 1
    if low:
        again.be_in(frames[low - 1])
    else:
        again.course.restore(start, *first)
    return looked


def _scan(again: Replayed, look: _Look, progress: Progress | None) -> Found:
    looked = 0
    while True:
        step = again.course.step
        ended = step >= again.to
        if ended:
            again.change()
        values = look.before() if ended else look.through()
        looked += 1
        if look.holds(values):
            return Found(step, looked, look.parts(values), again.not_comparable, "")
        if ended:
            return Found(None, looked, {}, again.not_comparable, "")
        if progress is not None and step % 50 == 0:
            progress(step, again.to)


class _Look:
    """What a condition needs to know of one state."""

    def __init__(self, again: Replayed, condition: Condition, names: list[str]) -> None:
        self._again, self._condition, self._names = again, condition, names
        self._past = Remembered(condition.reach)
        wanted = {function for function, _ in condition.calls}
        self._table = bool(wanted & set(_COLUMNS))
        self._watch = "update_ratio" in wanted
        self._count_dead = "dead" in wanted
        self._census: Census | None = None
        self._engine: Engine | None = None
        self._functions: dict[str, Callable[[str], float | None]] = {}

    def before(self) -> dict[str, float | None]:
        """Of a state without its update (the last one): what needs none."""
        course = self._again.course
        self._functions = {}
        self._count()
        return self._scalars(dict(course.scalars), None, course.step, course.lr.at(course.step))

    def through(self) -> dict[str, float | None]:
        """Of a state, by doing its update."""
        course = self._again.course
        self._again.change()
        self._functions = {}
        self._count()
        step, lr, known = course.step, course.lr.at(course.step), dict(course.scalars)
        course.engine.watch(self._watch)
        loss = course.update()
        course.engine.watch(False)
        if self._table:
            table = course.engine.reduce()
            self._functions |= {
                name: lambda layer, column=column: _number(table[self._names.index(layer), column])  # type: ignore[misc]
                for name, column in _COLUMNS.items()
            }
        return self._scalars(known, loss, step, lr)

    def _count(self) -> None:
        course = self._again.course
        if not self._count_dead:
            return
        if self._census is None or self._engine is not course.engine:  # a change may have put another in its place
            self._engine = course.engine
            self._census = Census(course.engine, course.setup.data.train.blocks(512))
        dead = self._census.take(course.step)
        shares = {
            name: None if units is None else len(units) / max(course.engine.layers[index].shape[-1], 1)
            for index, (name, units) in enumerate(zip(self._names, dead, strict=True))
        }
        self._functions["dead"] = shares.get

    def _scalars(
        self, known: dict[str, float | None], loss: float | None, step: int, lr: float
    ) -> dict[str, float | None]:
        epoch = self._again.course.epochs.done(step)
        values = {**known, "loss": loss, "step": float(step), "epoch": epoch, "lr": lr}
        self._past.add(values)
        return values

    def holds(self, values: dict[str, float | None]) -> bool:
        return self._condition.holds(values, _functions(self._functions), self._past)

    def parts(self, values: dict[str, float | None]) -> dict[str, float]:
        """The condition's names and calls with what they were."""
        found = {name: values.get(name) for name in sorted(self._condition.names)}
        for function, layer in self._condition.calls:
            if function in self._functions:
                found[f'{function}("{layer}")'] = self._functions[function](layer)
        return {name: value for name, value in found.items() if value is not None}


def _functions(known: dict[str, Callable[[str], float | None]]) -> dict[str, LayerFunction]:
    return dict(known)


def _number(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


__all__ = ["ConditionError", "Found", "bisect"]
