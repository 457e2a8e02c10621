"""Rows of a table for a trained run: its columns by the names the run learned, or by their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.arrays import LABELS
from bptui.data.delimited import read_table
from bptui.data.errors import DataError, nearest
from bptui.data.table import Table, Texts, label_columns
from bptui.export.errors import ExportError
from bptui.export.trained import Trained
from bptui.spec.experiment import Data

Values = npt.NDArray[Any]


def table_rows(path: Path, trained: Trained) -> tuple[Values, Values | None, tuple[str, ...]]:
    """Features (N, features), labels where the file has them, and remarks. ExportError or DataError, one line."""
    data = trained.experiment.data
    reading = Data(
        source=str(path), delimiter=data.delimiter, header=data.header,
        missing="error" if trained.scaler.fill is None else "mean",
    )  # fmt: skip
    table = read_table(path, reading, labelled=False)
    names = trained.about.feature_names
    notes: list[str] = []
    if names is not None and (table.named or _only_numbered(names)):
        used, x = _by_name(table, names, path, notes)
        labels = _label_columns(table, trained, used)
    else:
        labels, x = _by_order(table, trained, path)
    return x, _labels(table, labels), tuple(notes)


def _only_numbered(names: Sequence[str]) -> bool:
    """Whether the run's columns had no names but their numbers (a file without a header)."""
    return all(name.partition("=")[0].isdecimal() for name in names)


def _by_name(table: Table, names: Sequence[str], path: Path, notes: list[str]) -> tuple[set[int], Values]:
    """Columns by name; ``colour=red`` and its like come from a column ``colour`` of texts."""
    places = {name: column for column, name in enumerate(table.names)}
    used: set[int] = set()
    blocks: list[Values] = []
    levels: dict[int, set[str]] = {}
    for name in names:
        column = places.get(name)
        if column is not None:
            blocks.append(_numbers(table, column, path))
        else:
            column, level = _coded(name, places)
            if column is None:
                known = ", ".join(table.names[:8]) + (" …" if len(table.names) > 8 else "")
                close = nearest(name, table.names)
                raise ExportError(f"{path}: no column {name!r}, which this run needs{close} (columns: {known})")
            levels.setdefault(column, set()).add(level)
            blocks.append(_is_level(table, column, level, path))
        used.add(column)
    for column, known_levels in levels.items():
        unknown = sorted(set(table.texts[column].levels) - known_levels)
        if unknown:
            notes.append(
                f"column {table.names[column]!r}: {unknown[0]!r} was not there in training and counts as none of its"
                + (f" values ({len(unknown)} such texts)" if len(unknown) > 1 else " values")
            )
    return used, np.stack(blocks, axis=1)


def _coded(name: str, places: dict[str, int]) -> tuple[int | None, str]:
    """Column and level of a one-hot feature; the names of columns may hold ``=`` themselves."""
    at = name.find("=")
    while at >= 0:
        if name[:at] in places:
            return places[name[:at]], name[at + 1 :]
        at = name.find("=", at + 1)
    return None, ""


def _numbers(table: Table, column: int, path: Path) -> Values:
    if column in table.texts:
        raise ExportError(f"{path}: column {table.names[column]!r} holds texts, this run learned from numbers in it")
    return np.asarray(table.numbers[:, table.numeric.index(column)])


def _is_level(table: Table, column: int, level: str, path: Path) -> Values:
    texts: Texts | None = table.texts.get(column)
    if texts is None:
        raise ExportError(f"{path}: column {table.names[column]!r} holds numbers, this run learned from texts in it")
    code = texts.levels.index(level) if level in texts.levels else -2  # −1 is a missing text
    return np.asarray(texts.codes == code, np.float64)


def _by_order(table: Table, trained: Trained, path: Path) -> tuple[list[int], Values]:
    """The label's columns, which are left out where there are more columns than features, and the rest in order."""
    features, width = trained.about.features, len(table.names)
    labels: list[int] = []
    if width > features:
        called = [column for column, name in enumerate(table.names) if name.lower() in (*LABELS, "class", "digit")]
        labels = _spec_labels(table, trained) or called[:1] or [width - 1]
    columns = [column for column in range(width) if column not in labels]
    if len(columns) != features:
        raise ExportError(f"{path}: {width} columns, this run takes {features} features, and perhaps a label")
    return labels, np.stack([_numbers(table, column, path) for column in columns], axis=1)


def _label_columns(table: Table, trained: Trained, used: set[int]) -> list[int]:
    """Where the labels are; empty if they are not there."""
    found = _spec_labels(table, trained)
    if found and not used & set(found):
        return found
    if trained.about.label in table.names:
        return [table.names.index(trained.about.label)]
    rest = [column for column in range(len(table.names)) if column not in used]
    return rest if len(rest) == 1 and not table.named else []  # a column of another name may be anything


def _spec_labels(table: Table, trained: Trained) -> list[int]:
    label = trained.experiment.data.label
    if label is None or (isinstance(label, int) and table.named and trained.about.label in table.names):
        return []
    try:
        return label_columns(table, label)
    except DataError:
        return []


def _labels(table: Table, columns: Sequence[int]) -> Values | None:
    if not columns:
        return None
    texts = [table.texts.get(column) for column in columns]
    if len(columns) == 1 and texts[0] is not None:
        return np.array([*texts[0].levels, ""], dtype=np.str_)[texts[0].codes]
    if any(text is not None for text in texts):
        return None
    numbers = table.numbers[:, [table.numeric.index(column) for column in columns]]
    return numbers[:, 0] if len(columns) == 1 else numbers
