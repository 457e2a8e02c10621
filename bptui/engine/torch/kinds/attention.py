"""Multi-head attention and the transformer block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bptui.engine.torch.activations import ACTIVATIONS
from bptui.engine.torch.kinds.base import Context
from bptui.engine.torch.kinds.norm_features import normalised
from bptui.spec.layers.attention import NORM_EPS


def attention(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    return _attention(sources[0], layer, values, context, "")


def transformer_block(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    """(N, T, D) → (N, T, D)."""
    (x,) = sources
    eps = NORM_EPS[layer.norm]

    def heard(x: Tensor) -> Tensor:
        return _dropped("attention", _attention(x, layer, values, context, "attention."), context)

    def fed(x: Tensor) -> Tensor:
        return _dropped("feed", _feed(x, layer, values), context)

    if layer.order == "pre":
        x = x + heard(normalised(x, eps, values, "norm1."))
        return x + fed(normalised(x, eps, values, "norm2."))
    x = normalised(x + heard(x), eps, values, "norm1.")
    return normalised(x + fed(x), eps, values, "norm2.")


def _dropped(branch: str, x: Tensor, context: Context) -> Tensor:
    mask = context.masks.get(branch)
    return x if mask is None else x * mask


def _attention(x: Tensor, layer: Any, values: Mapping[str, Tensor], context: Context, prefix: str) -> Tensor:
    n, steps, features = x.shape
    projected = functional.linear(x, values[f"{prefix}qkv"].t(), values[f"{prefix}qkv_bias"])
    query, key, value = projected.view(n, steps, 3, layer.heads, -1).permute(2, 0, 3, 1, 4)  # (N, heads, T, d)
    mask = None
    if context.lengths is not None:
        mask = (torch.arange(steps, device=x.device) < context.lengths.clamp(min=1)[:, None])[:, None, None]
        if layer.causal:
            mask = mask & torch.ones(steps, steps, dtype=torch.bool, device=x.device).tril()
    causal = layer.causal and mask is None
    heard = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    joined = heard.transpose(1, 2).reshape(n, steps, features)
    return functional.linear(joined, values[f"{prefix}out"].t(), values[f"{prefix}out_bias"])


def _feed(x: Tensor, layer: Any, values: Mapping[str, Tensor]) -> Tensor:
    hidden = functional.linear(x, values["feed.up"].t(), values["feed.up_bias"])
    if layer.feed_activation != "identity":
        hidden = ACTIVATIONS[layer.feed_activation](hidden)
    return functional.linear(hidden, values["feed.down"].t(), values["feed.down_bias"])
