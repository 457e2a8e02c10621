"""``--seeds``: the same experiment from many seeds, and what is said of them."""

from __future__ import annotations

import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.client import seeds
from bptui.client.discover import list_runs
from bptui.client.seeds import band


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", "train", *words],
        env={**os.environ, "BPTUI_HOME": str(home / "home")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )


def test_the_band_is_that_of_the_single_runs(tmp_path: Path) -> None:
    done = run(tmp_path, "xor", "--epochs", "5", "--seed", "3", "--seeds", "3", "--report", str(tmp_path / "r.json"))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["seeds"] == [3, 4, 5]
    singles = [report["runs"][str(seed)]["metrics"]["val_accuracy"] for seed in (3, 4, 5)]
    assert report["metrics"]["val_accuracy"]["median"] == statistics.median(singles)
    assert report["metrics"]["val_accuracy"]["least"] == min(singles)
    assert len({tuple(report["runs"][str(seed)]["losses"]) for seed in (3, 4, 5)}) == 3
    assert "median" in done.stdout
    assert all(f"seed   {seed}" in done.stdout for seed in (3, 4, 5))


def test_bad_input_is_said_once(tmp_path: Path) -> None:
    done = run(tmp_path, "xor", "--seeds", "4", "--set", "optimizer.lr=slow")
    assert done.returncode == 2
    assert done.stderr.count("lr: expected float") == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_worst_status_is_the_commands(tmp_path: Path) -> None:
    assert run(tmp_path, "exploding", "--seeds", "2").returncode == 1


def test_a_run_that_was_killed_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_run_all", lambda *_: {0: (0, None), 1: (-9, None)})
    assert seeds.train_seeds([], [0, 1], report=None, quiet=True) == 1


def test_a_break_that_nobody_would_end_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "xor", "--seeds", "2", "--break", "loss < 1")
    assert done.returncode == 2
    assert "--break" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_no_pipe_is_left_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert seeds.train_seeds(["xor", "--steps", "1"], [0], report=None, quiet=False) == 0
    gc.collect()  # a pipe left open would be a warning here, which is an error
    assert "seed   0  completed" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_stop_after_their_step(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "bptui", "train", "digits", "--epochs", "100000", "--seeds", "1"],
        env={**os.environ, "BPTUI_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(found.step for found in list_runs(home / "runs")) and time.monotonic() < deadline:
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: the command and its runs
    else:
        process.send_signal(number)  # as kill does: the command alone
    process.communicate(timeout=60)
    assert process.returncode == 130
    (found,) = list_runs(home / "runs")
    assert found.state == "STOPPED"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_a_band_is_in_order_and_holds_the_median(values: list[float]) -> None:
    row = band(values)
    assert row.least <= row.low <= row.median <= row.high <= row.most
    assert row.median == statistics.median(values)
