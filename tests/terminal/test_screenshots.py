"""The renderer of the README's pictures: cells in, SVG and PNG out."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image
from terminal_emulation import Emulation

from screenshots.glyphs import HEIGHT, WIDTH, Box, Dot, shapes
from screenshots.grid import WINDOW, Grid
from screenshots.png import FONTS, SCALE, png
from screenshots.svg import svg


def grid(text: str, rows: int = 3, columns: int = 12) -> Grid:
    emulation = Emulation(rows, columns)
    emulation.feed(text.encode())
    return Grid(emulation.cells, "bptui <digits>")


@pytest.mark.parametrize("first, last", [(0x2500, 0x259F), (0x2801, 0x28FF), (0x1FB00, 0x1FB3B)])
def test_every_tiling_character_is_a_shape_inside_its_cell(first: int, last: int) -> None:
    for code in range(first, last + 1):
        found = shapes(chr(code))
        assert found, chr(code)
        for shape in found:
            if isinstance(shape, Box):
                assert 0 <= shape.left < shape.right <= WIDTH and 0 <= shape.top < shape.bottom <= HEIGHT, chr(code)


def test_shapes_say_what_the_characters_say() -> None:
    assert shapes("A") is None and shapes(" ") is None and shapes("δ") is None
    assert shapes("█") == (Box(0, 0, WIDTH, HEIGHT),)
    assert shapes("▗") == (Box(WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT),)
    assert len(shapes("⣿") or ()) == 8
    (dot,) = shapes("⠁") or ()
    assert isinstance(dot, Dot) and dot.x < WIDTH / 2 and dot.y < HEIGHT / 4
    assert len(shapes("┼") or ()) == 4 and len(shapes("╬") or ()) == 8
    (left, right) = shapes("╼") or ()
    assert isinstance(left, Box) and isinstance(right, Box)
    assert right.bottom - right.top > left.bottom - left.top


def test_svg_is_one_document_with_text_escaped_and_coloured() -> None:
    document = ElementTree.fromstring(svg(grid("a<b \x1b[1;38;2;255;0;128mδ & 日\x1b[0m\r\n██")))
    texts = {element.text: element for element in document.iter("{http://www.w3.org/2000/svg}text")}
    assert {"bptui <digits>", "a<b", "δ", "&", "日"} <= set(texts)
    assert texts["δ"].attrib["fill"] == "#ff0080" and texts["δ"].attrib["class"] == "b"
    assert "href" not in svg(grid("x")) and "url(" not in svg(grid("x"))


@pytest.mark.skipif(not Path(FONTS).is_dir(), reason="the package fonts-dejavu-core is not installed")
def test_png_tiles_without_gaps_and_shows_colours() -> None:
    shown = grid("\x1b[38;2;255;0;0m███\r\n███\x1b[0m\x1b[48;2;0;0;255m  \x1b[0m é")
    image = Image.open(io.BytesIO(png(shown))).convert("RGBA")
    left, top = WINDOW.padding * SCALE, (WINDOW.bar + WINDOW.padding) * SCALE
    cell_w, cell_h = round(WIDTH) * SCALE, round(HEIGHT) * SCALE
    block = image.crop((left, top, left + 3 * cell_w, top + 2 * cell_h))
    assert block.getcolors() == [(6 * cell_w * cell_h, (255, 0, 0, 255))]
    assert image.getpixel((left + 4 * cell_w, top + cell_h)) == (0, 0, 255, 255)
