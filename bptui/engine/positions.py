"""Fixed vectors for the places of a sequence, the same in every engine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def sinusoids(steps: int, features: int) -> npt.NDArray[np.float64]:
    """(T, F): sin and cos of place · 10000^(−2i/F) for feature pairs i (Vaswani and others 2017)."""
    pairs = np.arange(0, features, 2) / features
    angles = np.arange(steps)[:, None] * np.power(10000.0, -pairs)
    table = np.empty((steps, features))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : features // 2])
    return table
