"""Each preset's figure, reached from the command line: the median of five seeds, of fewer where one takes minutes.

Slow, and left out unless asked for: ``make test ARGS="-m slow"``. Those that need the true MNIST skip without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(os.environ.get("BPTUI_DATA", "/nonexistent"))
MNIST = DATA / "mnist"
FASHION = Path("/usr/share/datasets/fashion-mnist")
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="the true MNIST is not here (BPTUI_DATA)")
SPOKEN, REVIEWS = DATA / "spoken-digits", DATA / "rt-polarity"
needs_spoken = pytest.mark.skipif(not SPOKEN.is_dir(), reason="the true spoken digits are not here (BPTUI_DATA)")
needs_reviews = pytest.mark.skipif(not REVIEWS.is_dir(), reason="the film reviews are not here (BPTUI_DATA)")
needs_plays = pytest.mark.skipif(not (DATA / "tinyshakespeare").is_dir(), reason="no Shakespeare here (BPTUI_DATA)")
needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="dataset-fashion-mnist is not installed")

#: Seeds of presets that take minutes each; as many as their pages have.
FEWER = {
    "char-transformer": 1, "cnn": 3, "resnet": 3, "autoencoder": 3, "gan-2d": 3, "lstm-speech": 3, "recommender": 3,
    "sentiment": 3, "policy-gradient": 3,
}  # fmt: skip

#: Words of the command, metric, least and most that the median may be.
FIGURES = [
    pytest.param(("digits",), "val_accuracy", 0.96, 1.0),
    pytest.param(("spiral",), "val_accuracy", 0.95, 1.0),
    pytest.param(("moons",), "val_accuracy", 0.95, 1.0),
    pytest.param(("binary",), "val_accuracy", 0.95, 1.0),
    pytest.param(("xor",), "val_accuracy", 0.95, 1.0),
    pytest.param(("xor", "--variant", "one-layer"), "val_accuracy", 0.0, 0.7),
    pytest.param(("regression",), "val_r2", 0.95, 1.0),
    pytest.param(("overfit",), "train_accuracy", 0.999, 1.0),
    pytest.param(("vanishing",), "val_accuracy", 0.0, 0.2),
    pytest.param(("vanishing", "--variant", "cure"), "val_accuracy", 0.93, 1.0),
    pytest.param(("exploding", "--variant", "cure"), "val_accuracy", 0.93, 1.0),
    pytest.param(("dead-relu",), "val_accuracy", 0.0, 0.2),
    pytest.param(("dead-relu", "--variant", "tenth"), "val_accuracy", 0.93, 1.0),
    pytest.param(("init", "--variant", "zeros"), "val_accuracy", 0.0, 0.2),
    pytest.param(("init", "--variant", "glorot"), "val_accuracy", 0.93, 1.0),
    pytest.param(("fashion",), "test_accuracy", 0.87, 1.0, marks=needs_fashion),
    pytest.param(("mnist-plain",), "test_accuracy", 0.97, 1.0, marks=needs_mnist),
    pytest.param(("mnist",), "test_accuracy", 0.98, 1.0, marks=needs_mnist),
    pytest.param(("mnist-deep",), "test_accuracy", 0.98, 1.0, marks=needs_mnist),
    pytest.param(("cnn",), "test_accuracy", 0.99, 1.0, marks=needs_mnist),
    pytest.param(("cnn", "--variant", "fashion"), "test_accuracy", 0.90, 1.0, marks=needs_fashion),
    pytest.param(("resnet",), "val_accuracy", 0.985, 1.0),
    pytest.param(("autoencoder",), "val_r2", 0.85, 1.0),
    pytest.param(("policy-gradient",), "test_return", 195.0, 200.0),
    pytest.param(("gan-2d",), "val_modes", 8, 8),
    pytest.param(("gan-2d", "--variant", "collapse"), "val_modes", 0, 3),
    pytest.param(("lstm-speech",), "test_accuracy", 0.96, 1.0, marks=needs_spoken),
    pytest.param(("lstm-speech", "--variant", "shipped"), "test_accuracy", 0.95, 1.0),
    pytest.param(("char-transformer", "--engine", "torch"), "val_loss", 0.0, 1.6688, marks=needs_plays),
    pytest.param(("recommender",), "val_loss", 0.09, 0.11),
    pytest.param(("recommender", "--variant", "free"), "val_loss", 0.11, 0.13),
    pytest.param(("sentiment",), "test_accuracy", 0.75, 1.0, marks=needs_reviews),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "metric", "least", "most"), FIGURES, ids=lambda value: str(value))
def test_figure(tmp_path: Path, words: tuple[str, ...], metric: str, least: float, most: float) -> None:
    report = tmp_path / "report.json"
    seeds = str(FEWER.get(words[0], 5))
    done = subprocess.run(
        [sys.executable, "-m", "bptui", "train", *words, "--seeds", seeds, "--report", str(report)],
        env={**os.environ, "BPTUI_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    median = json.loads(report.read_text())["metrics"][metric]["median"]
    print(f"{' '.join(words)}: {metric} {median:.4f}")
    assert least <= median <= most
