"""Dropout masks, drawn by (seed, layer or branch, step): both engines, and every replay of a step, get the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptui.engine.errors import EngineError, nearest
from bptui.philox import Stream


def dropout_layers(key: str, names: Sequence[str]) -> list[int] | None:
    """Layers that a setting named ``dropout`` (all but the last) or ``dropout.dense1`` means; None: another setting."""
    if key == "dropout":
        return list(range(max(1, len(names) - 1)))
    head, dot, name = key.partition(".")
    if head != "dropout" or not dot:
        return None
    if name not in names:
        raise EngineError(f"{key}: no layer {name!r}{nearest(name, names)}")
    return [names.index(name)]


def checked_rate(key: str, rate: float) -> float:
    """A rate that dropout may have; EngineError where it is none."""
    if not 0.0 <= rate < 1.0:
        raise EngineError(f"{key}: expected at least 0 and below 1, got {rate!r}")
    return float(rate)


class Dropout:
    """Inverted dropout of a layer, or of a branch inside one: an element is 0 with probability ``rate``, else
    1 / (1 − rate)."""

    def __init__(self, seed: int, name: str, units: int, rate: float) -> None:
        self._stream = Stream(seed, f"dropout.{name}")
        self._units = units
        self._scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
        # a word w is kept where (w >> 11)·2⁻⁵³ ≥ rate, which is one comparison of integers
        self._threshold = np.uint64(min(int(np.ceil(rate * 2.0**53)) << 11, 2**64 - 1))

    def mask(self, step: int, rows: int, first: int = 0) -> npt.NDArray[np.float64]:
        """``(rows, units)`` for the samples ``first`` … of step ``step`` (``first`` > 0: a later accumulated batch)."""
        start = first * self._units
        words = self._stream.words(step, start + rows * self._units)[start:]
        kept = words >= self._threshold
        return np.multiply(kept, self._scale, dtype=np.float64).reshape(rows, self._units)
