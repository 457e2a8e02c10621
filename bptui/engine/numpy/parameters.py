"""All parameters in one vector, all gradients in another; layers see views.

A layer's block is ``(inputs + 1, units)``: W and, as its last row, b. So a layer is one product forward
and one back, with a constant 1 as the last input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bptui.engine.numpy.operations import Array


@dataclass(frozen=True, slots=True)
class Block:
    """One layer's place in a flat vector."""

    name: str
    first: int
    inputs: int
    units: int

    @property
    def size(self) -> int:
        return (self.inputs + 1) * self.units

    def of(self, flat: Array) -> Array:
        """``(inputs + 1, units)``: W and b."""
        return np.asarray(flat[self.first : self.first + self.size]).reshape(self.inputs + 1, self.units)

    def weight(self, flat: Array) -> Array:
        """``(inputs, units)``."""
        return self.of(flat)[: self.inputs]

    def bias(self, flat: Array) -> Array:
        """``(units,)``."""
        return np.asarray(self.of(flat)[self.inputs])


class Parameters:
    """``values`` and ``gradient``, flat, with one ``Block`` a layer."""

    def __init__(self, names: Sequence[str], widths: Sequence[int], dtype: npt.DTypeLike) -> None:
        """``widths``: features, then the units of each layer."""
        blocks, first = [], 0
        for name, inputs, units in zip(names, widths, widths[1:], strict=False):
            blocks.append(Block(name, first, inputs, units))
            first += blocks[-1].size
        self.blocks = tuple(blocks)
        self.values: Array = np.zeros(first, dtype)
        self.gradient: Array = np.zeros(first, dtype)
