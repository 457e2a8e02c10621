"""Dots in cells: lines of several series on a grid of braille, block or ASCII cells.

A column of dots is one integer, a bit a dot, so that a band of a hundred dots is one operation and a
column's cells are the digits of its number: a full screen is drawn in a few milliseconds.
"""

from __future__ import annotations

import re
from itertools import groupby

from bptui.tui.glyphs import Glyphs

FIRST, SECOND, FAINT = 1, 2, 3
_ORDER = (FAINT, FIRST, SECOND)
"""A later one covers those before it where they share a cell: a thin line over a wide band."""

Runs = list[tuple[str, str]]
_PIECES = re.compile(r" +|[^ ]+")
_DRAWN = re.compile(r"[^ ]+")
_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)  # braille bits from the top


def _bits(digit: int, bits: tuple[int, ...]) -> int:
    return sum(bit for row, bit in enumerate(bits) if digit >> (3 - row) & 1)


_BRAILLE = {
    (f"{left:x}", f"{right:x}"): chr(0x2800 + _bits(left, _LEFT) + _bits(right, _RIGHT)) if left or right else " "
    for left in range(16)
    for right in range(16)
}
_BLOCK = {f"{digit:x}": " ▄▀█"[digit >> 2] + " ▄▀█"[digit & 3] for digit in range(16)}
_ASCII = {
    series: {f"{digit:x}": f"{digit:04b}".replace("0", " ").replace("1", mark) for digit in range(16)}
    for series, mark in ((FIRST, "*"), (SECOND, "o"), (FAINT, "."))
}


class Raster:
    """``width × height`` cells of ``glyphs.dots`` dots."""

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self.width, self.height = width, height
        self.glyphs = glyphs
        across, down = glyphs.dots
        self.columns, self.rows = width * across, height * down
        self._digits = -(-self.rows // 4)
        self._top = 4 * self._digits - 1
        self._series: dict[int, list[int]] = {}
        self._drawn: list[tuple[int, list[str]]] | None = None

    def dot(self, column: int, row: int, series: int) -> None:
        """One dot."""
        if 0 <= row < self.rows:
            self.span(column, row, row, series)

    def span(self, column: int, top: int, bottom: int, series: int) -> None:
        """Dots of one column from row ``top`` down to ``bottom``."""
        if top < 0:
            top = 0
        if bottom >= self.rows:
            bottom = self.rows - 1
        if not 0 <= column < self.columns or top > bottom:
            return
        columns = self._series.get(series)
        if columns is None:
            columns = self._series[series] = [0] * self.columns
        columns[column] |= ((1 << (bottom - top + 1)) - 1) << (self._top - bottom)
        self._drawn = None

    def line(self, start: tuple[int, int], end: tuple[int, int], series: int, stride: int = 1) -> None:
        """Dots from one place to another, joined upright; with ``stride`` only every so many columns."""
        (x0, y0), (x1, y1) = start, end
        if x1 <= x0:
            self.span(x0, min(y0, y1), max(y0, y1), series)
            return
        before = y0
        for x in range(x0, x1 + 1):
            y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
            if stride > 1:
                if x % stride == 0:
                    self.dot(x, y, series)
            else:
                joint = before if abs(y - before) <= 1 else before + (1 if y > before else -1)
                self.span(x, min(y, joint) if joint != before else y, max(y, joint) if joint != before else y, series)
            before = y

    def row(self, y: int, styles: tuple[str, ...]) -> Runs:
        """One row of cells as runs of (text, style): styles of blank cells, then of each series."""
        if self._drawn is None:
            self._drawn = [(series, self._draw(series)) for series in _ORDER if series in self._series]
        used = [(series, rows[y]) for series, rows in self._drawn if not rows[y].isspace()]
        if not used:
            return [(" " * self.width, styles[0])] if self.width else []
        if len(used) == 1:
            series, text = used[0]
            pieces = _PIECES.findall(text)
            return [(piece, styles[0] if piece[0] == " " else styles[series]) for piece in pieces]
        characters, owner = list(used[0][1]), [styles[0]] * self.width
        for series, text in used:
            style = styles[series]
            for found in _DRAWN.finditer(text):
                start, stop = found.span()
                characters[start:stop] = found[0]
                owner[start:stop] = [style] * (stop - start)
        row = "".join(characters)
        runs: Runs = []
        at = 0
        for style, group in groupby(owner):
            end = at + len(list(group))
            runs.append((row[at:end], style))
            at = end
        return runs

    def _draw(self, series: int) -> list[str]:
        """The rows of one series alone."""
        form = f"0{self._digits}x"
        digits = [format(column, form) for column in self._series[series]]
        if self.glyphs.name == "braille":
            nothing, blank = tuple("0" * self.columns), " " * self.width
            return [
                blank if row == nothing
                else "".join(map(_BRAILLE.__getitem__, zip(row[::2], row[1::2], strict=True)))
                for row in zip(*digits, strict=True)
            ]  # fmt: skip
        table = _BLOCK if self.glyphs.name == "block" else _ASCII[series]
        columns = ["".join(map(table.__getitem__, column)) for column in digits]
        return ["".join(row) for row in zip(*columns, strict=True)][: self.height]


def joined(cells: list[tuple[str, str]]) -> Runs:
    """Cells as runs of one style."""
    runs: Runs = []
    for character, style in cells:
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + character, style)
        else:
            runs.append((character, style))
    return runs


def overlaid(runs: Runs, marks: dict[int, tuple[str, str]], *, blank_only: bool = False) -> Runs:
    """``runs`` with some cells replaced (``blank_only``: where there is nothing)."""
    wanted = sorted(marks, reverse=True)
    out: Runs = []
    at = 0
    for text, style in runs:
        start, end = at, at + len(text)
        while wanted and wanted[-1] < end:
            index = wanted.pop()
            if index < at or (blank_only and text[index - start] != " "):
                continue
            if index > at:
                out.append((text[at - start : index - start], style))
            out.append(marks[index])
            at = index + 1
        if at < end:
            out.append((text[at - start :], style))
        at = end
    return out
