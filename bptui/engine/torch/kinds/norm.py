"""Batch and group normalisation by torch.nn.functional; features of a sequence (N, T, F) are its channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.kinds.base import Context


def batch_norm(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
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
    z = functional.group_norm(x.transpose(1, 2), layer.groups, values["weight"], values["bias"], layer.eps)
    return z.transpose(1, 2)
