"""The activation of a layer as a small curve, so that a name is a picture: g(z) and where its slope is nearly 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from bptui.tui.glyphs import Glyphs
from bptui.tui.widgets.pane import Line

REACH = 4.0
"""The curve goes from −REACH to REACH."""
ROWS = 7


def _exp(z: float) -> float:
    return math.exp(min(z, 60.0))


def _gelu(z: float) -> float:
    return z * (1 + math.erf(z / math.sqrt(2))) / 2


CURVES: dict[str, Callable[[float], float]] = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else _exp(z) - 1,
    "selu": lambda z: 1.0507 * (z if z > 0 else 1.67326 * (_exp(z) - 1)),
    "gelu": _gelu,
    "silu": lambda z: z / (1 + _exp(-z)),
    "softplus": lambda z: math.log1p(_exp(z)),
    "sigmoid": lambda z: 1 / (1 + _exp(-z)),
    "tanh": math.tanh,
}


def curve(activation: str, width: int, glyphs: Glyphs) -> list[Line]:
    """``ROWS`` lines and one with the range; none for an activation that is not known here."""
    function = CURVES.get(activation)
    across, down = glyphs.dots
    wide = min(width - 10, 44)
    if function is None or wide < 16:
        return []
    columns, rows = wide * across, ROWS * down
    values = [function(REACH * (2 * (column + 0.5) / columns - 1)) for column in range(columns)]
    ends_at = (function(-REACH), function(REACH))
    low, high = min(0.0, *values, *ends_at), max(0.0, *values, *ends_at)
    span = (high - low) or 1.0
    at = [min(rows - 1, int((high - value) / span * rows)) for value in values]
    middle = min(ROWS - 1, int(high / span * rows) // down)
    lines: list[Line] = []
    for row in range(ROWS):
        label = f"{high:.3g}" if row == 0 else f"{low:.3g}" if row == ROWS - 1 else "0" if row == middle else ""
        line: Line = [(f"{label:>7} ", "dim")]
        for cell in range(wide):
            dots = [
                (x, y) for x in range(across) for y in range(down) if at[cell * across + x] == row * down + y
            ]  # fmt: skip
            if dots:
                line.append((_cell(dots, glyphs), "first"))
            else:
                line.append((glyphs.rule if row == middle else " ", "border"))
        lines.append(line)
    ends = f"{'z = ':>8}{-REACH:g}"
    lines.append([(ends + f"{f'{REACH:g}':>{max(1, wide + 8 - len(ends))}}", "dim")])
    return lines


#: Bits of a braille cell by column and row.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def _cell(dots: list[tuple[int, int]], glyphs: Glyphs) -> str:
    if glyphs.name == "braille":
        return chr(0x2800 + sum(_BITS[x][y] for x, y in dots))
    if glyphs.name == "block":
        return "█" if len(dots) > 1 else "▀" if dots[0][1] == 0 else "▄"
    return "*"
