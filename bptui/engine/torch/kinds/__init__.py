"""Kinds of layer in the torch engine: one function a kind, and for few of them the way back as a formula."""

from __future__ import annotations

from bptui.engine.torch.kinds import attention, conv, dense, embedding, norm, norm_features, pool, recurrent, shape
from bptui.engine.torch.kinds.base import Backward, Forward

FORWARD: dict[str, Forward] = {
    "dense": dense.dense,
    "flatten": shape.reshape,
    "reshape": shape.reshape,
    "add": shape.add,
    "concat": shape.concat,
    "multiply": shape.multiply,
    "dot": shape.dot,
    "conv1d": conv.conv1d,
    "conv2d": conv.conv2d,
    "conv_transpose2d": conv.conv_transpose2d,
    "max_pool": pool.max_pool,
    "average_pool": pool.average_pool,
    "global_pool": pool.global_pool,
    "upsample": pool.upsample,
    "batch_norm": norm.batch_norm,
    "group_norm": norm.group_norm,
    "rnn": recurrent.recurrent,
    "lstm": recurrent.recurrent,
    "gru": recurrent.recurrent,
    "time_pool": recurrent.time_pool,
    "embedding": embedding.embedding,
    "positional_embedding": embedding.positional_embedding,
    "attention": attention.attention,
    "transformer_block": attention.transformer_block,
    "layer_norm": norm_features.layer_norm,
    "rms_norm": norm_features.rms_norm,
}
#: Where autograd costs more than the arithmetic; of kinds with one input.
BACKWARD: dict[str, Backward] = {"dense": dense.backward}
