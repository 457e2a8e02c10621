"""Between gradient and update: penalties, then clipping by value, then by norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from bptui.engine.numpy.operations import Operation, constant, run
from bptui.engine.numpy.parameters import Parameters
from bptui.engine.settings import Settings
from bptui.spec.experiment import Layer

#: As in ``torch.nn.utils.clip_grad_norm_``.
EPSILON = 1e-6


class Clipping:
    """Works on the flat gradient in place."""

    def __init__(self, model: Sequence[Layer], parameters: Parameters, settings: Settings) -> None:
        self._gradient, self._settings = parameters.gradient, settings
        self._penalties: list[Operation] = []
        for layer, block in zip(model, parameters.blocks, strict=True):
            weight, gradient = block.weight(parameters.values), block.weight(parameters.gradient)
            scratch = np.empty_like(weight) if layer.l1 or layer.l2 else weight
            if layer.l1:  # ∂(l1·Σ|W|) = l1·sign W
                self._penalties += [
                    partial(np.sign, weight, scratch),
                    partial(np.multiply, scratch, constant(layer.l1, weight), scratch),
                    partial(np.add, gradient, scratch, gradient),
                ]
            if layer.l2:  # ∂(l2·ΣW²) = 2·l2·W
                self._penalties += [
                    partial(np.multiply, weight, constant(2.0 * layer.l2, weight), scratch),
                    partial(np.add, gradient, scratch, gradient),
                ]
        self.rebuild()

    def rebuild(self) -> None:
        """Take the settings as they now are."""
        self._by_value, self._by_norm = self._settings["clip_value"], self._settings["clip_norm"]
        self._clips = self._by_value < math.inf or self._by_norm < math.inf
        self.active = self._clips or bool(self._penalties)

    def apply(self) -> float:
        """The norm of the whole gradient (penalties included) before it is cut; nan where nothing is cut."""
        run(self._penalties)
        if not self._clips:
            return math.nan
        gradient = self._gradient
        norm = whole = math.sqrt(np.dot(gradient, gradient))
        if self._by_value < math.inf:
            np.clip(gradient, -self._by_value, self._by_value, out=gradient)
            norm = math.sqrt(np.dot(gradient, gradient))
        if self._by_norm < math.inf:
            gradient *= min(1.0, self._by_norm / (norm + EPSILON))
        return whole
