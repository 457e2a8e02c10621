"""What a kind of layer is in the torch engine: z as one function of its inputs and parameters, backward by autograd.

Where samples are padded, inputs and δ are 0 beyond each sample's end, and what a function gives there is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bptui.spec.shapes import Placed


@dataclass(slots=True)
class Context:
    """Of one layer in one pass: what is neither an input nor a parameter."""

    place: Placed
    training: bool
    """Batch statistics are taken."""
    lengths: Tensor | None = None
    """(N,) int64: how many steps of each sequence that is read are real; None: all."""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """(N, *output) of each branch on which dropout acts."""
    pending: dict[str, Tensor] = field(default_factory=dict)
    """What the buffers will be after the update (a function must not change those it gets)."""
    views: dict[str, Tensor] = field(default_factory=dict)
    """What this kind shows beyond a, z and δ, by the names of ``Engine.views``."""


def beyond_of(lengths: Tensor | None, steps: int) -> Tensor | None:
    """(N, steps, 1): the places beyond each sequence's end; None: all are real."""
    if lengths is None:
        return None
    return (torch.arange(steps, device=lengths.device) >= lengths[:, None])[:, :, None]


def ended(x: Tensor, beyond: Tensor | None) -> Tensor:
    """x (N, T, F) with 0 ``beyond`` the end of each sequence."""
    return x if beyond is None else x.masked_fill(beyond, 0.0)


#: (layer, inputs (N, *shape), parameters by name, buffers by name, context) → z.
Forward = Callable[[Any, tuple[Tensor, ...], Mapping[str, Tensor], Mapping[str, Tensor], Context], Tensor]
#: (inputs, parameters, δ, places of the parameters' gradients, whether ∂L/∂input is wanted) → it, or None.
Backward = Callable[[tuple[Tensor, ...], Mapping[str, Tensor], Tensor, Mapping[str, Tensor], bool], Tensor | None]
