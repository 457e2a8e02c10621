"""Layers without weights that form their inputs anew."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from bptui.engine.torch.kinds.base import Context


def reshape(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    """Flatten and reshape."""
    (x,) = sources
    return x.reshape(len(x), *context.place.geometry.output)


def add(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return reduce(torch.add, sources)


def multiply(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return reduce(torch.mul, sources)


def dot(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return multiply(layer, sources, values, buffers, context).sum(dim=-1, keepdim=True)


def concat(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return torch.cat(sources, dim=1 if context.place.geometry.unit_axis == 0 else -1)
