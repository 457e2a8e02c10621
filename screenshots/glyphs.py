"""Characters that must tile without gaps, as shapes: blocks, box drawing, braille, sextants.

Fonts leave hairlines between such characters, and few have them all. A cell is ``WIDTH`` × ``HEIGHT`` units,
its origin at the top left.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

WIDTH, HEIGHT = 10.0, 20.0
LIGHT, HEAVY = 1.25, 2.5
"""Thickness of lines."""
DOT = 1.75
"""Radius of a braille dot; the dots stand 5 units apart."""


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class Arc:
    """A quarter of a rounded frame, from the middle of one edge to the middle of another."""

    right: bool
    down: bool
    thickness: float = LIGHT


@dataclass(frozen=True, slots=True)
class Diagonal:
    rising: bool
    thickness: float = LIGHT


Shape = Box | Dot | Arc | Diagonal


@cache
def shapes(character: str) -> tuple[Shape, ...] | None:
    """The shapes of ``character``; None: it is drawn with a font."""
    if len(character) != 1:
        return None
    code = ord(character)
    if 0x2800 <= code <= 0x28FF:
        return _braille(code - 0x2800)
    if 0x2580 <= code <= 0x259F:
        return _block(code)
    if 0x2500 <= code <= 0x257F:
        return _box_drawing(unicodedata.name(character).removeprefix("BOX DRAWINGS "))
    if 0x1FB00 <= code <= 0x1FB3B:
        # The patterns of six cells, without those that are blocks already: empty, left half, right half, full.
        bits = code - 0x1FB00 + 1
        bits += (bits >= 21) + (bits >= 41)
        return tuple(_part(bit % 2, bit // 2, 2, 3) for bit in range(6) if bits >> bit & 1)
    if 0x1FB82 <= code <= 0x1FB8B:
        eighths = (2, 3, 5, 6, 7)[(code - 0x1FB82) % 5]
        if code < 0x1FB87:
            return (Box(0, 0, WIDTH, HEIGHT * eighths / 8),)
        return (Box(WIDTH * (8 - eighths) / 8, 0, WIDTH, HEIGHT),)
    return None


def _part(column: int, row: int, columns: int, rows: int) -> Box:
    return Box(
        WIDTH * column / columns, HEIGHT * row / rows, WIDTH * (column + 1) / columns, HEIGHT * (row + 1) / rows
    )


def _braille(bits: int) -> tuple[Shape, ...]:
    places = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
    return tuple(
        Dot(WIDTH * (column + 0.5) / 2, HEIGHT * (row + 0.5) / 4, DOT)
        for bit, (column, row) in enumerate(places)
        if bits >> bit & 1
    )


def _block(code: int) -> tuple[Shape, ...]:
    if code == 0x2580:
        return (Box(0, 0, WIDTH, HEIGHT / 2),)
    if code <= 0x2588:
        return (Box(0, HEIGHT * (1 - (code - 0x2580) / 8), WIDTH, HEIGHT),)
    if code <= 0x258F:
        return (Box(0, 0, WIDTH * (0x2590 - code) / 8, HEIGHT),)
    if code == 0x2590:
        return (Box(WIDTH / 2, 0, WIDTH, HEIGHT),)
    if code <= 0x2593:
        return (Box(0, 0, WIDTH, HEIGHT, (code - 0x2590) / 4),)
    if code == 0x2594:
        return (Box(0, 0, WIDTH, HEIGHT / 8),)
    if code == 0x2595:
        return (Box(WIDTH * 7 / 8, 0, WIDTH, HEIGHT),)
    name = unicodedata.name(chr(code))
    return tuple(
        _part(column, row, 2, 2)
        for row, vertical in enumerate(("UPPER", "LOWER"))
        for column, horizontal in enumerate(("LEFT", "RIGHT"))
        if f"{vertical} {horizontal}" in name
    )


_WEIGHTS = {"LIGHT": 1, "SINGLE": 1, "HEAVY": 2, "DOUBLE": 3}
_ARMS = {"LEFT": "L", "RIGHT": "R", "UP": "U", "DOWN": "D", "HORIZONTAL": "LR", "VERTICAL": "UD"}
_DASHES = {"DOUBLE DASH": 2, "TRIPLE DASH": 3, "QUADRUPLE DASH": 4}


def _box_drawing(name: str) -> tuple[Shape, ...]:
    if "DIAGONAL" in name:
        rising, falling = Diagonal(True), Diagonal(False)
        return (rising, falling) if "CROSS" in name else (rising,) if "UPPER RIGHT TO" in name else (falling,)
    if "ARC" in name:
        return (Arc("RIGHT" in name, "DOWN" in name),)
    for words, pieces in _DASHES.items():
        if words in name:
            return _dashed(pieces, "HORIZONTAL" in name, HEAVY if "HEAVY" in name else LIGHT)
    arms: dict[str, int] = {}
    weight = 1
    for part in name.split(" AND "):
        words_of_part = part.split()
        weight = next((_WEIGHTS[word] for word in words_of_part if word in _WEIGHTS), weight)
        arms |= {arm: weight for word in words_of_part for arm in _ARMS.get(word, "")}
    return tuple(_arms(arms))


def _dashed(pieces: int, horizontal: bool, thickness: float) -> tuple[Shape, ...]:
    length, found = (WIDTH if horizontal else HEIGHT) / pieces, []
    for piece in range(pieces):
        start, end = (piece + 0.2) * length, (piece + 0.8) * length
        found.append(
            Box(start, (HEIGHT - thickness) / 2, end, (HEIGHT + thickness) / 2)
            if horizontal
            else Box((WIDTH - thickness) / 2, start, (WIDTH + thickness) / 2, end)
        )
    return tuple(found)


def _arms(arms: dict[str, int]) -> list[Shape]:
    """Bars from the edges to just over the middle, so that every corner is closed."""
    found: list[Shape] = []
    reach = {1: LIGHT / 2, 2: HEAVY / 2, 3: LIGHT * 1.5}
    x, y = WIDTH / 2, HEIGHT / 2
    over_x = max((reach[arms[arm]] for arm in "UD" if arm in arms), default=0.0)
    over_y = max((reach[arms[arm]] for arm in "LR" if arm in arms), default=0.0)
    for arm, weight in arms.items():
        half = HEAVY / 2 if weight == 2 else LIGHT / 2
        for offset in (-LIGHT, LIGHT) if weight == 3 else (0.0,):
            if arm in "LR":
                start, end = (0.0, x + over_x) if arm == "L" else (x - over_x, WIDTH)
                found.append(Box(start, y + offset - half, end, y + offset + half))
            else:
                start, end = (0.0, y + over_y) if arm == "U" else (y - over_y, HEIGHT)
                found.append(Box(x + offset - half, start, x + offset + half, end))
    return found
