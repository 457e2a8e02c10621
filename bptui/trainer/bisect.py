"""The first step of a run in whose state a condition holds, found by doing the run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bptui.engine.base import COLUMNS
from bptui.expr import Condition, ConditionError, parse
from bptui.expr.language import LayerFunction
from bptui.probe.units import Census
from bptui.trainer.course import Course
from bptui.trainer.replay import Progress, Replayed

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


def bisect(run: Path, text: str, *, to: int | None = None, progress: Progress | None = None) -> Found:
    """The first state, from 0 to ``to`` (None: the last), in which the condition holds.

    Every state is looked at, in order: a condition on a training need not stay true once it is, so that
    halving the run could miss its first time. ``loss`` is that of the state; norms, Δ/W and δ are those of
    its update; ``dead`` is a census of the state. Raises ReplayError, ConditionError.
    """
    condition = parse(text)  # what cannot be read is told before anything is loaded
    again = Replayed(run, to, first=True)
    names = [layer.name for layer in again.course.engine.layers]
    condition = parse(text, layers=names)
    look = _Look(again.course, condition, names)
    looked = 0
    with np.errstate(all="ignore"):
        while True:
            step = again.course.step
            ended = step >= again.to
            values = look.before() if ended else look.through(again)
            looked += 1
            if look.holds(values):
                return Found(step, looked, look.parts(values), again.not_comparable)
            if ended:
                return Found(None, looked, {}, again.not_comparable)
            if progress is not None and step % 50 == 0:
                progress(step, again.to)


class _Look:
    """What a condition needs to know of one state."""

    def __init__(self, course: Course, condition: Condition, names: list[str]) -> None:
        self._course, self._condition, self._names = course, condition, names
        wanted = {function for function, _ in condition.calls}
        self._table = bool(wanted & set(_COLUMNS))
        self._watch = "update_ratio" in wanted
        self._census = Census(course.engine, course.setup.data.train.blocks(512)) if "dead" in wanted else None
        self._functions: dict[str, Callable[[str], float | None]] = {}

    def before(self) -> dict[str, float | None]:
        """Of a state without its update (the last one): what needs none."""
        course = self._course
        self._functions = {}
        self._count()
        return self._scalars(dict(course.scalars), None, course.step, course.lr.at(course.step))

    def through(self, again: Replayed) -> dict[str, float | None]:
        """Of a state, by doing its update."""
        course = self._course
        again.change()
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
        if self._census is None:
            return
        dead = self._census.take(self._course.step)
        shares = {
            name: None if units is None else len(units) / max(self._course.engine.layers[index].shape[-1], 1)
            for index, (name, units) in enumerate(zip(self._names, dead, strict=True))
        }
        self._functions["dead"] = shares.get

    def _scalars(
        self, known: dict[str, float | None], loss: float | None, step: int, lr: float
    ) -> dict[str, float | None]:
        epoch = self._course.epochs.done(step)
        return {**known, "loss": loss, "step": float(step), "epoch": epoch, "lr": lr}

    def holds(self, values: dict[str, float | None]) -> bool:
        return self._condition.holds(values, _functions(self._functions))

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
