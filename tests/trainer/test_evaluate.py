"""Figures of tasks with a target a step, of autoencoders, and how many rows go through the network at once."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from bptui.data import DataSet, Part, Scaler
from bptui.engine.base import Engine
from bptui.engine.measure import data_loss
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from bptui.trainer import evaluate
from bptui.trainer.evaluate import METRICS, block_of, measured, scores_of


class Told:
    """An engine whose outputs are looked up by the first id of each row."""

    def __init__(self, outputs: npt.NDArray[np.float64]) -> None:
        self.outputs = outputs
        self.blocks: list[int] = []
        self.lengths: list[int] = []
        self.layers = [SimpleNamespace(shape=outputs.shape[1:])]

    def predict(self, x: npt.NDArray[Any], lengths: npt.NDArray[Any] | None = None) -> npt.NDArray[np.float64]:
        self.blocks.append(len(x))
        self.lengths += [] if lengths is None else lengths.tolist()
        return self.outputs[x[:, 0]]

    def data_loss(self, outputs: npt.NDArray[np.float64], y: npt.NDArray[Any]) -> float:
        there = y >= 0
        if not there.any():
            return math.nan
        p = np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)
        return float(-np.log(np.take_along_axis(p, np.maximum(y, 0)[..., None], axis=-1)[..., 0][there]).mean())


def sequences(y: npt.NDArray[np.int64], task: str, vocabulary: tuple[str, ...] | None = None) -> DataSet:
    rows, steps = y.shape
    x = np.repeat(np.arange(rows)[:, None], steps, axis=1)
    lengths = (y >= 0).sum(axis=1)
    part = Part(x, y, np.arange(rows), lengths)
    scaler = Scaler("none", np.zeros(steps), np.ones(steps))
    return DataSet("t", cast(Any, task), steps, 3, part, part, None, scaler, vocabulary=vocabulary)


def test_padding_counts_for_nothing_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (40, 6))
    y[np.arange(6) >= rng.integers(1, 7, 40)[:, None]] = -1
    y[16:32] = -1  # the second block below has no target at all
    outputs = rng.normal(size=(40, 6, 3))
    outputs[:10] = 9 * np.eye(3)[np.maximum(y[:10], 0)]  # ten sequences that are right at every step
    data = sequences(y, "sequence_labelling")
    engine = Told(outputs)
    whole, scores = measured(cast(Engine, engine), data.train, data, CrossEntropy())
    there = y >= 0
    right = (outputs.argmax(axis=2) == y) & there
    assert scores is None
    assert whole["accuracy"] == pytest.approx(right.sum() / there.sum())
    assert whole["sequence_accuracy"] == pytest.approx(
        np.mean([(r | ~t).all() for r, t in zip(right, there, strict=True)])
    )
    assert whole["perplexity"] == pytest.approx(math.exp(whole["loss"]))
    assert whole["loss"] == pytest.approx(engine.data_loss(outputs, y))
    monkeypatch.setattr(evaluate, "BLOCK", 16)
    again = Told(outputs)
    pieces, _ = measured(cast(Engine, again), data.train, data, CrossEntropy())
    assert again.blocks == [16, 16, 8] and again.lengths == (y >= 0).sum(axis=1).tolist()
    assert pieces == pytest.approx(whole)


def test_bits_are_told_of_characters_alone() -> None:
    y = np.array([[0, 1, 2]])
    outputs = np.zeros((1, 3, 3))
    for vocabulary, told in ((("<unk>", "a", "b"), True), (("<unk>", "ant", "bee"), False)):
        data = sequences(y, "next_token", vocabulary)
        found, _ = measured(cast(Engine, Told(outputs)), data.train, data, CrossEntropy())
        assert ("bits_per_character" in found) is told and "sequence_accuracy" not in found
        assert found["perplexity"] == pytest.approx(3)
        assert not told or found["bits_per_character"] == pytest.approx(math.log2(3))


def test_of_a_long_training_part_evenly_spaced_rows_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MOST_TARGETS", 30)
    data = sequences(np.zeros((50, 3), np.int64), "next_token", ("<unk>", "a", "b"))
    held = Part(data.train.x, data.train.y, data.train.rows, data.train.lengths)
    engine = Told(np.zeros((50, 3, 3)))
    measured(cast(Engine, engine), data.train, data, CrossEntropy())
    measured(cast(Engine, engine), held, data, CrossEntropy())
    assert engine.blocks == [10, 50]


def test_large_layers_go_through_in_small_blocks() -> None:
    small, large = Told(np.zeros((1, 10))), Told(np.zeros((1, 32, 64, 64)))
    assert block_of(cast(Engine, small)) == 2048 and block_of(cast(Engine, large)) == 32


def test_an_autoencoder_is_compared_in_the_range_of_its_input() -> None:
    logits = np.array([[0.0, 800.0, -800.0]])
    assert scores_of(logits, BinaryCrossEntropy(), "autoencoder").tolist() == [[0.5, 1.0, 0.0]]
    assert scores_of(logits, MeanSquaredError(), "autoencoder") is logits


def test_the_figures_of_an_autoencoder_leave_padding_out() -> None:
    """They are those of the same steps, one after the other."""
    from bptui.data import load
    from bptui.spec.experiment import Data

    data = load(Data(source="spoken-digits-espeak", task="autoencoder", samples=60), dtype="f64")
    part = data.train
    assert part.lengths is not None and data.shape is not None
    real = np.arange(data.shape[0]) < part.lengths[:, None]
    truth = part.targets.reshape(len(part), *data.shape)
    assert np.array_equal(np.isnan(truth).any(axis=2), ~real) and np.array_equal(truth[real], _steps(part, data)[real])
    outputs = np.random.default_rng(0).normal(size=part.targets.shape)
    found = METRICS["autoencoder"](outputs, part.targets)
    off = (outputs.reshape(truth.shape) - truth)[real]
    around = (truth - np.nansum(truth, axis=0) / np.maximum(real.sum(axis=0), 1)[:, None])[real]
    assert found["mae"] == pytest.approx(np.abs(off).mean())
    assert found["r2"] == pytest.approx(1 - np.square(off).sum() / np.square(around).sum())
    assert data_loss(MeanSquaredError(), outputs, part.targets) == pytest.approx(np.square(off).mean())


def _steps(part: Part, data: DataSet) -> npt.NDArray[Any]:
    assert data.shape is not None
    return np.asarray(part.x[:]).reshape(len(part), *data.shape)
