"""The exported script repeats the run, whatever the experiment asks for, and needs nothing of bptui."""

from __future__ import annotations

import ast
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.runs.report import report

torch = pytest.importorskip("torch")

Train = Callable[..., Path]
Bptui = Callable[..., Any]
Refused = Callable[..., str]
STEPS = 300

#: One table after another; together they hold every activation, loss, optimiser, schedule and option.
EXPERIMENTS = {
    "sgd": """
        [data]
        source = "digits"
        [[model]]
        units = 24
        activation = "relu"
        l1 = 1e-4
        [[model]]
        units = 12
        activation = "leaky_relu"
        l2 = 1e-3
        dropout = 0.25
        [[model]]
        units = 10
        [loss]
        name = "cross_entropy"
        label_smoothing = 0.1
        class_weights = [1, 2, 1, 1, 0.5, 1, 1, 1, 3, 1]
        [optimizer]
        name = "sgd"
        lr = 0.05
        momentum = 0.9
        nesterov = true
        weight_decay = 1e-3
        accumulate = 4
        [schedule]
        name = "cosine"
        min_lr = 0.001
        """,
    "adam": """
        [data]
        source = "binary"
        batch_size = 50
        [[model]]
        units = 10
        activation = "elu"
        dropout = 0.2
        [[model]]
        units = 8
        activation = "selu"
        [[model]]
        units = 1
        [loss]
        name = "binary_cross_entropy"
        label_smoothing = 0.05
        pos_weight = 2.5
        [optimizer]
        name = "adam"
        lr = 0.01
        weight_decay = 1e-4
        clip_norm = 0.3
        [schedule]
        name = "warmup"
        length = 40
        """,
    "rmsprop": """
        [data]
        source = "{folder}/table.csv"
        missing = "mean"
        test = 0.1
        [[model]]
        units = 12
        activation = "gelu"
        [[model]]
        units = 8
        activation = "silu"
        [[model]]
        units = 1
        [loss]
        name = "huber"
        delta = 0.7
        [optimizer]
        name = "rmsprop"
        lr = 0.003
        momentum = 0.5
        centered = true
        clip_value = 0.05
        clip_norm = 0.2
        [schedule]
        name = "plateau"
        factor = 0.5
        patience = 1
        cooldown = 1
        min_lr = 1e-4
        """,
    "adagrad": """
        [data]
        source = "moons"
        batch_size = 17
        scale = "minmax"
        [[model]]
        units = 9
        activation = "tanh"
        init = "orthogonal"
        bias = 0.1
        [[model]]
        units = 2
        activation = "sigmoid"
        [loss]
        name = "mse"
        [optimizer]
        name = "adagrad"
        lr = 0.1
        lr_decay = 0.01
        initial_accumulator = 0.1
        [schedule]
        name = "exponential"
        gamma = 0.99
        per = "step"
        """,
    "adamw": """
        [data]
        source = "{folder}/table.csv"
        task = "regression"
        missing = "drop"
        shuffle = false
        validation = 0.0
        [[model]]
        units = 12
        activation = "softplus"
        [[model]]
        units = 1
        [loss]
        name = "mae"
        [optimizer]
        name = "adamw"
        lr = 0.01
        weight_decay = 0.1
        [schedule]
        name = "step"
        every = 3
        gamma = 0.7
        """,
    "sgd-dampened": """
        [data]
        source = "spiral"
        scale = "none"
        [[model]]
        name = "first_layer"
        units = 16
        activation = "tanh"
        [[model]]
        units = 3
        [loss]
        name = "cross_entropy"
        [optimizer]
        name = "sgd"
        lr = 0.1
        momentum = 0.8
        dampening = 0.3
        [schedule]
        name = "cosine"
        per = "epoch"
        length = 5
        """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``table.csv``: numbers, a text column and missing values."""
    place = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(1)
    rows = ["size,colour,weight,price"]
    for number in range(400):
        size, weight, colour = draw.normal(5, 2), draw.normal(1e6, 10), ("red", "green")[number % 2]
        shown = "" if number % 40 == 7 else f"{size:.4f}"
        rows.append(f"{shown},{colour},{weight:.3f},{size * 0.3 + (colour == 'red') + draw.normal(0, 0.1):.4f}")
    (place / "table.csv").write_text("\n".join(rows))
    return place


@pytest.fixture(scope="module")
def spec(folder: Path) -> Callable[[str], Path]:
    def write(name: str) -> Path:
        path = folder / f"{name}.toml"
        lines = [line.strip() for line in EXPERIMENTS[name].replace("{folder}", str(folder)).splitlines()]
        path.write_text("\n".join([*lines, "[stop]", f"steps = {STEPS}"]))
        return path

    return write


def difference(mine: list[float], theirs: list[float]) -> float:
    """Largest relative difference of two rows of losses of the same length."""
    assert len(mine) == len(theirs)
    return max(abs(a - b) / abs(b) for a, b in zip(mine, theirs, strict=True))


def run_here(script: Path, steps: int) -> tuple[list[float], dict[str, Any]]:
    """The script's own losses, run in this process (its torch is there already), and its names."""
    names = runpy.run_path(str(script))
    return names["train"](steps), names


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_loss_is_the_runs_in_double_precision(
    bptui: Bptui, train: Train, spec: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    run = train(spec(name), "--dtype", "f64", "--seed", "11")
    assert bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py").code == 0
    losses, names = run_here(tmp_path / "s.py", STEPS)
    content = report(run)
    assert difference(losses, content["losses"]) < 1e-9
    for part, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        if part in names["parts"]:
            for metric, value in names["evaluate"](part).items():
                if f"{short}_{metric}" in content["metrics"]:
                    assert value == pytest.approx(content["metrics"][f"{short}_{metric}"], rel=1e-6), (part, metric)


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_each_loss_is_the_runs_in_single_precision(
    bptui: Bptui, train: Train, spec: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    run = train(spec(name), "--seed", "4", "--steps", "60")
    bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    assert difference(run_here(tmp_path / "s.py", 60)[0], report(run)["losses"]) < 1e-3


def test_the_script_stands_alone(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    run = train("digits", "--dtype", "f64", "--epochs", "3")
    told = bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "digits.py")
    files = {tmp_path / name for name in ("digits.py", "digits.npz", "digits.initial.safetensors")}
    assert set(map(Path, told.out.split())) == files
    text = (tmp_path / "digits.py").read_text()
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                     [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }  # fmt: skip
    assert imported == {"argparse", "json", "math", "zlib", "pathlib", "numpy", "torch"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "digits.py"), "--losses", str(tmp_path / "losses.json")],
        capture_output=True, text=True, timeout=120, cwd="/", env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    losses = json.loads((tmp_path / "losses.json").read_text())
    assert difference(losses, report(run)["losses"]) < 1e-9
    assert "largest relative difference from the run's losses over 135 steps: " in done.stdout
    assert f"accuracy {report(run)['metrics']['val_accuracy']:.4f}" in done.stdout


@pytest.mark.parametrize("rule", ["stop.patience=2", "stop.loss_below=0.2"])
def test_a_run_that_stopped_early_is_repeated_to_its_end(bptui: Bptui, train: Train, tmp_path: Path, rule: str) -> None:
    run = train("digits", "--dtype", "f64", "--epochs", "30", "--set", rule)
    done = report(run)["losses"]
    assert len(done) < 30 * 45
    bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    assert difference(run_here(tmp_path / "s.py", 30 * 45)[0], done) < 1e-6


def test_pictures_are_kept_as_bytes_and_scaled_to_the_bit(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    run = train("digits", "--steps", "1")
    bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    with np.load(tmp_path / "s.npz") as held:
        assert held["x_train"].dtype == np.uint8
    from bptui.data import load
    from bptui.spec.experiment import CrossEntropy, Data

    data = load(Data(source="digits"), loss=CrossEntropy())
    assert np.array_equal(run_here(tmp_path / "s.py", 1)[1]["parts"]["train"][0].numpy(), data.train.x)


def test_what_was_changed_by_hand_is_said(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    run = train("digits", "--steps", "50")
    event = {"step": 20, "change": "lr", "before": 0.05, "after": 0.01, "source": "trainer"}
    (run / "events.jsonl").write_text(json.dumps(event) + '\n{"torn')
    bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    assert "step 20: lr 0.05 → 0.01" in (tmp_path / "s.py").read_text()


def test_text_of_an_experiment_cannot_become_code(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(
        '[experiment]\nname = \'a""" + print(1) #\\\'\n[data]\nsource = "moons"\n[[model]]\nunits = 1\n'
        '[loss]\nname = "binary_cross_entropy"\n[stop]\nsteps = 2\n'
    )
    run = train(tmp_path / "x.toml")
    bptui("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    body = ast.parse((tmp_path / "s.py").read_text()).body
    assert isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    assert isinstance(body[1], ast.Import)


def test_data_that_are_gone_or_others_are_refused(train: Train, refused: Refused, folder: Path, tmp_path: Path) -> None:
    (folder / "m.csv").write_text("a,b,c\n" + "".join(f"{n},{n * n},{n % 2}\n" for n in range(40)))
    (folder / "m.toml").write_text(
        f'[data]\nsource = "{folder}/m.csv"\n[[model]]\nunits = 2\n[loss]\nname = "cross_entropy"\n[stop]\nsteps = 2\n'
    )
    run = train(folder / "m.toml")
    words = ("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
    (folder / "m.csv").write_text("a,b,c\n" + "".join(f"{n},{n},{n % 2}\n" for n in range(40)))
    assert "these are not the rows" in refused(*words)
    (folder / "m.csv").unlink()
    assert "m.csv: no such file" in refused(*words)


def test_a_keyframe_of_step_0_is_needed(train: Train, refused: Refused, tmp_path: Path) -> None:
    run = train("digits", "--steps", "3")
    (run / "keyframes" / f"{0:012d}.safetensors").unlink()
    assert "keyframe of step 0" in refused("export", run.name, "--format", "pytorch", "--output", tmp_path / "s.py")
