"""One cell of the parameters as a setting: ``dense1.weight[3,4]``, ``dense1.bias[4]``.

As a setting it is recorded, done again by a replay and taken back like any other.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from bptui.engine.base import Engine

_NAMED = re.compile(r"(?P<tensor>.+\.(?!units\[)[\w.]+)\[(?P<cell>\d+(?:\s*,\s*\d+)*)\]")


class Cell(NamedTuple):
    """``tensor`` as in ``Engine.state``, and the place in it."""

    tensor: str
    place: tuple[int, ...]

    @classmethod
    def named(cls, key: str) -> Cell | None:
        """None for a key that is not a cell's."""
        found = _NAMED.fullmatch(key.strip())
        return None if found is None else cls(found["tensor"], tuple(map(int, found["cell"].split(","))))

    def change(self, engine: Engine, value: float) -> float:
        """Put ``value`` there, rounded to the engine's precision; returns what was there. ValueError: no such cell."""
        if not math.isfinite(value):
            raise ValueError(f"{self.tensor}: expected a finite number, got {value!r}")
        state = engine.state()
        array = state.get(self.tensor)
        if array is None or self.tensor.startswith(("optimizer.", "adversary.")):
            names = ", ".join(name for name in state if not name.startswith(("optimizer.", "adversary.")))
            raise ValueError(f"no parameter {self.tensor!r} (one of {names[:200]})")
        if len(self.place) != array.ndim or any(at >= size for at, size in zip(self.place, array.shape, strict=False)):
            size = " × ".join(map(str, array.shape))
            raise ValueError(f"{self.tensor} is {size}: there is no cell {list(self.place)}")
        before = float(array[self.place])
        array[self.place] = value
        if not math.isfinite(float(array[self.place])):
            raise ValueError(f"{self.tensor}: {value!r} is too large for {engine.dtype}")
        engine.load_state(state)
        return before
