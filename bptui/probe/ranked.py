"""The rows of a batch ranked by what each gives to one unit's gradient: exact for a dense layer.

    ∂L/∂W[:, j] = Σₙ aₙ δₙⱼ      row n gives the vector aₙ δₙⱼ, whose norm is |δₙⱼ| · ‖aₙ‖

``along`` is its part in the direction of the sum, as a share of it: these shares add up to 1, and a negative one
pulls the other way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Ranked(NamedTuple):
    """Rows of the batch, the one that gives the most first."""

    rows: npt.NDArray[np.intp]
    given: Floats
    """|δₙⱼ| · ‖aₙ‖, in the order of ``rows``."""
    along: Floats
    """Shares of the whole gradient; nan where it is 0."""
    delta: Floats
    """δₙⱼ."""
    gradient: float
    """‖∂L/∂W[:, j]‖ as the sum gives it."""


def ranked(inputs: npt.NDArray[np.floating], delta: npt.NDArray[np.floating], unit: int) -> Ranked:
    """``inputs``: aˡ⁻¹ (N, inputs). ``delta``: δˡ (N, units). Ties keep the batch's order; IndexError: no such unit."""
    a, d = np.asarray(inputs, np.float64), np.asarray(delta[:, unit], np.float64)
    total = d @ a  # (inputs,)
    size = float(total @ total)
    given = np.abs(d) * np.sqrt(np.einsum("ni,ni->n", a, a))
    along = d * (a @ total) / size if size > 0 else np.full(len(d), np.nan)
    order = np.argsort(-np.where(np.isnan(given), np.inf, given), kind="stable")
    return Ranked(order, given[order], along[order], d[order], float(np.sqrt(size)))
