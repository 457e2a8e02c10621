"""Early stopping and the rate's plateau, in both engines: the same step, the same cuts."""

from __future__ import annotations

import pytest

from bptui.runs.info import RunInfo
from bptui.spec.experiment import Stop
from bptui.spec.load import load, to_dict
from bptui.trainer.course import Course
from bptui.trainer.setup import prepare
from bptui.trainer.stopping import Stopping

EPOCHS = 40


class Told(Course):
    """A course that remembers what the end of an epoch said."""

    reason = ""

    def end_epoch(self) -> str:
        self.reason = super().end_epoch()
        return self.reason


def trained(engine: str, *overrides: str) -> tuple[int, list[float], list[float]]:
    """The step at which it stopped (or came to its end), the losses, and the rate of each epoch."""
    spec = to_dict(load("digits", [*overrides, "experiment.dtype=f64"]))
    course = Told(prepare(RunInfo(id="a", title="a", created=0.0, spec=spec, engine=engine)))
    losses, rates = [], []
    while course.step < EPOCHS * course.steps_per_epoch and not course.reason:
        if course.step % course.steps_per_epoch == 0:
            rates.append(course.lr.at(course.step))
        losses.append(course.update())
    return course.step, losses, rates


@pytest.mark.parametrize(
    "words", [("stop.patience=2",), ("schedule.name=plateau", "schedule.patience=0", "schedule.factor=0.3")]
)
def test_both_engines_stop_and_slow_down_at_the_same_step(words: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    ours, theirs = (trained(engine, *words) for engine in ("numpy", "torch"))
    assert ours[0] == theirs[0]
    assert ours[1] == pytest.approx(theirs[1], rel=1e-6)
    assert ours[2] == theirs[2]
    if words == ("stop.patience=2",):
        assert ours[0] < EPOCHS * 45
    else:
        assert len(set(ours[2])) > 2, "the rate was cut more than once"


def test_patience_counts_epochs_without_a_better_loss() -> None:
    stopping = Stopping(Stop(patience=2), 10)
    told = [stopping.epoch_ended(9.0, loss) for loss in (1.0, 0.8, 0.9, 0.7, 0.7, 0.75)]
    assert told[:5] == [""] * 5
    assert told[5] == "no better loss for 2 epochs (best 0.7)"
