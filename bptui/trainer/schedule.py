"""Learning-rate schedules, by torch's definitions, as functions of epoch, step and validation loss."""

from __future__ import annotations

import math

from bptui.spec.experiment import (
    Constant,
    Cosine,
    Exponential,
    Plateau,
    Schedule,
    StepDecay,
    Warmup,
)
from bptui.trainer.epochs import Epochs


class LearningRate:
    """The rate of each update. ``base`` may be changed live; what the schedule makes of it follows."""

    def __init__(self, base: float, schedule: Schedule, *, steps_per_epoch: int, total_steps: int | None) -> None:
        self.base = base
        self.schedule = schedule
        self.epochs = Epochs(steps_per_epoch)
        self._total_steps = total_steps
        self.floor = schedule.min_lr if isinstance(schedule, Cosine | Plateau) else 0.0
        """Below which the schedule does not go: its ``min_lr``, until the rate is set where that leaves no room."""
        self.factor = 1.0  # plateau: what it has cut so far
        self._best = math.inf
        self._bad_epochs = 0
        self._cooldown = 0

    def rescale(self, epochs: Epochs, total_steps: int | None) -> None:
        """An epoch has another number of updates from now on."""
        self.epochs, self._total_steps = epochs, total_steps

    @property
    def constant_within_epoch(self) -> bool:
        """Whether the rate stays the same between two ends of an epoch."""
        return isinstance(self.schedule, Constant | Plateau) or getattr(self.schedule, "per", "") == "epoch"

    def at(self, step: int) -> float:
        """The rate of the update from state ``step``."""
        schedule = self.schedule
        if isinstance(schedule, Constant):
            return self.base
        if isinstance(schedule, Plateau):
            return max(self.base * self.factor, min(self.floor, self.base))
        place = self._place(schedule, step)
        return self.base * self._scale(schedule, place) + self._offset(schedule, place)

    def _place(self, schedule: StepDecay | Exponential | Cosine | Warmup, step: int) -> int:
        return step if schedule.per == "step" else self.epochs.of(step)

    def _scale(self, schedule: StepDecay | Exponential | Cosine | Warmup, place: int) -> float:
        if isinstance(schedule, StepDecay):
            return schedule.gamma ** (place // schedule.every)
        if isinstance(schedule, Exponential):
            return schedule.gamma**place
        if isinstance(schedule, Warmup):
            return schedule.start + (1 - schedule.start) * min(place, schedule.length) / schedule.length
        return self._cosine(schedule, place)

    def _offset(self, schedule: StepDecay | Exponential | Cosine | Warmup, place: int) -> float:
        return self.floor * (1 - self._cosine(schedule, place)) if isinstance(schedule, Cosine) else 0.0

    def _cosine(self, schedule: Cosine, place: int) -> float:
        length = schedule.length
        if length is None:
            total = self._total_steps or 1
            length = total if schedule.per == "step" else math.ceil(self.epochs.done(total))
        return (1 + math.cos(math.pi * min(place, length) / length)) / 2 if length else 1.0

    def epoch_ended(self, loss: float) -> None:
        """Plateau: take the epoch's validation loss (torch's relative threshold, mode ``min``)."""
        schedule = self.schedule
        if not isinstance(schedule, Plateau):
            return
        if loss < self._best * (1 - schedule.threshold):
            self._best, self._bad_epochs = loss, 0
        else:
            self._bad_epochs += 1
        if self._cooldown > 0:
            self._cooldown, self._bad_epochs = self._cooldown - 1, 0
        if self._bad_epochs > schedule.patience:
            self.factor = max(self.factor * schedule.factor, min(1.0, self.floor / self.base))
            self._cooldown, self._bad_epochs = schedule.cooldown, 0

    def set_now(self, value: float, step: int) -> float:
        """Make the rate ``value`` at this step by changing ``base``; returns the rate there was.

        Below the schedule's floor, and at the end of a cosine, where no base gives it, it stays ``value`` from here on.
        """
        before = self.at(step)
        if math.isclose(before, value, rel_tol=1e-12, abs_tol=0.0):
            return before  # it is that already: doing the same change again must not move it by a rounding
        schedule, part = self.schedule, self._part(step)
        if part <= 0 or value <= self.floor:
            self.base, self.factor = value, 1.0
            if isinstance(schedule, Cosine | Plateau):
                self.floor = value
        elif isinstance(schedule, Cosine):
            self.base = self.floor + (value - self.floor) / part
        else:
            self.base = value / part
        return before

    def _part(self, step: int) -> float:
        """How much of ``base`` the rate of this step has, above the floor of a cosine."""
        schedule = self.schedule
        if isinstance(schedule, Constant):
            return 1.0
        if isinstance(schedule, Plateau):
            return self.factor
        return self._scale(schedule, self._place(schedule, step))

    def state(self) -> dict[str, float]:
        return {
            "base": self.base, "factor": self.factor, "floor": self.floor, "best": self._best,
            "bad_epochs": float(self._bad_epochs), "cooldown": float(self._cooldown),
        }  # fmt: skip

    def load_state(self, state: dict[str, float]) -> None:
        self.base, self.factor, self._best = state["base"], state["factor"], state["best"]
        self.floor = state.get("floor", self.floor)
        self._bad_epochs, self._cooldown = int(state["bad_epochs"]), int(state["cooldown"])
