"""Metrics against scikit-learn's, and what counts as a yes."""

from __future__ import annotations

import numpy as np
import pytest

from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from bptui.trainer.evaluate import METRICS, confusion, scores_of

metrics = pytest.importorskip("sklearn.metrics")
DRAW = np.random.default_rng(0)


def test_classes() -> None:
    y, logits = DRAW.integers(0, 7, 300), DRAW.normal(size=(300, 7))
    found, predicted = METRICS["classification"](logits, y), logits.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert found["top5"] == pytest.approx(metrics.top_k_accuracy_score(y, logits, k=5))
    assert (confusion(logits, y) == metrics.confusion_matrix(y, predicted)).all()


def test_one_hot_targets_count_as_class_ids() -> None:
    y, outputs = DRAW.integers(0, 3, 100), DRAW.normal(size=(100, 3))
    assert METRICS["classification"](outputs, np.eye(3)[y]) == METRICS["classification"](outputs, y)


def test_yes_or_no() -> None:
    y, logits = DRAW.integers(0, 2, (200, 1)).astype(float), DRAW.normal(size=(200, 1))
    found = METRICS["binary"](logits, y)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, logits > 0))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, logits > 0))
    assert (confusion(logits, y) == metrics.confusion_matrix(y, logits > 0)).all()


def test_several_labels() -> None:
    y, logits = DRAW.integers(0, 2, (200, 4)).astype(float), DRAW.normal(size=(200, 4))
    found = METRICS["multilabel"](logits, y)
    assert found["accuracy"] == pytest.approx(np.mean((logits > 0) == (y > 0.5)))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, logits > 0, average="micro"))


def test_regression() -> None:
    y = DRAW.normal(size=(150, 1))
    outputs = y + 0.3 * DRAW.normal(size=(150, 1))
    found = METRICS["regression"](outputs, y)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, outputs))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, outputs))


@pytest.mark.parametrize(
    ("loss", "task", "cut"),
    [
        (BinaryCrossEntropy(), "binary", 0.0),
        (CrossEntropy(), "classification", 0.0),
        (MeanSquaredError(), "binary", 0.5),
        (MeanSquaredError(), "multilabel", 0.5),
        (MeanSquaredError(), "regression", 0.0),
    ],
)
def test_outputs_that_are_compared_with_0_and_1_are_cut_at_a_half(loss, task: str, cut: float) -> None:  # type: ignore[no-untyped-def]
    outputs = np.array([[0.2], [0.6]])
    assert scores_of(outputs, loss, task) == pytest.approx(outputs - cut)
