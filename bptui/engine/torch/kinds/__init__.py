"""Kinds of layer in the torch engine: one function a kind, and for few of them the way back as a formula."""

from __future__ import annotations

from bptui.engine.torch.kinds import dense, shape
from bptui.engine.torch.kinds.base import Backward, Forward

FORWARD: dict[str, Forward] = {
    "dense": dense.dense,
    "flatten": shape.reshape,
    "reshape": shape.reshape,
    "add": shape.add,
    "concat": shape.concat,
}
#: Where autograd costs more than the arithmetic; of kinds with one input.
BACKWARD: dict[str, Backward] = {"dense": dense.backward}
