"""A screen of cells with its colours resolved, and the measures of the window around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyte.screens import Char

from screenshots.glyphs import HEIGHT, WIDTH

FOREGROUND, BACKGROUND = "c8ccd4", "16181d"
ANSI = {
    "black": "282c34", "red": "e06c75", "green": "98c379", "brown": "e5c07b",
    "blue": "61afef", "magenta": "c678dd", "cyan": "56b6c2", "white": "c8ccd4",
    "brightblack": "5c6370", "brightred": "ef7f88", "brightgreen": "a9d48a", "brightbrown": "f0d08c",
    "brightblue": "7abdf5", "brightmagenta": "d492e6", "brightcyan": "6cc8d4", "brightwhite": "ffffff",
    "bfightmagenta": "d492e6",  # sic: pyte
}  # fmt: skip


class Window(NamedTuple):
    """The window around the cells, in the units of a cell, 10 × 20."""

    padding: int = 14
    """Around the cells."""
    bar: int = 34
    """Height of the bar above them."""
    corner: int = 10
    """Radius."""
    button: int = 6
    """Radius."""
    first_button: int = 20
    button_step: int = 20
    font_size: float = 16.4
    baseline: float = 15.4
    edge: str = "3a3f4b"
    title: str = "8b919e"
    buttons: tuple[str, ...] = ("e06c75", "e5c07b", "98c379")


WINDOW = Window()


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on the screen, colours resolved (six hexadecimal digits)."""

    text: str
    front: str
    back: str
    bold: bool
    italic: bool
    underline: bool
    strike: bool
    columns: int


class Grid:
    """``cells`` is what ``Terminal.cells`` gives: rows × columns."""

    def __init__(self, cells: Sequence[Sequence[Char]], title: str) -> None:
        self.title = title
        self.rows = [list(_resolved(row)) for row in cells]
        """For each row, column and cell."""
        counted = Counter(cell.back for row in self.rows for _, cell in row)
        self.back = counted.most_common(1)[0][0]
        """The colour of the window: what most cells stand on."""
        self.bar = _mixed(self.back, "ffffff", 0.06)
        self.width = len(cells[0]) * WIDTH + 2 * WINDOW.padding
        self.height = len(self.rows) * HEIGHT + WINDOW.bar + 2 * WINDOW.padding


def _resolved(row: Sequence[Char]) -> Iterator[tuple[int, Cell]]:
    """Column and cell; the empty place after a wide character is part of that character."""
    for x, char in enumerate(row):
        if not char.data:
            continue
        front, back = _colour(char.fg, FOREGROUND), _colour(char.bg, BACKGROUND)
        if char.reverse:
            front, back = back, front
        columns = 2 if x + 1 < len(row) and not row[x + 1].data else 1
        yield x, Cell(char.data, front, back, char.bold, char.italics, char.underscore, char.strikethrough, columns)


def _colour(name: str, default: str) -> str:
    return default if name == "default" else ANSI.get(name, name)


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(bytes.fromhex(colour), bytes.fromhex(other), strict=True)
    return bytes(round(a + (b - a) * share) for a, b in pairs).hex()


def runs(row: Sequence[tuple[int, Cell]], key: Callable[[Cell], object]) -> Iterator[tuple[int, list[Cell]]]:
    """Neighbours for which ``key`` is equal: the column of the first, and the cells."""
    run: list[Cell] = []
    start, last = 0, None
    for x, cell in row:
        this = key(cell)
        if run and this != last:
            yield start, run
            run = []
        if not run:
            start = x
        run.append(cell)
        last = this
    if run:
        yield start, run
