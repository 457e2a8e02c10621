"""Which updates of a script are sampled, so that all that is done to it stays inside the budget.

The governor (``probe/governor.py``) sets what may run when; what it is told of costs is what ``costs.py`` makes out.
"""

from __future__ import annotations

from bptui.attach.costs import Costs
from bptui.probe.governor import Allowance, Governor

#: A budget from which on every update is sampled.
EVERYTHING = 1.0
#: The share of the budget that is aimed at. The rest is for what no clock in the script's process can tell: what the
#: hub and a screen take from its processor, and how wrong a median of a few samples may be.
AIMED = 2 / 3
#: Of the budget at least this share is left for samples where what is done at every update is most of it.
LEAST = 0.15


class Thinning:
    """``budget``: the share of the script's time that bptui may take, 0–1. Costs in seconds."""

    def __init__(self, budget: float, stamps: list[float]) -> None:
        self.budget = budget
        self.everything = budget >= EVERYTHING
        self.costs = Costs(stamps)
        self._governor = Governor(
            budget * AIMED,
            table=Allowance(part=0.65, most_often=20.0), histogram=Allowance(part=0.35, most_often=4.0),
        )  # fmt: skip

    def due(self, step: int) -> bool:
        """Update number ``step`` may be sampled."""
        return self.everything or (self.budget > 0 and step >= self._governor.next_step())

    def histograms_due(self, step: int) -> bool:
        return self._governor.due("histogram", step)

    def passed(self) -> None:
        """An update that was not sampled has been looked at: what it takes by itself sets what samples may cost."""
        if unit := self.costs.unit:
            self._governor.stepped(unit)
            self._governor.budget = max(self.budget * AIMED - self.costs.hot / unit, self.budget * LEAST)

    def sampled(self, step: int, floor: float, *, histograms: bool, stood: bool) -> None:
        """Update number ``step`` was a sample. ``floor``: what its probes measured of themselves."""
        self.costs.sampled(floor, histograms=histograms, spoiled=stood)
        if histograms:
            whole = self.costs.of(histograms=True, floor=floor)
            plain = min(self.costs.of(histograms=False), 0.5 * whole)
            self._governor.ran("histogram", step, whole - plain)
        else:
            plain = self.costs.of(histograms=False, floor=floor)
        self._governor.ran("table", step, plain)

    def times(self, step: int) -> bool:
        """What update number ``step``, the last before a sample, loses by being seen is to be timed."""
        return self.costs.untimed and self.budget > 0 and step + 1 >= self._governor.next_step()

    def ask_after(self, step: int, seconds: float) -> int:
        """The update after which to look again, from before update ``step`` on; it takes about so long to get there."""
        ahead = step + max(1, round(seconds / max(self._governor.step_time, 1e-6)))
        if self.budget <= 0:
            return ahead
        return min(ahead, self._governor.next_step() - (2 if self.costs.untimed else 1))
