"""A data set ready for training: parts of scaled rows, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.raw import NativeTask, Values
from bptui.data.scaling import Floats, Indices, Scaler
from bptui.engine.base import Batch


class MappedRows:
    """Rows that stay in their file: each look reads, converts and scales just those rows.

    Behaves like an array (N, features) for ``len``, ``shape``, ``dtype``, a slice, an index array, and ``take``.
    """

    ndim = 2

    def __init__(self, source: Values, rows: Indices, scaler: Scaler, dtype: npt.DTypeLike) -> None:
        self._source, self._rows, self._scaler = source, rows, scaler
        self.dtype = np.dtype(dtype)
        self.shape = (len(rows), int(source.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | Indices) -> Floats:
        return self._scaler.apply(self._source[self._rows[which]], self.dtype)

    def take(self, rows: Indices) -> Floats:
        """Rows in the order asked for, read from the file in ascending order."""
        places = self._rows[rows]
        ascending = np.argsort(places, kind="stable")
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        out[ascending] = self._scaler.apply(self._source[places[ascending]], self.dtype)
        return out


Features = Floats | MappedRows


@dataclass(frozen=True, slots=True)
class Part:
    """Training, validation or test rows.

    ``x`` (N, features), scaled, in the experiment's dtype. ``y``: class ids (N,) int64, or floats (N, outputs)
    of the same dtype. ``rows`` (N,): the rows' numbers in their source, from 0.
    """

    x: Features
    y: Values
    rows: Indices = field(repr=False)

    def __len__(self) -> int:
        return len(self.y)

    def blocks(self, size: int = 4096) -> Iterator[Batch]:
        """The rows in order, ``size`` at a time, for an evaluation that need not hold every activation at once."""
        for start in range(0, len(self), size):
            yield Batch(self.x[start : start + size], self.y[start : start + size])


@dataclass(frozen=True, slots=True)
class DataSet:
    """What ``load`` gives. ``outputs`` is the number of outputs that the task needs (classes, columns of y, or 1)."""

    name: str
    task: NativeTask
    features: int
    outputs: int
    train: Part
    validation: Part | None
    test: Part | None
    scaler: Scaler
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    """Shape of one sample where it is a picture, as ``(8, 8)``."""
    label: str = "label"
    """What the targets are called, as the name of their column."""
    notes: tuple[str, ...] = ()
    """What was sniffed, mapped, filled or left out, a line each."""

    def parts(self) -> dict[str, Part]:
        """The parts there are, by name: ``train``, ``validation``, ``test``."""
        named: dict[str, Any] = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}
