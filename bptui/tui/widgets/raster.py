"""Dots in cells: lines of several series on a grid of braille, block or ASCII cells.

A column of dots is one integer, a bit a dot, so that a band of a hundred dots is one operation. Drawn, the bytes of
these integers are one array, whose half bytes are what a column has in a cell: a full screen takes a millisecond.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bptui.tui.glyphs import Glyphs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FIRST, SECOND, FAINT = 1, 2, 3
_ORDER = (FAINT, FIRST, SECOND)
"""A later one covers those before it where they share a cell: a thin line over a wide band."""
_JOINED = 2
"""So many blank cells between two of one series are of its style: a piece less, and its colour set once."""

Runs = list[tuple[str, str]]
_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)  # braille bits from the top


def _bits(digit: int, bits: tuple[int, ...]) -> int:
    return sum(bit for row, bit in enumerate(bits) if digit >> (3 - row) & 1)


_BRAILLE = " " + "".join(chr(0x2800 + _bits(code >> 4, _LEFT) + _bits(code & 15, _RIGHT)) for code in range(1, 256))
"""By the dots of the left and of the right column, four bits each, the highest at the top."""
_BLOCK = " ▄▀█"
_ASCII = {FIRST: " *", SECOND: " o", FAINT: " ."}


class Raster:
    """``width × height`` cells of ``glyphs.dots`` dots."""

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self.width, self.height = width, height
        self.glyphs = glyphs
        across, down = glyphs.dots
        self.columns, self.rows = width * across, height * down
        self._bytes = -(-self.rows // 8)
        self._top = 8 * self._bytes - 1
        self._series: dict[int, list[int]] = {}

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

    def drawn(self, styles: tuple[str, ...]) -> list[Runs]:
        """Rows of cells as runs of (text, style): styles of blank cells, then of each series."""
        import numpy as np  # late: the first frame has no curve

        shape = self.height, self.width
        if not self.width:
            return [[] for _ in range(self.height)]
        shown, owner = np.full(shape, ord(" "), np.uint32), np.zeros(shape, np.uint8)
        for series in _ORDER:
            if series in self._series:
                codes, glyphs = self._cells(series)
                there = codes > 0
                np.copyto(shown, np.frombuffer(glyphs.encode("utf-32-le"), "<u4")[codes], where=there)
                owner[there] = series
        _close(owner)
        starts = np.ones(shape, np.bool_)
        np.not_equal(owner[:, 1:], owner[:, :-1], out=starts[:, 1:])
        at = np.flatnonzero(starts)
        names = [styles[series] for series in owner.ravel()[at].tolist()]
        text, begin = shown.astype("<u4").tobytes().decode("utf-32-le"), at.tolist()
        pieces = [(text[a:b], name) for a, b, name in zip(begin, [*begin[1:], len(text)], names, strict=True)]
        rows = np.searchsorted(at, np.arange(self.height + 1) * self.width).tolist()
        return [pieces[a:b] for a, b in pairwise(rows)]

    def _cells(self, series: int) -> tuple[npt.NDArray[np.integer[Any]], str]:
        """What the series has in each cell, (height, width), as indices of the glyphs that come with them."""
        import numpy as np

        size = self._bytes
        data = b"".join([column.to_bytes(size, "big") for column in self._series[series]])
        columns = np.frombuffer(data, np.uint8).reshape(self.columns, size)
        bits = self.glyphs.dots[1]
        digits = np.empty((self.columns, size * (8 // bits)), np.uint8)
        for index in range(8 // bits):
            digits[:, index :: 8 // bits] = columns >> (8 - bits * (index + 1)) & ((1 << bits) - 1)
        if self.glyphs.name == "braille":
            return (digits[0::2] << 4 | digits[1::2]).T[: self.height], _BRAILLE
        return digits.T[: self.height], _BLOCK if self.glyphs.name == "block" else _ASCII[series]


def _close(owner: npt.NDArray[np.uint8]) -> None:
    """Give narrow blanks within a series to it."""
    for gap in range(1, _JOINED + 1):
        left, right = owner[:, : -gap - 1], owner[:, gap + 1 :]
        inside = (left == right) & (left > 0)
        for cell in range(1, gap + 1):
            inside &= owner[:, cell : cell - gap - 1] == 0
        for cell in range(1, gap + 1):
            middle = owner[:, cell : cell - gap - 1]
            middle[inside] = left[inside]


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
