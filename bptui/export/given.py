"""What is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Given:
    """``x`` (N, features), not yet scaled, or ids (N, T); ``labels`` (N,) or (N, outputs) as they stand in the file.

    ``lengths`` (N,): steps that are there, where sequences are padded (with NaN, or id 0).
    """

    x: Values
    labels: Values | None = None
    notes: tuple[str, ...] = ()
    lengths: npt.NDArray[np.int64] | None = None
