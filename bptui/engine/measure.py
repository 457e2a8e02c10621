"""The loss that validation shows: plain, in float64, without smoothing and weights; shared by both engines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.spec.experiment import Huber, Loss

Values = npt.NDArray[np.float64]


def data_loss(loss: Loss, outputs: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """Mean ``loss`` of ``outputs`` (N, outputs) for targets ``y``: class ids (N,), or floats (N, outputs).

    Outputs (N, T, classes) go with ids (N, T), of which −1 are no targets, nor are numbers that are nan; the result is
    nan where there is none at all.
    """
    out = np.asarray(outputs, dtype=np.float64)
    if y.dtype.kind == "f" and (nowhere := np.isnan(y)).any():
        out, y = out.reshape(y.shape)[~nowhere], y[~nowhere]
    with np.errstate(all="ignore"):
        return MEASURES[str(loss.__struct_config__.tag)](loss, out, y)


def _cross_entropy(loss: Loss, out: Values, y: npt.NDArray[Any]) -> float:
    out, y = out.reshape(-1, out.shape[-1]), y.reshape(-1)
    if len(y) and y.min() < 0:
        out, y = out[y >= 0], y[y >= 0]
    if not len(y):
        return math.nan
    shifted = out - out.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sum - shifted[np.arange(len(out)), y]).mean())


def _binary_cross_entropy(loss: Loss, out: Values, y: npt.NDArray[Any]) -> float:
    target = y.reshape(out.shape)
    return float((np.maximum(out, 0.0) - out * target + np.log1p(np.exp(-np.abs(out)))).mean())


def _mse(loss: Loss, out: Values, y: npt.NDArray[Any]) -> float:
    return float(((out - y.reshape(out.shape)) ** 2).mean())


def _mae(loss: Loss, out: Values, y: npt.NDArray[Any]) -> float:
    return float(np.abs(out - y.reshape(out.shape)).mean())


def _huber(loss: Loss, out: Values, y: npt.NDArray[Any]) -> float:
    limit = loss.delta if isinstance(loss, Huber) else 1.0
    size = np.abs(out - y.reshape(out.shape))
    return float(np.where(size <= limit, 0.5 * size**2, limit * (size - 0.5 * limit)).mean())


MEASURES: dict[str, Callable[[Loss, Values, npt.NDArray[Any]], float]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "mse": _mse,
    "mae": _mae,
    "huber": _huber,
}
