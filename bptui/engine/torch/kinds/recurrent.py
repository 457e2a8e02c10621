"""Recurrent layers by torch's own kernels, and pooling over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bptui.engine.torch.kinds.base import Context


def recurrent(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    """rnn, lstm, gru: (N, T, F) → states (N, T, H·directions), or the last ones. Lengths go in as a packed sequence."""
    (x,) = sources
    rows, steps, _ = x.shape
    kind, directions = str(layer.__struct_config__.tag), 2 if layer.bidirectional else 1
    weights = [value.t() if value.dim() == 2 else value for value in values.values()]
    begin = x.new_zeros(layer.layers * directions, rows, layer.units)
    start: Any = (begin, begin) if kind == "lstm" else begin
    function = getattr(torch._VF, f"rnn_{layer.nonlinearity}" if kind == "rnn" else kind)
    options = (True, layer.layers, 0.0, context.training, layer.bidirectional)
    states: Tensor
    if context.lengths is None:
        states, last, *_ = function(x, start, weights, *options, True)
        if layer.returns == "sequence":
            return states
    else:
        lengths = context.lengths.clamp(1, steps).cpu()
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        data, last, *_ = function(packed.data, packed.batch_sizes, start, weights, *options)
        if layer.returns == "sequence":
            packed = torch.nn.utils.rnn.PackedSequence(data, *packed[1:])
            return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=steps)[0]
        last = last.index_select(1, packed.unsorted_indices)
    return torch.cat(tuple(last[-directions:]), dim=1)


def time_pool(
    layer: Any,
    sources: tuple[Tensor, ...],
    values: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    context: Context,
) -> Tensor:
    """(N, T, F) → (N, F) over the real steps."""
    (x,) = sources
    rows, steps, _ = x.shape
    if context.lengths is None:
        if layer.how == "mean":
            return x.mean(1)
        return x[:, -1] if layer.how == "last" else x.gather(1, x.argmax(1, keepdim=True))[:, 0]
    lengths = context.lengths.clamp(1, steps)
    if layer.how == "last":
        return x[torch.arange(rows, device=x.device), lengths - 1]
    beyond = (torch.arange(steps, device=x.device) >= lengths[:, None])[:, :, None]
    if layer.how == "max":
        return x.gather(1, x.masked_fill(beyond, -torch.inf).argmax(1, keepdim=True))[:, 0]
    return x.masked_fill(beyond, 0.0).sum(1) / lengths[:, None].to(x.dtype)
