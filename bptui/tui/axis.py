"""Axes: nice ends and ticks, and ranges that change rarely."""

from __future__ import annotations

import math

_LADDER = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0, 10.0)


def nice_above(value: float) -> float:
    """The next of 1, 1.25, 1.6, 2, 2.5 … × 10ⁿ at or above ``value`` > 0: at least four fifths of it are used."""
    power = 10.0 ** math.floor(math.log10(value))
    for rung in _LADDER:
        if rung * power >= value * (1 - 1e-12):
            return rung * power
    return 10 * power


def steps_end(last: int, total: int | None) -> int:
    """The right end of a step axis: rarely another one, and the run's own end once that is near."""
    if total is not None and last > 0.6 * total:
        return max(total, last, 1)
    end = max(20, math.ceil(nice_above(max(last, 1))))
    return min(end, total) if total is not None and total >= last else end


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most ``most`` round values within [low, high], evenly spaced."""
    if most < 1 or not high > low:
        return [low]
    raw = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9)), 10 * power)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)][: most + 1]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten within [low, high], or 1-2-5 where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        values = [d * 10.0**e for e in range(first, last + 1) for d in digits]
        values = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(values) <= most:
            return values or [low, high]
    stride = math.ceil(len(values) / max(1, most))
    return values[::-1][::stride][::-1]


class Range:
    """The ends of a y axis: they move only when values leave them or fill less than half of the axis."""

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 1.0
        self._kind = (False, False)
        self._empty = True

    def include(self, low: float, high: float, log: bool, tight: bool = False) -> tuple[float, float]:
        """New ends for values in [low, high]; logarithmic axes end at 1, 2 or 5 × 10ⁿ and need ``low`` > 0.

        ``tight``: a linear axis need not begin at 0 (someone looks closely).
        """
        fresh = self._empty or self._kind != (log, tight)
        if fresh or low < self.low or high > self.high or self._wasteful(low, high, log, tight):
            self.low, self.high = _log_ends(low, high) if log else _linear_ends(low, high, tight)
            self._kind, self._empty = (log, tight), False
        return self.low, self.high

    def _wasteful(self, low: float, high: float, log: bool, tight: bool) -> bool:
        if log:
            return math.log(self.high / self.low) > 2 * math.log(max(high / low, 10.0)) + 1.0
        first, last = _linear_ends(low, high, tight)
        return self.high - self.low > 2.2 * (last - first)


def _linear_ends(low: float, high: float, tight: bool) -> tuple[float, float]:
    """From 0 where the values come near it, else tight around them, yet never within a tenth of their size."""
    if 0 <= low < 0.9 * high and not tight:
        return 0.0, nice_above(high)
    middle = low / 2 + high / 2
    span = max(high - low, 0.1 * abs(middle)) or 1.0
    step = nice_above(span) / 4
    first, last = math.floor((middle - span / 2) / step) * step, math.ceil((middle + span / 2) / step) * step
    return min(first, low), max(last, high)


def _log_ends(low: float, high: float) -> tuple[float, float]:
    def down(value: float) -> float:
        power = 10.0 ** math.floor(math.log10(value))
        return max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-12))

    def above(value: float) -> float:
        power = 10.0 ** math.floor(math.log10(value))
        return min(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-12))

    first, last = down(low), above(high)
    return (first, last) if last > first else (first / 2, last * 2)
