"""Sizes of layers, and what they read, as the model pane and the builder write them."""

from __future__ import annotations

from collections.abc import Sequence

from bptui.tui.glyphs import Glyphs
from bptui.tui.text import clean

Shape = tuple[int, ...]


def batch(shape: Shape, glyphs: Glyphs) -> str:
    """``B×16×8×8``; ``?`` where it is not known."""
    times = "x" if glyphs.name == "ascii" else "×"
    return times.join(["B", *map(str, shape)]) if shape else "?"


def sizes(rows: Sequence[tuple[int | None, Shape]], glyphs: Glyphs) -> list[str]:
    """(inputs, shape) of each layer → ``64→32``, or ``B×16×8×8`` where pictures or sequences go through the network."""
    if any(len(shape) > 1 for _, shape in rows):
        return [batch(shape, glyphs) for _, shape in rows]
    arrow = "->" if glyphs.name == "ascii" else "→"
    return [f"{inputs or '?'}{arrow}{shape[-1] if shape else '?'}" for inputs, shape in rows]


def reads(names: Sequence[str], sources: Sequence[tuple[int, ...]]) -> list[tuple[tuple[str, ...], bool]]:
    """What each layer reads besides the layer before it, or in its place; and whether it reads that one too."""
    found = []
    for index, of in enumerate(sources):
        sound = [source for source in of if -1 <= source < index]
        others = [source for source in sound if source != index - 1]
        joins = index - 1 in sound
        found.append((tuple(clean(names[s], 200) if s >= 0 else "input" for s in others), joins and bool(others)))
    return found


def does(activation: str, read: tuple[str, ...], joins: bool, glyphs: Glyphs, *, frozen: bool = False) -> str:
    """``relu``, ``relu +dense1`` (a joint), ``relu ←dense1`` (a branch), ``relu frozen``."""
    words = [] if activation in ("identity", "") else [activation]
    words += ["frozen"] * frozen
    if read:
        arrow = "<-" if glyphs.name == "ascii" else "←"
        words.append("+".join(("", *read)) if joins else arrow + "+".join(read))
    return " ".join(words)


#: Of a lane: begins, passes, is read and goes on, ends; then the way to the name, and where it crosses another lane.
_LANES, _ASCII_LANES = tuple("╭│├╰─┼"), tuple(",|+`-+")
MOST_LANES = 3


def lanes(sources: Sequence[tuple[int, ...]], glyphs: Glyphs) -> list[str]:
    """A gutter that joins each layer to those further down that read it; of one width, empty where all is a chain.

    More than ``MOST_LANES`` beside each other are left out: the words of ``does`` tell them too.
    """
    begin, go, read, end, way, cross = _ASCII_LANES if glyphs.name == "ascii" else _LANES
    readers: dict[int, list[int]] = {}
    for index, of in enumerate(sources):
        for source in of:
            if 0 <= source < index - 1:
                readers.setdefault(source, []).append(index)
    free: list[int] = []
    rows = [[" "] * MOST_LANES for _ in sources]
    for source in sorted(readers):
        lane = next((at for at, until in enumerate(free) if until < source), len(free))
        if lane == MOST_LANES:
            continue
        free[lane : lane + 1] = [max(readers[source])]
        for row in range(source, free[lane] + 1):
            here = begin if row == source else end if row == free[lane] else read if row in readers[source] else go
            rows[row][lane] = cross if here == go and rows[row][lane] == way else here
            if here != go:
                rows[row][lane + 1 :] = [cross if cell != " " else way for cell in rows[row][lane + 1 :]]
    return ["".join(row[: len(free)]) for row in rows]
