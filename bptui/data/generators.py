"""Made-up data, drawn from (seed, name) alone: the same rows in every process, engine and platform.

A generator takes the seed, a number of rows and the noise, and gives ``x`` (N, features) float64 and ``y``.
Rows of all classes are mixed, so that an unshuffled run sees them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bptui.data.raw import Modes
from bptui.philox import Stream

Drawn = tuple[npt.NDArray[np.float64], npt.NDArray[np.generic]]
Generator = Callable[[int, int, float], Drawn]

SPIRAL_ARMS = 3
BINARY_FEATURES = 20
REGRESSION_FEATURES = 8
RING_MODES, RING_RADIUS = 8, 2.0
GRID_SIDE, GRID_STEP = 5, 2.0


def spiral(seed: int, rows: int, noise: float) -> Drawn:
    """Three arms in the plane, radius 0–1, each turning by 4 radians; ``noise`` is σ of the angle. 2 → 3."""
    stream = Stream(seed, "data.spiral")
    label = np.arange(rows) % SPIRAL_ARMS
    radius = stream.uniform(0, rows)
    angle = 4.0 * (label + radius) + noise * stream.normal(1, rows)
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1), label


def moons(seed: int, rows: int, noise: float) -> Drawn:
    """Two half circles that reach into each other; ``noise`` is σ of both coordinates. 2 → 2."""
    stream = Stream(seed, "data.moons")
    label = np.arange(rows) % 2
    angle = np.pi * stream.uniform(0, rows)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(label[:, None] == 0, upper, lower)
    return x + noise * stream.normal(1, 2 * rows).reshape(rows, 2), label


def xor(seed: int, rows: int, noise: float) -> Drawn:
    """Points around the four corners (±1, ±1); class 1 where the signs differ; ``noise`` is σ of a cloud. 2 → 2."""
    stream = Stream(seed, "data.xor")
    corner = np.arange(rows) % 4
    left, low = corner // 2, corner % 2
    centre = np.stack([1.0 - 2.0 * left, 1.0 - 2.0 * low], axis=1)
    return centre + noise * stream.normal(0, 2 * rows).reshape(rows, 2), left ^ low


def binary(seed: int, rows: int, noise: float) -> Drawn:
    """Is p + 2|q| above 1.5? ``noise`` is σ of what is added to that sum. 20 → 1.

    Of 20 standard normal features, p is the sum of the first ten and q of the last ten, each divided by √10.
    The classes are about even. A straight cut gets 0.7 of the rows right, a small ReLU network nearly all.
    """
    stream = Stream(seed, "data.binary")
    x = stream.normal(0, rows * BINARY_FEATURES).reshape(rows, BINARY_FEATURES)
    half = BINARY_FEATURES // 2
    p = x[:, :half].sum(axis=1) / np.sqrt(half)
    q = x[:, half:].sum(axis=1) / np.sqrt(half)
    score = p + 2.0 * np.abs(q) + noise * stream.normal(1, rows)
    return x, (score > 1.5).astype(np.int64)


def regression(seed: int, rows: int, noise: float) -> Drawn:
    """A smooth function of eight features in [−1, 1], of which the last three do nothing. 8 → 1.

    ``y = sin(π x₁x₂) + x₃² − ⅓ + ½x₄ − ¼x₅``, and ``noise`` is σ of what is added (after Friedman 1991).
    """
    stream = Stream(seed, "data.regression")
    x = 2.0 * stream.uniform(0, rows * REGRESSION_FEATURES).reshape(rows, REGRESSION_FEATURES) - 1.0
    y = np.sin(np.pi * x[:, 0] * x[:, 1]) + x[:, 2] ** 2 - 1.0 / 3.0 + 0.5 * x[:, 3] - 0.25 * x[:, 4]
    return x, y + noise * stream.normal(1, rows)


def ring(seed: int, rows: int, noise: float) -> Drawn:
    """Points of the plane in eight clusters on a circle of radius 2; ``noise`` is σ of each. Labels are clusters."""
    return _clusters(seed, "data.ring", ring_modes(noise), rows)


def ring_modes(noise: float) -> Modes:
    """Where ``ring`` has its clusters."""
    angle = 2.0 * np.pi * np.arange(RING_MODES) / RING_MODES
    return Modes(RING_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1), noise)


def grid(seed: int, rows: int, noise: float) -> Drawn:
    """Points of the plane in 25 clusters, five by five, 2 apart; ``noise`` is σ of each. Labels are clusters."""
    return _clusters(seed, "data.grid", grid_modes(noise), rows)


def grid_modes(noise: float) -> Modes:
    """Where ``grid`` has its clusters."""
    places = GRID_STEP * (np.arange(GRID_SIDE) - GRID_SIDE // 2)
    return Modes(np.stack([np.repeat(places, GRID_SIDE), np.tile(places, GRID_SIDE)], axis=1), noise)


def _clusters(seed: int, name: str, modes: Modes, rows: int) -> Drawn:
    stream = Stream(seed, name)
    label = np.arange(rows) % len(modes.centres)
    return modes.centres[label] + modes.spread * stream.normal(0, 2 * rows).reshape(rows, 2), label
