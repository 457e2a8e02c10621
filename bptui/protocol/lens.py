"""What the dead-unit lens says of each unit: how often it fires over a fixed set of samples, and how nearly."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

#: Columns of a unit's row, in this order.
COLUMNS = ("fired", "z_max", "z_mean", "distance", "score", "state")
"""``fired``: for how many samples. ``distance``: of the nearest sample's z from firing. ``score``: mean |a| as a share
of the layer's mean. ``state``: a ``UnitState``."""


class UnitState(enum.IntEnum):
    """From the best to the worst."""

    ALIVE = 0
    QUIET = 1
    """Fires for at most 1 % of the samples."""
    DORMANT = 2
    """mean |a| is at most 0.025 of the layer's mean (Sokar et al. 2023)."""
    SATURATED = 3
    """The slope is next to nothing for every sample; not for relu."""
    DEAD = 4
    """A relu that gives 0 for every sample."""


Gate = Literal["zero", "left", "both", "open"]
"""Where g′ is 0, or next to it, so that a sample's δ does not come through the unit.

``zero``: relu, for z ≤ 0: the unit fires where z > 0. ``left``: elu, selu, gelu, silu, softplus, whose slope is
nearly 0 for z ≤ −5. ``both``: sigmoid and tanh, for |z| ≥ 5. ``open``: never (identity, leaky_relu).
"""


class LensUnit(msgspec.Struct, frozen=True, array_like=True):
    """One unit, by COLUMNS; None: not a finite number."""

    fired: int
    z_max: float | None
    z_mean: float | None
    distance: float | None
    score: float | None
    state: UnitState


class LensLayer(msgspec.Struct, frozen=True):
    """One layer."""

    name: str
    activation: str
    gate: Gate
    units: tuple[LensUnit, ...]

    def count(self, state: UnitState) -> int:
        return sum(unit.state == state for unit in self.units)

    @property
    def lost(self) -> tuple[int, ...]:
        """The units through which no sample's δ comes: dead and saturated ones."""
        return tuple(index for index, unit in enumerate(self.units) if unit.state >= UnitState.SATURATED)


class LensView(msgspec.Struct, frozen=True):
    """All layers in state ``step``."""

    step: int
    samples: int
    rows: int
    """Of the whole training part."""
    layers: tuple[LensLayer, ...]
    seconds: float = 0.0

    @property
    def claim(self) -> str:
        """What "never" is worth, in words: the rule of three, or that there are no more samples."""
        if self.samples >= self.rows:
            return f"all {self.samples:,} training samples"
        return f"{self.samples:,} of {self.rows:,} training samples: 0 of them means fewer than {3 / self.samples:.2%}"


def firing_words(gate: Gate) -> str:
    """What it means that a unit fires."""
    return {
        "zero": "fires: z > 0, so a > 0 and δ comes through",
        "left": "fires: z > −5; below, the slope is nearly 0 (saturated, not dead)",
        "both": "fires: |z| < 5; beyond, the slope is nearly 0 (saturated, not dead)",
        "open": "always lets δ through: it cannot die",
    }[gate]
