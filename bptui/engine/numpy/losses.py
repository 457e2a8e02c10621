"""Losses: torch's definitions, means over the batch, softmax and sigmoid fused with theirs.

A loss gets the outputs ``(outputs, N)`` and the place of ∂L/∂outputs, and gives a ``Prepared``: how to take the
targets of a batch, the operations, and the value they leave behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bptui.engine.numpy.activations import logistic
from bptui.engine.numpy.operations import Array, Operation, constant
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Huber, Loss

#: Losses whose logits go in: the last layer's δ is not a product of two factors.
FUSED = frozenset({"cross_entropy", "binary_cross_entropy"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """One loss over one set of buffers: ``load(y)``, run ``operations``, ``value()``; ``targets()`` as given.

    ``each()``: (N,), what each sample has of the value, which is their sum.
    """

    load: Callable[[Array], None]
    operations: list[Operation]
    value: Callable[[], float]
    targets: Callable[[], Array]
    each: Callable[[], Array]


def weighed(plain: Prepared, grad: Array) -> tuple[Prepared, Array]:
    """The same loss, of which each sample counts by its weight; and where these are put, (N,)."""
    weights = np.ones(grad.shape[1], grad.dtype)
    operations: list[Operation] = [*plain.operations, partial(np.multiply, grad, weights, grad)]

    def each() -> Array:
        return plain.each() * weights

    return replace(plain, operations=operations, value=lambda: float(each().sum()), each=each), weights


def cross_entropy(loss: Loss, out: Array, grad: Array) -> Prepared:
    """−Σ log softmax of the true class; ∂L/∂z = (p − y)/N."""
    assert isinstance(loss, CrossEntropy)
    if loss.label_smoothing or loss.class_weights is not None:
        return _weighted_cross_entropy(loss, out, grad)
    classes, rows = out.shape
    shifted, exponential = np.empty_like(out), np.empty_like(out)
    peak, total, log_total, true = (np.empty(rows, out.dtype) for _ in range(4))
    ones, mean, share = np.ones(classes, out.dtype), np.full(rows, 1.0 / rows, out.dtype), constant(1.0 / rows, out)
    stride, columns, place = np.array(rows), np.arange(rows), np.empty(rows, np.int64)
    flat_shifted, flat_grad = shifted.reshape(-1), grad.reshape(-1)

    def load(y: Array) -> None:  # where each sample's true class lies in the flat (classes, N) arrays
        np.multiply(y, stride, place)
        np.add(place, columns, place)

    operations: list[Operation] = [
        *_peak(out, peak),
        partial(np.subtract, out, peak, shifted),
        partial(np.exp, shifted, exponential),
        partial(np.dot, ones, exponential, total),  # (N,)
        partial(np.log, total, log_total),
        partial(flat_shifted.take, place, None, true, "clip"),
        partial(np.subtract, log_total, true, log_total),  # −log p of the true class, (N,)
        partial(np.divide, share, total, total),
        partial(np.multiply, exponential, total, grad),  # p/N
        partial(flat_grad.take, place, None, true, "clip"),
        partial(np.subtract, true, share, true),
        partial(flat_grad.__setitem__, place, true),  # (p − y)/N
    ]
    return Prepared(
        load, operations, lambda: float(np.dot(log_total, mean)), lambda: (place - columns) // rows,
        lambda: log_total * mean,
    )  # fmt: skip


def _weighted_cross_entropy(loss: CrossEntropy, out: Array, grad: Array) -> Prepared:
    """With class weights w and smoothing ε: targets q = w_y((1 − ε)·[c = y]) + (ε/C)·w_c; L = −Σ q·log p / Σ w_y."""
    classes, rows = out.shape
    weights = np.ones(classes) if loss.class_weights is None else np.asarray(loss.class_weights, np.float64)
    smooth = loss.label_smoothing
    soft = np.diag((1.0 - smooth) * weights) + (smooth / classes) * weights  # row: the targets q of one class
    target, log_p = np.empty_like(out), np.empty_like(out)
    mass, total = np.empty(rows, out.dtype), np.empty(rows, out.dtype)
    norm, kept = constant(1.0, out), np.empty(rows, np.int64)

    def load(y: Array) -> None:
        kept[:] = y
        np.copyto(target, soft[kept].T)
        np.copyto(mass, soft.sum(axis=1)[kept])
        norm[()] = weights[kept].sum()
        if norm == 0.0:  # no target counts: a mean of nothing costs nothing
            target[:], mass[:], norm[()] = 0.0, 0.0, 1.0

    operations: list[Operation] = [
        partial(np.max, out, 0, total),
        partial(np.subtract, out, total, log_p),
        partial(np.exp, log_p, grad),
        partial(np.sum, grad, 0, None, total),
        partial(np.divide, grad, total, grad),  # p
        partial(np.log, total, total),
        partial(np.subtract, log_p, total, log_p),
        partial(np.multiply, grad, mass, grad),
        partial(np.subtract, grad, target, grad),
        partial(np.divide, grad, norm, grad),  # (p·Σq − q)/Σw
    ]
    return Prepared(
        load, operations, lambda: -float(np.vdot(target, log_p)) / float(norm), kept.copy,
        lambda: -(target * log_p).sum(axis=0) / norm,
    )  # fmt: skip


def _peak(out: Array, peak: Array) -> list[Operation]:
    """The largest logit of each sample; two rows are compared faster than they are reduced."""
    if len(out) == 2:
        return [partial(np.maximum, out[0], out[1], out=peak)]
    return [partial(np.maximum.reduce, out, axis=0, out=peak)]


def binary_cross_entropy(loss: Loss, out: Array, grad: Array) -> Prepared:
    """(1 − y)z + v·log(1 + e^(−z)) with v = 1 + (w − 1)y; ∂L/∂z = (vσ − wy)/(N·outputs)."""
    assert isinstance(loss, BinaryCrossEntropy)
    target, log_term, above = np.empty_like(out), np.empty_like(out), np.empty_like(out)
    mean = np.full(out.size, 1.0 / out.size, out.dtype)
    share, zero, one = constant(1.0 / out.size, out), np.zeros_like(out), constant(1.0, out)
    pos_weight, smooth = loss.pos_weight, loss.label_smoothing
    flat_log = log_term.reshape(-1)
    given = _Targets(target)
    load: Callable[[Array], None] = given.load
    if smooth:
        load = partial(_smoothed, given.load, target, smooth)
    operations: list[Operation] = [
        partial(np.copysign, out, constant(-1.0, out), log_term),
        partial(np.exp, log_term, log_term),
        partial(np.log1p, log_term, log_term),  # log(1 + e^(−|z|))
    ]
    if pos_weight == 1.0:
        operations += [
            partial(np.maximum, out, zero, out=above),
            partial(np.multiply, out, target, grad),
            partial(
                np.subtract, above, grad, above
            ),  # element by element, or a sure sample's loss would cancel to noise
            partial(np.add, log_term, above, log_term),  # max(z, 0) − zy + log(1 + e^(−|z|))
            *logistic(out, grad),
            partial(np.subtract, grad, target, grad),
            partial(np.multiply, grad, share, grad),  # (σ − y)/(N·outputs)
        ]
    else:
        weight, scaled = np.empty_like(out), np.empty_like(out)
        operations += [
            partial(np.minimum, out, zero, out=above),
            partial(np.subtract, log_term, above, log_term),  # log(1 + e^(−z))
            partial(np.multiply, target, constant(pos_weight - 1.0, out), weight),
            partial(np.add, weight, one, weight),  # v
            partial(np.multiply, log_term, weight, log_term),
            partial(np.subtract, one, target, scaled),
            partial(np.multiply, scaled, out, scaled),
            partial(np.add, log_term, scaled, log_term),
            *logistic(out, grad),
            partial(np.multiply, grad, weight, grad),
            partial(np.multiply, target, constant(pos_weight, out), scaled),
            partial(np.subtract, grad, scaled, grad),
            partial(np.multiply, grad, share, grad),
        ]
    return Prepared(
        load, operations, lambda: float(np.dot(flat_log, mean)), given.given, lambda: log_term.sum(axis=0) / out.size
    )


def mse(loss: Loss, out: Array, grad: Array) -> Prepared:
    """Mean of (a − y)²; ∂L/∂a = 2(a − y)/(N·outputs)."""
    given, difference = _Targets(np.empty_like(out)), np.empty_like(out)
    flat = difference.reshape(-1)
    operations: list[Operation] = [
        partial(np.subtract, out, given.target, difference),
        partial(np.multiply, difference, constant(2.0 / out.size, out), grad),
    ]
    return Prepared(
        given.load, operations, lambda: float(np.dot(flat, flat)) / out.size, given.given,
        lambda: np.square(difference).sum(axis=0) / out.size,
    )  # fmt: skip


def mae(loss: Loss, out: Array, grad: Array) -> Prepared:
    """Mean of |a − y|; ∂L/∂a = sign(a − y)/(N·outputs)."""
    given, difference = _Targets(np.empty_like(out)), np.empty_like(out)
    operations: list[Operation] = [
        partial(np.subtract, out, given.target, difference),
        partial(np.sign, difference, grad),
        partial(np.multiply, grad, constant(1.0 / out.size, out), grad),
        partial(np.absolute, difference, difference),
    ]
    return Prepared(
        given.load, operations, lambda: float(np.add.reduce(difference, axis=None)) / out.size, given.given,
        lambda: difference.sum(axis=0) / out.size,
    )  # fmt: skip


def huber(loss: Loss, out: Array, grad: Array) -> Prepared:
    """½d² within ``delta``, delta·(|d| − ½delta) beyond: with c = clip(d), c·(d − ½c); ∂L/∂a = c/(N·outputs)."""
    assert isinstance(loss, Huber)
    given, difference, inner = _Targets(np.empty_like(out)), np.empty_like(out), np.empty_like(out)
    limit, lowest = np.full_like(out, loss.delta), np.full_like(out, -loss.delta)
    operations: list[Operation] = [
        partial(np.subtract, out, given.target, difference),
        partial(np.minimum, difference, limit, out=inner),
        partial(np.maximum, inner, lowest, out=inner),
        partial(np.multiply, inner, constant(1.0 / out.size, out), grad),
        partial(np.multiply, inner, constant(-0.5, out), inner),
        partial(np.add, difference, inner, difference),
    ]
    flat_inner, flat_rest = inner.reshape(-1), difference.reshape(-1)  # −½c and d − ½c
    value = lambda: -2.0 * float(np.dot(flat_inner, flat_rest)) / out.size  # noqa: E731
    each = lambda: -2.0 * (inner * difference).sum(axis=0) / out.size  # noqa: E731
    return Prepared(given.load, operations, value, given.given, each)


class _Targets:
    """Floats (N, outputs), or (N,) for one output, kept as (outputs, N)."""

    def __init__(self, target: Array) -> None:
        self.target = target
        self._rows = target.T

    def load(self, y: Array) -> None:
        np.copyto(self._rows, y if y.ndim == 2 else y.reshape(self._rows.shape), casting="unsafe")

    def given(self) -> Array:
        return np.array(self._rows, order="C")


def _smoothed(load: Callable[[Array], None], target: Array, smooth: float, y: Array) -> None:
    load(y)
    target *= 1.0 - smooth
    target += 0.5 * smooth


def elsewhere(loss: Any, out: Array, grad: Array) -> Prepared:
    """``Engine.receive`` puts ∂L/∂outputs in place."""
    columns = out.shape[1]
    return Prepared(
        lambda y: None, [], lambda: math.nan, lambda: np.zeros((columns, 0), out.dtype),
        lambda: np.full(columns, math.nan, out.dtype),
    )  # fmt: skip


LOSSES: dict[str, Callable[[Any, Array, Array], Prepared]] = {
    "elsewhere": elsewhere,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}
