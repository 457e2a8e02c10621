"""What a reader hands over: rows as they stand in the source, not yet split, scaled or converted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bptui.data.environments import Environment

Values = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]
NativeTask = Literal[
    "classification", "binary", "multilabel", "regression", "sequence_labelling", "next_token", "autoencoder",
    "generate", "policy",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """``x`` (N, features) of any real dtype, NaN where one is missing; ``y`` (N,) ids, numbers or texts, or (N, k).

    Tokens: ``x`` (N, T) ids. Padded sequences: ``lengths`` (N,) steps are there, of the others ``x`` holds NaN or id 0,
    and a ``y`` of ids a step holds −1. Windows of one long array may be views that overlap.
    """

    x: Values
    y: Values
    lengths: Indices | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Modes:
    """Where the samples of a source cluster: ``centres`` (modes, features) as in the source, ``spread`` σ of each."""

    centres: Values
    spread: float


@dataclass(frozen=True, slots=True)
class Raw:
    """One source, read.

    ``label`` says in messages what the targets are called; ``classes`` fixes the class names where the
    source knows them; ``task`` is what the source is for, None where only its labels can tell. ``mapped``: the
    rows are to stay where they are, in their file or as windows of one array. ``shape`` of a sample:
    ``(C, H, W)`` a picture, ``(T, F)`` a sequence, ``(T,)`` tokens, with their ``vocabulary`` (id → token), or with
    ``vocabularies``, one of each column's own, as of ratings those of users and of items.
    ``overlap``: in how many windows each value stands. ``open_vocabulary``: it has the tokens of all parts, of which
    at most so many, and only those that the training rows have, are to be known. ``environment``: what a model plays
    in; the rows are of episodes that were played by chance.
    """

    name: str
    train: Rows
    test: Rows | None = None
    validation: Rows | None = None
    task: NativeTask | None = None
    classes: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    sample_rate: int | None = None
    label: str = "label"
    mapped: bool = False
    overlap: int = 1
    vocabulary: tuple[str, ...] | None = None
    vocabularies: tuple[tuple[str, ...], ...] | None = None
    open_vocabulary: int | None = None
    modes: Modes | None = None
    environment: Environment | None = None
    notes: tuple[str, ...] = ()

    @property
    def ids(self) -> bool:
        """Whether a sample is whole numbers that mean tokens."""
        return self.vocabulary is not None or self.vocabularies is not None

    @property
    def sequence(self) -> bool:
        """Whether a sample is steps of several numbers each."""
        return self.shape is not None and len(self.shape) == 2

    def column(self, index: int) -> str:
        """How a message names one feature."""
        if self.sequence and self.shape is not None:
            step, index = divmod(index, self.shape[-1])
            name = self.feature_names[index] if self.feature_names is not None else index + 1
            return f"step {step + 1}, column {name!r}"
        if self.feature_names is not None:
            return f"column {self.feature_names[index]!r}"
        return f"feature {index + 1}"


def thinned(raw: Raw, samples: int | None) -> Raw:
    """At most ``samples`` training rows, evenly spaced: the rows of a folder come class by class."""
    if samples is None or len(raw.train) <= samples:
        return raw
    kept, rows = np.arange(samples) * len(raw.train) // samples, raw.train
    return replace(raw, train=Rows(rows.x[kept], rows.y[kept], None if rows.lengths is None else rows.lengths[kept]))


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of pictures ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)`` as ``(C, H, W)``; None if they are none."""
    if len(shape) == 2:
        return (1, *shape)
    if len(shape) != 3:
        return None
    return (shape[2], *shape[:2]) if channels_last(shape) else shape


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether pictures of this shape have their colours in the last axis, as files of pictures have."""
    return len(shape) == 3 and shape[2] in (1, 2, 3, 4) and shape[0] not in (1, 2, 3, 4)


def as_rows(images: Values) -> Values:
    """Pictures (N, …) as rows (N, features), colours first; without a copy where memory allows."""
    if channels_last(images.shape[1:]) and images.shape[3] > 1:
        images = np.moveaxis(images, 3, 1)
    return images.reshape(len(images), int(np.prod(images.shape[1:], dtype=np.int64)))
