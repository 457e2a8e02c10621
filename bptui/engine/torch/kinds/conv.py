"""Convolutions by torch.nn.functional; along a sequence (N, T, F) torch wants features before steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.kinds.base import Context
from bptui.spec.layers.conv import window
from bptui.spec.layers.windows import spread


def conv1d(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    its = window(layer)
    z = functional.conv1d(
        x.transpose(1, 2), values["weight"], values["bias"], its.stride, its.padding, its.dilation, layer.groups
    )
    return z.transpose(1, 2)  # (N, steps, units)


def conv2d(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    its = window(layer)
    return functional.conv2d(
        x, values["weight"], values["bias"], its.stride, its.padding, its.dilation, layer.groups
    )  # (N, units, rows, columns)


def conv_transpose2d(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    its = window(layer)
    extra = spread(layer.output_padding, 2, "output_padding", least=0)
    return functional.conv_transpose2d(
        x, values["weight"], values["bias"], its.stride, its.padding, extra, layer.groups, its.dilation
    )  # (N, units, rows, columns)
