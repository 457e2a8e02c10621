"""Losses as torch has them; ∂L/∂outputs by autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Huber, Loss

#: A class id that is no target: such rows count for nothing.
NO_TARGET = -1
Function = Callable[[Tensor, Tensor], Tensor]
#: Losses whose logits go in: the last layer's δ is not a product of two factors.
FUSED = frozenset({"cross_entropy", "binary_cross_entropy"})


def cross_entropy(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, CrossEntropy)
    weight = None
    if loss.class_weights is not None:
        weight = torch.tensor(loss.class_weights, dtype=like.dtype, device=like.device)
    smooth = loss.label_smoothing
    return lambda out, y: F.cross_entropy(out, y, weight=weight, ignore_index=NO_TARGET, label_smoothing=smooth)


def binary_cross_entropy(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, BinaryCrossEntropy)
    smooth = loss.label_smoothing
    pos_weight = None
    if loss.pos_weight != 1.0:
        pos_weight = torch.tensor(loss.pos_weight, dtype=like.dtype, device=like.device)

    def function(out: Tensor, y: Tensor) -> Tensor:
        target = y * (1.0 - smooth) + 0.5 * smooth if smooth else y
        return F.binary_cross_entropy_with_logits(out, target, pos_weight=pos_weight)

    return function


def mse(loss: Loss, like: Tensor) -> Function:
    return F.mse_loss


def mae(loss: Loss, like: Tensor) -> Function:
    return F.l1_loss


def huber(loss: Loss, like: Tensor) -> Function:
    assert isinstance(loss, Huber)
    limit = loss.delta
    return lambda out, y: F.huber_loss(out, y, delta=limit)


LOSSES: dict[str, Callable[[Any, Tensor], Function]] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "huber": huber,
}
