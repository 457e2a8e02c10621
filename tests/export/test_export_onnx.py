"""The ONNX model gives in onnxruntime what the run gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.export.rows import Given
from bptui.export.trained import open_trained

onnx = pytest.importorskip("onnx", reason="needs bptui[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs bptui[onnx]")

Train = Callable[..., Path]
Bptui = Callable[..., Any]
ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh")


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def exported(bptui: Bptui, run: Path, path: Path, *words: str) -> Any:
    told = bptui("export", run.name, "--format", "onnx", "--output", path, *words)
    assert told.code == 0, told.err
    return session(path)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_pictures_with_the_scaling_inside(bptui: Bptui, train: Train, tmp_path: Path, dtype: str) -> None:
    from bptui.export.prediction import predict

    run = train("digits", "--epochs", "2", "--dtype", dtype)
    model = exported(bptui, run, tmp_path / "m.onnx")
    x = np.random.default_rng(0).integers(0, 17, (50, 64)).astype(np.uint8)
    outputs, probabilities = model.run(["outputs", "probabilities"], {"x": x.astype(np.float32)})
    trained = open_trained(run)
    wanted = trained.engine().predict(trained.scaler.apply(x, np.float64 if dtype == "f64" else np.float32))
    assert np.abs(outputs - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())
    assert np.abs(probabilities - predict(trained, Given(x)).outputs).max() <= 1e-5


def test_without_the_scaling(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    run = train("digits", "--steps", "20")
    model = exported(bptui, run, tmp_path / "m.onnx", "--no-scaler")
    x = np.random.default_rng(0).normal(size=(7, 64)).astype(np.float32)
    assert np.abs(model.run(["outputs"], {"x": x})[0] - open_trained(run).engine().predict(x)).max() <= 1e-5


def test_every_activation(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    layers = "".join(f'[[model]]\nunits = 6\nactivation = "{name}"\n' for name in ACTIVATIONS)
    (tmp_path / "a.toml").write_text(
        f'[data]\nsource = "binary"\n{layers}[[model]]\nunits = 1\n[loss]\nname = "binary_cross_entropy"\n'
        '[optimizer]\nname = "adam"\nlr = 0.01\n[stop]\nsteps = 30\n'
    )
    run = train(tmp_path / "a.toml")
    model = exported(bptui, run, tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(40, 20)).astype(np.float32)
    trained = open_trained(run)
    wanted = trained.engine().predict(trained.scaler.apply(x, np.float32))
    outputs, probabilities = model.run(["outputs", "probabilities"], {"x": x})
    assert np.abs(outputs - wanted).max() <= 1e-5
    assert np.abs(probabilities - 1 / (1 + np.exp(-wanted))).max() <= 1e-5


def test_features_far_from_zero_and_missing_ones(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = [f"{1.7e9 + draw.normal(0, 5):.3f},{'' if n % 9 == 0 else draw.normal()},{draw.normal()}" for n in range(90)]
    (tmp_path / "t.csv").write_text("\n".join(["time,a,b", *rows]))
    (tmp_path / "t.toml").write_text(
        f'[data]\nsource = "{tmp_path}/t.csv"\ntask = "regression"\nmissing = "mean"\nscale = "standard"\n'
        '[[model]]\nunits = 4\nactivation = "tanh"\n[[model]]\nunits = 1\n[loss]\nname = "mse"\n[stop]\nsteps = 9\n'
    )
    run = train(tmp_path / "t.toml")
    model = exported(bptui, run, tmp_path / "m.onnx")
    assert model.get_inputs()[0].type == "tensor(double)", "a float would lose the digits of the time"
    x = np.array([[1.7e9 + 3.25, 0.5], [1.7e9 - 2.5, np.nan]])
    trained = open_trained(run)
    wanted = trained.engine().predict(trained.scaler.apply(x, np.float32))
    assert np.isfinite(wanted).all()
    assert np.abs(model.run(["outputs"], {"x": x})[0] - wanted).max() <= 1e-5
    assert [output.name for output in model.get_outputs()] == ["outputs"]


def test_the_model_says_what_its_classes_are(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    run = train("digits", "--steps", "2")
    about = exported(bptui, run, tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == list("0123456789")
    assert (about["run"], about["step"]) == (run.name, "2")


def test_without_onnx_it_says_what_to_install(
    bptui: Bptui, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("digits", "--steps", "2")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    told = bptui("export", run.name, "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert (told.code, list(tmp_path.iterdir())) == (2, [])
    assert "pip install 'bptui[onnx]'" in told.err
