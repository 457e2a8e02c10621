"""``bptui train`` as a user runs it: what it prints, reports and returns, and that nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from left_running import left_running

SECONDS = 60


class Ran:
    """One finished command in a home of its own."""

    def __init__(self, home: Path, *words: str, environment: dict[str, str] | None = None) -> None:
        self.home = home / "home"
        self.report_path = home / "report.json"
        done = subprocess.run(
            [sys.executable, "-m", "bptui", *words],
            env={**os.environ, "BPTUI_HOME": str(self.home), **(environment or {})},
            capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def runs(self) -> list[Path]:
        root = self.home / "runs"
        return sorted(root.iterdir()) if root.is_dir() else []


def train(home: Path, *words: str, **options: Any) -> tuple[Ran, dict[str, Any]]:
    """``bptui train … --report``, and the report."""
    path = home / "report.json"
    ran = Ran(home, "train", *words, "--report", str(path), **options)
    assert path.is_file(), ran.err
    return ran, json.loads(path.read_text())


def gone(home: Path) -> bool:
    """Whether everything started with this home has ended (a hub lingers for a moment)."""
    deadline = time.monotonic() + 20
    while left_running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left_running(home)


def test_the_report_has_every_field_of_the_contract(tmp_path: Path) -> None:
    ran, report = train(tmp_path, "digits", "--epochs", "2", "--seed", "3")
    assert ran.code == 0, ran.err
    assert {key: report[key] for key in ("schema", "engine", "device", "dtype", "seed", "steps", "epochs")} == {
        "schema": 1, "engine": "numpy", "device": "cpu", "dtype": "f32", "seed": 3, "steps": 90, "epochs": 2
    }  # fmt: skip
    assert len(report["losses"]) == 90
    assert report["losses"][0] > 2 > report["losses"][-1]
    assert 0.5 < report["metrics"]["val_accuracy"] <= 1
    assert {"train_loss", "val_loss", "train_accuracy"} <= set(report["metrics"])
    assert sum(map(sum, report["confusion"]["val"])) == 359
    right = sum(report["confusion"]["val"][k][k] for k in range(10))
    assert right / 359 == pytest.approx(report["metrics"]["val_accuracy"])
    assert set(report["timing"]) == {"wall_s", "steps_per_s", "probe_share"}
    assert [(layer["name"], layer["shape"], layer["parameters"]) for layer in report["layers"]] == [
        ("dense1", [32], 2080), ("dense2", [16], 528), ("dense3", [10], 170)
    ]  # fmt: skip
    assert report["exit"] == {"reason": "completed", "code": 0, "error": None}
    assert report["run"] == ran.runs[0].name
    assert gone(ran.home)


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "train", "digits", "--epochs", "3", "--pace", "150")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("digits · 64-32-16-10 · numpy f32 on cpu")
    assert any(line.startswith("epoch 1/3  step ") and "val_accuracy" in line for line in lines)
    assert any(line.startswith("completed · 135 steps") for line in lines)
    assert "\x1b" not in ran.out


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    losses = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        home = tmp_path / name
        home.mkdir()
        losses.append(train(home, "spiral", "--steps", "60", "--seed", seed)[1]["losses"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_both_engines_start_alike_and_see_the_same_batches(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    losses = {}
    for engine in ("numpy", "torch"):
        home = tmp_path / engine
        home.mkdir()
        losses[engine] = train(home, "digits", "--steps", "120", "--dtype", "f64", "--engine", engine)[1]["losses"]
    assert losses["numpy"] == pytest.approx(losses["torch"], rel=1e-9)


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("digits", "--until", "val_accuracy >= 0.9"), 0, "until"),
        (("digits", "--steps", "50", "--until", "loss < 0"), 1, "completed"),
        (("digits", "--until", "step >= 7"), 0, "until"),
        (("exploding",), 1, "failed"),
        (("exploding", "--variant", "cure", "--epochs", "1"), 0, "completed"),
        (("digits", "--steps", "0"), 0, "completed"),
        (("digits", "--steps", "20", "--fail-on", "warning"), 0, "completed"),
        (("dead-relu", "--epochs", "3", "--fail-on", "warning"), 1, "completed"),
        (("dead-relu", "--epochs", "3", "--fail-on", "error"), 0, "completed"),
    ],
)
def test_exit_status(tmp_path: Path, words: tuple[str, ...], code: int, reason: str) -> None:
    ran, report = train(tmp_path, *words)
    assert (ran.code, report["exit"]["reason"]) == (code, reason), ran.out + ran.err


def test_until_ends_at_the_first_step_where_it_holds(tmp_path: Path) -> None:
    _, report = train(tmp_path, "digits", "--until", "step >= 7")
    assert report["steps"] == 7


def test_a_loss_that_is_not_finite_names_its_origin(tmp_path: Path) -> None:
    ran, report = train(tmp_path, "exploding")
    assert "nan" in ran.err or "inf" in ran.err
    finding = report["findings"][0]
    assert (finding["fault"], finding["severity"]) == ("non-finite", "error")
    assert finding["layer"].startswith("dense")
    assert finding["first_step"] == report["steps"] - 1
    assert None in report["losses"], "a loss that is not a number is kept as a gap"


def test_dead_units_are_named_with_their_numbers(tmp_path: Path) -> None:
    _, report = train(tmp_path, "dead-relu", "--epochs", "2")
    finding = next(finding for finding in report["findings"] if finding["fault"] == "dead-relu")
    assert len(finding["units"]) == finding["evidence"]["dead"]
    assert finding["evidence"]["samples"] >= 1400
    assert finding["not_before"] <= finding["first_step"] <= report["steps"]


BAD = [
    (("train", "digit"), "did you mean 'digits'"),
    (("train", "digits", "--set", "optimizer.lrr=1"), "did you mean 'lr'"),
    (("train", "digits", "--set", "model.dense3.units=7"), "needs 10 outputs"),
    (("train", "digits", "--set", "model.dense2.activation=rleu"), "did you mean 'relu'"),
    (("train", "digits", "--until", "los < 1"), "did you mean 'loss'"),
    (("train", "digits", "--until", 'dead("dense9") > 0'), "dense9"),
    (("train", "digits", "--set", "data.source=no-such-data"), "no-such-data"),
    (("train", "digits", "--device", "cuda:7", "--engine", "torch"), "cuda:7"),
    (("train", "digits", "--engine", "numpy", "--device", "cuda"), "--device cuda"),
    (("train", "digits", "--report", "/nonexistent/r.json"), "/nonexistent/r.json"),
    (("train", "digits", "--data-dir", "/nonexistent"), "/nonexistent"),
    (("train", "digits", "--pace", "-3"), "--pace"),
    (("train",), "SPEC"),
    (("train", "digits", "--frobnicate"), "--frobnicate"),
    (("attach", "no-such-run"), "no-such-run"),
    (("open", "/nonexistent"), "/nonexistent"),
    (("pause", "no-such-run"), "no-such-run"),
    (("digits",), "no terminal"),
]


@pytest.mark.parametrize(("words", "told"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    ran = Ran(tmp_path, *words)
    assert ran.code == 2, ran.out + ran.err
    assert told in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.runs == []
    assert gone(ran.home)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    ran = Ran(tmp_path, "train", "digits", environment={"BPTUI_HOME": str(blocked)})
    assert ran.code == 2
    assert str(blocked) in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("damage", ["truncated", "wrong-magic", "missing"])
def test_damaged_data_files_are_named(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    header = {
        "truncated": bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28]),
        "wrong-magic": b"not an IDX file at all",
    }
    if damage != "missing":
        for part in ("train", "t10k"):
            (folder / f"{part}-images-idx3-ubyte").write_bytes(header[damage] + bytes(50))
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9))
    environment = {
        "XDG_DATA_DIRS": str(tmp_path / "none"),
        "XDG_DATA_HOME": str(tmp_path / "none"),
        "BPTUI_DATA": str(tmp_path / "data"),
    }
    ran = Ran(tmp_path, "train", "fashion", environment=environment)
    assert ran.code == 2
    assert "images-idx3-ubyte" in ran.err or "fashion-mnist" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.runs == []
    assert gone(ran.home)


def test_interrupt_stops_after_the_step_and_keeps_the_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "bptui", "train", "digits", "--epochs", "100000", "--report", str(tmp_path / "r.json")],
        env={**os.environ, "BPTUI_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["exit"]["reason"] == "stopped"
    assert len(report["losses"]) == report["steps"] > 0
    assert gone(home)


def test_a_killed_foreground_command_leaves_no_orphan(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "bptui", "train", "digits", "--epochs", "100000"],
        env={**os.environ, "BPTUI_HOME": str(home)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(home)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_digits_reach_their_figure(tmp_path: Path, engine: str) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    assert median_accuracy(tmp_path, "digits", "val_accuracy", "--engine", engine) >= 0.96


@pytest.mark.parametrize("preset", ["spiral", "moons", "binary"])
def test_small_presets_reach_their_figure(tmp_path: Path, preset: str) -> None:
    assert median_accuracy(tmp_path, preset, "val_accuracy") >= 0.95


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="dataset-fashion-mnist is not installed"
)
def test_fashion_is_found_by_itself_and_reaches_its_figure(tmp_path: Path) -> None:
    _, report = train(tmp_path, "fashion")
    assert report["metrics"]["test_accuracy"] >= 0.87
    assert report["timing"]["probe_share"] <= 0.04


def median_accuracy(home: Path, preset: str, metric: str, *words: str) -> float:
    """Median of seeds 0 to 4, each through the command line."""
    values = []
    for seed in range(5):
        place = home / str(seed)
        place.mkdir()
        values.append(train(place, preset, "--seed", str(seed), *words)[1]["metrics"][metric])
    return statistics.median(values)


def test_a_mistyped_command_is_told_as_such(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "trian", "digits")
    assert ran.code == 2
    assert "no command 'trian' (did you mean 'train'?)" in ran.err


def test_an_empty_condition_is_no_condition(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "train", "digits", "--until", "")
    assert ran.code == 2
    assert "empty condition" in ran.err
