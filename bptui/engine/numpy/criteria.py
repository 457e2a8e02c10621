"""Losses of a graph: torch's definitions, over rows of outputs ``(M, outputs)``, and ∂L/∂outputs.

A class id of −1 is no target, nor is a number that is nan: they count for nothing, and the mean is over the others.
``weights`` (M,): by which each row's loss is multiplied before that mean is taken; None: by 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bptui.engine.numpy.operations import Array
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Huber

NO_TARGET = -1
Weights = Array | None
#: (loss, outputs, targets, weights) → its value, ∂L/∂outputs.
Criterion = Callable[[Any, Array, Array, Weights], tuple[float, Array]]


def _weighed(values: Array, weights: Weights) -> Array:
    """``(M, …)`` values, each row times its weight."""
    return values if weights is None else values * weights.reshape(-1, *(1,) * (values.ndim - 1))


def cross_entropy(loss: CrossEntropy, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    """Targets q = w_y((1 − ε)·[c = y]) + (ε/C)·w_c; L = −Σ q·log p / Σ w_y; ∂L/∂z = (p·Σq − q)/Σ w_y."""
    classes = out.shape[1]
    there = y != NO_TARGET
    y = np.where(there, y, 0)
    share = np.ones(classes) if loss.class_weights is None else np.asarray(loss.class_weights, np.float64)
    norm = float(share[y][there].sum())
    if norm == 0.0:  # no target counts: a mean of nothing costs nothing
        return 0.0, np.zeros_like(out)
    shifted = out - out.max(axis=1, keepdims=True)
    p = np.exp(shifted)  # (M, classes)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    shifted -= np.log(total)  # log p
    rows = np.arange(len(y))
    if loss.label_smoothing or loss.class_weights is not None:
        smooth = loss.label_smoothing
        q = np.broadcast_to(smooth / classes * share, out.shape).astype(out.dtype)
        q[rows, y] += (1.0 - smooth) * share[y]
        q[~there] = 0.0
        q = _weighed(q, weights)
        value = -float(np.vdot(q, shifted)) / norm
        p *= q.sum(axis=1, keepdims=True)
        p -= q
    else:
        value = -float(_weighed(shifted[rows, y], weights)[there].sum()) / norm
        p[rows, y] -= 1.0
        p[~there] = 0.0
        p = _weighed(p, weights)
    p /= norm
    return value, p


def binary_cross_entropy(
    loss: BinaryCrossEntropy, out: Array, y: Array, weights: Weights = None
) -> tuple[float, Array]:
    """(1 − y)z + v·log(1 + e^(−z)) with v = 1 + (w − 1)y; ∂L/∂z = (vσ − wy)/(N·outputs)."""
    target = y * (1.0 - loss.label_smoothing) + 0.5 * loss.label_smoothing
    share = 1.0 + (loss.pos_weight - 1.0) * target
    softplus = np.log1p(np.exp(-np.abs(out))) + np.maximum(-out, 0.0)  # log(1 + e^(−z))
    value = float(_weighed((1.0 - target) * out + share * softplus, weights).mean())
    sigma = 1.0 / (1.0 + np.exp(-out))
    return value, (_weighed(share * sigma - loss.pos_weight * target, weights) / out.size).astype(out.dtype)


def mse(loss: Any, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    difference = out - y
    scaled = _weighed(difference, weights)
    value = float(np.dot(scaled.reshape(-1), difference.reshape(-1))) / out.size
    return value, scaled * out.dtype.type(2.0 / out.size)


def mae(loss: Any, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    difference = out - y
    value = float(_weighed(np.abs(difference), weights).mean())
    return value, _weighed(np.sign(difference), weights) * out.dtype.type(1.0 / out.size)


def huber(loss: Huber, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    """With c = clip(d): c·(d − ½c); ∂L/∂a = c/(N·outputs)."""
    difference = out - y
    inner = np.clip(difference, -loss.delta, loss.delta)
    value = float(_weighed(inner * (difference - 0.5 * inner), weights).mean())
    return value, _weighed(inner, weights) * out.dtype.type(1.0 / out.size)


def over_targets(criterion: Criterion, loss: Any, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    """``criterion`` of single numbers, over those that have a target: nan is none."""
    there = ~np.isnan(y)
    if not there.any():
        return 0.0, np.zeros_like(out)
    each = None if weights is None else np.broadcast_to(weights[:, None], y.shape)[there]
    value, part = criterion(loss, out[there], y[there], each)
    gradient = np.zeros_like(out)
    gradient[there] = part
    return value, gradient


def elsewhere(loss: Any, out: Array, y: Array, weights: Weights = None) -> tuple[float, Array]:
    """``Engine.receive`` puts ∂L/∂outputs in place."""
    return math.nan, np.zeros_like(out)


CRITERIA: dict[str, Criterion] = {
    "elsewhere": elsewhere,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}
