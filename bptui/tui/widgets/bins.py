"""Counts of floor(log₂|x|) as bars: an axis of exponents, heights, and what lies beyond it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bptui.runs.records import HIGH_EXPONENT, LOW_EXPONENT, SPECIAL_CELLS
from bptui.tui.glyphs import Glyphs
from bptui.tui.store import Histogram
from bptui.tui.text import fit, integer

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WORDS = {"zero": "zero", "nan": "NaN", "inf": "Inf", "below": "below", "above": "above"}


class Exponents(msgspec.Struct, frozen=True):
    """Exponents ``low`` … ``high``, both included, each ``scale`` cells wide or ``group`` of them in one cell."""

    low: int
    high: int
    scale: int
    group: int

    @property
    def cells(self) -> int:
        return -(-(self.high - self.low + 1) // self.group) * self.scale

    def cell(self, exponent: int) -> int:
        """The first cell of an exponent."""
        return (exponent - self.low) // self.group * self.scale


def axis(views: Sequence[Sequence[int]], width: int, widest: int = 3) -> Exponents | None:
    """An axis for the cells (from ``LOW_EXPONENT``) of all views; None where all are empty."""
    used = [index for view in views for index, cell in enumerate(view) if cell]
    if not used or width < 2:
        return None
    low, high = LOW_EXPONENT + min(used), LOW_EXPONENT + max(used)
    low, high = max(LOW_EXPONENT, low - low % 4), min(HIGH_EXPONENT - 1, high + 3 - high % 4)
    count = high - low + 1
    if width >= count:
        return Exponents(low, high, min(widest, width // count), 1)
    return Exponents(low, high, 1, math.ceil(count / width))


def heights(cells: Sequence[int], at: Exponents, levels: int, most: int | None = None) -> list[int]:
    """A height of 0 … ``levels`` for each group of exponents; what is not empty has at least 1."""
    shown = cells[at.low - LOW_EXPONENT : at.high + 1 - LOW_EXPONENT]
    grouped = [sum(shown[start : start + at.group]) for start in range(0, len(shown), at.group)]
    most = max(grouped, default=0) if most is None else most
    return [0 if not count else max(1, round(count / most * levels)) for count in grouped]


def bars(cells: Sequence[int], at: Exponents, width: int, tall: int, glyphs: Glyphs) -> list[str]:
    """``tall`` rows of ``width`` cells, the top one first."""
    full = len(glyphs.bars) - 1
    tops = heights(cells, at, full * tall)
    return [
        fit("".join(glyphs.bars[max(0, min(full, top - level * full))] * at.scale for top in tops), width)
        for level in range(tall - 1, -1, -1)
    ]


def power(exponent: int, glyphs: Glyphs) -> str:
    """``2⁻¹²``, or ``2^-12``."""
    return f"2^{exponent}" if glyphs.name == "ascii" else f"2{str(exponent).translate(_SUPERSCRIPT)}"


def labels(at: Exponents, width: int, glyphs: Glyphs) -> str:
    """Powers of two under their bars."""
    text = ""
    stride = 4 if at.scale >= 2 else 8
    for exponent in range(at.low, at.high + 1):
        word = power(exponent, glyphs)
        column = at.cell(exponent)
        if exponent % stride == 0 and column >= len(text) + (1 if text else 0) and column + len(word) <= width:
            text += " " * (column - len(text)) + word
    return fit(text, width)


def specials(view: Histogram) -> list[tuple[str, int]]:
    """What has no bar, by name: always zero, NaN and Inf, then what lies out of range."""
    return [(_WORDS[name], getattr(view, name)) for name in SPECIAL_CELLS]


def special_text(word: str, count: int, glyphs: Glyphs) -> str:
    """``NaN 0``, ``< 2⁻⁴⁰: 12``."""
    below, above = ("<", ">=") if glyphs.name == "ascii" else ("<", "≥")
    if word == "below":
        word = f"{below} {power(LOW_EXPONENT, glyphs)}:"
    elif word == "above":
        word = f"{above} {power(HIGH_EXPONENT, glyphs)}:"
    return f"{word} {integer(count)}"


def total(view: Histogram) -> int:
    """All values that were counted."""
    return sum(view.cells) + view.zero + view.nan + view.inf + view.below + view.above
