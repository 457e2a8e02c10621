"""From the raw gradient to the step that is taken: raw → regularised → clipped → applied Δ, a layer at a time.

regularised = raw + l1·sign W + 2·l2·W      (the penalties of the layers; an optimiser's weight decay is in Δ)
clipped     = what clipping by value and by norm leaves of it
Δ           = the change of W that the optimiser makes of that
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bptui.probe.ledger import norm

Array = npt.NDArray[np.floating]
STAGES = ("raw", "regularised", "clipped", "applied")


@dataclass(frozen=True, slots=True)
class Stages:
    """∂L/∂W of every layer (None: it has none) at each stage of one update; None: not reached yet."""

    raw: Sequence[Array | None] | None = None
    regularised: Sequence[Array | None] | None = None
    clipped: Sequence[Array | None] | None = None
    applied: Sequence[Array | None] | None = None

    def of(self, stage: str, layer: int) -> Array | None:
        arrays: Sequence[Array | None] | None = getattr(self, stage)
        return None if arrays is None else arrays[layer]

    def norms(self) -> list[tuple[float | None, ...]]:
        """A layer: the norm at each of STAGES; None where it is not reached."""
        layers = max((len(arrays) for stage in STAGES if (arrays := getattr(self, stage)) is not None), default=0)
        rows = []
        for layer in range(layers):
            arrays = [self.of(stage, layer) for stage in STAGES]
            rows.append(tuple(None if array is None else norm(array) for array in arrays))
        return rows


def regularised(gradient: Array, weight: Array, l1: float, l2: float) -> Array:
    """The gradient with its layer's penalties, in its own precision and in the order in which the engine adds them."""
    out = np.array(gradient)
    if l1:
        out += np.sign(weight) * weight.dtype.type(l1)
    if l2:
        out += weight * weight.dtype.type(2.0 * l2)
    return out
