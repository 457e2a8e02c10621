"""Which units never fire: a forward pass over a fixed set of training samples, in one state of the network."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Batch, Engine

#: A unit that gives 0 for each of this many samples (or an epoch's, where that is less) is called dead. By the
#: rule of three it then fires, with 95 % confidence, for fewer than 3 samples in as many.
CENSUS_SAMPLES = 3000


#: Values of the largest layer that are computed at once.
MOST_VALUES = 1 << 22

#: A pre-activation of this magnitude leaves a sigmoid or a tanh hardly any slope.
SATURATED = 5.0


def saturated(engine: Engine, layer: int) -> float | None:
    """The share of a layer's pre-activations, over the samples that the engine holds, with |z| ≥ 5; None: no z."""
    z = engine.tensor("z", layer)
    return None if z is None or not z.size else float(np.count_nonzero(np.abs(z) >= SATURATED) / z.size)


class Census:
    """Counts the units that stay silent for every sample of the probe set."""

    def __init__(self, engine: Engine, blocks: Iterable[Batch]) -> None:
        """``blocks``: the training part; its first rows (their order is a seeded shuffle) are the probe set."""
        self._engine = engine
        self.samples = 0
        self._batches: list[Batch] = []
        at_once = max(16, MOST_VALUES // max(math.prod(layer.shape) for layer in engine.layers))
        for block in blocks:
            rows = min(len(block.x), CENSUS_SAMPLES - self.samples)
            for first in range(0, rows, at_once):
                part = slice(first, min(first + at_once, rows))
                lengths = None if block.lengths is None else block.lengths[part]
                self._batches.append(Batch(block.x[part], block.y[part], lengths))
            self.samples += rows
            if self.samples >= CENSUS_SAMPLES:
                break
        self.mortal = any(fired is not None for fired in self._look(self._batches[:1], 0))
        """Whether any layer has units that can die."""

    def take(self, step: int) -> list[npt.NDArray[np.intp] | None]:
        """Ids of each layer's dead units in the present state; None for a layer whose units cannot die.

        The engine's tensors then show the probe set, not the last batch.
        """
        fired = self._look(self._batches, step)
        return [None if units is None else np.flatnonzero(~units) for units in fired]

    def _look(self, batches: list[Batch], step: int) -> list[npt.NDArray[np.bool_] | None]:
        engine = self._engine
        total: list[npt.NDArray[np.bool_] | None] = [None] * len(engine.layers)
        for batch in batches:
            engine.begin(batch, step)
            for layer in range(len(engine.layers)):
                engine.forward(layer)
            for layer, fired in enumerate(engine.fired()):
                if fired is not None:
                    known = total[layer]
                    total[layer] = fired if known is None else known | fired
        return total
