"""Arrays that are kept from batch to batch: one set for each number of rows, of the last two numbers that came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
#: A whole batch, and the shorter one at the end of an epoch.
KEPT = 2


class Buffers(Generic[T]):
    """What ``make(rows, dtype)`` gives, made once for each number of rows."""

    def __init__(self, make: Callable[[int, np.dtype[Any]], T]) -> None:
        self._make = make
        self._held: dict[int, T] = {}

    def of(self, batch: npt.NDArray[Any]) -> T:
        """For as many rows as ``batch`` has, in its type."""
        rows = len(batch)
        if rows not in self._held:
            if len(self._held) == KEPT:
                del self._held[next(iter(self._held))]
            self._held[rows] = self._make(rows, batch.dtype)
        return self._held[rows]
