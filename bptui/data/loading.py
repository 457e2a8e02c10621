"""``load``: find the source, read it, make targets, split, scale. One pass, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec.structs import replace as _with

from bptui.data.dataset import DataSet, MappedRows, Part
from bptui.data.errors import DataError
from bptui.data.finding import read
from bptui.data.places import search_path
from bptui.data.ratings import closed_columns
from bptui.data.raw import Indices, Raw, Rows, Values
from bptui.data.scaling import Kind, Scaler, blocks_of
from bptui.data.targets import targets
from bptui.data.vocabulary import known, reserved
from bptui.philox import Stream
from bptui.spec.experiment import Data, Loss

DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}


def load(
    data: Data,
    *,
    seed: int = 0,
    dtype: Literal["f32", "f64"] = "f32",
    loss: Loss | None = None,
    search: Sequence[Path] = (),
) -> DataSet:
    """The data set of a ``[data]`` table, ready for training.

    ``search``: folders to look in before the usual ones (``search_path``). ``loss`` helps to tell the task where
    ``data.task`` is ``auto``. Raises DataError, one line.
    """
    places = search_path(search)
    _check_fractions(data)
    try:
        raw = read(data, seed, places)
        return _prepare(raw, data, seed, dtype, loss)
    except MemoryError:
        raise DataError(f"{data.source}: does not fit into memory; as .npy it would be read by memory map") from None
    except OSError as error:
        where = error.filename or data.source
        raise DataError(f"{where}: {error.strerror or error}") from None


def _check_fractions(data: Data) -> None:
    for key, value in (("validation", data.validation), ("test", data.test)):
        if not 0 <= value < 1:
            raise DataError(f"data.{key} = {value:g}: expected a fraction from 0 to below 1")
    if data.validation + data.test >= 1:
        raise DataError(
            f"data.validation = {data.validation:g} and data.test = {data.test:g} leave no rows to train on"
        )
    if data.samples is not None and data.samples < 1:
        raise DataError(f"data.samples = {data.samples}: expected at least 1")


def _prepare(raw: Raw, data: Data, seed: int, dtype: Literal["f32", "f64"], loss: Loss | None) -> DataSet:
    notes = list(raw.notes)
    _check_shapes(raw)
    target = targets(raw, data.task, loss, DTYPES[dtype])
    notes += target.notes
    plays = target.task == "policy"
    if plays:  # what the policy is tried in are other episodes, not rows
        data = _with(data, validation=0.0, test=0.0)
    train_rows, validation_rows, test_rows = _split(raw, data, seed, notes)
    if raw.vocabularies is not None:
        raw = closed_columns(raw, train_rows, (validation_rows, test_rows), notes)
    elif raw.open_vocabulary is not None:
        raw = _closed(raw, train_rows, notes)
    for rows in (raw.train, raw.validation, raw.test):
        if rows is not None:
            _check_finite(raw, rows, missing_allowed=data.missing == "mean")
    scaler = _scaler(raw, data, train_rows)

    def part(rows: Rows, y: Values, indices: Indices) -> Part:
        x = _features(raw, rows.x, indices, scaler, DTYPES[dtype])
        lengths = None if rows.lengths is None else rows.lengths[indices].astype(np.int64)
        if target.task in ("autoencoder", "generate"):
            return Part(x, x if lengths is None else _there(raw, x, lengths), indices, lengths)
        ids = raw.mapped and y.ndim == 2 and y.dtype.kind in "iu"  # of each step, as views like those of x
        return Part(x, MappedRows(y, indices, None, np.int64) if ids else np.take(y, indices, axis=0), indices, lengths)

    def whole(rows: Rows, y: Values | None) -> Part:
        assert y is not None
        return part(rows, y, np.arange(len(rows)))

    validation = part(raw.train, target.train, validation_rows) if len(validation_rows) else None
    test = part(raw.train, target.train, test_rows) if len(test_rows) else None
    if raw.validation is not None:
        validation = whole(raw.validation, target.validation)
    if raw.test is not None:
        test = whole(raw.test, target.test)
    return DataSet(
        name=raw.name,
        task=target.task,
        features=raw.train.x.shape[1],
        outputs=target.outputs,
        train=part(raw.train, target.train, train_rows),
        validation=validation,
        test=test,
        scaler=scaler,
        feature_names=raw.feature_names,
        class_names=target.class_names,
        shape=raw.shape,
        vocabulary=raw.vocabulary,
        vocabularies=raw.vocabularies,
        sample_rate=raw.sample_rate,
        environment=raw.environment if plays else None,
        label=raw.label,
        modes=raw.modes,
        notes=tuple(notes),
    )


def _scaler(raw: Raw, data: Data, rows: Indices) -> Scaler:
    """Learned on the training rows; ids stay as they are."""
    x = raw.train.x
    if raw.ids:
        return Scaler("none", np.zeros(x.shape[1]), np.ones(x.shape[1]))
    padded = raw.train.lengths is not None
    fill = x.dtype.kind == "f" and (padded or data.missing == "mean")
    step = raw.shape[-1] if raw.sequence and raw.shape is not None else None
    return Scaler.learn(_kind(raw, data), x, rows[:: raw.overlap], fill_missing=fill, step=step)


def _closed(raw: Raw, rows: Indices, notes: list[str]) -> Raw:
    """The same tokens, of which only those of the training rows (the frequent ones, if need be) are known."""
    assert raw.vocabulary is not None and raw.open_vocabulary is not None and raw.train.lengths is not None
    x, lengths = raw.train.x[rows], raw.train.lengths[rows]
    there = np.arange(x.shape[1]) < lengths[:, None]
    counts = np.bincount(x[there], minlength=len(raw.vocabulary))
    vocabulary, table = known(raw.vocabulary, counts, reserved(padded=True), raw.open_vocabulary)
    missed = len(raw.vocabulary) - len(vocabulary)
    rest = f"; {missed:,} that are rare or only in rows held out are <unk>" if missed else ""
    notes.append(f"{len(vocabulary) - 2:,} different tokens known{rest}")

    def closed(part: Rows | None) -> Rows | None:
        return None if part is None else Rows(table[part.x], part.y, part.lengths)

    train = closed(raw.train)
    assert train is not None
    return replace(raw, train=train, validation=closed(raw.validation), test=closed(raw.test), vocabulary=vocabulary)


def _features(raw: Raw, x: Values, indices: Indices, scaler: Scaler, dtype: np.dtype[Any]) -> Values | MappedRows:
    if raw.ids:
        return MappedRows(x, indices, None, np.int64) if raw.mapped else x[indices].astype(np.int64)
    return MappedRows(x, indices, scaler, dtype) if raw.mapped else scaler.gather(x, indices, dtype)


def _there(raw: Raw, x: Values | MappedRows, lengths: Indices) -> Values:
    """The sequences (N, T·F) as targets: nan beyond the end of each."""
    assert raw.shape is not None
    y = np.array(x)
    y.reshape(len(y), raw.shape[0], -1)[np.arange(raw.shape[0]) >= lengths[:, None]] = np.nan
    return y


def _check_shapes(raw: Raw) -> None:
    for name, rows in (("training", raw.train), ("validation", raw.validation), ("test", raw.test)):
        if rows is None:
            continue
        if len(rows.x) != len(rows.y):
            raise DataError(f"{raw.name}: {len(rows.x):,} {name} rows, but {len(rows.y):,} of {raw.label}")
        if len(rows) == 0:
            raise DataError(f"{raw.name}: no {name} rows")
        if rows.x.shape[1] != raw.train.x.shape[1]:
            raise DataError(
                f"{raw.name}: {name} rows have {rows.x.shape[1]} features, training rows {raw.train.x.shape[1]}"
            )
    if raw.train.x.shape[1] == 0:
        raise DataError(f"{raw.name}: no features beside {raw.label}")


def _split(raw: Raw, data: Data, seed: int, notes: list[str]) -> tuple[Indices, Indices, Indices]:
    """Rows for training, validation and test, drawn by (seed, "split"); each part keeps the order of the file."""
    count = len(raw.train)
    validation = 0 if raw.validation is not None else _share(data.validation, count)
    test = 0 if raw.test is not None else _share(data.test, count)
    if raw.test is not None and data.test > 0:
        notes.append(f"data.test is not used: {raw.name} has a test part of its own")
    if validation + test >= count:
        raise DataError(f"{raw.name}: {count} rows are too few for data.validation = {data.validation:g}")
    order = Stream(seed, "split").permutation(0, count)
    held = validation + test
    return np.sort(order[held:]), np.sort(order[:validation]), np.sort(order[validation:held])


def _share(fraction: float, count: int) -> int:
    return max(1, round(fraction * count)) if fraction > 0 else 0


def _kind(raw: Raw, data: Data) -> Kind:
    if data.scale != "auto":
        return data.scale
    if raw.environment is not None:
        return "none"  # what a policy comes to see later is far from where chance leads
    return "global" if raw.shape is not None and not raw.sequence else "standard"


def _check_finite(raw: Raw, rows: Rows, *, missing_allowed: bool) -> None:
    """Every feature a finite number (or NaN: beyond the end, or where the mean is to stand in for it)."""
    if rows.x.dtype.kind != "f":
        return
    spaced = np.union1d(np.arange(0, len(rows), raw.overlap), [len(rows) - 1])  # of windows those that cover all
    for start, block in blocks_of(rows.x, spaced):
        good = np.isfinite(block)
        if missing_allowed:
            good |= np.isnan(block)
        elif rows.lengths is not None and raw.shape is not None:
            lengths = rows.lengths[spaced[start : start + len(block)], None]
            good |= np.isnan(block) & (np.arange(block.shape[1]) >= lengths * (block.shape[1] // raw.shape[0]))
        if not good.all():
            row, column = (int(at) for at in np.argwhere(~good)[0])
            value = float(block[row, column])
            what = "a missing value (data.missing = 'drop' or 'mean' handles it)" if np.isnan(value) else f"{value:g}"
            raise DataError(f"{raw.name}: row {int(spaced[start + row]) + 1}, {raw.column(column)}: {what}")
