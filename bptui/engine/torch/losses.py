"""Losses as torch has them; ∂L/∂outputs by autograd.

Weights (M,), one a row, multiply the rows' losses before the mean that torch takes of them; None: by 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Huber, Loss

#: A class id that is no target: such rows count for nothing.
NO_TARGET = -1
Weights = Tensor | None
Function = Callable[[Tensor, Tensor, Weights], Tensor]
#: Losses whose logits go in: the last layer's δ is not a product of two factors.
FUSED = frozenset({"cross_entropy", "binary_cross_entropy"})


def cross_entropy(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, CrossEntropy)
    weight = None
    if loss.class_weights is not None:
        weight = torch.tensor(loss.class_weights, dtype=like.dtype, device=like.device)
    kind: dict[str, Any] = {
        "weight": weight, "ignore_index": NO_TARGET, "label_smoothing": loss.label_smoothing
    }  # fmt: skip

    def function(out: Tensor, y: Tensor, weights: Weights) -> Tensor:
        if weights is None:
            return F.cross_entropy(out, y, **kind)
        there = y != NO_TARGET
        norm = there.sum() if weight is None else weight[y[there]].sum()
        return (F.cross_entropy(out, y, reduction="none", **kind) * weights).sum() / norm

    return function


def counts_for_nothing(loss: Loss, y: Tensor) -> bool:
    """Whether no target ``y`` of a batch has any weight: a mean of nothing, of which torch makes nan or inf."""
    if not isinstance(loss, CrossEntropy):
        return not y.numel()
    there = y[y != NO_TARGET]
    weights = loss.class_weights
    return not len(there) or (weights is not None and not any(weights[each] for each in there.tolist()))


def binary_cross_entropy(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, BinaryCrossEntropy)
    smooth = loss.label_smoothing
    pos_weight = None
    if loss.pos_weight != 1.0:
        pos_weight = torch.tensor(loss.pos_weight, dtype=like.dtype, device=like.device)

    def function(out: Tensor, y: Tensor, weights: Weights) -> Tensor:
        target = y * (1.0 - smooth) + 0.5 * smooth if smooth else y
        return _mean(partial(F.binary_cross_entropy_with_logits, out, target, pos_weight=pos_weight), weights)

    return function


def mse(loss: Loss, like: Tensor) -> Function:
    return partial(_compared, F.mse_loss)


def mae(loss: Loss, like: Tensor) -> Function:
    return partial(_compared, F.l1_loss)


def huber(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, Huber)
    return partial(_compared, partial(F.huber_loss, delta=loss.delta))


def _compared(function: Callable[..., Tensor], out: Tensor, y: Tensor, weights: Weights) -> Tensor:
    return _mean(partial(function, out, y), weights)


def _mean(function: Callable[..., Tensor], weights: Weights) -> Tensor:
    """The mean of a loss over rows and outputs (or single numbers, each with a weight)."""
    if weights is None:
        return function()
    each = function(reduction="none")
    return (each * weights.view(-1, *(1,) * (each.dim() - 1))).mean()


def elsewhere(loss: Any, like: Tensor) -> Function:
    """``Engine.receive`` puts ∂L/∂outputs in place."""
    return lambda out, y, weights: out.sum() * math.nan


LOSSES: dict[str, Callable[[Any, Tensor], Function]] = {
    "elsewhere": elsewhere,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}
