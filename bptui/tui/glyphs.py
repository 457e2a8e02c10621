"""Glyph sets: ``braille`` (2×4 dots a cell), ``block`` (1×2) and ``ascii`` (1×1, nothing beyond 7 bits in charts)."""

from __future__ import annotations

from typing import Literal

import msgspec

GlyphName = Literal["braille", "block", "ascii"]


class Glyphs(msgspec.Struct, frozen=True):
    """What a chart, a frame and a mark are drawn with."""

    name: GlyphName
    dots: tuple[int, int]
    """Columns and rows of dots in one cell."""
    frame: str
    """Corners and sides: ``╭─╮│╰╯``."""
    tick: str
    bars: str
    """Heights from nothing to a whole cell."""
    cursor: str
    here: str
    """Where a micro-step stands."""
    gap: str
    """A value that is not finite."""
    alarm: str
    train: str
    """A piece of the training line, for the legend."""
    validation: str
    rule: str
    up: str
    down: str


BRAILLE = Glyphs("braille", (2, 4), "╭─╮│╰╯", "┤", " ▁▂▃▄▅▆▇█", "▸", "◆", "×", "▲", "⠒⠒", "⠂⠐", "─", "↑", "↓")
BLOCK = Glyphs("block", (1, 2), "╭─╮│╰╯", "┤", " ▁▂▃▄▅▆▇█", "▸", "◆", "×", "▲", "▀▀", "▪ ", "─", "↑", "↓")
ASCII = Glyphs("ascii", (1, 1), "+-+|++", "|", " .:-=+*#@", ">", "*", "X", "!", "**", "oo", "-", "^", "v")
SETS: dict[str, Glyphs] = {"braille": BRAILLE, "block": BLOCK, "ascii": ASCII}

#: State → glyph, ASCII glyph. The word always stands beside it.
STATES: dict[str, tuple[str, str]] = {
    "STARTING": ("◌", "~"),
    "READY": ("○", "o"),
    "RUNNING": ("●", "*"),
    "PAUSED": ("‖", "="),
    "DONE": ("✔", "+"),
    "FAILED": ("✖", "x"),
    "STALE": ("◌", "?"),
    "WAITING": ("◔", "w"),
    "HELD": ("■", "#"),
    "STOPPED": ("■", "#"),
}

#: Severity → glyph, ASCII glyph.
SEVERITIES: dict[str, tuple[str, str]] = {"error": ("✖", "x"), "warning": ("▲", "!"), "info": ("●", "i")}


def pick(pair: tuple[str, str], glyphs: Glyphs) -> str:
    return pair[1] if glyphs.name == "ascii" else pair[0]
