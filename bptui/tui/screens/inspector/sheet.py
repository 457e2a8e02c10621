"""Small pictures side by side, with one scale for all: the channels of a layer, or its kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.inspector.picture import enlarged, picture, size
from bptui.tui.text import fit, small
from bptui.tui.widgets.pane import Line

#: Cells between two pictures, and the least that a picture's name takes.
GAP, NAME = 2, 4
#: How large a picture is drawn at the most, in cells across and down.
MOST = (32, 16)


class Layout(NamedTuple):
    """How pictures lie in a pane."""

    across: int
    """Pictures in a row."""
    down: int
    """Whole rows of pictures that are to be seen."""
    times: int
    wide: int
    """Cells of one picture, gap included."""
    tall: int
    """Lines of one picture, name included."""


def layout(shape: tuple[int, int], count: int, width: int, height: int, glyphs: Glyphs) -> Layout:
    """The largest pictures of which all fit; where they do not even as they are, as many as do."""
    best: Layout | None = None
    for times in range(enlarged(shape, glyphs, *MOST), 0, -1):
        across, down = size((shape[0] * times, shape[1] * times), glyphs)
        wide, tall = max(across, NAME) + GAP, down + 1
        columns, rows = max(1, (width + GAP) // wide), max(1, height // tall)
        best = Layout(columns, rows, times, wide, tall)
        if columns * rows >= count:
            break
    assert best is not None
    return best


def sheet(
    rows: Sequence[Sequence[float]],
    tile: int,
    names: Sequence[str],
    chosen: int,
    top: int,
    its: Layout,
    glyphs: Glyphs,
) -> list[Line]:
    """Lines of the pictures from row ``top`` of the layout on; each has ``tile`` of the rows, and its name above."""
    across = len(rows[0])
    values = [value for row in rows for value in row]
    signed = any(value < 0 for value in values)
    ground = 0.0 if signed else min((v for v in values if math.isfinite(v)), default=0.0)
    odd = tile % 2 and its.times % 2 and glyphs.name != "ascii"  # a picture ends with a whole line of text
    tall = tile + 1 if odd else tile
    padded = []
    for first in range(0, len(rows), tile):
        padded += [value for row in rows[first : first + tile] for value in row] + [ground] * (across * (tall - tile))
    count = len(rows) // tile
    drawn = picture(padded, (tall * count, across), glyphs, signed=signed, times=its.times)
    lines_each = len(drawn) // max(1, count)
    lines: list[Line] = []
    for row in range(top, min(top + its.down, -(-count // its.across))):
        shown = range(row * its.across, min(count, (row + 1) * its.across))
        called = [names[at] if at < len(names) else str(at) for at in shown]
        lines.append([
            (fit(name, its.wide), "key+cursor" if at == chosen else "dim")
            for name, at in zip(called, shown, strict=True)
        ])  # fmt: skip
        for line in range(lines_each):
            whole: Line = []
            for at in shown:
                part = drawn[at * lines_each + line]
                whole += [*part, (" " * (its.wide - sum(len(text) for text, _ in part)), "dim")]
            lines.append(whole)
    return lines


def described(rows: Sequence[Sequence[float]], tile: int, chosen: int) -> str:
    """The range of one picture, and its mean."""
    values = [value for row in rows[chosen * tile : (chosen + 1) * tile] for value in row]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "nothing finite"
    text = f"{small(min(finite))} to {small(max(finite))}, mean {small(math.fsum(finite) / len(finite))}"
    if not any(finite):
        text = "0 at every place"
    return text + (f", {len(values) - len(finite)} not finite" if len(finite) < len(values) else "")
