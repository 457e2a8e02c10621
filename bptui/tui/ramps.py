"""Colours of amounts and of classes, chosen so that colour-blind eyes tell them apart; each has its glyph beside it."""

from __future__ import annotations

from rich.color import Color
from rich.style import Style

from bptui.tui.glyphs import Glyphs

Triplet = tuple[int, int, int]

VIRIDIS: tuple[Triplet, ...] = (
    (72, 33, 115), (67, 62, 133), (56, 88, 140), (45, 112, 142), (37, 133, 142), (30, 155, 138), (66, 190, 113),
    (140, 213, 74), (226, 228, 60),
)  # fmt: skip
"""Nine steps of matplotlib's viridis, without its darkest end, which would vanish on a dark ground."""
CLASSES: tuple[Triplet, ...] = (
    (86, 180, 233), (230, 159, 0), (0, 178, 125), (240, 228, 66), (204, 121, 167), (213, 94, 0), (90, 130, 220),
    (190, 190, 190), (150, 120, 90), (120, 200, 190),
)  # fmt: skip
"""Okabe and Ito's colours, and two more; more classes begin again."""
LEVELS = len(VIRIDIS)
SHADES = 3
"""How strongly a field is coloured."""
_SHADE = (0.10, 0.20, 0.32)

#: Heights of amounts 0 … 8, so that they read without colour.
AMOUNTS = {"ascii": ".,:-=+*#@"}
_AMOUNT = "▁▁▂▃▄▅▆▇█"

#: Marks of points of a class, and textures of the field it is predicted in.
MARKS = {"ascii": "oxv+sdwzkm"}
_MARK = "●■▲◆▼★♦▪○□"
TEXTURES = {"ascii": " .:-=~^\"'`"}
_TEXTURE = " ·:-=∴~+¨˙"


def amount(level: int, glyphs: Glyphs) -> str:
    return AMOUNTS.get(glyphs.name, _AMOUNT)[max(0, min(LEVELS - 1, level))]


def mark(label: int, glyphs: Glyphs) -> str:
    marks = MARKS.get(glyphs.name, _MARK)
    return marks[label % len(marks)]


def texture(label: int, glyphs: Glyphs) -> str:
    textures = TEXTURES.get(glyphs.name, _TEXTURE)
    return textures[label % len(textures)]


def mixed(colour: Triplet, ground: Triplet, share: float) -> Color:
    """``share`` of ``colour`` on ``ground``."""
    red, green, blue = (round(g + (c - g) * share) for c, g in zip(colour, ground, strict=True))
    return Color.from_rgb(red, green, blue)


def painted(name: str, ground: Triplet) -> Style | None:
    """The style of a ramp's or a class's name on the ground's colour; None for other names.

    ``ramp3``: an amount of LEVELS; ``count3``: a number on its ground; ``tint3``: text in its colour.
    ``class1``: text in a class's colour. ``field1.2``: the ground of a class, of SHADES. ``point0.1.2``: a point of
    class 0 on the field of class 1. ``pixel3.-5``: two pixels, upper and lower, of a picture's shades.
    """
    dark = sum(ground) < 3 * 128
    if name.startswith("ramp"):
        colour = VIRIDIS[int(name[4:])] if dark else VIRIDIS[LEVELS - 1 - int(name[4:])]
        return Style(color=mixed(colour, ground, 1.0), bgcolor=mixed(colour, ground, 0.45))
    if name.startswith("count"):
        colour = VIRIDIS[int(name[5:])] if dark else VIRIDIS[LEVELS - 1 - int(name[5:])]
        ink = mixed(colour, (255, 255, 255) if dark else (0, 0, 0), 0.3)
        return Style(color=ink, bgcolor=mixed(colour, ground, 0.45))
    if name.startswith("tint"):
        colour = VIRIDIS[int(name[4:])] if dark else VIRIDIS[LEVELS - 1 - int(name[4:])]
        return Style(color=mixed(colour, (255, 255, 255), 0.9) if dark else mixed(colour, (0, 0, 0), 0.9),
                     bgcolor=Color.from_rgb(*ground))  # fmt: skip
    if name.startswith("pixel"):
        front, back = map(int, name[5:].split("."))
        return Style(color=_pixel(front, ground), bgcolor=_pixel(back, ground))
    if name.startswith("class"):
        return Style(color=_ink(int(name[5:]), dark), bgcolor=Color.from_rgb(*ground), bold=True)
    if name.startswith("field"):
        label, shade = map(int, name[5:].split("."))
        colour = CLASSES[label % len(CLASSES)]
        return Style(color=mixed(colour, ground, 0.6), bgcolor=mixed(colour, ground, _SHADE[shade]))
    if name.startswith("point"):
        own, label, shade = map(int, name[5:].split("."))
        colour = CLASSES[label % len(CLASSES)]
        return Style(color=_ink(own, dark), bgcolor=mixed(colour, ground, _SHADE[shade]), bold=True)
    return None


POSITIVE, NEGATIVE, LIGHT = (240, 160, 60), (90, 160, 240), (235, 235, 235)
"""Colours of a picture's signed values, and of the largest of values that have no sign."""
PIXELS = 12
"""Shades of one colour."""


def _pixel(shade: int, ground: Triplet) -> Color:
    """A picture's shade: 0 is the ground; below 0 the colour of what is negative; −PIXELS is not finite."""
    if shade == -PIXELS:
        return Color.from_rgb(200, 40, 40)
    dark = sum(ground) < 3 * 128
    colour = NEGATIVE if shade < 0 else (POSITIVE if not dark else LIGHT)
    return mixed(colour, ground, abs(shade) / (PIXELS - 1))


def _ink(label: int, dark: bool) -> Color:
    """A class's colour as text that can be read on a dark or a light ground."""
    colour = CLASSES[label % len(CLASSES)]
    return mixed(colour, (255, 255, 255), 0.85) if dark else mixed(colour, (0, 0, 0), 0.62)
