"""A data set ready for training: parts of scaled rows, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.environments import Environment
from bptui.data.raw import Indices, Modes, NativeTask, Values
from bptui.data.scaling import Scaler
from bptui.engine.base import Batch


class MappedRows:
    """Rows that stay where they are, in their file or as windows that overlap: a look converts and scales just those.

    Behaves like an array (N, features) for ``len``, ``shape``, ``dtype``, a slice, an index array, and ``take``.
    ``scaler``: None for ids, which are only converted.
    """

    ndim = 2

    def __init__(self, source: Values, rows: Indices, scaler: Scaler | None, dtype: npt.DTypeLike) -> None:
        self._source, self._rows, self._scaler = source, rows, scaler
        self.dtype = np.dtype(dtype)
        self.shape = (len(rows), int(source.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | Indices) -> Values:
        return self._converted(self._rows[which])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Values:
        return np.asarray(self[:], dtype)

    def take(self, rows: Indices) -> Values:
        """Rows in the order asked for, read from the file in ascending order."""
        places = self._rows[rows]
        ascending = np.argsort(places, kind="stable")
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        out[ascending] = self._converted(places[ascending])
        return out

    def _converted(self, places: Indices) -> Values:
        found = self._source[places]
        return found.astype(self.dtype) if self._scaler is None else self._scaler.apply(found, self.dtype)


Features = Values | MappedRows


@dataclass(frozen=True, slots=True)
class Part:
    """Training, validation or test rows.

    ``x`` (N, features), scaled, in the experiment's dtype; tokens: ids (N, T) int64. ``y``: class ids (N,) int64,
    floats (N, outputs) of the same dtype, nan beyond the end of a sequence, or ids (N, T) int64, −1 where a step has no
    target. ``rows`` (N,): the rows' numbers in their source, from 0. ``lengths`` (N,): steps that are there, where
    sequences are padded: the rest of a row of ``x`` is 0.
    """

    x: Features
    y: Values | MappedRows
    rows: Indices = field(repr=False)
    lengths: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.y)

    def blocks(self, size: int = 4096) -> Iterator[Batch]:
        """The rows in order, ``size`` at a time, for an evaluation that need not hold every activation at once."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    @property
    def targets(self) -> Values:
        """``y`` as an array, all of it."""
        return np.asarray(self.y)

    def batch(self, which: slice | Indices) -> Batch:
        """Some of the rows, in the order asked for."""
        return Batch(self.x[which], self.y[which], None if self.lengths is None else self.lengths[which])


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
    """Shape of one sample: a picture ``(1, 8, 8)`` or, in colour, ``(3, 32, 32)``; a sequence of 40 numbers a step
    ``(64, 40)``; tokens ``(64,)``. None: a row of a table. Its product is ``features``."""
    vocabulary: tuple[str, ...] | None = None
    """The token of each id, where ``x`` holds ids."""
    vocabularies: tuple[tuple[str, ...], ...] | None = None
    """The same for each column of ``x``, where each has ids of its own: of ratings the users and the items."""
    sample_rate: int | None = None
    """Samples a second that sounds had when they became features."""
    environment: Environment | None = None
    """What the model plays in: batches are its own episodes, and ``train`` is of some that were played by chance."""
    label: str = "label"
    """What the targets are called, as the name of their column."""
    modes: Modes | None = None
    """Where true samples cluster, not scaled; None: nobody knows."""
    notes: tuple[str, ...] = ()
    """What was sniffed, mapped, filled or left out, a line each."""

    @property
    def ids(self) -> bool:
        """Whether ``x`` holds ids."""
        return self.vocabulary is not None or self.vocabularies is not None

    @property
    def picture(self) -> bool:
        """Whether a sample is a picture, (channels, height, width)."""
        return self.shape is not None and len(self.shape) == 3

    @property
    def sequence(self) -> bool:
        """Whether a sample is a sequence of several numbers a step, (steps, numbers)."""
        return self.shape is not None and len(self.shape) == 2

    def parts(self) -> dict[str, Part]:
        """The parts there are, by name: ``train``, ``validation``, ``test``."""
        named: dict[str, Any] = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}
