"""Dots in cells: lines of two series on a grid of braille, block or ASCII cells."""

from __future__ import annotations

from bptui.tui.glyphs import Glyphs

_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of a cell
_BLOCKS = " ▀▄█"
FIRST, SECOND = 1, 2


class Raster:
    """``width × height`` cells of ``glyphs.dots`` dots; each cell remembers which series drew in it."""

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self.width, self.height = width, height
        self.glyphs = glyphs
        across, down = glyphs.dots
        self.columns, self.rows = width * across, height * down
        self._across, self._down = across, down
        self._bits = [0] * (width * height)
        self._owner = [0] * (width * height)

    def dot(self, column: int, row: int, series: int) -> None:
        """One dot. A cell with dots of both series shows the second's alone: a thin line over a wide band."""
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return
        x, dx = divmod(column, self._across)
        y, dy = divmod(row, self._down)
        cell = y * self.width + x
        bit = _BRAILLE[dy][dx] if self._down == 4 else 1 << dy
        owner = self._owner[cell]
        if series < owner:
            return
        self._bits[cell] = bit if series > owner else self._bits[cell] | bit
        self._owner[cell] = series

    def span(self, column: int, top: int, bottom: int, series: int) -> None:
        """Dots of one column from row ``top`` down to ``bottom``."""
        for row in range(max(0, top), min(self.rows - 1, bottom) + 1):
            self.dot(column, row, series)

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

    def row(self, y: int, styles: tuple[str, str, str]) -> list[tuple[str, str]]:
        """One row of cells as runs of (text, style): styles of blank, first and second series."""
        runs: list[tuple[str, str]] = []
        base = y * self.width
        for x in range(self.width):
            owner = self._owner[base + x]
            style = styles[owner]
            character = self._character(self._bits[base + x], owner)
            if runs and runs[-1][1] == style:
                runs[-1] = (runs[-1][0] + character, style)
            else:
                runs.append((character, style))
        return runs

    def _character(self, bits: int, owner: int) -> str:
        if not bits:
            return " "
        if self.glyphs.name == "braille":
            return chr(0x2800 + bits)
        if self.glyphs.name == "block":
            return _BLOCKS[bits]
        return "o" if owner == SECOND else "*"
