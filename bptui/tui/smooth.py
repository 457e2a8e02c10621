"""A running mean over the columns of a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVELS = (0.0, 0.6, 0.9, 0.97)
"""Weight of what came before; 0: not smoothed."""


def smoothed(low: Sequence[float], high: Sequence[float], bad: Sequence[bool], weight: float) -> list[float]:
    """The exponential mean of the columns' middles, corrected for its start: Σ wᵏx / Σ wᵏ.

    A column without a value has none here either; after one that is not finite the mean begins anew.
    """
    out = []
    mean = total = 0.0
    for least, most, not_finite in zip(low, high, bad, strict=True):
        if not (math.isfinite(least) and math.isfinite(most)):
            if not_finite:
                mean = total = 0.0
            out.append(math.nan)
            continue
        mean = weight * mean + (1 - weight) * (least / 2 + most / 2)
        total = weight * total + (1 - weight)
        out.append(mean / total)
    return out
