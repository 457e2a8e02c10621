"""A unit's death certificate: the update after which it fired for no sample any more, and what that update did to it.

The change of the highest z over the samples, max z, is taken apart. Sample n* gave the highest z before the update:

    Δz(n*) = Δb + ā·ΔW + Δa·W̄        ā, W̄: the means of before and after, so that the sum is exact
    Δ max z = Δz(n*) + (max z′ − z′(n*))        another sample may be the highest afterwards
"""

from __future__ import annotations

from typing import Literal

import msgspec

Cause = Literal["bias", "weights", "upstream", "born"]
"""What lowered z the most: Δb, ΔW, or inputs a that layers before gave otherwise. ``born``: it never fired."""


class Parts(msgspec.Struct, frozen=True):
    """The four parts of Δ max z; they add up to it."""

    bias: float
    weights: float
    upstream: float
    other: float
    """Another sample is the highest afterwards: never below 0."""

    @property
    def total(self) -> float:
        return self.bias + self.weights + self.upstream + self.other


class Driver(msgspec.Struct, frozen=True):
    """A sample of the killing batch, and what its part of the gradient did to z of n*."""

    row: int
    """Its number in the data, as in the file."""
    target: str
    delta: float
    """δ of the unit for it."""
    pull: float
    """−lr · δ · (a·a* + 1): what plain SGD with this sample alone does to z(n*)."""


class Certificate(msgspec.Struct, frozen=True):
    """Of one unit. Steps are states: it last fired in ``last_fired``, and the update from there killed it."""

    run: str
    layer: str
    unit: int
    activation: str
    at: int
    """The state in which it was asked; dead from ``last_fired + 1`` to here."""
    samples: int
    rows: int
    last_fired: int | None
    """None: in no state from 0 on."""
    fired: int = 0
    """For how many samples, in that state."""
    cause: Cause = "born"
    z_before: float = 0.0
    """max z over the samples, in state ``last_fired``."""
    z_after: float = 0.0
    parts: Parts = Parts(0.0, 0.0, 0.0, 0.0)
    bias_before: float = 0.0
    bias_step: float = 0.0
    weights_before: float = 0.0
    """‖W[:, unit]‖."""
    weights_step: float = 0.0
    """‖ΔW[:, unit]‖."""
    lr: float = 0.0
    optimizer: str = ""
    gradient: float = 0.0
    """‖∂L/∂W[:, unit]‖ of the killing batch."""
    gradient_all: float = 0.0
    """‖∂L/∂W‖ over all layers."""
    loss: float = 0.0
    batch: int = 0
    drivers: tuple[Driver, ...] = ()
    """The samples of the batch that pulled z(n*) down, the strongest first."""
    pulls: float = 0.0
    """The sum of every sample's pull."""
    also: tuple[int, ...] = ()
    """Units of the layer that fell silent in the same update."""
    first: int | None = None
    """The state whose update killed the first units of the network: this one's own, where none died before."""
    first_units: int = 0
    """How many it killed."""
    first_ids: tuple[tuple[str, int], ...] = ()
    """Layer and unit of those, at most so many as a line has room for."""
    looked_from: int = 0
    not_comparable: str = ""

    @property
    def share(self) -> float:
        """Of all that pulled z(n*) down, how much the cause did: 0 to 1."""
        down = [min(part, 0.0) for part in (self.parts.bias, self.parts.weights, self.parts.upstream)]
        return min(down) / sum(down) if sum(down) < 0 else 0.0

    @property
    def rest(self) -> float:
        """What Δb and ΔW did to z(n*) beyond this batch's plain gradient: momentum, decay, an optimiser's scale."""
        return self.parts.bias + self.parts.weights - self.pulls


CAUSES = {
    "bias": "its bias was pushed down",
    "weights": "its weights turned away from the inputs",
    "upstream": "the layers before gave it other inputs",
    "born": "it never fired: the initial values left it below 0",
}


def verdict(found: Certificate) -> str:
    """One sentence."""
    name = f"{found.layer} unit {found.unit}"
    if found.last_fired is None:
        return f"{name} has fired in no state since step 0: {CAUSES['born']}"
    killer = "the updates before" if found.lr == 0 else f"the update from step {found.last_fired:,} (lr {found.lr:g})"
    return (
        f"{name} last fired in step {found.last_fired:,}; {killer} took its max z from {found.z_before:.4g} "
        f"to {found.z_after:.4g}: {CAUSES[found.cause]}"
    )
