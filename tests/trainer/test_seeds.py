"""``--seeds``: the same experiment from many seeds, and what is said of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

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


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_a_band_is_in_order_and_holds_the_median(values: list[float]) -> None:
    row = band(values)
    assert row.least <= row.low <= row.median <= row.high <= row.most
    assert row.median == statistics.median(values)
