"""Histograms of floor(log₂|x|) from the bit pattern: the exponent bits are the bin, no logarithm is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.runs.records import CELLS, HIGH_EXPONENT, LOW_EXPONENT, SPECIAL_CELLS

ZERO, NAN, INF, BELOW, ABOVE = range(len(SPECIAL_CELLS))
FIRST = len(SPECIAL_CELLS)

#: Numbers that are looked at in one go.
_PIECE = 16384


def exponents(x: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Counts of the exponent field of ``x``: 256 places for float32, 2,048 for float64."""
    flat = x.reshape(-1)
    if flat.size > _PIECE:  # the copies that are made on the way then stay in the cache
        return sum(
            (exponents(flat[at : at + _PIECE]) for at in range(_PIECE, flat.size, _PIECE)), exponents(flat[:_PIECE])
        )
    if flat.dtype == np.float32:
        return np.bincount((flat.view(np.uint32) >> 23) & 255, minlength=256)
    return np.bincount(((flat.view(np.uint64) >> np.uint64(52)) & np.uint64(2047)).astype(np.int64), minlength=2048)


def fold(counts: npt.NDArray[Any], zeros: int, nans: int) -> npt.NDArray[np.uint32]:
    """``(CELLS,)`` from counts of the exponent field, the number of exact zeros and of nan.

    The lowest field holds zeros and subnormals (all below 2^LOW), the highest inf and nan.
    """
    top = len(counts) - 1
    bias = top >> 1
    low, high = LOW_EXPONENT + bias, HIGH_EXPONENT + bias
    cells = np.zeros(CELLS, dtype=np.uint32)
    cells[ZERO], cells[NAN], cells[INF] = zeros, nans, counts[top] - nans
    cells[BELOW] = counts[:low].sum() - zeros
    cells[ABOVE] = counts[high:top].sum()
    cells[FIRST:] = counts[low:high]
    return cells


def histogram(x: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """``(CELLS,)``: counts of ``x`` by floor(log₂|x|), cells as in ``runs.records``."""
    counts = exponents(x)
    zeros = x.size - int(np.count_nonzero(x)) if counts[0] else 0
    nans = int(np.count_nonzero(np.isnan(x))) if counts[-1] else 0
    return fold(counts, zeros, nans)
