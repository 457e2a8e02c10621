"""Rows as cells: how wide text is, and in which cells two rows differ.

A row is two integers of four bytes a cell, its characters and its styles: to compare two rows is a few operations on
whole rows instead of some on each cell.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

#: Text whose characters are one cell each: what nearly every line is made of.
_NARROW = re.compile(
    "[\x20-\x7e\xa1-\xac\xae-\xff\u0370-\u03ff\u2010-\u2027\u2070-\u209c\u2190-\u22ff\u2500-\u25fc\u2800-\u28ff]*"
)
_BYTES = 4
_GAP = 8
"""Changed spans nearer than this are one: moving the cursor and setting a colour again costs more."""
_APART = b"\0" * (_BYTES * (_GAP + 1))
_EQUAL = re.compile(rb"\0{%d,}" % len(_APART))
_MARKS: dict[Style | None, str] = {}
"""A character that stands for a style."""


class Cells(NamedTuple):
    """Of one row. A wide character is itself and an empty cell."""

    width: int
    characters: int
    styles: int


def is_narrow(text: str) -> bool:
    """Whether each character is one cell (of a few that are, it may not be known)."""
    return _NARROW.fullmatch(text) is not None


def width_of_text(text: str) -> int:
    """In cells; without a look at each character where they are narrow."""
    return len(text) if _NARROW.fullmatch(text) else cell_len(text)


def cells(strip: Strip) -> Cells:
    """The cells of a row."""
    characters: list[str] = []
    styles: list[str] = []
    for text, style, _ in strip:
        mark = _MARKS.get(style) or _MARKS.setdefault(style, chr(len(_MARKS) + 1))
        if not _NARROW.fullmatch(text):
            text = "".join([each + "\0" * (width - 1) for each in text if (width := cell_len(each))])
        characters.append(text)
        styles.append(mark * len(text))
    row = "".join(characters)
    return Cells(len(row), _number(row), _number("".join(styles)))


def _number(row: str) -> int:
    return int.from_bytes(row.encode("utf-32-le", "surrogatepass"), "little")


def changed(old: Cells, new: Cells) -> list[tuple[int, int]]:
    """Spans [first, end) of cells that differ; those with at most ``_GAP`` equal cells between are one."""
    differs = old.characters ^ new.characters | old.styles ^ new.styles
    if not differs:
        return []
    data = differs.to_bytes(_BYTES * max(old.width, new.width), "little")
    first = (len(data) - len(data.lstrip(b"\0"))) // _BYTES
    end = -(-len(data.rstrip(b"\0")) // _BYTES)
    if _APART not in data:
        return [(first, end)]
    spans = []
    for found in _EQUAL.finditer(data, first * _BYTES, end * _BYTES):
        start, stop = -(-found.start() // _BYTES), found.end() // _BYTES  # whole cells only
        if stop - start > _GAP:
            spans.append((first, start))
            first = stop
    return [*spans, (first, end)]
