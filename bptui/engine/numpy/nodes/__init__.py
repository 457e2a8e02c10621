"""Kinds of layer in the NumPy engine: one ``Node`` a kind."""

from __future__ import annotations

from bptui.engine.numpy.nodes.base import Node
from bptui.engine.numpy.nodes.dense import Dense
from bptui.engine.numpy.nodes.shape import Add, Concat, Reshape

NODES: dict[str, type[Node]] = {
    "dense": Dense,
    "flatten": Reshape,
    "reshape": Reshape,
    "add": Add,
    "concat": Concat,
}
