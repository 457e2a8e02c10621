"""Training from a file of weights or from a run, and the parameters as a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bptui.runs.keyframes import keyframes, read

Train = Callable[..., Path]
Refused = Callable[..., str]


def losses(run: Path) -> list[float]:
    from bptui.runs.report import report

    found: list[float] = report(run)["losses"]
    return found


@pytest.fixture(scope="module")
def start(train: Train) -> Path:
    return train("digits", "--steps", "40")


@pytest.fixture
def weights(start: Path, tmp_path: Path, bptui: Callable[..., object]) -> Path:
    bptui("export", start.name, "--format", "safetensors", "--output", tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_a_run_goes_on_from_the_weights_of_another(train: Train, start: Path, weights: Path) -> None:
    from_file = train("digits", "--steps", "5", "--weights", weights)
    from_run = train("digits", "--steps", "5", "--weights", start.name)
    assert losses(from_file) == losses(from_run)
    assert losses(from_file)[0] < losses(start)[0] / 2
    first, last = read(keyframes(from_file)[0].path)[0], read(keyframes(start)[-1].path)[0]
    assert np.array_equal(first["dense2.weight"], last["dense2.weight"])
    assert not first["optimizer.momentum_buffer.dense2.weight"].any(), "only parameters are taken over"


def test_both_engines_and_both_precisions_take_them(train: Train, weights: Path) -> None:
    pytest.importorskip("torch")
    runs = [
        train("digits", "--steps", "20", "--weights", weights, "--dtype", dtype, "--engine", engine)
        for engine, dtype in (("numpy", "f64"), ("torch", "f64"), ("torch", "f32"))
    ]
    assert losses(runs[0]) == pytest.approx(losses(runs[1]), rel=1e-9)
    assert losses(runs[0]) == pytest.approx(losses(runs[2]), rel=1e-2)


def test_exported_parameters_are_those_of_the_last_step(start: Path, weights: Path) -> None:
    held, last = load_file(weights), read(keyframes(start)[-1].path)[0]
    assert set(held) == {f"dense{n}.{kind}" for n in (1, 2, 3) for kind in ("weight", "bias")}
    assert all(np.array_equal(held[name], last[name]) for name in held)


def test_a_keyframe_says_how_rows_are_scaled_and_what_classes_are_called(start: Path) -> None:
    tensors, metadata = read(keyframes(start)[-1].path)
    about = json.loads(metadata["data"])
    assert tensors["scaler.mean"].shape == (64,)
    assert (about["task"], about["shape"], about["range"]) == ("classification", [1, 8, 8], [0.0, 16.0])
    assert about["classes"] == list("0123456789")


BAD = [
    ("shape", "dense2.weight is 32×12, expected 32×16"),
    ("missing", "dense3.bias is missing, expected 10"),
    ("unknown", "dense4.weight (2×2) is not a tensor of this model; nearest: dense"),
    ("integers", "dense1.bias is of type I64, expected F32 or F64"),
    ("cut", "not a whole safetensors file"),
    ("empty", "not a whole safetensors file"),
    ("picture", "not a whole safetensors file"),
]


@pytest.mark.parametrize(("fault", "told"), BAD, ids=[fault for fault, _ in BAD])
def test_weights_that_do_not_fit_are_one_line(weights: Path, refused: Refused, fault: str, told: str) -> None:
    tensors = load_file(weights)
    if fault == "shape":
        tensors["dense2.weight"] = tensors["dense2.weight"][:, :12].copy()
    elif fault == "missing":
        del tensors["dense3.bias"]
    elif fault == "unknown":
        tensors["dense4.weight"] = np.ones((2, 2), np.float32)
    elif fault == "integers":
        tensors["dense1.bias"] = tensors["dense1.bias"].astype(np.int64)
    save_file(tensors, weights)
    if fault == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif fault == "empty":
        weights.write_bytes(b"")
    elif fault == "picture":
        weights.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    line = refused("train", "digits", "--weights", weights)
    assert told in line
    assert weights.name in line


def test_weights_that_are_nowhere_are_one_line(refused: Refused, tmp_path: Path) -> None:
    assert "no such file" in refused("train", "digits", "--weights", tmp_path / "none.safetensors")
    assert "neither a file nor a run" in refused("train", "digits", "--weights", "no-such-run")


def test_the_screen_refuses_them_before_it_shows(refused: Refused) -> None:
    assert "--weights" in refused("digits", "--weights", "no-such-run")


def test_many_seeds_from_the_same_weights(weights: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    words = ["digits", "--steps", "3", "--weights", str(weights), "--seeds", "2", "--quiet", "--report", str(report)]
    subprocess.run([sys.executable, "-m", "bptui", "train", *words], check=True, capture_output=True, timeout=60)
    runs = json.loads(report.read_text())["runs"]
    assert len(runs) == 2
    assert all(run["losses"][0] < 2 for run in runs.values()), "drawn weights begin above 2"
