"""Pooling and upsampling by torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.kinds.base import Context, beyond_of
from bptui.spec.layers.pool import window
from bptui.spec.layers.windows import spread


def max_pool(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    beyond = beyond_of(context.lengths, x.shape[1])
    x = x if beyond is None else x.masked_fill(beyond, -torch.inf)  # what a window reads over an edge, too
    return _pooled(layer, x, functional.max_pool1d, functional.max_pool2d)


def average_pool(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return _pooled(layer, sources[0], functional.avg_pool1d, functional.avg_pool2d)


def _pooled(layer: Any, x: Tensor, along: Callable[..., Tensor], over: Callable[..., Tensor]) -> Tensor:
    """``along`` the steps of sequences (N, T, F), or ``over`` pictures (N, C, H, W)."""
    its = window(layer, x.dim() - 2)
    if x.dim() == 4:
        return over(x, its.kernel, its.stride, its.padding)
    return along(x.transpose(1, 2), its.kernel, its.stride, its.padding).transpose(1, 2)


def global_pool(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    channels = sources[0].flatten(2)  # (N, C, H·W)
    return channels.mean(2) if layer.mode == "average" else channels.max(2).values


def upsample(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    size = tuple(n * factor for n, factor in zip(x.shape[2:], spread(layer.factor, 2, "factor"), strict=True))
    return functional.interpolate(x, size=size, mode=layer.mode)
