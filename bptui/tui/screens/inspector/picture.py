"""Numbers as a picture in half blocks: two rows of pixels a line of text, a glyph and a colour for each pair."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bptui.tui.glyphs import Glyphs
from bptui.tui.widgets.pane import Line

SHADES = 12
"""Steps of grey, and of each of the two colours of signed values."""
_ASCII = " .:-=+*#%@"


def shades(values: Sequence[float], signed: bool) -> list[int]:
    """Steps 0 … SHADES − 1 of magnitudes; negative where ``signed`` and below 0; −SHADES where it is not finite."""
    finite = [v for v in values if math.isfinite(v)]
    low = 0.0 if signed else min(finite, default=0.0)
    high = max(map(abs, finite), default=0.0) if signed else max(finite, default=0.0)
    span = (high - low) or 1.0
    out = []
    for value in values:
        if not math.isfinite(value):
            out.append(-SHADES)
        elif signed:
            out.append(round(abs(value) / span * (SHADES - 1)) * (1 if value >= 0 else -1))
        else:
            out.append(round((value - low) / span * (SHADES - 1)))
    return out


def size(shape: Sequence[int], glyphs: Glyphs) -> tuple[int, int]:
    """Cells across and down that a picture of ``shape`` (…, height, width) takes."""
    height, width = plane(shape)
    return (width * 2, height) if glyphs.name == "ascii" else (width, -(-height // 2))


def enlarged(shape: Sequence[int], glyphs: Glyphs, across: int, down: int) -> int:
    """How many times larger, a whole number, a picture may be drawn in so many cells; at least 1."""
    wide, tall = size(shape, glyphs)
    return max(1, min(across // max(wide, 1), down // max(tall, 1), 6))


def plane(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width: of channels, their first plane is shown."""
    if len(shape) >= 3 and shape[-1] in (1, 3, 4) and shape[0] > 4:  # height, width, channels
        return int(shape[-3]), int(shape[-2])
    return int(shape[-2]), int(shape[-1])


def picture(
    values: Sequence[float], shape: Sequence[int], glyphs: Glyphs, *, signed: bool, times: int = 1
) -> list[Line]:
    """Lines of a picture, ``times`` as large; of several channels their mean (last axis) or the first plane."""
    height, width = plane(shape)
    channels = len(values) // max(height * width, 1)
    if len(shape) >= 3 and channels > 1 and shape[-1] == channels:
        starts = range(0, height * width * channels, channels)
        values = [math.fsum(values[at : at + channels]) / channels for at in starts]
    steps = shades(values[: height * width], signed)
    rows = [
        [step for step in steps[at : at + width] for _ in range(times)]
        for at in range(0, len(steps), width) for _ in range(times)
    ]  # fmt: skip
    height, width = height * times, width * times
    if glyphs.name == "ascii":
        return [[("".join(_character(step) * 2 for step in row), "text")] for row in rows]
    lines: list[Line] = []
    for upper, lower in zip(rows[::2], [*rows[1::2], *([[0] * width] if height % 2 else [])], strict=True):
        lines.append([_pair(top, bottom) for top, bottom in zip(upper, lower, strict=True)])
    return lines


def _character(step: int) -> str:
    if step == -SHADES:
        return "?"
    return _ASCII[min(len(_ASCII) - 1, abs(step) * (len(_ASCII) - 1) // (SHADES - 1))]


def _pair(top: int, bottom: int) -> tuple[str, str]:
    """The brighter half is the glyph, so that the picture is there without colours too."""
    bright, half = abs(top), abs(bottom)
    limit = SHADES // 3
    glyph = "█" if top == bottom and bright >= limit else "▀" if bright > half else "▄" if half > bright else " "
    if glyph == "▄":
        return glyph, f"pixel{bottom}.{top}"
    return glyph, f"pixel{top}.{bottom}"
