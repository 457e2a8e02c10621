"""What a layer shows beyond a, z and δ: by the NumPy engine's node, from this engine's own tensors.

torch's kernels keep their gates and scores to themselves; the same formulas over the same inputs, parameters and δ give
them, so that both engines show one thing.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bptui.engine.base import Array
from bptui.engine.numpy.nodes import NODES
from bptui.engine.numpy.nodes.base import Context, Node
from bptui.engine.torch.layers import LayerRun


def views(run: LayerRun, lengths: Tensor | None, sample: int) -> dict[str, Array]:
    """By name; empty where the kind has none, or before its forward."""
    kind = NODES.get(run.place.kind)
    if kind is None or kind.views is Node.views or run.z is None:
        return {}
    values = {name: _home(value) for name, value in run.values.items()}
    gradients = {name: np.empty_like(value) for name, value in values.items()}
    node = kind(run.place, values, gradients, {name: _home(value) for name, value in run.buffers.items()})
    counts = None if lengths is None else lengths.cpu().numpy().astype(np.int64)
    context = Context(True, counts, {name: _home(mask) for name, mask in run.masks.items()})
    node.forward(tuple(map(_home, run.sources)), context)
    if run.delta is not None:
        node.backward(_home(run.delta), False)
    return {name: np.array(array) for name, array in node.views(sample).items()}


def _home(tensor: Tensor) -> Array:
    """A copy as NumPy."""
    return np.array(tensor.detach().cpu().numpy())
