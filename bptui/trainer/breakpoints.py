"""Breakpoints: conditions that pause the run when they come to hold.

Twenty of them must not slow a run whose steps take tens of microseconds, so nothing is evaluated in a step. A stretch
of updates leaves a reference to what conditions read of its states, and a few times a second all states since the last
time are evaluated at once, as columns, by conditions that are compiled together. A hit that lies in the past by then is
gone back to, bit for bit, and the run stands where it would have stood. Conditions on the step alone are known ahead:
there the stretch of updates ends.

State k has its ``step``, ``epoch``, ``lr``, ``val_loss`` …; its ``loss`` is known once the update from it is done. What
is about a layer is measured now and then; ``Watched`` looks for the first state itself, between two looks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from bptui.expr import Condition, parse
from bptui.expr.armed import Watched, armed_anew
from bptui.expr.columns import Column, Program, Truths, reaches, truths
from bptui.expr.language import LayerFunction, Scalars, said
from bptui.expr.tree import Past
from bptui.protocol.messages import Armed
from bptui.trainer.course import Course
from bptui.trainer.epochs import Epochs
from bptui.trainer.state_look import of_update

#: What may be another value after each update; ``--until`` on one of them is looked at after each.
EACH_STEP = frozenset({"loss", "step", "epoch", "lr"})
SHARE = 0.003
"""Of the run's time that evaluating may take …"""
LEAST_SECONDS, MOST_SECONDS = 0.02, 0.5
"""… as far as these bounds between two times allow."""
MOST_PENDING = 1 << 16
_AHEAD = 1 << 14
"""Steps for which conditions on the step alone are evaluated in advance."""


class Hit(NamedTuple):
    """A condition that has come to hold in state ``step``, and what it and its parts are there."""

    condition: Condition
    step: int
    text: str


class _Watched(Watched):
    """``of_update``: whether it is known of a state only once the update from it is done."""

    __slots__ = ("of_update",)

    def __init__(self, condition: Condition, enabled: bool, held: bool = False) -> None:
        super().__init__(condition, enabled, held)
        self.of_update = of_update(condition)

    def rises(self, held: Truths) -> int:
        """The first index at which it has come to hold; −1: at none."""
        if not held.any():
            return -1
        if not self.held and held[0]:
            return 0
        rises = np.flatnonzero(held[1:] & ~held[:-1])
        return int(rises[0]) + 1 if rises.size else -1


class _Passed:
    """Updates in a row, from state ``first`` on, in spans from states with the same figures; nothing is copied."""

    def __init__(self, first: int) -> None:
        self.first = self.end = first
        self.losses: list[Sequence[float]] = []
        self.rates: list[float | Sequence[float]] = []
        """Of a span, or of each of its updates."""
        self.scalars: list[Scalars] = []
        self.epochs: list[tuple[int, Epochs]] = []
        """How epochs are counted, and from which state on."""

    def add(self, course: Course, losses: Sequence[float], rates: float | Sequence[float]) -> None:
        epochs = self.epochs
        if not epochs or epochs[-1][1] is not course.epochs:
            epochs.append((self.end, course.epochs))
        self.losses.append(losses)
        self.rates.append(rates)
        self.scalars.append(course.scalars)
        self.end = course.step

    def of(self, state: int) -> Scalars | None:
        """Everything of one state; None: it is none of these."""
        at = self.end
        for losses, rates, scalars in zip(self.losses[::-1], self.rates[::-1], self.scalars[::-1], strict=True):
            at -= len(losses)
            if at <= state < at + len(losses):
                rate = rates if isinstance(rates, float) else rates[state - at]
                epoch = next(each for begin, each in reversed(self.epochs) if begin <= state).done(state)
                return {**scalars, "loss": losses[state - at], "step": float(state), "lr": rate, "epoch": epoch}
        return None


class Breakpoints:
    """Armed conditions. One that held the last time it was looked at does not hit again until it has ceased to."""

    def __init__(self, texts: Iterable[str], layers: Iterable[str]) -> None:
        self._layers = list(layers)
        self._all: list[_Watched] = []
        self._spacing, self._looked_at = LEAST_SECONDS, 0.0
        self.spent = 0.0
        """Seconds of the processor that evaluating has taken."""
        self.arm([Armed(text) for text in texts])

    def arm(self, conditions: Sequence[Armed]) -> None:
        """These from now on; ConditionError, and nothing changed, where one cannot be read."""
        now = armed_anew(conditions, self._all, lambda text: parse(text, layers=self._layers), _Watched)
        self._all = now
        enabled = [one for one in now if one.enabled]
        of_scalars = [one for one in enabled if not one.condition.calls]
        self._of_layers = [one for one in enabled if one.condition.calls]
        self.of_layers = [one.condition for one in self._of_layers]
        """Those about a layer, of which something must be measured."""
        self._of_states = [one for one in of_scalars if not one.of_update]
        self._of_updates = [one for one in of_scalars if one.of_update]
        self._of_step = [one for one in of_scalars if one.condition.names == {"step"}]
        self._states = Program(one.condition for one in self._of_states)
        self._updates = Program(one.condition for one in self._of_updates)
        self._reaches = reaches([one.condition for one in enabled])
        self._recording = bool(of_scalars or self._reaches)
        names = frozenset().union(*(one.condition.names for one in enabled))
        self._figures = tuple(sorted(names - EACH_STEP))
        """Names of the scalars that change with an epoch, of those that are read."""
        self._reads_lr, self._reads_epoch = "lr" in names, "epoch" in names
        self._passed = _Passed(0)
        """Since the last look."""
        self._tail: dict[str, Column] = {}
        """Of the states before those, as far back as a ``delta`` reaches: what it reads."""
        self._ahead = (0, 0, 0)

    def begin(self, scalars: Scalars, functions: Mapping[str, LayerFunction]) -> None:
        """What holds in this state is no hit until it has ceased to."""
        for one in self._all:
            one.held = one.condition.holds(scalars, functions)

    @property
    def armed(self) -> tuple[Armed, ...]:
        return tuple(Armed(one.condition.text, one.enabled) for one in self._all)

    # -- what has passed ---------------------------------------------------------------------------
    def passed(self, course: Course, losses: Sequence[float], rates: float | Sequence[float]) -> None:
        """Updates with these losses and rates have led to the present state; an epoch that ends with them still has."""
        if not self._recording or not losses:
            return
        first = course.step - len(losses)
        if first != self._passed.end:  # it has been gone back to, or somewhere else
            self._forget_from(first)
        self._passed.add(course, losses, rates)

    def _forget_from(self, step: int) -> None:
        """What is remembered of states from ``step`` on no longer holds."""
        first, tail = self._passed.first, self._tail if step <= self._passed.first else {}
        self._tail = {name: _until(column, first - 1, step, len(column.values)) for name, column in tail.items()}
        self._passed = _Passed(step)

    def due(self, step: int, now: float) -> bool:
        """Whether what has passed is to be looked at now (seconds of ``time.perf_counter``)."""
        first = self._passed.first
        if step <= first:
            return False
        return now - self._looked_at >= self._spacing or step - first >= MOST_PENDING or self._ahead[2] == step

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
    def hit(self, course: Course, since: int | None = None) -> Hit | None:
        """The first condition that came to hold in what has passed, at the very state; the rest is then dropped.

        ``since``: the first state that has still to be looked at by those about layers, which may reach back from it.
        """
        passed = self._passed
        first, count = passed.first, passed.end - passed.first
        if not count or course.step != passed.end:
            return None
        started = time.thread_time()
        states, updates = self._columns(course)
        with np.errstate(all="ignore"):
            # entry i is update first + i, and the state to which it leads: in this order they come to be known
            looked = [*zip(self._of_updates, self._updates.truths(updates, count), strict=True),
                      *zip(self._of_states, self._states.truths(states, count), strict=True)]  # fmt: skip
        at, found = count, None
        for one, truth in looked:
            if 0 <= (rise := one.rises(truth)) < at:
                at, found = rise, one
        early = found is not None and found.of_update  # it stands before the update that it reads
        at = min(at, count - 1)
        state = first + at + (not early)
        for one, truth in looked:
            last = at if one.of_update else at - early
            if last >= 0:
                one.held = bool(truth[last])
        hit = None if found is None else _told(found, state, (updates, first + count - 1), (states, first + count))
        more = 1 + min(MOST_PENDING, max(0, state - since)) if since is not None else 0
        self._tail = {
            name: _until(updates[name], first + count - 1, state, reach + more) for name, reach in self._reaches.items()
        }
        self._passed = _Passed(state)
        self._looked_at, cost = time.perf_counter(), time.thread_time() - started
        self.spent += cost
        self._spacing = min(MOST_SECONDS, max(LEAST_SECONDS, cost / SHARE))
        return hit

    def _columns(self, course: Course) -> tuple[dict[str, Column], dict[str, Column]]:
        """What is remembered and, behind it, what has passed: of states up to the present one, and of updates."""
        passed = self._passed
        first, count = passed.first, passed.end - passed.first
        lengths = [*map(len, passed.losses), 1]
        states = np.arange(first, first + count + 1, dtype=np.float64)
        fresh = {"step": Column(states)}
        for name in self._figures:
            values = [scalars.get(name) for scalars in passed.scalars]
            values.append(course.scalars.get(name))
            known = np.repeat([value is not None for value in values], lengths) if None in values else None
            fresh[name] = Column(np.repeat(np.array(values, np.float64), lengths), known)
        if self._reads_lr:
            fresh["lr"] = Column(_rates([*passed.rates, course.lr.at(course.step)], lengths))
        if self._reads_epoch:
            counted = [*passed.epochs, (first + count, course.epochs)]
            ends = [*(begin for begin, _ in counted[1:]), first + count + 1]
            parts = [epochs.done(cast(Any, states[begin - first : end - first]))
                     for (begin, epochs), end in zip(counted, ends, strict=True)]  # fmt: skip
            fresh["epoch"] = Column(np.concatenate(parts))
        losses = np.fromiter(chain.from_iterable(passed.losses), np.float64, count)
        tail = self._tail
        if tail:
            fresh = {name: _joined(tail[name], column) if name in tail else column for name, column in fresh.items()}
        loss = _joined(tail["loss"], Column(losses)) if "loss" in tail else Column(losses)
        return fresh, {"loss": loss, **{name: _but_the_last(column) for name, column in fresh.items()}}

    def past_of(self, state: int) -> Past:
        """What was so many steps before ``state``, as far as it is remembered."""
        return lambda steps: self._scalars_of(state - steps)

    def _scalars_of(self, state: int) -> Scalars | None:
        first = self._passed.first
        return self._passed.of(state) if state >= first else _entry(self._tail, first - 1, state)

    def risen(self, of_state: Scalars, of_update: Scalars, functions: Mapping[str, LayerFunction]) -> list[Condition]:
        """Those about layers that have come to hold, with what is known of layers now.

        ``of_state``: figures of the present state; ``of_update``: of the state before it, and its loss.
        """
        found = []
        for one in self._of_layers:
            scalars = of_update if one.of_update else of_state
            past = self.past_of(int(scalars["step"] or 0)) if one.condition.reach else None
            held = one.condition.holds(scalars, functions, past)
            if held and not one.held:
                found.append(one.condition)
            one.held = held
        return found


def _rates(rates: list[float | Sequence[float]], lengths: list[int]) -> npt.NDArray[np.float64]:
    try:
        return np.repeat(np.array(rates, np.float64), lengths)
    except ValueError:  # a rate of its own for each update of some spans
        each = zip(rates, lengths, strict=True)
        parts = ([rate] * count if isinstance(rate, float) else rate for rate, count in each)
        return np.fromiter(chain.from_iterable(parts), np.float64, sum(lengths))


def _until(column: Column, end: int, state: int, most: int) -> Column:
    """Of a column that ends with state ``end``, at most so many entries before ``state``: a copy, for long keeping."""
    stop = max(0, len(column.values) - 1 - (end - state))
    start = max(0, stop - most)
    return Column(column.values[start:stop].copy(), None if column.known is None else column.known[start:stop].copy())


def _but_the_last(column: Column) -> Column:
    return Column(column.values[:-1], None if column.known is None else column.known[:-1])


def _joined(before: Column, after: Column) -> Column:
    known = None
    if before.known is not None or after.known is not None:
        known = np.concatenate(
            [np.ones(len(each.values), bool) if each.known is None else each.known for each in (before, after)]
        )
    return Column(np.concatenate([before.values, after.values]), known)


def _entry(columns: Mapping[str, Column], end: int, state: int) -> dict[str, float | None] | None:
    """The scalars of a state, of columns that end with state ``end``; None: none of them goes back so far."""
    found: dict[str, float | None] = {}
    for name, (values, known) in columns.items():
        at = len(values) - 1 - (end - state)
        if 0 <= at < len(values):
            found[name] = float(values[at]) if known is None or known[at] else None
    return found or None


def _told(
    one: _Watched, state: int, updates: tuple[dict[str, Column], int], states: tuple[dict[str, Column], int]
) -> Hit:
    columns, end = updates if one.of_update else states
    there = _entry(columns, end, state) or {}
    return Hit(one.condition, state, said(one.condition, there, {}, lambda steps: _entry(columns, end, state - steps)))
