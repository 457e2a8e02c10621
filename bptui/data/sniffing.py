"""What a table of text looks like: its delimiter, whether it has a header, and which columns are numbers."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bptui.data.errors import DataError, quoted

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}
#: Cells that stand for "no value", in lower case.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
#: How much of the sample is looked at for the delimiter, and for headers and types.
DELIMITER_LINES = 50
MOST_CELLS = 20_000
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a table. ``numeric[c]``: whether column c holds numbers."""

    delimiter: str
    header: bool
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    decimal_comma: bool = False

    @property
    def columns(self) -> int:
        return len(self.names)

    def described(self) -> str:
        """The sniffed facts in words, for the notes."""
        head = "a header" if self.header else "no header"
        texts = sum(not numeric for numeric in self.numeric)
        words = f"{DELIMITERS.get(self.delimiter, repr(self.delimiter))}-separated, {head}, {self.columns} columns"
        return words + (f", {texts} of text" if texts else "") + (", decimal commas" if self.decimal_comma else "")

    def column(self, index: int) -> str:
        """How a message names a column."""
        return f"column {quoted(self.names[index])}" if self.header else f"column {index + 1}"


def number(cell: str) -> float | None:
    """The number in a cell; None if it holds none (``nan`` counts as none, ``inf`` as a number)."""
    if "_" in cell or cell.strip().lower() in MISSING:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def cells(line_list: Sequence[str], delimiter: str, path: Path) -> list[list[str]]:
    """Rows of cells, blank ones left out, up to the first that cannot be read (a sample may end inside quotes)."""
    reader = csv.reader(line_list, delimiter=delimiter, skipinitialspace=delimiter in " ,;", strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row and not (len(row) == 1 and not row[0].strip()):
                rows.append(row)
    except csv.Error as error:
        if not rows:
            raise DataError(f"{path}: line {reader.line_num}: {error}") from None
    return rows


def sniff(sample: Sequence[str], path: Path, *, delimiter: str | None, header: bool | None) -> Layout:
    """Tell the layout from the first lines; what the user has said is taken as it is."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        named = {name: mark for mark, name in DELIMITERS.items()}
        if delimiter not in named:
            raise DataError(f"data.delimiter = {delimiter!r}: expected one character, or one of {', '.join(named)}")
        delimiter = named[delimiter]
    mark = delimiter if delimiter is not None else _delimiter(sample, path)
    rows = cells(sample, mark, path)
    if not rows:
        raise DataError(f"{path}: no rows")
    width = len(rows[0])
    rows = rows[: max(MOST_CELLS // width, 20)]
    alone = sum(bool(line.strip()) for line in sample) == 1
    if alone and (header or (header is None and not any(number(cell) is not None for cell in rows[0]))):
        raise DataError(f"{path}: a header, but no rows")
    decimal_comma = mark != "," and any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row)
    if decimal_comma:
        rows = [[cell.replace(",", ".") for cell in row] for row in rows]
    even = [row for row in rows if len(row) == width]
    has_header = _has_header(even) if header is None else header
    body = even[1:] if has_header else even
    names = tuple(cell.strip() for cell in rows[0]) if has_header else tuple(str(n + 1) for n in range(width))
    numeric = tuple(_is_numeric([row[c] for row in body]) for c in range(width))
    return Layout(mark, has_header, names, numeric, decimal_comma)


def _delimiter(sample: Sequence[str], path: Path) -> str:
    """The mark that cuts most lines into the same number (> 1) of cells; of equals, the one that makes most cells."""
    best, chosen = (0.0, 0), ","
    for mark in DELIMITERS:
        try:
            rows = cells(sample[:DELIMITER_LINES], mark, path)
        except DataError:
            continue
        if not rows:
            continue
        width, count = Counter(map(len, rows)).most_common(1)[0]
        # Space only where nothing else cuts: it also stands inside texts.
        if width > 1 and (mark != " " or best[0] == 0) and (count / len(rows), width) > best:
            best, chosen = (count / len(rows), width), mark
    return chosen


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """A first row of names: no number in it, and either numbers below it, or texts that never come again."""
    first, body = rows[0], rows[1:]
    if not body or any(number(cell) is not None for cell in first) or not all(cell.strip() for cell in first):
        return False
    columns = [[row[c] for row in body] for c in range(len(first))]
    if any(_is_numeric(column) for column in columns):
        return True
    again = any(name in column for name, column in zip(first, columns, strict=True))
    return len(set(first)) == len(first) and not again


def _is_numeric(column: Sequence[str]) -> bool:
    """At least half of what is there are numbers: one odd cell is an error to report, not a reason to call it text."""
    there = [cell for cell in column if not is_missing(cell)]
    return 2 * sum(number(cell) is not None for cell in there) >= len(there)
