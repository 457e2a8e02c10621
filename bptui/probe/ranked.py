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
    return _ordered(given, along, d, size)


def ranked_places(
    inputs: npt.NDArray[np.floating], delta: npt.NDArray[np.floating], unit: int, unit_axis: int, *, weighted: bool
) -> Ranked:
    """The same where δ (N, *shape) has places (steps of a sequence, places of a picture), over which its parts add up.

    ``weighted``: a dense layer, whose every place has its own row of inputs. Of any other kind the rows are ranked by
    what they give to ∂L/∂b, Σ δ over the places.
    """
    by_units = np.moveaxis(delta, 1, -1) if unit_axis == 0 else delta
    if weighted and by_units.ndim == 2:
        return ranked(inputs.reshape(len(inputs), -1), by_units, unit)
    d = np.asarray(by_units[..., unit], np.float64).reshape(len(delta), -1)  # (N, places)
    if weighted:
        a = np.asarray(inputs, np.float64).reshape(len(delta), d.shape[1], -1)
        parts = np.einsum("np,npi->ni", d, a)
    else:
        parts = d.sum(axis=1, keepdims=True)
    total = parts.sum(axis=0)
    size = float(total @ total)
    along = parts @ total / size if size > 0 else np.full(len(d), np.nan)
    return _ordered(np.sqrt(np.einsum("ni,ni->n", parts, parts)), along, d.sum(axis=1), size)


def _ordered(given: Floats, along: Floats, delta: Floats, size: float) -> Ranked:
    order = np.argsort(-np.where(np.isnan(given), np.inf, given), kind="stable")
    return Ranked(order, given[order], along[order], delta[order], float(np.sqrt(size)))
