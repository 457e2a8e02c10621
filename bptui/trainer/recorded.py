"""A course whose figures are recorded in a ring, and whose present place can be looked at.

What is recorded: state, settings, series, tables. What is shown of a state that was recorded before is told to faces
and kept by nothing.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.data import Part
from bptui.engine.base import Micro
from bptui.probe.measure import Probe, write_series
from bptui.runs import keyframes
from bptui.runs.confusion import write_confusion
from bptui.runs.info import RunInfo
from bptui.runs.ring import Record, Ring
from bptui.trainer.course import Course
from bptui.trainer.evaluate import confusion
from bptui.trainer.inspect import Seen
from bptui.trainer.keep import DISK_SECONDS, DISK_SHARE, MEMORY_SECONDS, MEMORY_SHARE, Turn, keep
from bptui.trainer.memory import Memory
from bptui.trainer.setup import Setup, meta

Shows = Literal["last", "coming", "other"]
"""Whose tensors an engine holds: the ``last`` step's, those of the ``coming`` one in this state, or ``other`` ones
(the probe set's, a part of an update's)."""


class Recorded(Course):
    """A course with a ring, probes and a memory of its past."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup)
        self.info, self.ring, self.directory = info, ring, directory
        self.probe = self._new_probe()
        self.state = "STARTING"
        self.micro: Micro | None = None
        """The place inside the update that is under way; None between updates."""
        self.pace = info.pace
        """Updates a second; 0: as fast as it goes; −1: micro-steps, a few a second."""
        self.shows: Shows = "last"
        self.preview_loss = math.nan
        self._micro_losses: list[float] = []
        self.seen = Seen()
        self.memory = Memory()
        self.head = 0
        """How far it has been recorded; before it, an update is done again and its loss is known already."""
        self.begun = False
        """Whether the present state is one of the run's: not before a branch is where it begins."""
        self.shelf = keyframes.Shelf(directory, info.keyframe_budget)
        self.disk = Turn(DISK_SHARE, DISK_SECONDS)
        self.held = Turn(MEMORY_SHARE, MEMORY_SECONDS)
        self._noted = -1
        """The last state whose figures are recorded …"""
        self._learned = 0
        """… and the last of whose batches they are."""
        self._looked = 0
        """The state up to which the records tell everything."""
        self._reported = 0.0
        self._described = self.epochs
        self.first_experiment = setup.experiment
        """As it was before an activation or the optimiser was changed."""

    def _new_probe(self) -> Probe:
        return Probe(self.engine, self.ring, self.info.probe_budget, self.setup.data.train.blocks(512))

    def rebuilt(self) -> None:
        before, self.probe = self.probe, self._new_probe()
        self.probe.governor, self.probe.saturation = before.governor, before.saturation
        self.probe.wants_ratio = before.wants_ratio
        self.shows = "other"
        self.seen.forget()
        self.describe()

    # -- what is told ----------------------------------------------------------------------------------
    def describe(self) -> None:
        """What is trained, and how long an epoch is: at the beginning, and when that has changed."""
        details = meta(self.setup, self.epochs, self.stopping.total_steps)
        if self.setup.experiment != self.first_experiment:
            details["spec"] = msgspec.to_builtins(self.setup.experiment)
        self._described = self.epochs
        self.ring.write(Record.META, self.step, json.dumps(details).encode())

    def tell_settings(self, text: str = "") -> None:
        """Say how it is set now, and how long an epoch is where that has changed."""
        if self.epochs != self._described:
            self.describe()
        self.enter(self.state, text)

    def _settings(self) -> dict[str, float]:
        """Settings that may change while it trains, by the names of ``change``; a limit that is off is left out."""
        values = {**self.engine.settings(), "batch_size": float(self.batch_size)}
        return {key: value for key, value in values.items() if math.isfinite(value)}

    def enter(self, state: str, text: str = "") -> None:
        """Say in which state the trainer is from now on."""
        now = time.perf_counter()
        if state == "RUNNING" and self.state != "RUNNING":
            self._done_reason = "stopped"
            self.probe.governor.begin(now)
            self._next_due = self._reported = now
        elif self.state == "RUNNING" and state != "RUNNING":
            self.probe.governor.end(now)
            self.probe.report_share(self.step)
        self.state = state
        self.ring.set_state(state)
        record = {
            "state": state,
            "text": text,
            "micro": self.micro_text,
            "pace": self.pace,
            "total_steps": self.stopping.total_steps,
            "settings": self._settings(),
        }
        self.ring.write(Record.STATE, self.step, json.dumps(record).encode())

    def say(self, text: str) -> None:
        """One line on what it is about, in the state in which it is."""
        self.ring.set_step(self.step)
        self.enter(self.state, text)

    def interrupted(self) -> bool:
        """Whether something has been asked that ends what is under way."""
        return False

    @property
    def micro_text(self) -> str:
        """The place inside the update in words (``backward dense2``); empty between updates."""
        if self.micro is None:
            return ""
        layer = "" if self.micro.layer is None else f" {self.engine.layers[self.micro.layer].name}"
        return f"{self.micro.phase}{layer}"

    # -- figures ---------------------------------------------------------------------------------------
    def _conclude(self) -> None:
        """What shall be known of a run at its end: the last step, its units, final figures, a keyframe.

        Left in its past, a run keeps what is known of its head.
        """
        if self.step < self.head:
            return
        self.look()
        self.probe.recording = self.step >= self.head
        self.probe.count_units(self.step)
        self.shows = "other"
        self._measure_parts()
        keep(self)

    def look(self) -> None:
        """Measure the last step, if it was not watched, so that what is shown is no older than it must be."""
        if self._looked != self.step and self.shows == "last" and math.isfinite(self.loss):
            self.probe.recording = self.step >= self.head
            self.probe.measure(self.step - 1, everything=True)
            self._looked = self.step

    def _measure_parts(self) -> None:
        """Final figures of every part, and which classes are taken for which."""
        data = self.setup.data
        matrices = {}
        if data.environment is not None:
            self.evaluate("val", None)
            self.evaluate("test", None)
            return
        for prefix, part in (("train", data.train), ("val", data.validation), ("test", data.test)):
            if part is not None and len(part):
                scores = self.evaluate(prefix, part)
                if scores is not None and data.task in ("classification", "binary"):
                    matrices[prefix] = confusion(scores, part.targets).tolist()
        if matrices:
            with contextlib.suppress(OSError):  # a full disk costs this file, not the run
                write_confusion(self.directory, matrices)

    def learned(self) -> None:
        """Those figures as series too, of the state that the update has led to."""
        before = self.scalars
        super().learned()
        if self.scalars is before or self.step < self.head or self.step <= self._learned:
            return
        self._learned = self.step
        for name, value in self.scalars.items():
            if value is not None and value != before.get(name):
                write_series(self.ring, self.step, name, value)

    def evaluate(self, prefix: str, part: Part | None) -> npt.NDArray[np.floating] | None:
        """Metrics of a part, as series of this state too."""
        scores = super().evaluate(prefix, part)
        if self.step < max(self._noted, self.head):
            return scores
        self._noted = self.step
        now = time.time()
        for name, value in self.scalars.items():
            if name.startswith(f"{prefix}_") and value is not None:
                write_series(self.ring, self.step, name, value, now)
        return scores

    def recorded_to(self, step: int) -> None:
        """What was recorded after ``step`` no longer holds."""
        self.head = step
        self._noted, self._looked = min(self._noted, step), min(self._looked, step)
        self._learned = min(self._learned, step)

    def record_figures(self) -> None:
        """What the engine knows of the last step beside its loss."""
        for name, value in self.engine.figures().items():
            write_series(self.ring, self.step - 1, name, value)

    def record_lr(self) -> None:
        if self.step < self.head:
            return
        write_series(self.ring, self.step, "lr", self.lr.at(self.step))

    # -- the present place -----------------------------------------------------------------------------
    def preview(self) -> None:
        """Let the engine's tensors show this state with the batch of the coming update; changes nothing."""
        if self.shows == "coming" or self.micro is not None or self.state == "FAILED":
            return
        self.engine.begin(self.batches.peek(), self.step)
        for layer in range(len(self.engine.layers)):
            self.engine.forward(layer)
        self.preview_loss = self.engine.loss()
        for layer in reversed(range(len(self.engine.layers))):
            self.engine.backward(layer)
        self.shows = "coming"

    def show(self) -> None:
        """Measure this state with the batch of the coming update, for whoever has just arrived here."""
        self.probe.recording = self.step >= self.head
        self.probe.prepare(self.step, everything=True)
        self.shows = "other"  # the census left other samples in the engine's tensors
        self.preview()
        self.probe.measure(self.step, everything=True, updated=False)

    @property
    def micro_loss(self) -> float:
        """Mean loss of the batches that the update under way has taken so far."""
        return sum(self._micro_losses) / max(len(self._micro_losses), 1)

    @property
    def shown_loss(self) -> float | None:
        """The loss that goes with the tensors that the engine shows now."""
        if self.shows == "coming":
            return self.preview_loss
        if self.micro is not None:
            return self.micro_loss if self._micro_losses else None
        return self.loss

    def changed(self) -> None:
        """Something was changed in this state: the coming update is another one than was shown."""
        if self.shows == "coming":
            self.shows = "other"

    def remember(self) -> None:
        """Hold this state, if it is one between two updates, so that it is quickly gone back to."""
        if self.micro is None and self.state != "FAILED":
            self.memory.keep(self)

    def relive_here(self) -> None:
        """What was changed in this state is changed again, where it is not yet."""
        if self.memory.changes:
            self.relive(self.memory.changes)

    def leave_update(self) -> int:
        """Go back to where an update under way began; returns how many micro-steps of it had been done."""
        return 0

    @property
    def armed_texts(self) -> tuple[str, ...]:
        """Conditions that pause it."""
        return ()
