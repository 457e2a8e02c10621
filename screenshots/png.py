"""A grid as a PNG, two pixels a unit; letters in DejaVu Sans Mono."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from screenshots.glyphs import HEIGHT, WIDTH, Box, Diagonal, Dot, Shape, shapes
from screenshots.grid import WINDOW, Cell, Grid

FONTS = Path("/usr/share/fonts/truetype/dejavu")
SCALE = 2
CELL = (round(WIDTH * SCALE), round(HEIGHT * SCALE))


def png(grid: Grid) -> bytes:
    image = _window(grid)
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(grid.rows):
        for x, cell in row:
            left, top = WINDOW.padding * SCALE + x * CELL[0], (WINDOW.bar + WINDOW.padding) * SCALE + y * CELL[1]
            _cell(image, draw, cell, left, top, grid.back)
    out = io.BytesIO()
    image.quantize(256, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _cell(image: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, left: int, top: int, back: str) -> None:
    right = left + cell.columns * CELL[0] - 1
    if cell.back != back:
        draw.rectangle((left, top, right, top + CELL[1] - 1), fill=f"#{cell.back}")
    if shapes(cell.text) is not None:
        image.paste(Image.new("RGB", CELL, f"#{cell.front}"), (left, top), _mask(cell.text))
    elif cell.text.strip():
        font = _font(cell.bold, cell.italic, cell.text)
        draw.text((left, top + WINDOW.baseline * SCALE), cell.text, f"#{cell.front}", font, anchor="ls")
    for on, height in ((cell.underline, 17.2), (cell.strike, 10.5)):
        if on:
            y = round(top + height * SCALE)
            draw.rectangle((left, y, right, y + 1), f"#{cell.front}")


def _window(grid: Grid) -> Image.Image:
    """The frame, drawn twice as large and averaged, so that its corners are smooth."""
    unit = SCALE * 2
    width, height = round(grid.width * unit), round(grid.height * unit)
    window = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(window)
    left, right, bottom, radius = unit, width - 1 - unit, height - 1 - unit, (WINDOW.corner - 1) * unit
    draw.rounded_rectangle((0, 0, width - 1, height - 1), WINDOW.corner * unit, f"#{WINDOW.edge}")
    draw.rounded_rectangle((left, left, right, bottom), radius, f"#{grid.back}")
    bar = (left, left, right, WINDOW.bar * unit - 1)
    draw.rounded_rectangle(bar, radius, f"#{grid.bar}", corners=(True, True, False, False))
    for at, colour in enumerate(WINDOW.buttons):
        x, y, r = (WINDOW.first_button + WINDOW.button_step * at) * unit, WINDOW.bar / 2 * unit, WINDOW.button * unit
        draw.ellipse((x - r, y - r, x + r, y + r), f"#{colour}")
    image = window.resize((width // 2, height // 2), Image.Resampling.BOX)
    place = (image.width / 2, (WINDOW.bar / 2 + 5) * SCALE)
    ImageDraw.Draw(image).text(place, grid.title, f"#{WINDOW.title}", _font(False, False, "x"), anchor="ms")
    return image


@cache
def _mask(character: str) -> Image.Image:
    """The opacity of a character of shapes, drawn larger and averaged."""
    fine = 8
    unit = SCALE * fine
    mask = Image.new("L", (round(WIDTH * unit), round(HEIGHT * unit)), 0)
    draw = ImageDraw.Draw(mask)
    for shape in shapes(character) or ():
        _draw_shape(draw, shape, unit)
    return mask.resize(CELL, Image.Resampling.BOX)


def _draw_shape(draw: ImageDraw.ImageDraw, shape: Shape, unit: int) -> None:
    if isinstance(shape, Box):
        area = [round(v * unit) for v in (shape.left, shape.top, shape.right, shape.bottom)]
        draw.rectangle((area[0], area[1], area[2] - 1, area[3] - 1), round(255 * shape.opacity))
    elif isinstance(shape, Dot):
        r = shape.radius
        draw.ellipse([v * unit for v in (shape.x - r, shape.y - r, shape.x + r, shape.y + r)], 255)
    elif isinstance(shape, Diagonal):
        first, second = (HEIGHT, 0.0) if shape.rising else (0.0, HEIGHT)
        draw.line((0, first * unit, WIDTH * unit, second * unit), 255, round(shape.thickness * unit))
    else:
        half, radius = shape.thickness / 2, WIDTH / 2
        x = WIDTH / 2 + (radius if shape.right else -radius)
        y = HEIGHT / 2 + (radius if shape.down else -radius)
        area_of_arc = [v * unit for v in (x - radius - half, y - radius - half, x + radius + half, y + radius + half)]
        start = {(True, True): 180, (False, True): 270, (True, False): 90, (False, False): 0}[shape.right, shape.down]
        draw.arc(area_of_arc, start, start + 90, 255, round(shape.thickness * unit))
        top, bottom = (y, HEIGHT) if shape.down else (0.0, y)
        draw.rectangle(((WIDTH / 2 - half) * unit, top * unit, (WIDTH / 2 + half) * unit - 1, bottom * unit - 1), 255)


@cache
def _file(name: str) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(FONTS / name, WINDOW.font_size * SCALE)
    except OSError:
        raise SystemExit(f"{FONTS / name}: no such font (on Debian: apt install fonts-dejavu-core)") from None


@cache
def _font(bold: bool, italic: bool, text: str) -> ImageFont.FreeTypeFont:
    """The first font that has a glyph for ``text``."""
    slant = "Oblique" if italic and (FONTS / "DejaVuSansMono-Oblique.ttf").exists() else ""
    style = f"-{'Bold' if bold else ''}{slant}" if bold or slant else ""
    fonts = [_file(f"DejaVuSansMono{style}.ttf"), _file(f"DejaVuSans{'-Bold' if bold else ''}.ttf")]
    for font in fonts:
        if bytes(font.getmask(text)) != bytes(font.getmask("\U0010fffe")):
            return font
    return fonts[0]
