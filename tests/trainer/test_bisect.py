"""``bptui bisect``: the first step at which a condition holds, held against a straight look at the run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bptui.runs import keyframes
from bptui.runs.info import read_info
from bptui.runs.report import report
from bptui.trainer.course import Course
from bptui.trainer.setup import prepare


def bptui(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", *words],
        env={**os.environ, "BPTUI_HOME": str(home / "home")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bisect")
    done = bptui(folder, "train", "dead-relu", "--epochs", "2", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    return next((home / "home" / "runs").iterdir())


def first(home: Path, condition: str, *words: str) -> int | None:
    done = bptui(home, "bisect", "latest", condition, *words)
    found = re.search(r"first at step ([\d,]+)", done.stdout)
    assert done.returncode == (0 if found else 1), done.stderr
    return int(found[1].replace(",", "")) if found else None


def test_a_loss_is_found_where_the_record_has_it(home: Path, run: Path) -> None:
    losses = report(run)["losses"]
    bound = sorted(losses)[-3]
    assert first(home, f"loss >= {bound!r}") == next(step for step, loss in enumerate(losses) if loss >= bound)
    assert first(home, "loss < -1") is None
    assert first(home, "step >= 7") == 7
    assert first(home, "step >= 7", "--to", "5") is None


def test_dead_units_are_found_at_the_state_in_which_they_first_are(home: Path, run: Path) -> None:
    """Counted here with a forward pass in plain NumPy."""
    course = Course(prepare(read_info(run)))
    course.restore(0, *keyframes.read(keyframes.keyframes(run)[0].path))
    x = np.asarray(course.setup.data.train.x)
    while True:
        state = course.engine.state()
        a = np.maximum(x @ state["dense1.weight"] + state["dense1.bias"], 0)
        a = np.maximum(a @ state["dense2.weight"] + state["dense2.bias"], 0)
        if np.mean(~(a > 0).any(axis=0)) > 0.5:
            break
        course.update()
    assert first(home, 'dead("dense2") > 0.5') == course.step


def test_values_stand_beside_the_step(home: Path) -> None:
    done = bptui(home, "bisect", "latest", 'grad_norm("dense1") > 0 and lr > 0.5')
    assert re.search(r"first at step 0   lr = 1  grad_norm\(\"dense1\"\) = \d", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("los < 1",), "did you mean 'loss'"),
        (('dead("dens2") > 0',), "did you mean 'dense2'"),
        (("loss < 1", "--to", "999"), "0 to 90"),
    ],
)
def test_what_cannot_be_looked_for_is_one_line(home: Path, words: tuple[str, ...], told: str) -> None:
    done = bptui(home, "bisect", "latest", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
