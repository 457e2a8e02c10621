"""The course of a training: all that the next update depends on, and the updates themselves.

Nothing here records, waits or draws. The trainer is a course that is recorded and controlled; a replay is
one that starts from a keyframe. The same state and the same changes give the same bits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import structs

from bptui.data import Batches, Part, Rollouts
from bptui.engine.base import Batch, Engine
from bptui.runs.interventions import Change
from bptui.spec.experiment import Experiment
from bptui.trainer.changes import Value, change, structure, with_structure
from bptui.trainer.epochs import Epochs
from bptui.trainer.evaluate import measured, tried
from bptui.trainer.schedule import LearningRate
from bptui.trainer.setup import Setup, build
from bptui.trainer.stopping import Stopping

Tensors = dict[str, npt.NDArray[Any]]


class Course:
    """One experiment under way. ``step`` is the number of updates done; the state is that of ``step``."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.engine = setup.engine
        experiment = setup.experiment
        self.batches = self._source(experiment.data.batch_size)
        self._group = experiment.optimizer.accumulate
        self.batch_size = experiment.data.batch_size
        """As wanted: a change holds from the next epoch on."""
        self.epochs = Epochs(-(-self.batches.steps_per_epoch // self._group))
        self.stopping = Stopping(experiment.stop, self.steps_per_epoch)
        self.lr = LearningRate(
            experiment.optimizer.lr, experiment.schedule,
            steps_per_epoch=self.steps_per_epoch, total_steps=self.stopping.total_steps,
        )  # fmt: skip
        self.step = 0
        self.loss = math.nan
        """Loss of the last step done."""
        self.scalars: dict[str, float | None] = {}
        """Figures last measured: ``val_loss``, ``val_accuracy`` …; never changed in place, only replaced."""
        self._epoch_loss = 0.0
        self._applied = (0, 0)

    @property
    def steps_per_epoch(self) -> int:
        """Updates of the present epoch."""
        return self.epochs.steps

    # -- updates ---------------------------------------------------------------------------------------
    def update(self) -> float:
        """One whole update, and what ends with it; returns its loss."""
        loss = self._update(self.step, self.lr.at(self.step))
        self.step += 1
        self.loss = loss
        self._epoch_loss += loss
        self.learned()
        if self.epochs.between(self.step):
            self.end_epoch()
        return loss

    def _update(self, step: int, lr: float) -> float:
        """One update from as many batches as accumulate."""
        group = self.next_group()
        if len(group) == 1:
            return self.engine.train_step(group[0], step, lr)
        return self.engine.accumulate(group, step, lr)

    def next_group(self) -> list[Batch]:
        """The batches of the coming update; an epoch's last group may be shorter."""
        left = self.batches.steps_per_epoch - self.batches.offset
        return [self.batches.next() for _ in range(min(self._group, left))]

    def learned(self) -> None:
        """Figures of the batches that the last update has learned from, where there are any."""
        if figures := self.batches.figures():
            self.scalars = {**self.scalars, **figures}

    def end_epoch(self) -> str:
        """Validation, plateau, patience; returns why to stop now (empty: go on)."""
        validation = self.validate()
        mean, self._epoch_loss = self._epoch_loss / self.steps_per_epoch, 0.0
        self.lr.epoch_ended(mean if validation is None else validation)
        reason = self.stopping.epoch_ended(mean, validation)
        self._batch()
        return reason

    def _batch(self) -> None:
        """Between two epochs: take the batch size that is wanted."""
        size = min(self.batch_size, self.batches.samples)
        epoch = self.epochs.of(self.step)
        under_way = self.batches.epoch != epoch or self.batches.offset != 0  # the coming update has its batch already
        if size == self.batches.batch_size or not self.epochs.between(self.step) or under_way:
            return
        before = self.epochs.steps
        self.batches = self._batches(size, epoch)
        self.epochs = self.epochs.changed(self.step, -(-self.batches.steps_per_epoch // self._group))
        self.stopping.rescale(self.step, before, self.epochs.steps)
        self.lr.rescale(self.epochs, self.stopping.total_steps)

    def _source(self, size: int) -> Batches | Rollouts:
        """Where batches come from: the rows of the training part, or episodes that the network plays."""
        data, experiment = self.setup.data, self.setup.experiment
        seed, keys = experiment.experiment.seed, experiment.data
        if data.environment is None:
            return Batches(data.train, size, seed, shuffle=keys.shuffle)
        return Rollouts(
            data.environment, lambda x: self.engine.predict(x), data.scaler, data.train.x.dtype,
            structs.replace(keys, batch_size=size), seed,
        )  # fmt: skip

    def _batches(self, size: int, epoch: int = 0) -> Batches | Rollouts:
        batches = self._source(size)
        batches.load_state({"epoch": np.array(epoch), "offset": np.array(0)})
        return batches

    # -- figures ---------------------------------------------------------------------------------------
    def validate(self) -> float | None:
        """Metrics of the validation part; returns its loss, of a policy the mean return below 0."""
        data = self.setup.data
        if data.environment is not None:
            self.evaluate("val", None)
            value = self.scalars["val_return"]
            return None if value is None else -value
        if data.validation is None or not len(data.validation):
            return None
        self.evaluate("val", data.validation)
        return self.scalars["val_loss"]

    def evaluate(self, prefix: str, part: Part | None) -> npt.NDArray[np.floating] | None:
        """Metrics of a part, into ``scalars``; returns its scores, where there is one target a row.

        None: of episodes that the network plays.
        """
        if part is None:
            metrics, scores = tried(self.engine, self.setup.data, self.setup.experiment, prefix), None
        else:
            metrics, scores = measured(self.engine, part, self.setup.data, self.setup.experiment.loss)
        self.scalars = self.scalars | {f"{prefix}_{name}": value for name, value in metrics.items()}
        return scores

    # -- state -----------------------------------------------------------------------------------------
    def capture(self) -> tuple[Tensors, dict[str, str]]:
        """Everything that the next update depends on: arrays, and words as JSON. Between updates only."""
        tensors: Tensors = {
            **self.engine.state(),
            **{f"batches.{name}": value for name, value in self.batches.state().items()},
            "course.epoch_loss": np.array(self._epoch_loss),
            "course.loss": np.array(self.loss),
        }
        words = {
            "structure": json.dumps(structure(self.setup.experiment)),
            "applied": str(self.applied),
            "schedule": json.dumps(self.lr.state()),
            "stopping": json.dumps(self.stopping.state()),
            "scalars": json.dumps(self.scalars),
            "epochs": json.dumps([*astuple(self.epochs), self.batch_size, self.stopping.total_steps]),
            "settings": json.dumps(self.engine.settings()),
        }
        return tensors, words

    def restore(self, step: int, tensors: Mapping[str, npt.NDArray[Any]], words: Mapping[str, str]) -> None:
        """Be in the state that ``capture`` gave at ``step``; ValueError names the first thing missing or misfitting."""
        wanted = with_structure(self.setup.experiment, json.loads(words.get("structure", "{}")))
        if structure(wanted) != structure(self.setup.experiment):
            self.rebuild(wanted)
        self._restore_settings(words)  # first: they say which tensors an optimiser has
        self.engine.load_state({name: value for name, value in tensors.items() if not name.startswith(_NOT_ENGINE)})
        size = int(tensors.get("batches.batch_size", np.array(self.batches.batch_size)))
        if size != self.batches.batch_size:
            self.batches = self._batches(size)
        self.batches.load_state(
            {name.removeprefix("batches."): value for name, value in tensors.items() if name.startswith("batches.")}
        )
        try:
            self._epoch_loss, self.loss = float(tensors["course.epoch_loss"]), float(tensors["course.loss"])
            self.lr.load_state(json.loads(words["schedule"]))
            self.stopping.load_state(json.loads(words["stopping"]))
            self.scalars = json.loads(words["scalars"])
        except KeyError as error:
            raise ValueError(f"the keyframe of step {step} has no {error.args[0]}") from None
        self.step, self._applied = step, (step, int(words.get("applied", "0")))

    def _restore_settings(self, words: Mapping[str, str]) -> None:
        """Settings and epochs as they were; a keyframe from before they were kept leaves them as they are."""
        now = self.engine.settings()
        for key, value in json.loads(words.get("settings", "{}")).items():
            if key in now and now[key] != value:
                self.engine.set(key, value)
        if "epochs" in words:
            steps, from_step, from_epoch, self.batch_size, total = json.loads(words["epochs"])
            self.epochs, self.stopping.total_steps = Epochs(steps, from_step, from_epoch), total
            self.lr.rescale(self.epochs, total)

    # -- changes ---------------------------------------------------------------------------------------
    def change(self, key: str, value: Value) -> Value:
        """Change something of this state, as ``changes.RULES`` say; returns what it was.

        ValueError: unknown or impossible; nothing has been changed then.
        """
        before = change(self, key, value)
        self._applied = (self.step, self.applied + 1)
        return before

    @property
    def applied(self) -> int:
        """How many changes were made in this state."""
        return self._applied[1] if self._applied[0] == self.step else 0

    def relive(self, changes: Iterable[Change], upto: int | None = None) -> None:
        """Of the changes of a record, those of this state (the first ``upto``) that have not been made in it yet."""
        here = [one for one in changes if one.step == self.step][:upto]
        for one in here[self.applied :]:
            self.change(one.key, one.value)

    def want_batch_size(self, size: int) -> int:
        """From the next epoch on; returns what was wanted before."""
        wanted, self.batch_size = self.batch_size, size
        self._batch()
        return wanted

    def take_batch_size(self, size: int) -> int:
        """From the next update on: the epoch under way is left, and the next one begins; returns what it was."""
        before = self.batches.batch_size
        self.batch_size = size
        begun = not self.epochs.between(self.step)
        epoch, steps = self.epochs.of(self.step) + begun, self.epochs.steps
        self.batches = self._batches(min(size, self.batches.samples), epoch)
        self.epochs = Epochs(-(-self.batches.steps_per_epoch // self._group), self.step, epoch)
        self._epoch_loss = 0.0
        self.stopping.rescale(self.step, steps, self.epochs.steps)
        self.lr.rescale(self.epochs, self.stopping.total_steps)
        return before

    def rebuild(self, experiment: Experiment) -> None:
        """Another engine: parameters as they are; settings and moments too where the optimiser is the same."""
        old = self.engine
        engine = build(experiment, self.setup.data, engine=_engine_name(old), device=old.device, dtype=old.dtype)
        same = type(experiment.optimizer) is type(self.setup.experiment.optimizer)
        state, settings = old.state(), old.settings()
        engine.load_state({
            name: state[name] if name in state and (same or not name.startswith("optimizer.")) else value
            for name, value in engine.state().items()
        })  # fmt: skip
        for key in engine.settings():
            if key in settings and (same or key.startswith(("dropout", "freeze"))):
                engine.set(key, settings[key])
        self.setup = replace(self.setup, experiment=experiment, engine=engine)
        self.engine = engine
        self.rebuilt()

    def rebuilt(self) -> None:
        """Called when the engine has become another one."""


def _engine_name(engine: Engine) -> Literal["numpy", "torch"]:
    return "torch" if engine.name == "torch" else "numpy"


_NOT_ENGINE = ("batches.", "course.", "scaler.")
