"""Breakpoints: conditions that pause the run when they come to hold.

Twenty of them must not slow a run whose steps take tens of microseconds, so nothing is evaluated in a step. What
conditions read of each state is collected, and every few hundredths of a second all states since the last time are
evaluated at once, as columns. A hit that lies in the past by then is gone back to, bit for bit, and the run stands
where it would have stood. Conditions on the step alone are known ahead: there the stretch of updates ends.

What is about a layer is measured now and then; ``Trainer`` looks for the first step itself, between two looks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from bptui.expr import Condition, ConditionError, parse
from bptui.expr.columns import Column, truths
from bptui.expr.language import LayerFunction, Scalars, said
from bptui.protocol.messages import Armed, Check, Checked, CheckedRow, PartRow
from bptui.trainer.epochs import Epochs

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer

#: What may be another value after each update; ``--until`` on one of them is looked at after each.
EACH_STEP = frozenset({"loss", "step", "epoch", "lr"})
SHARE = 0.004
"""Of the run's time that evaluating may take …"""
LEAST_SECONDS, MOST_SECONDS = 0.02, 0.25
"""… as far as these bounds between two times allow."""
MOST_PENDING = 1 << 16
MOST_ARMED = 100
_AHEAD = 1 << 14
"""Steps for which conditions on the step alone are evaluated in advance."""


class Hit(NamedTuple):
    """A condition that has come to hold in state ``step``, and what it and its parts are there."""

    condition: Condition
    step: int
    text: str


class _Watched:
    """A condition with whether it is looked at, and whether it held the last time."""

    def __init__(self, condition: Condition, enabled: bool) -> None:
        self.condition, self.enabled, self.held = condition, enabled, False

    def rises(self, held: npt.NDArray[np.bool_]) -> int:
        """The first index at which it has come to hold; −1: at none."""
        if not held.any():
            return -1
        if not self.held and held[0]:
            return 0
        rises = np.flatnonzero(held[1:] & ~held[:-1])
        return int(rises[0]) + 1 if rises.size else -1


class _Span:
    """States in a row that share their figures: ``lr`` of all of them, or of each."""

    __slots__ = ("epochs", "figures", "lr", "states")

    def __init__(
        self, states: int, figures: list[float | None], lr: float | list[float], epochs: Epochs | None
    ) -> None:
        self.states, self.figures, self.lr, self.epochs = states, figures, lr, epochs


class Breakpoints:
    """Armed conditions. One that held the last time it was looked at does not hit again until it has ceased to."""

    def __init__(self, texts: Iterable[str], layers: Iterable[str]) -> None:
        self._layers = list(layers)
        self._all: list[_Watched] = []
        self._spacing, self._looked_at = LEAST_SECONDS, 0.0
        self.arm([Armed(text) for text in texts])

    def arm(self, conditions: Sequence[Armed]) -> None:
        """These from now on; ConditionError, and nothing changed, where one cannot be read."""
        if len(conditions) > MOST_ARMED:
            raise ConditionError(f"at most {MOST_ARMED} conditions")
        before = {one.condition.text: one for one in self._all}
        now = []
        for each in {one.text: one for one in conditions}.values():
            one = _Watched(parse(each.text, layers=self._layers), each.enabled)
            one.held = before[each.text].held if each.text in before and before[each.text].enabled else False
            now.append(one)
        self._all = now
        enabled = [one for one in now if one.enabled]
        self._of_scalars = [one for one in enabled if not one.condition.calls]
        self._of_layers = [one for one in enabled if one.condition.calls]
        self._of_step = [one for one in self._of_scalars if one.condition.names == {"step"}]
        names = frozenset().union(*(one.condition.names for one in enabled))
        self._figures = tuple(sorted(names - EACH_STEP))
        """Names of the scalars that change with an epoch, of those that are read."""
        self._reads_lr, self._reads_epoch = "lr" in names, "epoch" in names
        self._reach = max((one.condition.reach for one in enabled), default=0)
        self._losses: list[float] = []
        """Of the states that have passed since the last look, in a row from ``_first`` on."""
        self._spans: list[_Span] = []
        self._first, self._next = 0, -1
        self._tail: dict[str, Column] = {}
        self._ahead = (0, 0, 0)

    def begin(self, scalars: Scalars, functions: Mapping[str, LayerFunction]) -> None:
        """What holds in this state is no hit until it has ceased to."""
        for one in self._all:
            one.held = one.condition.holds(scalars, functions)

    @property
    def armed(self) -> tuple[Armed, ...]:
        return tuple(Armed(one.condition.text, one.enabled) for one in self._all)

    @property
    def of_layers(self) -> list[Condition]:
        """Those about a layer, of which something must be measured."""
        return [one.condition for one in self._of_layers]

    # -- what has passed ---------------------------------------------------------------------------
    def passed(self, trainer: Trainer, losses: Sequence[float], last: int) -> None:
        """The states up to ``last`` were reached, with ``losses`` of the update before each."""
        if not (self._of_scalars or self._reach) or not losses:
            return
        first = last - len(losses) + 1
        if first != self._next:  # it has been gone back to, or somewhere else
            self._forget_from(first)
            self._first = first
        lr: float | list[float] = 0.0
        if self._reads_lr:
            at = trainer.lr.at
            lr = at(first) if trainer.lr.constant_within_epoch else [at(step) for step in range(first, last + 1)]
        scalars = trainer.scalars
        figures = [scalars.get(name) for name in self._figures]
        epochs, spans = (trainer.epochs if self._reads_epoch else None), self._spans
        if (
            spans and (before := spans[-1]).figures == figures and before.epochs is epochs and before.lr == lr
            and type(lr) is float
        ):  # fmt: skip
            before.states += len(losses)
        else:
            spans.append(_Span(len(losses), figures, lr, epochs))
        self._losses += losses
        self._next = last + 1

    def _forget_from(self, step: int) -> None:
        """What is remembered of states from ``step`` on no longer holds."""
        self._losses, self._spans = [], []
        steps = self._tail.get("step")
        keep = 0
        if steps is not None and len(steps.values) and steps.values[-1] >= step - 1:
            keep = int(np.searchsorted(steps.values, step))
        self._tail = {name: _cut(column, 0, keep) for name, column in self._tail.items()} if keep else {}

    def due(self, step: int) -> bool:
        """Whether what has passed is to be looked at now."""
        if not self._losses:
            return False
        if len(self._losses) >= MOST_PENDING or self._ahead[2] == step:
            return True
        return time.perf_counter() - self._looked_at >= self._spacing

    def next_stop(self, step: int) -> int | None:
        """The next state behind ``step`` at which a condition on the step alone comes to hold, as far as is known."""
        if not self._of_step:
            return None
        begin, end, stop = self._ahead
        if not begin <= step < (stop or end):
            begin, end = step, step + _AHEAD
            columns = {"step": Column(np.arange(begin, end + 1, dtype=np.float64))}
            stop = 0
            for one in self._of_step:
                held = truths(one.condition, columns, 0, end - begin + 1)
                rises = np.flatnonzero(held[1:] & ~held[:-1])
                if rises.size and (not stop or begin + int(rises[0]) + 1 < stop):
                    stop = begin + int(rises[0]) + 1
            self._ahead = begin, end, stop
        return stop or end

    # -- looking -----------------------------------------------------------------------------------
    def hit(self) -> Hit | None:
        """The first condition that came to hold in what has passed, at the very state; the rest is then dropped."""
        if not self._losses:
            return None
        started = time.perf_counter()
        tail = len(self._tail["step"].values) if self._tail else 0
        columns, count = self._columns(), len(self._losses)
        first_hit, found = count, None
        held = []
        with np.errstate(all="ignore"):
            for one in self._of_scalars:
                truth = truths(one.condition, columns, tail, count)
                at = one.rises(truth)
                held.append(truth)
                if 0 <= at < first_hit:
                    first_hit, found = at, one
        last = min(first_hit, count - 1)
        for one, truth in zip(self._of_scalars, held, strict=True):
            one.held = bool(truth[last])
        self._losses, self._spans = [], []
        kept = tail + last + 1
        self._tail = {name: _cut(column, max(0, kept - self._reach - 1), kept) for name, column in columns.items()}
        self._next = self._first = int(columns["step"].values[kept - 1]) + 1
        self._looked_at = time.perf_counter()
        cost = self._looked_at - started
        self._spacing = min(MOST_SECONDS, max(LEAST_SECONDS, cost / SHARE))
        if found is None:
            return None
        scalars = self.past(0)
        return Hit(found.condition, self._next - 1, said(found.condition, scalars or {}, {}, self.past))

    def _columns(self) -> dict[str, Column]:
        """What is remembered and, behind it, what has passed."""
        total, spans = len(self._losses), self._spans
        steps = np.arange(self._first, self._first + total, dtype=np.float64)
        fresh = {"loss": Column(np.array(self._losses)), "step": Column(steps)}
        counts = [span.states for span in spans]
        for at, name in enumerate(self._figures):
            values = [span.figures[at] for span in spans]
            known = None
            if None in values:
                known = np.repeat([value is not None for value in values], counts)
            fresh[name] = Column(np.repeat(np.array(values, np.float64), counts), known)
        if self._reads_lr:
            if any(isinstance(span.lr, list) for span in spans):
                each = [span.lr if isinstance(span.lr, list) else [span.lr] * span.states for span in spans]
                fresh["lr"] = Column(np.concatenate(each))
            else:
                fresh["lr"] = Column(np.repeat(np.array([span.lr for span in spans], np.float64), counts))
        if self._reads_epoch:
            ends = np.cumsum(counts)
            done = [
                span.epochs.done(cast(Any, steps[end - span.states : end]))
                for span, end in zip(spans, ends, strict=True)
                if span.epochs is not None
            ]
            fresh["epoch"] = Column(np.concatenate(done))
        if not self._tail:
            return fresh
        return {name: _joined(self._tail[name], column) for name, column in fresh.items()}

    def past(self, steps: int) -> Scalars | None:
        """The scalars of so many states before the last one that was looked at."""
        column = self._tail.get("step")
        if column is None or steps >= len(column.values):
            return None
        at = len(column.values) - 1 - steps
        return {
            name: float(each.values[at]) if each.known is None or each.known[at] else None
            for name, each in self._tail.items()
        }

    def hit_of_layers(self, scalars: Scalars, functions: Mapping[str, LayerFunction]) -> list[Condition]:
        """Those about layers that have come to hold, with what is known of layers now."""
        found = []
        for one in self._of_layers:
            held = one.condition.holds(scalars, functions, self.past)
            if held and not one.held:
                found.append(one.condition)
            one.held = held
        return found


def _cut(column: Column, start: int, stop: int) -> Column:
    return Column(column.values[start:stop].copy(), None if column.known is None else column.known[start:stop].copy())


def _joined(before: Column, after: Column) -> Column:
    known = None
    if before.known is not None or after.known is not None:
        known = np.concatenate(
            [np.ones(len(each.values), bool) if each.known is None else each.known for each in (before, after)]
        )
    return Column(np.concatenate([before.values, after.values]), known)


def check(trainer: Trainer, request: Check) -> Checked:
    """What conditions are now: on a pause between updates, of this state and its coming batch."""
    scalars, functions = trainer.present()
    names = [layer.name for layer in trainer.engine.layers]
    points = trainer.breakpoints

    def row(text: str) -> CheckedRow:
        try:
            condition = parse(text, layers=names)
        except ConditionError as error:
            return CheckedRow(text, error=str(error), at=error.at)
        parts = condition.parts(scalars, functions, points.past)
        return CheckedRow(
            text, condition.value(scalars, functions, points.past),
            tuple(PartRow(_words(part.text, part.sign), part.value, part.limit, part.holds) for part in parts),
        )  # fmt: skip

    armed = points.armed
    return Checked(
        id=request.id, step=trainer.step, rows=tuple(row(text) for text in request.texts[:MOST_ARMED]), armed=armed,
        armed_rows=tuple(row(one.text) for one in armed), known_at=trainer.probe.known_at,
    )  # fmt: skip


def _words(text: str, sign: str) -> str:
    return f"{text} {sign}" if sign else text
