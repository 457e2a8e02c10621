"""A step as a list of prepared calls.

An ``Operation`` is one call of NumPy with all its arguments bound (``partial(np.add, a, b, out)``). Layers,
losses and optimisers give lists of them; running a list costs little more than the calls themselves, and
the micro-steps and the fused step run the very same objects, so their bits cannot differ.

Constants are arrays without a dimension: NumPy takes them twice as fast as Python floats, and they can change in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Operation = Callable[[], object]
Array = npt.NDArray[Any]


def run(operations: Iterable[Operation]) -> None:
    for operation in operations:
        operation()


def constant(value: float, like: Array) -> Array:
    """``value`` without a dimension, in the type of ``like``."""
    return np.array(value, dtype=like.dtype)
