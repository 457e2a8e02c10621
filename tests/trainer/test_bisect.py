"""``bptui bisect``: the first step at which a condition holds, held against a straight look at the run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bptui.runs import keyframes
from bptui.runs.info import read_info
from bptui.runs.report import report
from bptui.trainer.bisect import bisect
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


@pytest.fixture(scope="module")
def kept(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with a keyframe of every tenth step."""
    folder = tmp_path_factory.mktemp("kept") / run.name
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.sock"))
    course = Course(prepare(read_info(folder)))
    course.restore(0, *keyframes.read(keyframes.keyframes(folder)[0].path))
    for step in range(10, 90, 10):
        while course.step < step:
            course.update()
        keyframes.write(folder, step, *course.capture())
    return folder


@pytest.mark.parametrize(
    ("condition", "way", "most"),
    [
        ("loss < 1e9 and step >= 85", "by the record", 86),
        ('dead("dense2") > 0.5 and step >= 85', "by keyframes", 16),  # 4 of 9 keyframes, then 80 to 85
        ('85 <= step and (dead("dense1") > 0.1 or dead("dense2") >= 1)', "by keyframes", 16),
        ('dead("dense2") > 0.5 and step >= 85 and lr > 0', "by scanning", 86),  # of lr nobody knows that it stays
        ('not dead("dense2") <= 0.5 and step >= 85', "by scanning", 86),
        ('dead("dense2") > 0.5 and step >= 85 and grad_norm("dense1") >= 0', "by scanning", 86),
    ],
)
def test_the_way_fits_the_condition_and_finds_the_same(kept: Path, condition: str, way: str, most: int) -> None:
    found = bisect(kept, condition)
    assert (found.step, found.way) == (85, way)
    assert found.looked_at == most if way != "by keyframes" else found.looked_at <= most


def test_halving_does_without_a_damaged_keyframe(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / kept.name
    shutil.copytree(kept, folder)
    for frame in keyframes.keyframes(folder):
        if frame.step in (50, 80):
            frame.path.write_bytes(b"damaged")
    found = bisect(folder, 'dead("dense2") > 0.5 and step >= 85')
    assert (found.step, found.way) == (85, "by keyframes") and found.looked_at > 15


def test_what_comes_and_goes_is_found_the_first_time(kept: Path) -> None:
    """By the record and by doing the run again it is the same step: a gradient that is large once."""
    course, norms = Course(prepare(read_info(kept))), []
    course.restore(0, *keyframes.read(keyframes.keyframes(kept)[0].path))
    for _ in range(90):
        course.update()
        gradient = course.engine.tensor("grad_W", 2)
        assert gradient is not None
        norms.append(float(np.linalg.norm(gradient)))
    peak = int(np.argmax(norms))
    found = bisect(kept, f'grad_norm("dense3") > {norms[peak] * 0.9999!r}')
    assert (found.step, found.way) == (peak, "by scanning")


def test_the_way_is_told(home: Path) -> None:
    assert bptui(home, "bisect", "latest", "step >= 7").stdout.rstrip().endswith("(by the record)")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("replay", "--to", "91"), "there is no step 91: 0 to 90 are recorded"),
        (("dead", "--to", "91"), "there is no step 91: 0 to 90 are recorded"),
        (("whatif", "--at", "91", "--set", "lr=/10"), "there is no step 91: 0 to 90 are recorded"),
        (("bisect", 'dead("dense2") > 0.5'), "no keyframe before step 90: nothing to begin from"),
        (("dead",), "no keyframe before step 90: nothing to begin from"),
    ],
    ids=lambda one: one if isinstance(one, str) else one[0],
)
def test_a_past_that_is_not_there_is_one_line(run: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """Steps out of range, and a run whose keyframes are gone."""
    folder = tmp_path / run.name
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.sock"))
    if "keyframe" in told:
        shutil.rmtree(keyframes.folder(folder))
    done = bptui(tmp_path, words[0], str(folder), *words[1:])
    assert done.returncode == 2 and not done.stdout
    assert told in done.stderr and len(done.stderr.strip().splitlines()) == 1


WIDE = """
[data]
source = "digits"
[[model]]
type = "dense"
units = 160
activation = "relu"
[[model]]
type = "dense"
units = 64
activation = "relu"
[[model]]
type = "dense"
units = 10
[loss]
name = "cross_entropy"
[optimizer]
name = "adam"
lr = 0.001
[stop]
steps = 250
"""


def test_keyframes_stay_inside_the_budget_that_is_given(tmp_path: Path) -> None:
    """A megabyte holds four states of this network: what is thinned is done again, bit for bit."""
    (tmp_path / "wide.toml").write_text(WIDE)
    done = bptui(tmp_path, "train", str(tmp_path / "wide.toml"), "--keyframe-budget", "1", "--pace", "100")
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "home" / "runs").iterdir()
    frames = keyframes.keyframes(run)
    assert 5 * frames[0].size > 1 << 20, "else nothing would have been thinned in two and a half seconds"
    assert sum(frame.size for frame in frames) <= 1 << 20
    assert len(frames) > 2 and (frames[0].step, frames[-1].step) == (0, 250)
    verified = bptui(tmp_path, "replay", "latest", "--verify")
    assert verified.returncode == 0 and "0 to 250: bit-exact (250 losses" in verified.stdout, verified.stdout
    assert bptui(tmp_path, "replay", "latest", "--to", "137").returncode == 0
    refused = bptui(tmp_path, "train", "digits", "--keyframe-budget", "0")
    assert refused.returncode == 2 and "megabytes of at least 1" in refused.stderr
