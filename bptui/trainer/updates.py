"""Updates: whole, in stretches, and in micro-steps, recorded where they are new.

The hot path is ``stretch``: between two places where anything else is to be done an update is ``train_step`` and one
record; nothing is watched. A stretch ends at the end of an epoch, where a probe is due, where the run ends, or as soon
as the flag is up.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Micro, micro_steps
from bptui.runs.info import RunInfo
from bptui.runs.ring import Ring
from bptui.trainer.inspect import gradients
from bptui.trainer.recorded import Recorded
from bptui.trainer.setup import Setup

#: Seconds after which a stretch ends at the latest: states are kept between two.
STRETCH_SECONDS = 0.1


def _known_already(step: int, loss: float, now: float) -> None:
    """In place of a record of a loss that is in the log already."""


#: Rate of each of some updates, or of all of them.
Rates = float | list[float]


class Updates(Recorded):
    """A recorded course that goes on, whole updates or parts of one at a time."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup, info, ring, directory)
        self._steps: Iterator[Micro] | None = None
        self._micro_count = 0
        self._step_seconds = 1e-3
        self.parts_done = 0
        """Batches that the update under way has taken."""
        self.raw_gradients: list[npt.NDArray[np.floating] | None] | None = None
        """∂L/∂W of every layer, of the update under way, before it is regularised and clipped."""
        self._flag = ring.flag_view()

    @abstractmethod
    def after_step(self, losses: list[float], rates: Rates) -> None:
        """Updates have been done, with these losses and rates."""

    @abstractmethod
    def stretch_ends(self) -> list[int]:
        """Steps at which a stretch must end, for what is looked at there."""

    def stretch(self) -> None:
        """Unwatched updates up to the next place where something is to be done: the hot path."""
        ends = [self.probe.governor.next_step(), self.epochs.end(self.step)]
        if self.stopping.total_steps is not None:
            ends.append(self.stopping.total_steps)
        ends += self.stretch_ends()
        if self.setup.data.environment is not None:  # the figures of each update's episodes are told
            ends.append(self.step + 1)
        ends.append(self.step + max(1, int(STRETCH_SECONDS / self._step_seconds)))
        if self.step < self.head:
            self.relive_here()
            ends += [self.head, *(change.step for change in self.memory.changes if change.step > self.step)]
        end = min(ends)
        train, clock, flag = self._update, time.time, self._flag
        record = self.ring.loss if self.step >= self.head else _known_already
        if self._group == 1:
            next_batch, train_step = self.batches.next, self.engine.train_step
        first = step = self.step
        lr, fixed = self.lr.at(step), self.lr.constant_within_epoch
        total, loss = self._epoch_loss, math.nan
        losses: list[float] = []
        rates: list[float] = []
        started = time.perf_counter()
        while step < end:
            if not fixed:
                rates.append(lr := self.lr.at(step))
            loss = train_step(next_batch(), step, lr) if self._group == 1 else train(step, lr)
            record(step, loss, clock())
            losses.append(loss)
            total += loss
            step += 1
            if flag[0] or loss - loss != 0.0:  # the second: NaN or infinite
                break
        self._step_seconds = max((time.perf_counter() - started) / max(step - first, 1), 1e-7)
        self.probe.governor.stepped(self._step_seconds)
        self.step, self.loss, self.shows = step, loss, "last"
        self._epoch_loss = total
        self.after_step(losses, lr if fixed else rates)

    def one_step(self, *, everything: bool = False) -> None:
        """One whole update, watched where a probe is due; from inside an update, its rest."""
        if self._steps is not None:
            self.finish_update()
            return
        self.relive_here()
        self.probe.recording = self.step >= self.head
        self.probe.prepare(self.step, everything=everything)
        self.engine.watch(everything or self.probe.watches(self.step))
        loss = self._update(self.step, self.lr.at(self.step))
        self.engine.watch(False)
        self._done_step(loss, everything=everything)

    def _done_step(self, loss: float, *, everything: bool) -> None:
        if self.step >= self.head:
            self.ring.loss(self.step, loss, time.time())
        if math.isfinite(loss):  # else the tensors are still wanted as they are
            self.probe.measure(self.step, everything=everything)
            if everything:
                self._looked = self.step + 1
        lr = self.lr.at(self.step)
        self.step += 1
        self.loss, self.shows = loss, "last"
        self._epoch_loss += loss
        self.after_step([loss], lr)

    def micro_step(self) -> None:
        """On to the next place inside the update."""
        if self._steps is None:
            self.relive_here()
            self.probe.recording = self.step >= self.head
            self.probe.prepare(self.step, everything=True)
            self.engine.watch(True)
            self._micro_losses, self._micro_count = [], 0
            self.parts_done, self.raw_gradients = 0, None
            self._before_update = self.batches.state()
            group = self.next_group()
            self._steps = micro_steps(self.engine, group, self.step, self.lr.at(self.step))
            self.shows = "other"
        self.micro = next(self._steps)
        if self.micro.phase == "loss" and self.micro.value is not None:
            self._micro_losses.append(self.micro.value)
        self.parts_done += self.micro.phase == "batch"
        if self.micro.phase == "backward" and self.micro.layer == 0:
            self.raw_gradients = gradients(self)
        self._micro_count += 1
        if self.micro.phase == "update":
            self.micro = self._steps = None
            self.engine.watch(False)
            self._done_step(self.micro_loss, everything=True)
        if self.state == "RUNNING":
            self.enter("RUNNING")

    def leave_update(self) -> int:
        """Go back to where the update under way began; returns how many micro-steps of it had been done."""
        if self._steps is None:
            return 0
        self.engine.watch(False)
        self.micro = self._steps = None
        self.batches.load_state(self._before_update)
        self.shows = "other"
        return self._micro_count

    def finish_update(self) -> None:
        """Do the rest of an update that was begun in micro-steps."""
        while self._steps is not None:
            self.micro_step()
