"""What a condition needs to know of one state of a course: its own figures, and what its update leaves.

One definition for whoever looks at each state in a row, breakpoints and ``bisect`` alike: ``step``, ``epoch``, ``lr``,
``val_loss`` …, ``dead`` and ``weight_norm`` are those of the state; ``loss``, ``grad_norm``, ``update_ratio``,
``delta_norm``, ``activation_mean`` and ``saturated`` are those of the update that is done from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bptui.engine.base import COLUMNS, Engine
from bptui.expr import Condition
from bptui.expr.language import LayerFunction, Remembered
from bptui.expr.tree import Binary, Both, Call, Either, Name, Node, Number, Past
from bptui.probe.units import Census, saturated
from bptui.trainer.course import Course

Values = dict[str, float | None]

#: Functions of a layer that a state has without its update.
OF_STATE = frozenset({"dead", "weight_norm"})
#: Functions that are columns of the table that an engine reduces an update to.
_COLUMNS = {name: COLUMNS.index(name) for name in ("grad_norm", "update_ratio", "activation_mean", "delta_norm")}
_WEIGHT_NORM = COLUMNS.index("weight_norm")


def of_update(condition: Condition) -> bool:
    """Whether it reads anything that a state has only once its update is done."""
    return "loss" in condition.names or any(function not in OF_STATE for function, _ in condition.calls)


def stays(node: Node) -> bool:
    """Whether what holds goes on holding: more dead units than so many, later than some step, and both or either."""
    match node:
        case Both(_, left, right) | Either(_, left, right):
            return stays(left) and stays(right)
        case Binary(_, ">" | ">=", Call(_, "dead", _) | Name(_, "step" | "epoch"), Number()):
            return True
        case Binary(_, "<" | "<=", Number(), Call(_, "dead", _) | Name(_, "step" | "epoch")):
            return True
    return False


class StateLook:
    """Looks at the states of a course, one after the other."""

    def __init__(
        self, course: Course, conditions: Iterable[Condition], change: Callable[[], None],
        past: Callable[[int], Past] | None = None,
    ) -> None:  # fmt: skip
        """``change``: makes what was changed in the present state. ``past``: what was before a state (None: what has
        been looked at)."""
        wanted = {call for condition in conditions for call in condition.calls}
        reach = max((condition.reach for condition in conditions), default=0)
        functions = {function for function, _ in wanted}
        self._course, self._change = course, change
        self._remembered = Remembered(reach)
        self._past_of = past
        self._past: Past = self._remembered
        self._table, self._watch = bool(functions & set(_COLUMNS)), "update_ratio" in functions
        self._weights, self._dead = "weight_norm" in functions, "dead" in functions
        self._saturated = {layer for function, layer in wanted if function == "saturated"}
        self._census: Census | None = None
        self._engine: Engine | None = None
        self._functions: dict[str, LayerFunction] = {}

    def before(self) -> Values:
        """Of a state without its update (the last one): what needs none."""
        self._of_state()
        return self._scalars(dict(self._course.scalars), None, self._course.step, self._rate())

    def through(self) -> Values:
        """Of a state, by doing its update."""
        course = self._course
        self._of_state()
        step, lr, known = course.step, self._rate(), dict(course.scalars)
        epoch = course.epochs.done(step)
        course.engine.watch(self._watch)
        loss = course.update()
        course.engine.watch(False)
        self._of_update()
        return self._scalars(known, loss, step, lr, epoch)

    def holds(self, condition: Condition, values: Values) -> bool:
        return condition.holds(values, self._functions, self._past)

    def parts(self, condition: Condition, values: Values) -> dict[str, float]:
        """The condition's names and calls with what they were."""
        found = {name: values.get(name) for name in sorted(condition.names)}
        for function, layer in condition.calls:
            if function in self._functions:
                found[f'{function}("{layer}")'] = self._functions[function](layer)
        return {name: value for name, value in found.items() if value is not None}

    @property
    def functions(self) -> dict[str, LayerFunction]:
        return self._functions

    @property
    def past(self) -> Past:
        return self._past

    def _rate(self) -> float:
        return self._course.lr.at(self._course.step)

    def _of_state(self) -> None:
        self._change()
        self._functions = {}
        if self._weights:
            self._functions["weight_norm"] = self._column(self._course.engine.reduce()[:, _WEIGHT_NORM])
        if self._dead:
            self._functions["dead"] = self._count()

    def _of_update(self) -> None:
        engine = self._course.engine
        if self._table:
            table = engine.reduce()
            self._functions |= {name: self._column(table[:, column]) for name, column in _COLUMNS.items()}
        if self._saturated:
            shares = {
                layer.name: saturated(engine, index)
                for index, layer in enumerate(engine.layers) if layer.name in self._saturated
            }  # fmt: skip
            self._functions["saturated"] = shares.get

    def _column(self, values: np.ndarray) -> LayerFunction:
        names = [layer.name for layer in self._course.engine.layers]
        return {name: value if value == value else None for name, value in zip(names, values.tolist(), strict=True)}.get

    def _count(self) -> LayerFunction:
        course = self._course
        if self._census is None or self._engine is not course.engine:  # a change may have put another in its place
            self._engine = course.engine
            self._census = Census(course.engine, course.setup.data.train.blocks(512))
        dead = self._census.take(course.step)
        return {
            layer.name: None if units is None else len(units) / max(layer.units, 1)
            for layer, units in zip(course.engine.layers, dead, strict=True)
        }.get

    def _scalars(self, known: Values, loss: float | None, step: int, lr: float, epoch: float | None = None) -> Values:
        epoch = self._course.epochs.done(step) if epoch is None else epoch
        values = {**known, "loss": loss, "step": float(step), "epoch": epoch, "lr": lr}
        if self._past_of is not None:
            self._past = self._past_of(step)
        else:
            self._remembered.add(values)
        return values
