"""Which units still fire: counters over the samples that the probe has looked at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: A unit is called dead after 0 of this many samples, or of an epoch's where that is less.
DEAD_AFTER = 3000


class UnitCounters:
    """For each unit of a layer, how many samples ago it last gave anything but 0."""

    def __init__(self, units: list[int], epoch_samples: int) -> None:
        self.window = max(1, min(DEAD_AFTER, epoch_samples))
        self.seen = 0
        """Samples looked at so far."""
        self._last: list[npt.NDArray[np.int64]] = [np.zeros(n, dtype=np.int64) for n in units]

    def look(self, fired: list[npt.NDArray[np.bool_] | None], samples: int) -> None:
        """Take the sampled batch's firing units; None for a layer whose units cannot die."""
        self.seen += samples
        for last, units in zip(self._last, fired, strict=True):
            if units is not None:
                last[units] = self.seen

    def dead(self, layer: int) -> npt.NDArray[np.intp]:
        """Ids of the units that gave 0 for each of the last ``window`` samples looked at (none before that many)."""
        return np.flatnonzero(self.seen - self._last[layer] >= self.window)

    def forget(self) -> None:
        """Begin anew (weights were changed by hand)."""
        self.seen = 0
        for last in self._last:
            last[:] = 0
