"""Kinds of layer.

A new one is a Struct and its geometry in a file here, its name in ``Layer`` and a row of ``GEOMETRY``.
"""

from __future__ import annotations

from bptui.spec.layers.base import GeometryOf
from bptui.spec.layers.dense import Dense as Dense
from bptui.spec.layers.dense import dense
from bptui.spec.layers.shape import Add, Concat, Flatten, Reshape, add, concat, flatten, reshape

Layer = Dense | Flatten | Reshape | Add | Concat

#: Kind → what it makes of the shapes of its inputs.
GEOMETRY: dict[str, GeometryOf] = {
    "dense": dense,
    "flatten": flatten,
    "reshape": reshape,
    "add": add,
    "concat": concat,
}
#: Kinds that read ids, ``(T,)`` whole numbers, instead of numbers that mean a size.
TAKES_IDS: frozenset[str] = frozenset()
