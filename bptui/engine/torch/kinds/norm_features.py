"""Layer norm and RMS norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.kinds.base import Context


def layer_norm(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return normalised(sources[0], layer.eps, values)


def rms_norm(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return normalised(sources[0], layer.eps, values)


def normalised(x: Tensor, eps: float, values: Mapping[str, Tensor], prefix: str = "") -> Tensor:
    """Layer norm where there is a bias, else RMS norm, over the last axis."""
    weight, bias = values[f"{prefix}weight"], values.get(f"{prefix}bias")
    if bias is None:
        return functional.rms_norm(x, x.shape[-1:], weight, eps)
    return functional.layer_norm(x, x.shape[-1:], weight, bias, eps)
