"""What bptui costs a script, as it would be measured from outside: by how much later updates end.

A timer in a hook sees what the hook does. It does not see what torch does because a hook is there, nor how cold the
caches are that the script comes back to: on a small network that is more than half. So whole updates are compared: the
time from the end of the last update before a sample to the end of the first one after it, less what so many updates
take that nobody looked at. Medians, as any update may have waited for data, a checkpoint or another process.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

#: Samples, and stretches of updates that nobody looked at, over which a median is taken.
REMEMBERED = 15
_ENOUGH = 5
STRETCHES = 48
#: Stretches that are taken from the updates between two samples.
_FRESH = 12
#: So many samples pass between two updates in which ``backward`` is timed, once it has been timed often enough.
_SELDOM = 8


@dataclass(slots=True)
class Sample:
    """A sampled update, or a round of them (one of each optimiser)."""

    first: int
    """Number of its first update."""
    began: float
    """The end of the update before."""
    floor: float = 0.0
    """Seconds that probes measured of themselves: it costs this at least."""
    histograms: bool = False
    spoiled: bool = False
    """The script stood still in it."""


@dataclass(slots=True)
class Costs:
    """Fed at each update that bptui does more at than to record the loss. Times in seconds, ``stamps`` of one clock."""

    stamps: list[float]
    """Ends of the updates since the last ``take``, which empties it."""
    spent: float = 0.0
    """By everything so far."""
    trained: float = 0.0
    """What the same updates take without samples."""
    optimizers: int = 1
    """Updates of a round: those of different optimisers take differently long."""
    _updates: int = 0
    _end: float = 0.0
    """The end of update number ``_updates`` − 1."""
    _sample: Sample | None = None
    _bodies: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """Of the hook behind an update: the same lines as at any other, up to where this class is asked."""
    _wrappers: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """Of what stands around ``backward``."""
    _samples: int = 0
    """Since it was timed last."""
    _rounds: deque[float] = field(default_factory=lambda: deque(maxlen=STRETCHES))
    """Seconds of ``2 · optimizers`` updates in a row that nobody looked at."""
    _cost: dict[bool, deque[float]] = field(default_factory=dict)
    """Of samples without and with histograms."""

    @property
    def unit(self) -> float:
        """Seconds of an update that nobody looks at; 0: not known."""
        return statistics.median(self._rounds) / (2 * self.optimizers) if self._rounds else 0.0

    @property
    def hot(self) -> float:
        """Seconds that an update costs by being seen at all: each of its two hooks, as cold as it finds the caches."""
        return sum(statistics.median(times) for times in (self._bodies, self._wrappers) if times)

    @property
    def untimed(self) -> bool:
        """What stands around ``backward`` is to be timed again."""
        return len(self._wrappers) < REMEMBERED or self._samples >= _SELDOM

    def timed(self, seconds: float) -> None:
        """What stands around ``backward`` has taken this in an update."""
        self._wrappers.append(seconds)
        self._samples = 0

    @property
    def share(self) -> float:
        """Of the time that the script's updates take, 0–1."""
        return self.spent / self.trained if self.trained > 0 else 0.0

    def of(self, *, histograms: bool, floor: float = math.inf) -> float:
        """Seconds that a sample is to be reckoned with; ``floor``: what the last one's probes measured of themselves.

        While there are few, the lower ones count, and twice the floor among them: the first do what is done once.
        """
        costs = self._cost.get(histograms, ())
        return statistics.median(costs) if len(costs) >= _ENOUGH else statistics.median_low([*costs, 2 * floor])

    def of_round(self, optimizers: int) -> None:
        """So many optimisers take turns."""
        if optimizers > 0 and optimizers != self.optimizers:
            self.optimizers = optimizers
            self._rounds.clear()

    def begin(self, updates: int, now: float) -> None:
        """From update number ``updates`` on; what came before is none of it."""
        self.stamps.clear()
        self._updates, self._end, self._sample = updates, now, None
        self._rounds.clear()

    def take(self, now: float) -> None:
        """The hook of the last update, which took its stamp as it began, has got as far as here at ``now``."""
        if not self.stamps:
            return
        if self._sample is None or self._sample.floor:  # in a sample all is colder still
            self._bodies.append(now - self.stamps[-1])
        # asked after each update, as with several optimisers: there is nothing to compare before a whole stretch
        if self._sample is not None or len(self.stamps) >= 2 * self.optimizers:
            self._reckon()

    def _reckon(self) -> None:
        """Take in the updates that have ended."""
        ends, before = [self._end, *self.stamps], self._updates - 1
        self.stamps.clear()
        span, calm, sample = 2 * self.optimizers, 0, self._sample
        if sample is not None:
            after = sample.first + span - 1 - before
            if after < len(ends):
                self._settle(sample, ends[after] - sample.began)
                calm = after
            else:
                calm = len(ends)
        last = len(ends) - 1
        fresh = range(last, max(calm + span, last - span * _FRESH) - 1, -span)
        self._rounds.extend(ends[at] - ends[at - span] for at in fresh)
        unit = self.unit or (ends[-1] - ends[0]) / last
        self.spent += self.hot * last
        self.trained += unit * last
        self._updates += last
        self._end = ends[-1]

    def armed(self) -> None:
        """The coming update is a sample. Called where ``take`` has been."""
        if self.stamps:
            self._reckon()
        if self._sample is not None:  # not a whole round has passed since
            self._charge(self._sample, self._sample.floor)
        self._sample = Sample(self._updates, self._end)
        self._samples += 1

    def sampled(self, floor: float, *, histograms: bool, spoiled: bool) -> None:
        """The sample is done, but for what it leaves to the updates that follow."""
        if self._sample is not None:
            self._sample.floor += floor
            self._sample.histograms = self._sample.histograms or histograms
            self._sample.spoiled = self._sample.spoiled or spoiled

    def _settle(self, sample: Sample, seconds: float) -> None:
        self._sample = None
        if sample.spoiled or not self._rounds:
            self._charge(sample, sample.floor)
            return
        costs = self._cost.setdefault(sample.histograms, deque(maxlen=REMEMBERED))
        costs.append(max(seconds - statistics.median(self._rounds), sample.floor))
        self._charge(sample, self.of(histograms=sample.histograms, floor=sample.floor))

    def _charge(self, sample: Sample, seconds: float) -> None:
        self.spent += seconds
        self.trained += seconds
