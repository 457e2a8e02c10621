"""Batch and group normalisation by torch.nn.functional; features of a sequence (N, T, F) are its channels.

Of padded sequences only the real steps count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.kinds.base import Context, beyond_of


def batch_norm(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    beyond = beyond_of(context.lengths, x.shape[1])
    if beyond is None:
        return _batch_norm(layer, x, values, buffers, context)
    real = ~beyond[..., 0]
    return torch.zeros_like(x).index_put((real,), _batch_norm(layer, x[real], values, buffers, context))


def _batch_norm(
    layer: Any, x: Tensor, values: Mapping[str, Tensor], buffers: Mapping[str, Tensor], context: Context
) -> Tensor:
    seen = x if x.dim() == 4 else x.flatten(0, -2)  # (N, C, H, W), or (N·T, F)
    mean, variance = buffers["running_mean"], buffers["running_var"]
    if not context.training:
        z = functional.batch_norm(seen, mean, variance, values["weight"], values["bias"], False, 0.0, layer.eps)
        return z.view_as(x)
    if seen.numel() == seen.shape[1]:  # one number a channel, of which torch takes no variance
        mean, variance = mean.lerp(seen.detach().flatten(), layer.momentum), variance * (1.0 - layer.momentum)
        z = values["bias"].expand_as(seen.flatten(1)).view_as(seen) + 0.0 * seen * values["weight"].sum()
    else:
        mean, variance = mean.clone(), variance.clone()  # which torch moves on in place
        z = functional.batch_norm(
            seen, mean, variance, values["weight"], values["bias"], True, layer.momentum, layer.eps
        )
    context.pending |= {"running_mean": mean, "running_var": variance}
    return z.view_as(x)


def group_norm(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    if x.dim() != 3:
        return functional.group_norm(x, layer.groups, values["weight"], values["bias"], layer.eps)
    beyond = beyond_of(context.lengths, x.shape[1])
    if beyond is not None:
        assert context.lengths is not None
        return _group_norm(layer, x, values, beyond, context.lengths)
    z = functional.group_norm(x.transpose(1, 2), layer.groups, values["weight"], values["bias"], layer.eps)
    return z.transpose(1, 2)


def _group_norm(layer: Any, x: Tensor, values: Mapping[str, Tensor], beyond: Tensor, lengths: Tensor) -> Tensor:
    """Written out, over the real steps of (N, T, F)."""
    groups = x.view(*x.shape[:2], layer.groups, -1)  # (N, T, groups, members)
    count = (lengths * groups.shape[3])[:, None, None, None].to(x.dtype)
    mean = groups.sum((1, 3), keepdim=True) / count
    offsets = (groups - mean).masked_fill(beyond[..., None], 0.0)
    variance = offsets.square().sum((1, 3), keepdim=True) / count
    normal: Tensor = offsets / (variance + layer.eps).sqrt()
    return normal.flatten(2) * values["weight"] + values["bias"]
