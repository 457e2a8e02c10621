"""Long series, row after row in time: windows of past rows, with the next values as targets.

Windows are views of the one array, which may stay in its file; the parts are stretches of time: training first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bptui.data.errors import DataError
from bptui.data.raw import Raw, Rows, Values
from bptui.data.table import Table, label_columns
from bptui.spec.experiment import Data


def read_series_table(table: Table, data: Data) -> Raw:
    """The columns of numbers of a table; ``data.label`` names those to be predicted."""
    labels = label_columns(table, data.label)
    for column in labels:
        if column not in table.numeric:
            raise DataError(f"{table.path}: the column {table.names[column]!r} holds text, a series needs numbers")
    targets = [table.numeric.index(column) for column in labels]
    names = tuple(table.names[column] for column in table.numeric)
    left = [table.names[column] for column in table.texts]
    notes = (*table.notes, *([f"columns of text left out: {', '.join(left[:6])}"] if left else ()))
    return windows(table.path, table.numbers, targets, data, names if table.named else None, notes)


def read_series_array(path: Path, values: Values, data: Data) -> Raw:
    """An array ``(T,)`` or ``(T, columns)``."""
    if values.ndim not in (1, 2):
        raise DataError(f"{path}: has shape {values.shape}; a series is (T,) or (T, columns)")
    if values.dtype.kind not in "iuf":
        raise DataError(f"{path}: of type {values.dtype}, expected numbers")
    series = values.reshape(len(values), -1)
    label = data.label if data.label is not None else -1
    if not isinstance(label, int) or not -series.shape[1] <= label < series.shape[1]:
        raise DataError(f"{path}: no column {label!r}; columns are numbered 0–{series.shape[1] - 1}")
    return windows(path, series, [label % series.shape[1]], data, None, ())


def windows(
    path: Path,
    series: Values,
    targets: Sequence[int],
    data: Data,
    names: tuple[str, ...] | None,
    notes: tuple[str, ...],
) -> Raw:
    """Windows of ``series`` (T, columns), and the next ``data.horizon`` values of the columns ``targets``."""
    assert data.window is not None
    stride = data.stride if data.stride is not None else 1
    if min(data.window, stride, data.horizon) < 1:
        raise DataError(
            f"data.window = {data.window}, stride = {stride}, horizon = {data.horizon}: expected at least 1 each"
        )
    if not series.flags.c_contiguous:
        series = np.ascontiguousarray(series)
    count = len(series)
    test, validation = round(data.test * count), round(data.validation * count)
    ends = (count - validation - test, count - test, count)
    parts = {}
    for name, begin, end in zip(("train", "validation", "test"), (0, *ends), ends, strict=False):
        if begin < end:
            parts[name] = _part(path, name, series[begin:end], targets, data, stride)
    if "train" not in parts:
        raise DataError(f"{path}: nothing left to train on")
    what = f"{data.horizon} next {'rows' if data.horizon > 1 else 'row'}"
    return Raw(
        name=path.name, train=parts["train"], validation=parts.get("validation"), test=parts.get("test"),
        task="regression", shape=(data.window, series.shape[1]), feature_names=names, label="next value", mapped=True,
        overlap=max(1, data.window // stride),
        notes=(*notes, f"{count:,} rows as windows of {data.window}, then {what}; parted by time"),
    )  # fmt: skip


def _part(path: Path, part: str, series: Values, targets: Sequence[int], data: Data, stride: int) -> Rows:
    assert data.window is not None
    columns, horizon = series.shape[1], data.horizon
    last = len(series) - data.window - horizon
    if last < 0:
        raise DataError(
            f"{path}: the {part} part has {len(series):,} rows,"
            f" too few for a window of {data.window} and {horizon} to predict"
        )
    starts = np.arange(0, last + 1, stride)
    # Rows lie one after the other, so that a window is a stretch of the flat array: a view, (N, window·columns).
    x = np.lib.stride_tricks.sliding_window_view(series.reshape(-1), data.window * columns)[:: columns * stride]
    y = series[starts[:, None] + data.window + np.arange(horizon)][:, :, list(targets)]
    return Rows(x[: len(starts)], y.reshape(len(starts), -1))
