"""Parquet files, by the extra ``bptui[parquet]`` (pyarrow): the same columns as a table of text has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bptui.data.errors import DataError
from bptui.data.memory import available
from bptui.data.table import Table, Texts, label_columns
from bptui.spec.experiment import Data


def read_parquet_table(path: Path, data: Data, most_rows: int | None = None) -> Table:
    """Columns of numbers and truth values, and of text (one-hot later); DataError names a column of another type."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: Parquet needs pyarrow; install bptui[parquet], or save as CSV or .npz") from None
    most = most_rows if most_rows is not None else data.samples
    try:
        file = parquet.ParquetFile(path)
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        need, room = (rows if most is None else min(rows, most)) * columns * 16, available()
        if need > room:
            raise DataError(
                f"{path}: {rows:,} rows × {columns} columns need {need / 2**30:.1f} GB of memory,"
                f" {room / 2**30:.1f} GB are free; set data.samples"
            )
        content = file.read() if most is None else _first(arrow, file, most)
    except arrow.ArrowException as error:
        raise DataError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    if content.num_rows == 0:
        raise DataError(f"{path}: no rows")
    return _table(arrow, path, content, data)


def _first(arrow: Any, file: Any, most: int) -> Any:
    batches, rows = [], 0
    for batch in file.iter_batches(batch_size=min(most, 65536)):
        batches.append(batch)
        rows += len(batch)
        if rows >= most:
            break
    return arrow.Table.from_batches(batches, schema=file.schema_arrow).slice(0, most)


def _table(arrow: Any, path: Path, content: Any, data: Data) -> Table:
    names = tuple(content.column_names)
    numbers: list[Any] = []
    numeric: list[int] = []
    texts: dict[int, Texts] = {}
    gone = np.zeros(content.num_rows, bool)
    labels = label_columns(Table(path, names, True, np.empty((0, 0)), (), {}), data.label)
    notes = [f"Parquet, {len(names)} columns"]
    for at, name in enumerate(names):
        column = content.column(at).combine_chunks()
        kind = column.type
        if arrow.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = kind.value_type
        null = np.asarray(column.is_null(nan_is_null=True))
        if null.any() and (data.missing == "error" or (data.missing == "mean" and at in labels)):
            row = int(np.flatnonzero(null)[0])
            advice = " (data.missing = 'drop' or 'mean' handles it)" if data.missing == "error" else ""
            raise DataError(f"{path}: row {row + 1}, column {name!r}: no value{advice}")
        gone |= null
        if arrow.types.is_boolean(kind) or arrow.types.is_integer(kind) or arrow.types.is_floating(kind):
            numeric.append(at)
            numbers.append(np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)))
        elif arrow.types.is_string(kind) or arrow.types.is_large_string(kind):
            coded = column.dictionary_encode()
            levels = [str(level) for level in coded.dictionary.to_pylist()]
            order = sorted(range(len(levels)), key=levels.__getitem__)
            places = np.empty(len(levels) + 1, np.int32)
            places[order] = np.arange(len(levels))
            places[-1] = -1
            codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            texts[at] = Texts(places[codes], tuple(levels[place] for place in order))
        else:
            raise DataError(f"{path}: column {name!r} is of type {kind}; expected numbers or texts")
    matrix = np.stack(numbers, axis=1) if numbers else np.empty((content.num_rows, 0))
    if data.missing == "drop" and gone.any():
        keep = ~gone
        notes.append(f"{int(gone.sum()):,} of {len(gone):,} rows dropped: values missing")
        matrix, texts = matrix[keep], {at: Texts(text.codes[keep], text.levels) for at, text in texts.items()}
    elif gone.any():
        notes.append(f"{int(gone.sum()):,} rows with missing values: the training part's mean stands in")
    return Table(path, names, True, matrix, tuple(numeric), texts, tuple(notes))
