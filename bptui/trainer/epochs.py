"""Which step belongs to which epoch, where the number of updates in an epoch may change between two of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epochs:
    """From state ``from_step``, the beginning of epoch ``from_epoch``, an epoch has ``steps`` updates."""

    steps: int
    from_step: int = 0
    from_epoch: int = 0

    def of(self, step: int) -> int:
        """The epoch, from 0, of the update from state ``step``."""
        return self.from_epoch + (step - self.from_step) // self.steps

    def done(self, step: int) -> float:
        """Epochs done in state ``step``, with their fraction."""
        return self.from_epoch + (step - self.from_step) / self.steps

    def between(self, step: int) -> bool:
        """Whether state ``step`` stands between two epochs."""
        return (step - self.from_step) % self.steps == 0

    def end(self, step: int) -> int:
        """The state in which the epoch of the update from state ``step`` ends."""
        return self.from_step + ((step - self.from_step) // self.steps + 1) * self.steps

    def changed(self, step: int, steps: int) -> Epochs:
        """Another number of updates from state ``step`` on, which must stand between two epochs."""
        return Epochs(steps, step, self.of(step))
