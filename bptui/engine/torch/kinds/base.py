"""What a kind of layer is in the torch engine: z as one function of its inputs and parameters, backward by autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bptui.spec.shapes import Placed


@dataclass(slots=True)
class Context:
    """Of one layer in one pass: what is neither an input nor a parameter."""

    place: Placed
    training: bool
    """Batch statistics are taken."""
    lengths: Tensor | None = None
    """(N,) int64: how many steps of each sequence are real; None: all."""
    pending: dict[str, Tensor] = field(default_factory=dict)
    """What the buffers will be after the update (a function must not change those it gets)."""
    views: dict[str, Tensor] = field(default_factory=dict)
    """What this kind shows beyond a, z and δ, by the names of ``Engine.views``."""


#: (layer, inputs (N, *shape), parameters by name, buffers by name, context) → z.
Forward = Callable[[Any, tuple[Tensor, ...], Mapping[str, Tensor], Mapping[str, Tensor], Context], Tensor]
#: (inputs, parameters, δ, places of the parameters' gradients, whether ∂L/∂input is wanted) → it, or None.
Backward = Callable[[tuple[Tensor, ...], Mapping[str, Tensor], Tensor, Mapping[str, Tensor], bool], Tensor | None]
