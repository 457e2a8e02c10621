"""Kinds of layer.

A new one is a Struct and its geometry in a file here, its name in ``Layer`` and a row of ``GEOMETRY``.
"""

from __future__ import annotations

from bptui.spec.layers.attention import Attention, TransformerBlock, attention, transformer_block
from bptui.spec.layers.base import GeometryOf
from bptui.spec.layers.conv import Conv1d, Conv2d, ConvTranspose2d, conv1d, conv2d, conv_transpose2d
from bptui.spec.layers.dense import Dense as Dense
from bptui.spec.layers.dense import dense
from bptui.spec.layers.embedding import Embedding as Embedding
from bptui.spec.layers.embedding import PositionalEmbedding, embedding, positional_embedding
from bptui.spec.layers.mix import Mix as Mix
from bptui.spec.layers.mix import mix
from bptui.spec.layers.norm import BatchNorm, GroupNorm, batch_norm, group_norm
from bptui.spec.layers.norm_features import LayerNorm, RMSNorm, layer_norm, rms_norm
from bptui.spec.layers.pool import AveragePool, GlobalPool, MaxPool, Upsample, global_pool, pool, upsample
from bptui.spec.layers.recurrent import GRU, LSTM, RNN, TimePool, recurrent, time_pool
from bptui.spec.layers.shape import Add, Concat, Dot, Flatten, Multiply, Reshape, add, concat, dot, flatten, reshape

Layer = (
    Dense
    | Flatten | Reshape | Add | Concat | Multiply | Dot
    | Conv1d | Conv2d | ConvTranspose2d
    | MaxPool | AveragePool | GlobalPool | Upsample
    | BatchNorm | GroupNorm
    | RNN | LSTM | GRU | TimePool
    | Embedding | PositionalEmbedding | Attention | TransformerBlock | LayerNorm | RMSNorm
)  # fmt: skip

#: Kind → what it makes of the shapes of its inputs.
GEOMETRY: dict[str, GeometryOf] = {
    "dense": dense,
    "flatten": flatten,
    "reshape": reshape,
    "add": add,
    "concat": concat,
    "multiply": add,
    "dot": dot,
    "conv1d": conv1d,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "max_pool": pool,
    "average_pool": pool,
    "global_pool": global_pool,
    "upsample": upsample,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "rnn": recurrent,
    "lstm": recurrent,
    "gru": recurrent,
    "time_pool": time_pool,
    "embedding": embedding,
    "positional_embedding": positional_embedding,
    "attention": attention,
    "transformer_block": transformer_block,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
}
#: The same of kinds that no file names: what stands between two networks.
UNNAMED: dict[str, GeometryOf] = {"mix": mix}
#: Kinds that read ids, ``(T,)`` whole numbers, instead of numbers that mean a size.
TAKES_IDS: frozenset[str] = frozenset({"embedding"})
