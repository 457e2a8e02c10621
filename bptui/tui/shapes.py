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
