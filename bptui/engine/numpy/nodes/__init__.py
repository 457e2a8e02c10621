"""Kinds of layer in the NumPy engine: one ``Node`` a kind."""

from __future__ import annotations

from bptui.engine.numpy.nodes.base import Node
from bptui.engine.numpy.nodes.conv import Convolution, TransposedConvolution
from bptui.engine.numpy.nodes.dense import Dense
from bptui.engine.numpy.nodes.norm import BatchNorm, GroupNorm
from bptui.engine.numpy.nodes.pool import AveragePool, GlobalPool, MaxPool, Upsample
from bptui.engine.numpy.nodes.shape import Add, Concat, Reshape

NODES: dict[str, type[Node]] = {
    "dense": Dense,
    "flatten": Reshape,
    "reshape": Reshape,
    "add": Add,
    "concat": Concat,
    "conv1d": Convolution,
    "conv2d": Convolution,
    "conv_transpose2d": TransposedConvolution,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "global_pool": GlobalPool,
    "upsample": Upsample,
    "batch_norm": BatchNorm,
    "group_norm": GroupNorm,
}
