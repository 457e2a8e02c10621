"""CSV, TSV and their like, read as a stream into growing arrays: the text is never held whole."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.data.errors import DataError, quoted
from bptui.data.memory import available
from bptui.data.raw import Raw, Rows
from bptui.data.sniffing import Layout, is_missing, number, sniff
from bptui.data.table import Table, Texts, label_columns
from bptui.data.textlines import lines, opened
from bptui.spec.experiment import Data

SAMPLE_LINES = 1000
SAMPLE_CHARACTERS = 1 << 20
CHUNK_CHARACTERS = 1 << 20


def read_digits(name: str, path: Path) -> Raw:
    """The shipped digits: 64 pixels of 0–16 and the digit. A short way, for every first start goes through here."""
    with opened(path) as file:
        text = file.read().decode("ascii")
    body = text[text.index("\n") + 1 :].strip().replace("\n", ",")
    table = np.fromstring(body, np.uint8, sep=",").reshape(-1, 65)
    rows = Rows(table[:, :64], table[:, 64].astype(np.int64))
    return Raw(name, rows, task="classification", classes=tuple("0123456789"), shape=(1, 8, 8))


def read_table(path: Path, data: Data, most_rows: int | None = None, *, labelled: bool = True) -> Table:
    """The columns of a file of text; DataError names row and column of a cell that does not fit.

    Rows are counted from 1 without the header. ``labelled``: one of the columns is the label, which must not be
    missing. At most ``most_rows`` (or ``data.samples``) are read.
    """
    most = most_rows if most_rows is not None else data.samples
    with opened(path) as file:
        source = lines(file, path)
        sample = _sample(source)
        layout = _with_ids(path, sniff(sample, path, delimiter=data.delimiter, header=data.header), data)
        labels = _label_columns(path, layout, data) if labelled else []
        builder = _Builder(path, layout, data.missing, labels)
        if isinstance(file, io.BufferedReader):
            text_bytes = sum(len(line.encode()) for line in sample)
            builder.expect(max(1, round(len(sample) * path.stat().st_size / max(1, text_bytes))), most)
        skip = 1 if layout.header else 0
        for chunk, line in _chunks(itertools.chain(sample, source), most):
            skip = builder.add(chunk, line, skip, source)
            if most is not None and builder.rows >= most:
                break
        return builder.table(most)


def _sample(source: Iterator[str]) -> list[str]:
    """The first lines, from the first that is no comment."""
    taken: list[str] = []
    size = 0
    for line in source:
        if not taken and line.startswith("#"):
            continue
        taken.append(line)
        size += len(line)
        if len(taken) >= SAMPLE_LINES or size >= SAMPLE_CHARACTERS:
            break
    return taken


def _chunks(source: Iterator[str], most: int | None) -> Iterator[tuple[list[str], int]]:
    """Lists of lines of about a megabyte, or of as many as are wanted, each with the number of lines before it."""
    height = sys.maxsize if most is None else most + 1
    before = 0
    chunk: list[str] = []
    size = 0
    for line in source:
        chunk.append(line)
        size += len(line)
        if size >= CHUNK_CHARACTERS or len(chunk) >= height:
            yield chunk, before
            before, chunk, size = before + len(chunk), [], 0
    if chunk:
        yield chunk, before


def _label_columns(path: Path, layout: Layout, data: Data) -> list[int]:
    return label_columns(_empty(path, layout), data.label)


def _empty(path: Path, layout: Layout) -> Table:
    return Table(path, layout.names, layout.header, np.empty((0, 0)), (), {})


def _with_ids(path: Path, layout: Layout, data: Data) -> Layout:
    """Columns of ids hold texts, whatever they look like: 007 is not 7."""
    if data.ids is None:
        return layout
    ids = label_columns(_empty(path, layout), data.ids, "ids")
    return replace(layout, numeric=tuple(numeric and at not in ids for at, numeric in enumerate(layout.numeric)))


class _Builder:
    """Grows the arrays of a table chunk by chunk."""

    def __init__(self, path: Path, layout: Layout, missing: str, labels: Sequence[int]) -> None:
        self._path, self._layout, self._missing, self._labels = path, layout, missing, labels
        self._numeric = tuple(c for c, numeric in enumerate(layout.numeric) if numeric)
        self._text = tuple(c for c, numeric in enumerate(layout.numeric) if not numeric)
        self._numbers = np.empty((0, len(self._numeric)))
        self._codes: dict[int, list[npt.NDArray[np.int32]]] = {c: [] for c in self._text}
        self._levels: dict[int, dict[str, int]] = {c: {} for c in self._text}
        self.rows = 0
        self._read = 0  # rows read, the dropped ones included
        self._room = available()
        self._filled = 0

    def expect(self, rows: int, most: int | None) -> None:
        """Make room for about so many rows; DataError at once if they cannot fit into memory."""
        rows = rows if most is None else min(rows, most)
        # The numbers themselves (8 bytes each) and the scaled copy made of them (4 or 8).
        need = rows * (len(self._numeric) * 16 + len(self._text) * 4)
        if need > self._room:
            raise DataError(
                f"{self._path}: about {rows:,} rows × {self._layout.columns} columns need {need / 2**30:.1f} GB"
                f" of memory, {self._room / 2**30:.1f} GB are free; set data.samples, or save as .npy (memory map)"
            )
        self._numbers = np.empty((rows + rows // 16 + 16, len(self._numeric)))

    # -- chunks ------------------------------------------------------------------------------------
    def add(self, chunk: list[str], line: int, skip: int, source: Iterator[str]) -> int:
        """Take the rows of ``chunk``; ``skip`` of them (the header) not. Returns what is still to skip."""
        if not self._text and not any('"' in text for text in chunk):
            if skip:
                blank = next((at for at, text in enumerate(chunk) if text.strip()), len(chunk))
                fast = self._fast(chunk[blank + 1 :])
            else:
                fast = self._fast(chunk)
            if fast is not None:
                self._append(fast)
                self._read += len(fast)
                return 0
        rows, numbers = self._cells(chunk, line, source)
        if rows and skip:
            rows, numbers, skip = rows[1:], numbers[1:], 0
        if rows:
            self._careful(rows, numbers)
        return skip

    def _fast(self, chunk: list[str]) -> npt.NDArray[np.float64] | None:
        """All numbers, by NumPy's reader; None where anything is odd, so that the careful way can say what."""
        layout = self._layout
        if not any(text.strip() for text in chunk):
            return np.empty((0, layout.columns))
        texts: list[str] = [text.replace(",", ".") for text in chunk] if layout.decimal_comma else chunk
        mark = None if layout.delimiter == " " else layout.delimiter
        try:
            values = np.loadtxt(texts, np.float64, comments=None, delimiter=mark, ndmin=2)
        except (ValueError, IndexError):
            return None
        return values if values.shape[1] == layout.columns and bool(np.isfinite(values).all()) else None

    def _cells(self, chunk: list[str], line: int, source: Iterator[str]) -> tuple[list[list[str]], list[int]]:
        """Rows of cells and the line each ends on; a quoted cell may reach into lines after the chunk."""
        mark = self._layout.delimiter
        reader = csv.reader(itertools.chain(chunk, source), delimiter=mark, skipinitialspace=mark in " ,;", strict=True)
        rows: list[list[str]] = []
        ends: list[int] = []
        try:
            while reader.line_num < len(chunk):
                row = next(reader, None)
                if row is None:
                    break
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if mark == " " and len(row) == self._layout.columns + 1 and not row[-1]:
                    row.pop()  # a space at the end of the line
                if len(row) != self._layout.columns:
                    at = self._read + len(rows) + (0 if self._layout.header else 1)
                    raise DataError(
                        f"{self._path}: row {at} (line {line + reader.line_num}) has {len(row)} cells,"
                        f" expected {self._layout.columns}"
                    )
                rows.append(row)
                ends.append(line + reader.line_num)
        except csv.Error as error:
            raise DataError(f"{self._path}: line {line + reader.line_num}: {error}") from None
        return rows, ends

    def _careful(self, rows: list[list[str]], ends: list[int]) -> None:
        """Rows of cells, column by column."""
        keep = np.ones(len(rows), bool)
        numbers = np.empty((len(rows), len(self._numeric)))
        for place, column in enumerate(self._numeric):
            column_cells = [row[column] for row in rows]
            if self._layout.decimal_comma:
                column_cells = [cell.replace(",", ".") for cell in column_cells]
            self._to_numbers(column_cells, column, ends, numbers[:, place], keep)
        coded = {column: self._to_codes([row[column] for row in rows], column, ends, keep) for column in self._text}
        self._read += len(rows)
        if not keep.all():
            numbers, coded = numbers[keep], {column: codes[keep] for column, codes in coded.items()}
        self._append(numbers)
        for column, codes in coded.items():
            self._codes[column].append(codes)

    def _to_numbers(
        self,
        column_cells: list[str],
        column: int,
        ends: list[int],
        into: npt.NDArray[np.float64],
        keep: npt.NDArray[np.bool_],
    ) -> None:
        try:
            into[:] = list(map(float, column_cells))
            if np.isfinite(into).all() and "_" not in "".join(column_cells):
                return
        except ValueError:
            pass
        for row, cell in enumerate(column_cells):
            value = number(cell)
            if value is None and is_missing(cell):
                self._miss(row, column, ends, keep)
                value = float("nan")
            elif value is None or not np.isfinite(value):
                what = "is not a number" if value is None else "is not finite"
                raise DataError(f"{self._at(row, ends)}, {self._layout.column(column)}: {quoted(cell)} {what}")
            into[row] = value

    def _to_codes(
        self, column_cells: list[str], column: int, ends: list[int], keep: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int32]:
        levels = self._levels[column]
        codes = np.empty(len(column_cells), np.int32)
        for row, cell in enumerate(column_cells):
            text = cell.strip()
            if text == "" or text == "?":  # "none" and "na" may well be categories
                self._miss(row, column, ends, keep)
                codes[row] = -1
            else:
                codes[row] = levels.setdefault(text, len(levels))
        return codes

    def _miss(self, row: int, column: int, ends: list[int], keep: npt.NDArray[np.bool_]) -> None:
        """A cell without a value: an error, a row to drop, or (features only) left for the mean."""
        if self._missing == "drop":
            keep[row] = False
        elif self._missing == "error":
            raise DataError(
                f"{self._at(row, ends)}, {self._layout.column(column)}: no value"
                " (data.missing = 'drop' or 'mean' handles it)"
            )
        elif column in self._labels:
            raise DataError(f"{self._at(row, ends)}, {self._layout.column(column)}: the label has no value")
        self._filled += 1

    def _at(self, row: int, ends: list[int]) -> str:
        return f"{self._path}: row {self._read + row + 1} (line {ends[row]})"

    # -- arrays ------------------------------------------------------------------------------------
    def _append(self, numbers: npt.NDArray[np.float64]) -> None:
        end = self.rows + len(numbers)
        if end > len(self._numbers):
            room = max(end, len(self._numbers) * 3 // 2)
            if room * (len(self._numeric) * 16 + len(self._text) * 4) > self._room + self._numbers.nbytes:
                raise DataError(f"{self._path}: more than {self.rows:,} rows do not fit into memory; set data.samples")
            self._numbers.resize((room, len(self._numeric)), refcheck=False)
        self._numbers[self.rows : end] = numbers
        self.rows = end

    def table(self, most: int | None) -> Table:
        """What has been read."""
        if self.rows == 0:
            dropped = " left after dropping those with missing values" if self._read else ""
            raise DataError(f"{self._path}: no rows{dropped}")
        rows = self.rows if most is None else min(most, self.rows)
        notes = [self._layout.described()]
        if self._read > self.rows:
            notes.append(f"{self._read - self.rows:,} of {self._read:,} rows dropped: values missing")
        elif self._filled:
            notes.append(f"{self._filled:,} missing values: the training part's mean stands in")
        self._numbers.resize((rows, len(self._numeric)), refcheck=False)
        texts = {
            column: _sorted(np.concatenate(self._codes[column])[:rows], list(self._levels[column]))
            for column in self._text
        }
        return Table(
            self._path, self._layout.names, self._layout.header, self._numbers, self._numeric, texts, tuple(notes)
        )


def _sorted(codes: npt.NDArray[np.int32], levels: list[str]) -> Texts:
    """Levels in alphabetical order, those that no kept row has left out."""
    used = set(np.unique(codes).tolist())
    kept = tuple(sorted(level for code, level in enumerate(levels) if code in used))
    places = {level: place for place, level in enumerate(kept)}
    change = np.array([places.get(level, -1) for level in levels] + [-1], np.int32)
    return Texts(change[codes], kept)
