"""Between gradient and update: penalties, then clipping by value, then by norm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from bptui.engine.numpy.operations import Array, Operation, constant, run
from bptui.engine.settings import Settings

#: As in ``torch.nn.utils.clip_grad_norm_``.
EPSILON = 1e-6


class Penalised(NamedTuple):
    """One weight tensor, the place of its gradient, and what is added to that: l1·sign W + 2·l2·W."""

    weight: Array
    gradient: Array
    l1: float
    l2: float


class Clipping:
    """Works on the flat gradient in place."""

    def __init__(self, gradient: Array, penalised: Iterable[Penalised], settings: Settings) -> None:
        self._gradient, self._settings = gradient, settings
        self._penalties: list[Operation] = []
        for weight, gradient, l1, l2 in penalised:
            scratch = np.empty_like(weight) if l1 or l2 else weight
            if l1:  # ∂(l1·Σ|W|) = l1·sign W
                self._penalties += [
                    partial(np.sign, weight, scratch),
                    partial(np.multiply, scratch, constant(l1, weight), scratch),
                    partial(np.add, gradient, scratch, gradient),
                ]
            if l2:  # ∂(l2·ΣW²) = 2·l2·W
                self._penalties += [
                    partial(np.multiply, weight, constant(2.0 * l2, weight), scratch),
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
