"""``--break``: the run stands still where a condition comes to hold, and goes on when it is told to."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pseudo_terminal import Terminal

from bptui.expr import ConditionError, parse
from bptui.expr.columns import Column, truths
from bptui.expr.language import Remembered, said
from bptui.protocol.messages import Armed
from bptui.runs.events import read_events
from bptui.spec.experiment import Constant
from bptui.trainer.breakpoints import Breakpoints
from bptui.trainer.epochs import Epochs
from bptui.trainer.schedule import LearningRate

BPTUI = [sys.executable, "-m", "bptui"]


class Course:
    """What ``Breakpoints`` reads of a trainer."""

    def __init__(self) -> None:
        self.step, self.scalars, self.epochs = 0, {"val_loss": None}, Epochs(4)
        self.lr = LearningRate(0.1, Constant(), steps_per_epoch=4, total_steps=None)


def walked(points: Breakpoints, losses: list[float], cuts: list[int], course: Course | None = None) -> list[Any]:
    """Updates in stretches cut at ``cuts``, looked at after each; a hit is gone back to, and the walk goes on there.

    A step's rate is a tenth of its number.
    """
    course, hits = course or Course(), []
    ends = [*(cut for cut in cuts if cut < len(losses)), len(losses)]
    while course.step < len(losses):
        end = next(cut for cut in ends if cut > course.step)
        stretch, rates = losses[course.step : end], [k / 10 for k in range(course.step, end)]
        course.step, course.lr.base = end, end / 10
        points.passed(course, stretch, rates)  # type: ignore[arg-type]
        hit = points.hit(course)  # type: ignore[arg-type]
        if hit is not None:
            hits.append((hit.step, hit.condition.text))
            course.step = hit.step
    return hits


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan, math.inf]), min_size=1, max_size=40),
       st.lists(st.integers(1, 39), max_size=6))  # fmt: skip
def test_hits_are_those_of_looking_at_each_step(losses: list[float], cuts: list[int]) -> None:
    """However the stretches are cut, each condition hits exactly where plain Python sees it come to hold."""
    texts = ["loss > 2", "not is_finite(loss)", "delta(loss, 3) < 0 or step == 7", "loss == 1 and step / 2 > 3",
             "epoch >= 2", "delta(loss + 1, 2) > 0", "lr > 1.05 and delta(lr, 2) > 0.1 and epoch < 5"]  # fmt: skip

    def holds(text: str, k: int) -> bool:
        loss, before = losses[k] if k < len(losses) else math.nan, lambda n: losses[k - n] if k - n >= 0 else None
        match text:
            case "lr > 1.05 and delta(lr, 2) > 0.1 and epoch < 5":
                return 11 <= k < 20
            case "loss > 2":
                return loss > 2
            case "not is_finite(loss)":
                return not math.isfinite(loss)
            case "delta(loss, 3) < 0 or step == 7":
                return k == 7 or (before(3) is not None and loss - before(3) < 0)
            case "loss == 1 and step / 2 > 3":
                return loss == 1 and k / 2 > 3
            case "epoch >= 2":
                return k / 4 >= 2
        return before(2) is not None and (loss + 1) - (before(2) + 1) > 0

    expected, held = [], dict.fromkeys(texts, False)
    for k in range(len(losses) + 1):  # a state is known when it is reached, its loss once the update from it is done
        for kind in ([k > 0, False], [k < len(losses), True]):
            there = [text for text in texts if kind[0] and ("loss" in text) == kind[1]]
            now = {text: holds(text, k) for text in there}
            expected += [(k, text) for text in there if now[text] and not held[text]][:1]
            held |= now
    points = Breakpoints(texts, [])
    assert walked(points, losses, sorted(cuts)) == expected


def test_columns_and_closures_agree() -> None:
    """One meaning: a condition over columns is the same condition in each state."""
    texts = ["val_loss < 0.5", "not val_loss < 0.5", "val_loss < 0.5 or loss > 1", "val_loss < 0.5 and loss > 1",
             "loss / 0 > 1", "log(loss) >= 0", "-abs(loss - 2) == -1", "lr", "delta(val_loss, 1) <= 0",
             "1 < 2", "(loss > 1) - (lr > 0.2) == 1", "-(loss > 1) < 0", "(loss > 0) + (loss > 1) == 2"]  # fmt: skip
    values: list[dict[str, float | None]] = [
        {"loss": loss, "lr": 0.1 * k, "val_loss": None if k < 3 else 0.4 + 0.1 * (k % 2)}
        for k, loss in enumerate([0.0, 1.0, 3.0, -1.0, math.nan, 2.0])
    ]
    known = {name: np.array([v[name] is not None for v in values]) for name in values[0]}
    columns = {
        name: Column(np.array([math.nan if v[name] is None else v[name] for v in values], float), known[name])
        for name in values[0]
    }
    for text in texts:
        condition, past, expected = parse(text), Remembered(1), []
        for value in values:
            past.add(value)
            expected.append(condition.holds(value, {}, past))
        with np.errstate(all="ignore"):
            assert truths(condition, columns, 0, len(values)).tolist() == expected, text
            assert truths(condition, columns, 2, 3).tolist() == expected[2:5], text


def test_a_step_is_known_ahead() -> None:
    points = Breakpoints(["step == 1000 or step == 1500", "step > 1200", "step > 10 and loss > 1"], [])
    stops, step = [], 0
    while step < 2000:
        stop = points.next_stop(step)
        assert stop is not None
        stops.append(stop)
        step = stop
    assert stops[:3] == [1000, 1201, 1500] and stops[3] > 1500


def test_what_is_switched_off_or_has_held_does_not_hit() -> None:
    points = Breakpoints(["loss > 2"], [])
    assert walked(points, [3.0, 3.0], []) == [(0, "loss > 2")]
    points.arm([Armed("loss > 2"), Armed("loss > 0", enabled=False)])
    course = Course()
    course.step = 2
    assert walked(points, [0, 0, 3.0, 1.0, 3.0], [3], course) == [(4, "loss > 2")]
    with pytest.raises(ConditionError, match="did you mean 'loss'"):
        points.arm([Armed("los > 2")])
    assert points.armed == (Armed("loss > 2"), Armed("loss > 0", enabled=False))


def test_a_hit_is_said_with_the_parts_that_hold_and_their_thresholds() -> None:
    condition = parse('dead("a") > 0.5 and loss < 1 and step > 0', layers=["a"])
    text = said(condition, {"loss": 0.25, "step": 3.0}, {"dead": lambda layer: 0.75})
    assert text == f'{condition.text}  (dead("a") = 0.75 > 0.5, loss = 0.25 < 1, step = 3 > 0)'
    either = parse("loss > 9 or delta(loss, 2) > 0.5")
    past = Remembered(2)
    for loss in (1.0, 1.5, 2.0):
        past.add({"loss": loss})
    assert said(either, {"loss": 2.0}, {}, past).endswith("(delta(loss, 2) = 1 > 0.5)")


def test_it_stands_before_the_loss_that_is_not_finite(tmp_path: Path) -> None:
    """Not a number at step 2: state 2 is looked at, gone back from, and its coming δ is there to see."""
    command = [*BPTUI, "exploding", "--break", "not is_finite(loss)", "--pace", "20"]
    with Terminal(command, rows=36, columns=120, env={"BPTUI_HOME": str(tmp_path / "home")}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for("PAUSED")
        terminal.wait_for(re.compile("break: not is_finite"))
        assert re.search(r"step 2\b", terminal.line(0))
        terminal.press("S")
        terminal.wait_for(lambda t: re.search(r"step 1\b", t.line(0)))
        terminal.press("space")
        terminal.wait_for(lambda t: "PAUSED" in t.line(0) and re.search(r"step 2\b", t.line(0)))
        terminal.press("space")
        terminal.wait_for("FAILED")


def test_a_headless_run_waits_and_says_how_to_look(tmp_path: Path) -> None:
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path / "home")}
    lines = []
    with subprocess.Popen(
        [*BPTUI, "train", "digits", "--epochs", "2", "--break", "val_accuracy > 0.5"],
        env=environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("break: val_accuracy > 0.5  (val_accuracy = 0."):
                subprocess.run([*BPTUI, "resume", "latest"], env=environment, capture_output=True, check=True)
    assert process.returncode == 0
    assert any("bptui attach" in line for line in lines)
    assert any(line.startswith("completed · 90 steps") for line in lines)


def test_a_bad_condition_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BPTUI, "train", "digits", "--break", 'dead("dens1") > 0'],
        env={**os.environ, "BPTUI_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "did you mean 'dense1'" in done.stderr
    assert not (tmp_path / "home" / "runs").exists()


def test_a_condition_on_a_layer_stands_where_it_first_holds(tmp_path: Path) -> None:
    """Layers are measured now and then, yet the run stands at the step that ``bisect`` finds."""
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path / "home")}
    condition = 'dead("dense2") > 0.5'
    with subprocess.Popen(
        [*BPTUI, "train", "dead-relu", "--break", condition], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said_at = None
        for line in process.stdout:
            if found := re.match(r"break: dead.* at step (\d+)", line):
                said_at = int(found[1])
                subprocess.run([*BPTUI, "resume", "latest"], env=environment, capture_output=True, check=True)
    found = subprocess.run(
        [*BPTUI, "bisect", "latest", condition], env=environment, capture_output=True, text=True, check=True
    )
    assert said_at is not None
    (run,) = (tmp_path / "home" / "runs").iterdir()
    assert [(event.step, event.change, event.after) for event in read_events(run)] == [(said_at, "break", condition)]
    assert f"first at step {said_at} " in found.stdout


def test_a_breakpoint_at_an_epochs_end_leaves_nothing_out(tmp_path: Path) -> None:
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path / "home")}
    with subprocess.Popen(
        [*BPTUI, "train", "digits", "--epochs", "3", "--break", "epoch >= 1"],
        env=environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("break: epoch"):
                assert "at step 45" in line
                subprocess.run([*BPTUI, "resume", "latest"], env=environment, capture_output=True, check=True)
    done = subprocess.run(
        [*BPTUI, "replay", "latest", "--verify"], env=environment, capture_output=True, text=True, check=False
    )
    assert "step 0 to 135: bit-exact (135 losses" in done.stdout, done.stdout + done.stderr


def test_until_on_a_layer_is_met(tmp_path: Path) -> None:
    done = subprocess.run(
        [*BPTUI, "train", "dead-relu", "--until", 'dead("dense2") > 0.5'],
        env={**os.environ, "BPTUI_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("until ·") == 1
