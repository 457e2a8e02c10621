"""A policy that learns from its own episodes: it learns, and every way back in time ends bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_inspect import arrays, asked
from test_replay import trained
from test_rewind import Driver, same

from bptui.export.pytorch import pytorch_files
from bptui.export.series import read_series
from bptui.export.trained import ExportError
from bptui.protocol import messages as m
from bptui.protocol.whatif import Change, Continue
from bptui.runs.info import RunInfo
from bptui.spec.load import SpecError, load, to_dict
from bptui.trainer.bisect import bisect
from bptui.trainer.course import Course
from bptui.trainer.inspect import CannotSee
from bptui.trainer.looks import look
from bptui.trainer.replay import replay
from bptui.trainer.setup import prepare
from bptui.trainer.whatif import carry_on

FEW = ["data.batch_size=5", "data.episodes=20", "data.episode_steps=60"]


def course_of(*changes: str, engine: str = "numpy") -> Course:
    spec = to_dict(load("policy-gradient", list(changes)))
    return Course(prepare(RunInfo(id="run", title="", created=0.0, spec=spec, engine=engine)))


def policy(folder: Path, *changes: str, engine: str = "numpy") -> Driver:
    return Driver(folder, engine, ["data.samples=1000", *FEW, *changes], spec="policy-gradient")


def test_it_learns_to_keep_the_pole_upright() -> None:
    course = course_of()
    course.validate()
    assert course.scalars["val_return"] is not None and course.scalars["val_return"] < 100
    while course.step < 80 and (course.scalars["val_return"] or 0) < 195:
        course.update()
    assert course.scalars["val_return"] is not None and course.scalars["val_return"] >= 195
    course.evaluate("test", None)  # other beginnings than those that have told it to stop
    assert course.scalars["test_return"] is not None and course.scalars["test_return"] >= 180


def test_both_engines_play_the_same_episodes() -> None:
    pytest.importorskip("torch")
    numpy, torch = (course_of(*FEW, "experiment.dtype=f64", engine=name) for name in ("numpy", "torch"))
    for _ in range(12):
        assert numpy.update() == pytest.approx(torch.update(), abs=1e-9)
        assert numpy.scalars == torch.scalars


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "changes", [(), ("optimizer.accumulate=2", "model.dense1.dropout=0.1")], ids=["plain", "groups"]
)
def test_going_back_and_forth_ends_where_going_straight_does(
    tmp_path: Path, engine: str, changes: tuple[str, ...]
) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    wanderer, straight = (policy(tmp_path / name, *changes, engine=engine) for name in ("wanderer", "straight"))
    for request in (
        m.Step(count=3), m.MicroStep(count=4), m.Back(count=1, micro=True), m.Step(), m.Back(count=2),
        m.MicroStep(count=2), m.Back(count=1), m.Step(count=6), m.GoTo(step=1), m.MicroStep(), m.Step(), m.GoTo(step=7),
        m.Step(),
    ):  # fmt: skip
        wanderer.ask(request)
    straight.ask(m.Step(count=wanderer.trainer.step))
    assert straight.trainer.step == 8
    same(wanderer.state, straight.state)
    told = [read_series(driver.trainer.directory)["train_return"] for driver in (wanderer, straight)]
    assert told[0].steps.tolist() == told[1].steps.tolist() == list(range(1, 9))
    assert told[0].values.tolist() == told[1].values.tolist()
    for driver in (wanderer, straight):
        driver.close()


def test_a_change_on_a_pause_is_played_with(tmp_path: Path) -> None:
    """What is shown of the coming update is of the policy as it was: after a change other episodes are learned from."""
    changed, straight = policy(tmp_path / "changed"), policy(tmp_path / "straight")
    for driver in (changed, straight):
        driver.ask(m.Step(count=2))
    before = arrays(changed, m.Sheet(layer=0, kind="x", rows=300, columns=4))["values"]
    changed.ask(m.Set(key="dense1.weight[2,3]", value=30.0))
    changed.trainer.seen.forget()
    after = arrays(changed, m.Sheet(layer=0, kind="x", rows=300, columns=4))["values"]
    assert before.shape != after.shape or not np.array_equal(before, after)
    changed.ask(m.Step())
    course = Course(prepare(changed.trainer.info))
    course.restore(2, *straight.trainer.capture())
    course.change("dense1.weight[2,3]", 30.0)
    course.update()
    for name, value in course.engine.state().items():
        assert np.array_equal(value, changed.trainer.engine.state()[name]), name
    for driver in (changed, straight):
        driver.close()


def test_a_branch_goes_on_from_its_parent(tmp_path: Path) -> None:
    driver = policy(tmp_path / "parent")
    driver.ask(m.Step(count=6))
    driver.ask(m.GoTo(step=3))
    reply: Any = driver.ask(m.Set(key="lr", value=0.05))
    driver.follow(reply)
    assert driver.trainer.step == 3
    driver.ask(m.Step(count=3))
    course = course_of("data.samples=1000", *FEW)
    for _ in range(3):
        course.update()
    course.change("lr", 0.05)
    for _ in range(3):
        course.update()
    for name, value in course.engine.state().items():
        assert np.array_equal(value, driver.trainer.engine.state()[name]), name
    driver.close()


def test_another_batch_size_plays_as_many_episodes(tmp_path: Path) -> None:
    driver = policy(tmp_path / "run")
    driver.ask(m.Step(count=2))
    driver.ask(m.Set(key="batch_size", value=10))
    driver.ask(m.Step(count=2))
    assert (driver.trainer.step, driver.trainer.steps_per_epoch) == (4, 2)
    driver.ask(m.Set(key="batch_size", value=10_000))  # an epoch's episodes are all there are
    driver.ask(m.Step(count=2))
    assert (driver.trainer.batches.batch_size, driver.trainer.steps_per_epoch) == (20, 1)
    driver.close()


def test_the_inspector_shows_a_batch_of_episodes(tmp_path: Path) -> None:
    driver = policy(tmp_path / "run", "experiment.dtype=f32")
    driver.ask(m.Step(count=3))
    driver.trainer.seen.forget()
    rows, frame = asked(driver, m.Ranked(layer=0, unit=2, rows=5))
    assert rows.names == ("left", "right") and rows.features[2] == "angle"
    assert set(frame.array(rows.arrays["source"]).tolist()) == {-1}  # rows of no file
    shadow, _ = asked(driver, m.Shadow())  # with the weights that the batch has
    assert shadow.loss == pytest.approx(shadow.exact_loss, abs=1e-5)
    assert all(error is not None and error < 1e-4 for error in shadow.errors)
    with pytest.raises(CannotSee, match="a confusion matrix needs classes; the task is policy"):
        look(driver.trainer, m.Look(kind="confusion"))
    driver.close()


def test_a_run_tells_its_returns_and_is_replayed(tmp_path: Path) -> None:
    changes = [word for change in FEW for word in ("--set", change)]
    report = tmp_path / "report.json"
    run = trained(tmp_path, "policy-gradient", *changes, "--until", "train_return >= 25", "--report", str(report))
    told = json.loads(report.read_text())
    assert told["metrics"]["train_return"] >= 25 and told["metrics"]["val_return"] > 0 and told["findings"] == []
    assert {"test_return", "train_loss"} <= told["metrics"].keys() and "val_loss" not in told["metrics"]
    recorded = read_series(run)["train_return"]
    assert recorded.steps.tolist() == list(range(1, told["steps"] + 1))  # of every update
    assert (recorded.values[:-1] < 25).all() and recorded.values[-1] == told["metrics"]["train_return"]
    assert bisect(run, "train_return >= 25").step == told["steps"]
    future = carry_on(run, Continue(step=2, steps=3, wanted=(Change("lr", "*3"),)))
    assert future.val_return is not None and future.val_return > 0 and future.val_loss is None
    outcome = replay(run, None, verify=True)
    assert outcome.differs == "" and outcome.losses == told["steps"]


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    for change, says in (
        ("loss.name=mse", "cart-pole is played by a policy: expected cross_entropy, got mse"),
        ("data.batch_size=1", "'step' compares an update's episodes: expected a batch_size of 2 or more"),
        ("data.discount=1.2", "expected a number from 0 to 1, got 1.2"),
        ("model.dense2.units=3", "cart-pole needs 2 outputs with cross_entropy, got 3"),
    ):
        with pytest.raises(SpecError, match=says):
            load("policy-gradient", [change])
    driver = policy(tmp_path / "run")
    driver.close()
    with pytest.raises(ExportError, match="what the network learned from it played itself"):
        pytorch_files(tmp_path / "run", tmp_path / "script.py")
