"""Kinds of layer in the NumPy engine: one ``Node`` a kind."""

from __future__ import annotations

from bptui.engine.numpy.nodes.attention import Attention
from bptui.engine.numpy.nodes.base import Node
from bptui.engine.numpy.nodes.conv import Convolution, TransposedConvolution
from bptui.engine.numpy.nodes.dense import Dense
from bptui.engine.numpy.nodes.embedding import Embedding, PositionalEmbedding
from bptui.engine.numpy.nodes.norm import BatchNorm, GroupNorm
from bptui.engine.numpy.nodes.norm_features import FeatureNormLayer
from bptui.engine.numpy.nodes.pool import AveragePool, GlobalPool, MaxPool, Upsample
from bptui.engine.numpy.nodes.recurrent import Recurrent, TimePool
from bptui.engine.numpy.nodes.shape import Add, Concat, Dot, Multiply, Reshape
from bptui.engine.numpy.nodes.transformer import TransformerBlock

NODES: dict[str, type[Node]] = {
    "dense": Dense,
    "flatten": Reshape,
    "reshape": Reshape,
    "add": Add,
    "concat": Concat,
    "multiply": Multiply,
    "dot": Dot,
    "conv1d": Convolution,
    "conv2d": Convolution,
    "conv_transpose2d": TransposedConvolution,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "global_pool": GlobalPool,
    "upsample": Upsample,
    "batch_norm": BatchNorm,
    "group_norm": GroupNorm,
    "rnn": Recurrent,
    "lstm": Recurrent,
    "gru": Recurrent,
    "time_pool": TimePool,
    "embedding": Embedding,
    "positional_embedding": PositionalEmbedding,
    "attention": Attention,
    "transformer_block": TransformerBlock,
    "layer_norm": FeatureNormLayer,
    "rms_norm": FeatureNormLayer,
}
