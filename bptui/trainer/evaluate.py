"""Metrics of a part of the data: loss, and what goes with the task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bptui.data import Part
from bptui.engine.base import Engine
from bptui.spec.check import LOGITS_LOSSES
from bptui.spec.experiment import Loss

#: Rows a forward pass; large enough for the matrix products, small enough for the cache.
BLOCK = 2048


def outputs_of(engine: Engine, part: Part) -> npt.NDArray[np.floating]:
    """``(N, outputs)`` of all rows of a part that has any."""
    return np.concatenate([engine.predict(block.x) for block in part.blocks(BLOCK)])


def scores_of(outputs: npt.NDArray[np.floating], loss: Loss, task: str) -> npt.NDArray[np.floating]:
    """Outputs as scores that say yes above 0: logits are that; what is compared with 0 and 1 is cut at a half."""
    return outputs if isinstance(loss, LOGITS_LOSSES) or task == "regression" else outputs - 0.5


def _classification(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    y, predicted = class_ids(y), predicted_ids(outputs)
    metrics = {"accuracy": float(np.mean(predicted == y)), "f1": macro_f1(predicted, y)}
    if outputs.shape[1] > 5:
        own = np.take_along_axis(outputs, y[:, None].astype(np.intp), axis=1)
        metrics["top5"] = float(np.mean((outputs > own).sum(axis=1) < 5))
    return metrics


def _binary(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    if outputs.shape[1] > 1:
        return _classification(outputs, y)
    truth = np.asarray(y).reshape(len(y), -1) > 0.5
    predicted = outputs > 0
    return {"accuracy": float(np.mean(predicted == truth)), "f1": f1(predicted, truth)}


def _multilabel(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    truth = np.asarray(y) > 0.5
    predicted = outputs > 0
    return {"accuracy": float(np.mean(predicted == truth)), "f1": f1(predicted, truth)}


def _regression(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    truth = np.asarray(y, dtype=np.float64).reshape(outputs.shape)
    residual = float(np.square(outputs - truth).sum())
    total = float(np.square(truth - truth.mean(axis=0)).sum())
    return {"r2": 1 - residual / total if total > 0 else float("nan"), "mae": float(np.abs(outputs - truth).mean())}


METRICS = {
    "classification": _classification, "binary": _binary, "multilabel": _multilabel, "regression": _regression
}  # fmt: skip


def f1(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """2·TP / (2·TP + FP + FN); 0 where there is nothing to find and nothing found."""
    hits = int(np.sum(predicted & truth))
    return 2 * hits / max(int(predicted.sum()) + int(truth.sum()), 1)


def macro_f1(predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.generic]) -> float:
    """Mean of the classes' F1, over the classes that occur."""
    present = np.unique(truth)
    return (
        float(np.mean([f1(predicted == label, np.asarray(truth == label)) for label in present]))
        if len(present)
        else 0.0
    )


def class_ids(y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Targets as class ids (N,): they are that already, or one-hot rows, or one column of 0 and 1."""
    if y.ndim == 1:
        return np.asarray(y, dtype=np.int64)
    return np.asarray(y.argmax(axis=1) if y.shape[1] > 1 else np.asarray(y)[:, 0] > 0.5, dtype=np.int64)


def predicted_ids(outputs: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The class (N,) of each row of scores: the largest, or the sign of the only one."""
    return np.asarray(outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0, dtype=np.int64)


def confusion(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """``(classes, classes)``: rows are the truth, columns what was predicted."""
    classes = max(outputs.shape[1], 2)
    cells = class_ids(y) * classes + predicted_ids(outputs)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
