"""Networks with branches and pictures: a PyTorch script that repeats the run, an ONNX model that gives the same."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.export.trained import open_trained
from bptui.runs.report import report

torch = pytest.importorskip("torch")

Train = Callable[..., Path]
Bptui = Callable[..., Any]
REST = """[data]
source = "digits"
samples = 300
{}
[loss]
name = "{}"
[optimizer]
name = "adam"
[stop]
steps = 24
"""

#: Together with those of sequences they hold every kind.
MODELS = {
    "pictures": """
        conv2d units=6 padding="same" activation="relu" l2=0.01
        batch_norm activation="gelu"
        add of=["conv2d1"] dropout=0.2
        max_pool
        conv2d units=8 kernel=2 stride=2 freeze=true
        group_norm groups=2
        upsample
        average_pool kernel=3 stride=1 padding=1
        global_pool name="whole-picture"
        dense units=5 activation="tanh" input="input"
        concat of=["whole-picture"]
        dense units=10
        """,
    "sequences": """
        reshape shape=[8,8]
        conv1d units=6 padding="same" dilation=2 activation="silu"
        max_pool
        batch_norm
        dense units=7 activation="relu"
        group_norm
        average_pool
        flatten
        dense units=10
        """,
    "larger pictures": """
        conv2d units=3 stride=2 padding=1 activation="leaky_relu"
        conv_transpose2d units=3 kernel=2 stride=2 activation="tanh"
        upsample factor=2 mode="bilinear"
        conv2d units=2
        global_pool mode="max" dropout=0.1
        dense units=10
        """,
}  # fmt: skip


def written(folder: Path, model: str, loss: str = "cross_entropy") -> Path:
    lines = []
    for row in model.split("\n"):
        if row.strip():
            kind, *keys = row.split()
            lines += ["[[model]]", f'type = "{kind}"', *(key.replace("=", " = ", 1) for key in keys)]
    path = folder / "graph.toml"
    path.write_text(REST.format("\n".join(lines), loss))
    return path


@pytest.mark.parametrize("name", MODELS)
def test_the_script_repeats_the_run(bptui: Bptui, train: Train, tmp_path: Path, name: str) -> None:
    run = train(written(tmp_path, MODELS[name]), "--dtype", "f64", "--engine", "numpy")
    told = bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    assert told.code == 0, told.err
    names = runpy.run_path(str(tmp_path / "s.py"))
    losses, content = names["train"](24), report(run)
    np.testing.assert_allclose(losses, content["losses"], rtol=1e-9)
    assert names["evaluate"]("validation")["loss"] == pytest.approx(content["metrics"]["val_loss"], rel=1e-6)
    state = open_trained(run).parameters
    for tensor, value in names["TENSORS"].items():
        np.testing.assert_allclose(value.detach().numpy(), state[tensor], rtol=1e-6, atol=1e-9, err_msg=tensor)


@pytest.mark.parametrize("name", MODELS)
def test_onnx_gives_what_the_run_gives(bptui: Bptui, train: Train, tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    run = train(written(tmp_path, MODELS[name]), "--engine", "numpy")
    told = bptui("export", run.name, "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert told.code == 0, told.err
    x = np.random.default_rng(0).integers(0, 17, (9, 64)).astype(np.float32)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    (given,) = runtime.InferenceSession(str(tmp_path / "m.onnx"), options).run(["outputs"], {"x": x})
    trained = open_trained(run)
    wanted = trained.engine().predict(trained.scaler.apply(x, np.float32))
    np.testing.assert_allclose(given, wanted, atol=2e-5 * max(1.0, float(np.abs(wanted).max())))
