"""The rows of what-if as a face keeps them, and their losses as curves that a plot can draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bptui.protocol.whatif import Change, Going, Outcome, WhatIfError, parse_change, words
from bptui.tui.ports import Columns, Heat, Trace

#: What is offered at first, each a line as a user would type it.
OFFERED = (
    "lr=/10", "lr=/2", "lr=*2", "optimizer=adam lr=0.001", "activation=leaky_relu", "revive=he_normal", "bias+=0.1",
    "clip_norm=1", "batch_size=*2", "dropout=0.2", "init=orthogonal",
)  # fmt: skip
STEPS = 100
MOST_STEPS = 1_000_000


@dataclass
class Row:
    """One continuation."""

    name: str
    wanted: tuple[Change, ...] = ()
    state: str = "ready"
    """``ready``, ``waits``, ``runs``, ``done``, ``failed`` or ``cancelled``."""
    done: int = 0
    losses: list[float] = field(default_factory=list)
    outcome: Outcome | None = None
    error: str = ""

    @property
    def busy(self) -> bool:
        return self.state in ("waits", "runs")

    def begin(self) -> None:
        self.state, self.done, self.losses, self.outcome, self.error = "waits", 0, [], None, ""

    def going(self, word: Going) -> None:
        self.state, self.done = "runs", word.done
        self.losses += [math.nan if loss is None else loss for loss in word.losses]

    def end(self, outcome: Outcome) -> None:
        self.state, self.outcome = "done", outcome
        self.losses = [math.nan if loss is None else loss for loss in outcome.losses]


def row_of(text: str) -> Row:
    """``lr=/10 momentum=0``; WhatIfError."""
    wanted = tuple(map(parse_change, text.split()))
    if not wanted:
        raise WhatIfError("expected a change, such as lr=/10 or dense1.activation=gelu")
    return Row(" ".join(map(words, wanted)), wanted)


class Overlay:
    """The losses of two rows as the series ``unchanged`` and ``changed``, from step ``first`` on."""

    def __init__(self, first: int, unchanged: Sequence[float], changed: Sequence[float]) -> None:
        self._first = first
        self._series = {"unchanged": unchanged, "changed": changed}

    def trace(self, series: str, first: int, last: int, columns: int) -> Trace:
        places: list[int] = []
        low: list[float] = []
        high: list[float] = []
        bad: list[bool] = []
        for index, loss in enumerate(self._series.get(series, ())):
            step = self._first + index
            if not first <= step <= last:
                continue
            place = round((step - first) / max(1, last - first) * (columns - 1))
            finite = math.isfinite(loss)
            if not places or places[-1] != place:
                places.append(place)
                low.append(loss if finite else math.nan)
                high.append(loss if finite else math.nan)
                bad.append(not finite)
            elif finite:
                low[-1] = loss if math.isnan(low[-1]) else min(low[-1], loss)
                high[-1] = loss if math.isnan(high[-1]) else max(high[-1], loss)
            else:
                bad[-1] = True
        return Trace(places, low, high, bad)

    # what a plot of two series has no need of
    def feed(self, offset: int, data: bytes) -> None:
        raise NotImplementedError

    @property
    def last_step(self) -> int:
        return self._first + max(map(len, self._series.values())) - 1

    def latest(self, series: str) -> float | None:
        found = self._series.get(series)
        return found[-1] if found else None

    def reduce(self, series: str, first: int, last: int, columns: int) -> Columns:
        raise NotImplementedError

    def points(self, series: str) -> tuple[Sequence[int], Sequence[float]]:
        found = self._series.get(series, ())
        return range(self._first, self._first + len(found)), found

    def names(self) -> Sequence[str]:
        return tuple(self._series)

    def at(self, series: str, step: int) -> tuple[int, float] | None:
        found = self._series.get(series, ())
        return (step, found[step - self._first]) if 0 <= step - self._first < len(found) else None

    def heat(self, column: str, first: int, last: int, columns: int) -> Heat:
        raise NotImplementedError

    def ridge(self, quantity: str, layer: int, most: int) -> Sequence[tuple[int, Sequence[int]]]:
        return ()

    def bad(self, series: str) -> int:
        return sum(not math.isfinite(loss) for loss in self._series.get(series, ()))
