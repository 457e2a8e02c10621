"""When a run ends by itself."""

from __future__ import annotations

import math

from bptui.spec.experiment import Stop


class Stopping:
    """``[stop]``: epochs, steps, a mean training loss below a bound, patience."""

    def __init__(self, stop: Stop, steps_per_epoch: int) -> None:
        limits = [
            n for n in (stop.steps, None if stop.epochs is None else stop.epochs * steps_per_epoch) if n is not None
        ]
        self.total_steps: int | None = min(limits) if limits else None
        self._stop = stop
        self._best = math.inf
        self._bad_epochs = 0

    def extend(self, total_steps: int) -> None:
        """Go on to ``total_steps``, with new patience."""
        self.total_steps = total_steps
        self._best, self._bad_epochs = math.inf, 0

    def rescale(self, step: int, before: int, after: int) -> None:
        """From ``step`` on an epoch has ``after`` updates: a limit in epochs moves, one in steps stays."""
        if self.total_steps is None or self.total_steps == self._stop.steps:
            return
        limited = self._stop.steps is not None and self.total_steps <= self._stop.steps
        self.total_steps = step + -(-max(self.total_steps - step, 0) * after // before)
        if limited and self._stop.steps is not None:
            self.total_steps = min(self.total_steps, self._stop.steps)

    def epoch_ended(self, mean_loss: float, validation_loss: float | None) -> str:
        """Why to stop now, in a few words; empty: go on."""
        stop = self._stop
        if stop.loss_below is not None and mean_loss < stop.loss_below:
            return f"mean training loss of the epoch {mean_loss:.4g} is below {stop.loss_below:g}"
        if stop.patience is not None:
            loss = mean_loss if validation_loss is None else validation_loss
            if loss < self._best:
                self._best, self._bad_epochs = loss, 0
            else:
                self._bad_epochs += 1
                if self._bad_epochs >= max(stop.patience, 1):
                    return f"no better loss for {self._bad_epochs} epochs (best {self._best:.4g})"
        return ""

    def state(self) -> dict[str, float]:
        return {"best": self._best, "bad_epochs": float(self._bad_epochs)}

    def load_state(self, state: dict[str, float]) -> None:
        self._best, self._bad_epochs = state["best"], int(state["bad_epochs"])
