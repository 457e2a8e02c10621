"""What a reader hands over: rows as they stand in the source, not yet split, scaled or converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
NativeTask = Literal["classification", "binary", "multilabel", "regression"]


@dataclass(frozen=True, slots=True)
class Rows:
    """``x`` (N, features) of any real dtype, NaN where one is missing; ``y`` (N,) ids, numbers or texts, or (N, k)."""

    x: Values
    y: Values

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Raw:
    """One source, read.

    ``label`` says in messages what the targets are called; ``classes`` fixes the class names where the
    source knows them; ``task`` is what the source is for, None where only its labels can tell. ``mapped``: the
    rows are to stay in their file.
    """

    name: str
    train: Rows
    test: Rows | None = None
    validation: Rows | None = None
    task: NativeTask | None = None
    classes: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    label: str = "label"
    mapped: bool = False
    notes: tuple[str, ...] = ()

    def column(self, index: int) -> str:
        """How a message names one feature."""
        if self.feature_names is not None:
            return f"column {self.feature_names[index]!r}"
        return f"feature {index + 1}"


def as_rows(images: Values) -> Values:
    """Pictures (N, …) as rows (N, features), without a copy where memory allows."""
    return images.reshape(len(images), int(np.prod(images.shape[1:], dtype=np.int64)))
