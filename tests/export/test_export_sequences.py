"""Sequences and tokens of any length: a PyTorch script that repeats the run, an ONNX model that gives what it gives."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_export_graphs import MODELS as PICTURES

from bptui.export.onnx_kinds import KINDS as ONNX
from bptui.export.torch_kinds import KINDS as TORCH
from bptui.export.trained import Trained, open_trained
from bptui.runs.report import report
from bptui.spec.layers import GEOMETRY

torch = pytest.importorskip("torch")

Train = Callable[..., Path]
Bptui = Callable[..., Any]
STEPS, FEATURES, TOKENS, ROWS = 10, 4, 9, 60

#: name → (data, what is beside the layers, layers). Together they hold every kind for sequences.
MODELS = {
    "sounds": ("padded", 'loss.name="cross_entropy" loss.label_smoothing=0.1', """
        conv1d units=6 kernel=3 padding="same" activation="sigmoid"
        batch_norm activation="softplus"
        max_pool kernel=3 stride=1 padding=1
        lstm units=4 layers=2 bidirectional=true l2=0.01
        conv1d units=6 kernel=2 stride=2 activation="silu"
        group_norm groups=2
        attention heads=3 l1=0.001
        gru units=5 returns="last" dropout=0.2
        dense units=3
        """),
    "sentences": ("tokens", 'loss.name="cross_entropy" data.batch_size=16 optimizer.accumulate=2', """
        embedding units=8 vocabulary=9 padding=0 dropout=0.1
        positional_embedding
        transformer_block heads=2 feed=12
        transformer_block heads=4 order="post" norm="rms" causal=true feed_activation="relu" dropout=0.2
        add of=["embedding1"]
        time_pool how="max" name="largest"
        time_pool how="mean" input="add1"
        concat of=["largest"]
        dense units=3
        """),
    "labels": ("labels", 'loss.name="cross_entropy" loss.class_weights=[1,2,1] optimizer.clip_norm=1.0', """
        embedding units=6 vocabulary=9
        positional_embedding table="sinusoidal"
        rnn units=5 nonlinearity="relu" activation="tanh"
        rms_norm
        gru units=3 layers=2 bidirectional=true
        layer_norm activation="gelu"
        average_pool kernel=3 stride=1 padding=1
        dense units=3
        """),
    "text": ("text", 'loss.name="cross_entropy" data.window=16 data.level="char"', """
        embedding units=8 vocabulary=29 l2=0.01
        attention heads=2 causal=true freeze=true
        lstm units=6
        dense units=29
        """),
    "itself": ("padded", 'loss.name="huber" data.task="autoencoder"', """
        gru units=6
        rnn units=4 bidirectional=true
        group_norm
        dense units=4
        """),
    "ratings": ("ratings", 'loss.name="mse" data.samples=300', """
        embedding units=3 vocabulary=501 column=0 padding=0 name="user" l2=0.01
        embedding units=3 vocabulary=201 column=1 input="input" name="item"
        multiply of=["user","item"] name="cube"
        dot input="item" of=["user","cube"]
        embedding units=1 vocabulary=201 column=1 input="input"
        add of=["dot1"]
        dense units=1 bias=3.5
        """),
    "even": ("even", 'loss.name="cross_entropy"', """
        rnn units=5 layers=2
        group_norm
        max_pool
        lstm units=4 returns="last" bidirectional=true name="end"
        time_pool how="last" input="max_pool1"
        concat of=["end"]
        dense units=3
        """),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data: seeded noise whose first steps hint at the class."""
    place, draw = tmp_path_factory.mktemp("sequences"), np.random.default_rng(0)
    y, lengths = draw.integers(0, 3, ROWS), draw.integers(1, STEPS + 1, ROWS)
    x = 3 + 2 * draw.normal(size=(ROWS, STEPS, FEATURES)) + y[:, None, None]
    ids, vocabulary = draw.integers(1, TOKENS, (ROWS, STEPS)), np.array(["<pad>", "<unk>", *"abcdefg"])
    np.savez(place / "padded.npz", x=x, y=y, lengths=lengths)
    np.savez(place / "even.npz", x=x, y=y, lengths=np.full(ROWS, STEPS))
    np.savez(place / "tokens.npz", x=ids, y=y, lengths=lengths, vocabulary=vocabulary)
    np.savez(place / "labels.npz", x=ids, y=ids % 3, lengths=lengths, vocabulary=vocabulary)
    (place / "text.txt").write_text("the quick brown fox jumps over the lazy dog and runs off; " * 30)
    return place


@pytest.fixture(scope="module")
def run(train: Train, folder: Path) -> Callable[[str], Path]:
    """The run of a model, trained once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            data, beside, model = MODELS[name]
            layers = []
            for row in filter(None, map(str.strip, model.split("\n"))):
                kind, *keys = row.split()
                layers += ["[[model]]", f'type = "{kind}"', *(key.replace("=", " = ", 1) for key in keys)]
            tables: dict[str, list[str]] = {"optimizer": ['name = "adam"', "lr = 0.01"], "stop": ["steps = 24"]}
            files = {"text": folder / "text.txt", "ratings": "ratings"}
            source = files.get(data, folder / f"{data}.npz")
            tables["data"] = [f'source = "{source}"', "validation = 0.2"]
            for key in beside.split():
                table, _, rest = key.partition(".")
                tables.setdefault(table, []).append(rest.replace("=", " = ", 1))
            text = [line for table, keys in tables.items() for line in (f"[{table}]", *keys)]
            (folder / f"{name}.toml").write_text("\n".join([*text, *layers]))
            made[name] = train(folder / f"{name}.toml", "--dtype", "f64", "--engine", "numpy")
        return made[name]

    return of


@pytest.mark.parametrize("name", MODELS)
def test_the_script_repeats_the_run(bptui: Bptui, run: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    made = run(name)
    told = bptui("export", made.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    assert told.code == 0, told.err
    names, content = runpy.run_path(str(tmp_path / "s.py")), report(made)
    np.testing.assert_allclose(names["train"](24), content["losses"], rtol=1e-9)
    figures = names["evaluate"]("validation")
    assert set(figures) >= {"loss"}
    for figure, value in figures.items():
        assert value == pytest.approx(content["metrics"][f"val_{figure}"], rel=1e-6), figure
    state = open_trained(made).parameters
    assert names["TENSORS"].keys() == state.keys()
    for tensor, value in names["TENSORS"].items():
        np.testing.assert_allclose(value.detach().numpy(), state[tensor], rtol=1e-6, atol=1e-9, err_msg=tensor)


def test_the_script_of_padded_tokens_stands_alone(bptui: Bptui, run: Callable[[str], Path], tmp_path: Path) -> None:
    made = run("sentences")
    assert bptui("export", made.name, "--format", "pytorch", "--output", tmp_path / "s.py").code == 0
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "s.py"), "--losses", str(tmp_path / "losses.json")],
        capture_output=True, text=True, timeout=120, cwd="/", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads((tmp_path / "losses.json").read_text()), report(made)["losses"], rtol=1e-9)
    assert f"accuracy {report(made)['metrics']['val_accuracy']:.4f}" in done.stdout


def _given(trained: Trained) -> tuple[Any, Any]:
    """Rows as they stand in data, and their lengths."""
    draw, about = np.random.default_rng(1), trained.about
    lengths = np.array([1, about.sample[0], 4, 2, about.sample[0] - 1])
    if about.ids:
        sizes = [len(each) for each in about.vocabularies or (about.vocabulary or (),)]
        x = draw.integers(1, sizes, (5, about.features))
        return np.where(np.arange(about.features) < lengths[:, None], x, 0) if about.padded else x, lengths
    x = 3 + 2 * draw.normal(size=(5, *about.sample))
    if about.padded:
        x[np.arange(about.sample[0]) >= lengths[:, None]] = np.nan
    return x.reshape(5, -1).astype(np.float32), lengths


@pytest.mark.parametrize("name", MODELS)
def test_onnx_gives_what_the_run_gives(bptui: Bptui, run: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """Lengths go in beside the samples; whatever lies beyond them."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    made = run(name)
    told = bptui("export", made.name, "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert told.code == 0, told.err
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), options)
    trained = open_trained(made)
    x, lengths = _given(trained)
    feed = {"x": x, "lengths": lengths} if trained.about.padded else {"x": x}
    assert {each.name for each in session.get_inputs()} == set(feed)
    outputs = session.run(["outputs"], feed)[0]
    scaled = x if trained.about.ids else trained.scaler.apply(x, np.float64)
    wanted = trained.engine().predict(scaled, lengths if trained.about.padded else None)
    np.testing.assert_allclose(outputs, wanted, atol=2e-5 * max(1.0, float(np.abs(wanted).max())))
    if trained.about.task == "classification":
        chances = session.run(["probabilities"], feed)[0]
        np.testing.assert_allclose(chances.sum(axis=-1), 1.0, rtol=1e-5)
    for name in ("vocabulary", "vocabularies"):
        told = json.loads(session.get_modelmeta().custom_metadata_map.get(name, "null"))
        assert told == json.loads(json.dumps(getattr(trained.about, name)))


def test_every_kind_of_layer_is_exported_by_a_test() -> None:
    models = [*PICTURES.values(), *(model for *_, model in MODELS.values())]
    tried = {row.split()[0] for model in models for row in model.split("\n") if row.strip()}
    assert tried == set(TORCH) == set(ONNX) == set(GEOMETRY)
