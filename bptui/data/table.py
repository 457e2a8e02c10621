"""A table of named columns, numbers and texts, and what becomes of it: features, one-hot columns, labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.data.errors import DataError, nearest
from bptui.data.raw import Raw, Rows, Values
from bptui.spec.experiment import Data

#: A column of text with more different values than this, or than half its rows, is an id or a remark: left out.
MOST_LEVELS = 256


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text: ``codes`` (N,) int32 into ``levels``, −1 where it is missing."""

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]

    def recoded(self, levels: tuple[str, ...]) -> Texts:
        """The same texts as codes into other ``levels``, which hold all of them."""
        places = {level: code for code, level in enumerate(levels)}
        change = np.array([places[level] for level in self.levels] + [-1], np.int32)
        return Texts(change[self.codes], levels)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns in the order of the file: ``numbers`` (N, n) float64 holds those in ``numeric``, ``texts`` the others."""

    path: Path
    names: tuple[str, ...]
    named: bool
    numbers: npt.NDArray[np.float64]
    numeric: tuple[int, ...]
    texts: dict[int, Texts]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)


def label_columns(table: Table, label: str | int | None, key: str = "label") -> list[int]:
    """The columns that ``data.label`` means: a name, a number from 0 (or from the end), several names with commas.

    ``key``: another key of ``[data]`` that names columns.
    """
    width = len(table.names)
    if label is None:
        return [width - 1]
    if isinstance(label, str) and not (table.named and label in table.names):
        if label.lstrip("-").isdecimal():
            label = int(label)
        elif "," in label:
            return [column for name in label.split(",") for column in label_columns(table, name.strip(), key)]
    if isinstance(label, int):
        if not -width <= label < width:
            raise DataError(f"{table.path}: no {key} column {label}; columns are numbered 0–{width - 1}")
        return [label % width]
    if not table.named:
        raise DataError(f"{table.path}: no header, so no column {label!r}; give data.{key} as a number, 0–{width - 1}")
    if label not in table.names:
        shown = ", ".join(table.names[:8]) + (" …" if width > 8 else "")
        close = nearest(label, table.names)
        raise DataError(f"{table.path}: no column {label!r} for the {key}{close} (columns: {shown})")
    return [table.names.index(label)]


def assemble(table: Table, data: Data, test: Table | None = None) -> Raw:
    """Features and labels of a table (and of a second one with the same columns, as the test part)."""
    tables = [table] if test is None else [table, test]
    if test is not None:
        tables = list(_same_columns(table, test))
    notes = list(table.notes)
    labels = label_columns(table, data.label)
    features = [column for column in range(len(table.names)) if column not in labels]
    if not features:
        raise DataError(f"{table.path}: only the label, no columns of features (delimiter: see data.delimiter)")
    kept, feature_names = _kept(tables[0], features, data, notes)
    label_name = ", ".join(table.names[c] if table.named else f"column {c + 1}" for c in labels)
    if data.label is None:
        notes.append(f"label: the last column, {label_name}")
    parts = [Rows(_features(each, kept), labels_of(each, labels)) for each in tables]
    return Raw(
        name=table.path.name,
        train=parts[0],
        test=parts[1] if test is not None else None,
        classes=None if len(labels) == 1 else tuple(table.names[c] for c in labels),
        feature_names=feature_names if table.named or len(kept) < len(feature_names) else None,
        label=label_name,
        notes=tuple(notes),
    )


def _same_columns(table: Table, test: Table) -> tuple[Table, Table]:
    """Both with the same levels of text; DataError where the columns differ."""
    if test.names != table.names or test.numeric != table.numeric:
        raise DataError(f"{test.path}: its columns differ from those of {table.path.name}")
    first, second = {}, {}
    for column, texts in table.texts.items():
        levels = tuple(sorted({*texts.levels, *test.texts[column].levels}))
        first[column], second[column] = texts.recoded(levels), test.texts[column].recoded(levels)
    parts = [
        Table(each.path, each.names, each.named, each.numbers, each.numeric, texts, each.notes)
        for each, texts in ((table, first), (test, second))
    ]
    return parts[0], parts[1]


def _kept(table: Table, features: list[int], data: Data, notes: list[str]) -> tuple[list[int], tuple[str, ...]]:
    """Columns that become features, and a name for each feature they become."""
    kept, names = [], []
    coded: list[str] = []
    for column in features:
        name = table.names[column]
        texts = table.texts.get(column)
        if texts is None:
            kept.append(column)
            names.append(name)
        elif len(texts.levels) > max(2, min(MOST_LEVELS, len(table) // 2)):
            notes.append(f"column {name!r} left out: {len(texts.levels):,} different texts in {len(table):,} rows")
        else:
            kept.append(column)
            names += [f"{name}={level}" for level in texts.levels]
            coded.append(f"{name} ({len(texts.levels)})")
    if coded:
        notes.append(f"one-hot: {', '.join(coded[:6])}{' …' if len(coded) > 6 else ''}")
    if not kept:
        hint = "; data.level = 'word' reads its text as words" if table.texts else ""
        raise DataError(f"{table.path}: no column of numbers or categories to learn from{hint}")
    return kept, tuple(names)


def _features(table: Table, kept: list[int]) -> Values:
    """(N, features): numbers as they are, texts one-hot. Only numbers, in order: a view."""
    places = {column: place for place, column in enumerate(table.numeric)}
    if all(column in places for column in kept):
        chosen = [places[column] for column in kept]
        if chosen == list(range(chosen[0], chosen[0] + len(chosen))):
            return table.numbers[:, chosen[0] : chosen[0] + len(chosen)]
        return table.numbers[:, chosen]
    blocks: list[Values] = []
    for column in kept:
        if column in places:
            blocks.append(table.numbers[:, places[column]][:, None])
        else:
            texts = table.texts[column]
            # A missing text (code −1) is none of the levels: all zeros.
            blocks.append((texts.codes[:, None] == np.arange(len(texts.levels))).astype(np.float64))
    return np.concatenate(blocks, axis=1)


def labels_of(table: Table, labels: list[int]) -> Values:
    """Labels (N,), numbers or texts; of several columns (N, k) numbers."""
    places = {column: place for place, column in enumerate(table.numeric)}
    if len(labels) > 1:
        for column in labels:
            if column not in places:
                name = table.names[column]
                raise DataError(f"{table.path}: label column {name!r} holds text; several labels need numbers")
        return table.numbers[:, [places[column] for column in labels]]
    (column,) = labels
    if column in places:
        return table.numbers[:, places[column]]
    texts = table.texts[column]
    return np.array(texts.levels, dtype=np.str_)[texts.codes]
