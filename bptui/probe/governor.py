"""The governor: keeps what probes cost inside a share of the run by thinning them.

Each probe (a table of norms and unit counters; histograms; looks for breakpoints) has a part of the
budget. After each time it ran, the governor sets the step before which it must not run again, from a
running mean of its cost and of the time a bare step takes. A probe is also not run more often than
anyone could look at it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Weight of the newest cost in its running mean.
SMOOTHING = 0.2
#: A time counts in it as no more than so many times the mean: mostly something else had the processor.
OUTLIER = 2.0
#: Unwatched steps after the first probe of a run, which tell how long a bare step takes.
FIRST_STRETCH = 16


@dataclass(slots=True)
class Allowance:
    """One probe: its part of the budget and how often it is of use (times a second)."""

    part: float
    """Of the budget, as against the others where they are more than 1 together; 0: it does not run."""
    most_often: float
    cost: float = 0.0
    """Running mean of seconds a time."""
    next_step: int = 0


class Governor:
    """``budget`` is the share of wall time that all probes together may take (0.03: 3 %)."""

    def __init__(self, budget: float, **allowances: Allowance) -> None:
        self.budget = budget
        self.allowances = allowances
        self.spent = 0.0
        """Seconds that probes have taken since ``begin``."""
        self._began = 0.0
        self._outside = 0.0
        self._step_time = 0.0

    def begin(self, now: float) -> None:
        """Training starts or goes on at ``now`` (seconds): time between ``end`` and ``begin`` does not count."""
        self._began = now

    def end(self, now: float) -> None:
        self._outside += now - self._began
        self._began = now

    def forget(self) -> None:
        """Everything is due again, and nothing has been spent."""
        self.spent = 0.0
        for allowance in self.allowances.values():
            allowance.cost, allowance.next_step = 0.0, 0

    def share(self, now: float) -> float:
        """What probes really took, as a share of the time that training ran."""
        wall = self._outside + now - self._began
        return self.spent / wall if wall > 0 else 0.0

    def stepped(self, seconds: float) -> None:
        """An unwatched step took so long (waiting for the pace included)."""
        self._step_time += (seconds - self._step_time) * (SMOOTHING if self._step_time else 1.0)

    @property
    def step_time(self) -> float:
        """Running mean of the seconds that an unwatched step takes; 0: not known yet."""
        return self._step_time

    def paced(self, rate: float) -> None:
        """The pace is another: ``rate`` steps a second, or as fast as it goes (0). Everything is due again."""
        self._step_time = 1 / rate if rate > 0 else 0.0
        for allowance in self.allowances.values():
            allowance.next_step = 0

    def give(self, name: str, part: float) -> None:
        """A probe's part is another from now on."""
        allowance = self.allowances[name]
        if allowance.part != part:
            allowance.part, allowance.next_step = part, 0

    def due(self, name: str, step: int) -> bool:
        allowance = self.allowances[name]
        return step >= allowance.next_step and allowance.part > 0

    def ran(self, name: str, step: int, seconds: float) -> None:
        """A probe ran at ``step``; sets when it may run again."""
        allowance = self.allowances[name]
        usual = min(seconds, OUTLIER * allowance.cost) if allowance.cost else seconds
        allowance.cost += (usual - allowance.cost) * (SMOOTHING if allowance.cost else 1.0)
        self.spent += seconds
        if not self._step_time:  # nothing is known of a bare step yet: look again once it is
            allowance.next_step = step + FIRST_STRETCH
            return
        step_time = max(self._step_time, 1e-7)
        part = allowance.part / max(1.0, sum(each.part for each in self.allowances.values()))
        affordable = allowance.cost / (self.budget * part) if self.budget * part > 0 else 3600.0
        allowance.next_step = step + max(1, round(max(affordable, 1 / allowance.most_often) / step_time))

    def next_step(self) -> int:
        """The first step at which anything is due."""
        return min(allowance.next_step for allowance in self.allowances.values() if allowance.part > 0)
