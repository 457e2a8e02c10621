"""All parameters of a graph in one vector, all gradients in another; layers see views by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bptui.engine.base import LayerInfo
from bptui.engine.numpy.operations import Array

Views = dict[str, Array]


class Vectors:
    """``values`` and ``gradient``, flat, in the order of layers and of their parameters."""

    def __init__(self, layers: Sequence[LayerInfo], dtype: npt.DTypeLike) -> None:
        self.layers = layers
        total = sum(info.parameters for info in layers)
        self.values: Array = np.zeros(total, dtype)
        self.gradient: Array = np.zeros(total, dtype)
        ends = np.cumsum([0, *(info.parameters for info in layers)])
        self._spans = [slice(int(first), int(last)) for first, last in pairwise(ends)]

    def layer(self, flat: Array, index: int) -> Array:
        """All of one layer, flat."""
        return flat[self._spans[index]]

    def views(self, flat: Array, index: int) -> Views:
        """Each parameter of one layer, by its name."""
        part, first, found = self.layer(flat, index), 0, {}
        for each in self.layers[index].tensors:
            found[each.name] = part[first : first + each.size].reshape(each.shape)
            first += each.size
        return found

    def weights(self, flat: Array, index: int) -> list[Array]:
        """The parameters of one layer whose norms are shown."""
        views = self.views(flat, index)
        return [views[each.name] for each in self.layers[index].weights]
