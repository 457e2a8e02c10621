"""Embeddings: a vector a token, and a vector a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bptui.engine.positions import sinusoids
from bptui.engine.torch.kinds.base import Context


def embedding(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    tokens = sources[0] if layer.column is None else sources[0][:, layer.column]
    return functional.embedding(tokens, values["weight"], padding_idx=layer.padding)  # (N, T) → (N, T, units)


def positional_embedding(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    (x,) = sources
    if layer.table == "learned":
        return x + values["weight"]
    return x + torch.from_numpy(sinusoids(*x.shape[1:])).to(x)
