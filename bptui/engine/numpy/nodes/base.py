"""A layer of any kind in the NumPy engine: what it keeps between forward and backward, and its gradients.

Samples come first: a source is ``(N, *input shape)``, z ``(N, *output shape)``. Activation, dropout and accumulation
are the graph's; a node gives z from its inputs and, from δ = ∂L/∂z, the gradients of its parameters and inputs.

Where samples are padded, inputs and δ are 0 beyond each sample's end, and what a node gives there is not read: the
station puts 0 in its place. So a kernel that reaches over the end reads what it would read of the sample alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.spec.shapes import Placed

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Context:
    """Of one pass: what is not an input."""

    training: bool
    """Batch statistics are taken, and what backward needs is kept."""
    lengths: npt.NDArray[np.int64] | None = None
    """(N,): how many steps of each sequence that is read are real; None: all."""

    masks: Mapping[str, Array] = field(default_factory=dict)
    """(N, *output) of each branch on which dropout acts."""

    def beyond(self, steps: int) -> npt.NDArray[np.bool_] | None:
        """(N, steps): what lies beyond each sample's end; None where nothing does."""
        return beyond_of(self.lengths, steps)


def beyond_of(lengths: npt.NDArray[np.int64] | None, steps: int) -> npt.NDArray[np.bool_] | None:
    """(N, steps): the places beyond each sequence's end; None where there is none."""
    if lengths is None or not (lengths < steps).any():
        return None
    return np.arange(steps) >= lengths[:, None]


class Node(ABC):
    """One layer. It may hand out arrays of its own (z, ∂L/∂input) that the next pass of the same node overwrites."""

    def __init__(
        self,
        place: Placed,
        values: Mapping[str, Array],
        gradients: Mapping[str, Array],
        buffers: Mapping[str, Array],
    ) -> None:
        """``values``, ``gradients``: views of the engine's flat vectors, by the parameters' names."""
        self.layer: Any = place.layer
        self.inputs, self.geometry = place.inputs, place.geometry
        self.values, self.gradients, self.buffers = values, gradients, buffers
        self.pending: dict[str, Array] = {}
        """What the buffers will be after the update: a step may be looked at in advance, and changes none."""

    @abstractmethod
    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        """z. Buffers are read by ``buffer``, and their new values put into ``pending``."""

    @abstractmethod
    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        """Write (not add) each parameter's gradient into ``gradients``; give ∂L/∂source of each input if ``wanted``.

        ``delta`` must not be changed, but may be given back.
        """

    def buffer(self, name: str) -> Array:
        """A buffer as the batches of this update that came before have left it."""
        return self.pending.get(name, self.buffers[name])

    def views(self, sample: int = 0) -> dict[str, Array]:
        """What this kind shows beyond a, z and δ, of the last step: ``gate.forget`` (N, T, H), ``delta.time`` (N, T),
        ``attention`` of ``sample`` alone, which would be large of all: (1, heads, T, T) … Empty for most."""
        return {}
