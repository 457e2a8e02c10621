"""``--break``: the run stands still where a condition comes to hold, and goes on when it is told to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pseudo_terminal import Terminal

from bptui.runs.events import read_events
from bptui.trainer.breakpoints import Breakpoints, said

BPTUI = [sys.executable, "-m", "bptui"]


def test_a_condition_hits_when_it_comes_to_hold_and_not_while_it_does() -> None:
    points = Breakpoints(["loss > 2", 'dead("a") > 0.5'], ["a"])
    shares = iter([0.0, 0.0, 0.9, 0.9, 0.0, 0.9])
    hits = []
    for loss in (3.0, 3.0, 1.0, 3.0, 1.0, 1.0):
        share = next(shares)
        hit = points.hit({"loss": loss}, {"dead": lambda layer, share=share: share})
        hits.append(hit.text if hit else None)
    assert hits == ["loss > 2", None, 'dead("a") > 0.5', "loss > 2", None, 'dead("a") > 0.5']


def test_a_hit_is_said_with_its_values() -> None:
    (condition,) = Breakpoints(['dead("a") > 0.5 and loss < 1'], ["a"])._held
    text = said(condition, {"loss": 0.25}, {"dead": lambda layer: 0.75})
    assert text == 'dead("a") > 0.5 and loss < 1  (loss = 0.25, dead("a") = 0.75)'


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
