"""A breakpoint stands in the very state in which its condition came to hold, held against a run looked at in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rewind import Driver

from bptui.protocol.messages import Armed, Check
from bptui.runs.info import read_info
from bptui.trainer.checks import check
from bptui.trainer.course import Course
from bptui.trainer.setup import prepare

STEPS = 400
SCHEDULE = ["schedule.name=exponential", "schedule.per=step", "schedule.gamma=0.999"]


def driver_of(folder: Path, overrides: list[str], condition: str, budget: float = 0.03) -> Driver:
    driver = Driver(folder, "numpy", overrides)
    driver.trainer.probe.governor.budget = budget
    driver.trainer.arm([Armed(condition)])
    return driver


def trained(driver: Driver) -> int | None:
    """Train until it stands; the step, None where nothing was hit up to ``STEPS``."""
    trainer = driver.trainer
    trainer.enter("RUNNING")
    while trainer.state == "RUNNING" and trainer.step < STEPS:
        if trainer.step >= trainer.probe.governor.next_step():
            trainer.one_step()
        else:
            trainer.stretch()
    if trainer.state == "RUNNING" and not trainer.settle():
        return None
    return trainer.step


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of each state: norms of W and of the gradient of its update, the rate and the loss."""
    driver = Driver(tmp_path_factory.mktemp("straight") / "run", "numpy", SCHEDULE)
    course = Course(prepare(read_info(driver.trainer.directory)))
    driver.close()
    found: dict[str, list[float]] = {"weight": [], "grad": [], "lr": [], "loss": [], "accuracy": []}
    for step in range(STEPS):
        found["weight"].append(float(np.linalg.norm(course.engine.state()["dense1.weight"])))
        found["lr"].append(course.lr.at(step))
        found["accuracy"].append(course.scalars.get("val_accuracy") or 0.0)
        found["loss"].append(course.update())
        gradient = course.engine.tensor("grad_W", 1)
        assert gradient is not None
        found["grad"].append(float(np.linalg.norm(gradient)))
    return {name: np.array(values) for name, values in found.items()}


def text(value: Any) -> str:
    return repr(float(value))


def first(held: Any) -> int:
    assert held.any() and not held[0]
    return int(np.argmax(held))


def test_what_is_recorded_is_looked_at_in_each_state(tmp_path: Path, figures: dict[str, Any]) -> None:
    loss, lr = figures["loss"], figures["lr"]
    steps = np.arange(STEPS)
    peak = np.sort(loss[50:])[-1]
    cases = {
        f"loss >= {text(peak)} and step >= 50": first((loss >= peak) & (steps >= 50)),
        f"lr < {text(lr[211])}": 212,
        f"lr <= {text(lr[123])} and loss < {text(loss[123:140].min() * 1.0001)}":
            first((lr <= lr[123]) & (loss < loss[123:140].min() * 1.0001)),
        f"val_accuracy > {text(figures['accuracy'][150])}": first(figures["accuracy"] > figures["accuracy"][150]),
    }  # fmt: skip
    for number, (condition, step) in enumerate(cases.items()):
        driver = driver_of(tmp_path / str(number), SCHEDULE, condition)
        assert trained(driver) == step, condition
        driver.close()


def test_layers_are_traced_back_to_the_first_state(tmp_path: Path, figures: dict[str, Any]) -> None:
    """They are measured now and then; what goes on holding is found where it began."""
    weight, grad = figures["weight"], figures["grad"]
    steps = np.arange(STEPS)
    cases = {
        f'weight_norm("dense1") > {text(float(np.float32(weight[170])))}': first(weight > np.float32(weight[170])),
        'grad_norm("dense2") > 0 and step >= 137': 137,
        'update_ratio("dense1") > 0 and delta(loss, 3) < 100 and step >= 140': 140,
        f'(grad_norm("dense2") > {text(grad[90:].max() * 0.9999)} and step >= 90) or step >= 395':
            first((grad > grad[90:].max() * 0.9999) & (steps >= 90)),
    }  # fmt: skip
    for number, (condition, step) in enumerate(cases.items()):
        spike = "or step" in condition  # comes and goes: only who looks in each step can see it
        driver = driver_of(tmp_path / str(number), SCHEDULE, condition, budget=1e4 if spike else 0.03)
        assert trained(driver) == step, condition
        (row,) = check(driver.trainer, Check(texts=())).armed_rows
        assert row.every == 1 if spike else row.every > 0
        if "grad_norm" in condition:  # it stands before the update: its gradient is the coming one
            assert row.holds
        driver.close()


def test_it_says_how_often_it_looks(tmp_path: Path) -> None:
    driver = driver_of(tmp_path / "run", [], "loss > 1e9")
    driver.trainer.arm([Armed("loss > 1e9"), Armed('grad_norm("dense1") > 1e9'), Armed("lr > 9", enabled=False)])
    assert trained(driver) is None
    each = [row.every for row in check(driver.trainer, Check(texts=("loss < 1",))).armed_rows]
    assert each[0] == 1 and each[1] > 0 and each[2] == 0
    driver.close()
