"""A grid as one self-contained SVG document: no fonts, styles or scripts from elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from xml.sax.saxutils import escape

from screenshots.glyphs import HEIGHT, LIGHT, WIDTH, Arc, Box, Diagonal, Dot, shapes
from screenshots.grid import WINDOW, Cell, Grid, runs

FAMILY = "'DejaVu Sans Mono','Menlo','Consolas',ui-monospace,monospace"


def svg(grid: Grid) -> str:
    parts = [*_window(grid), *_backgrounds(grid), *_shapes(grid), *_text(grid)]
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _window(grid: Grid) -> Iterator[str]:
    w, h, inner = grid.width, grid.height, WINDOW.corner - 1
    size = f'viewBox="0 0 {w:g} {h:g}" width="{w:g}" height="{h:g}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{escape(grid.title)}</title>"
    yield (
        f"<style>text{{font:{WINDOW.font_size}px {FAMILY};white-space:pre}}"
        ".b{font-weight:bold}.i{font-style:italic}</style>"
    )
    yield (
        f'<rect x=".5" y=".5" width="{w - 1:g}" height="{h - 1:g}" rx="{WINDOW.corner}"'
        f' fill="#{grid.back}" stroke="#{WINDOW.edge}"/>'
    )
    yield (
        f'<path d="M1 {WINDOW.bar}V{WINDOW.corner}a{inner} {inner} 0 0 1 {inner} -{inner}H{w - WINDOW.corner:g}'
        f'a{inner} {inner} 0 0 1 {inner} {inner}V{WINDOW.bar}z" fill="#{grid.bar}"/>'
    )
    for at, colour in enumerate(WINDOW.buttons):
        x = WINDOW.first_button + WINDOW.button_step * at
        yield f'<circle cx="{x}" cy="{WINDOW.bar / 2:g}" r="{WINDOW.button}" fill="#{colour}"/>'
    title = f'x="{w / 2:g}" y="{WINDOW.bar / 2 + 5:g}" text-anchor="middle" fill="#{WINDOW.title}"'
    yield f"<text {title}>{escape(grid.title)}</text>"
    yield f'<g transform="translate({WINDOW.padding} {WINDOW.bar + WINDOW.padding})">'


def _backgrounds(grid: Grid) -> Iterator[str]:
    paths: dict[str, list[str]] = defaultdict(list)
    for y, row in enumerate(grid.rows):
        for x, run in runs(row, lambda cell: cell.back):
            if run[0].back != grid.back:
                width = sum(cell.columns for cell in run) * WIDTH
                paths[run[0].back].append(f"M{x * WIDTH:g} {y * HEIGHT:g}h{width:g}v{HEIGHT:g}h-{width:g}z")
    for colour, pieces in paths.items():
        yield f'<path shape-rendering="crispEdges" fill="#{colour}" d="{"".join(pieces)}"/>'


def _shapes(grid: Grid) -> Iterator[str]:
    # One path a colour: bars that touch then merge, without hairlines between them.
    filled: dict[tuple[str, float], list[str]] = defaultdict(list)
    drawn: dict[str, list[str]] = defaultdict(list)
    for y, row in enumerate(grid.rows):
        for x, cell in row:
            for shape in shapes(cell.text) or ():
                left, top = x * WIDTH, y * HEIGHT
                if isinstance(shape, Box):
                    filled[cell.front, shape.opacity].append(_box(shape, left, top))
                elif isinstance(shape, Dot):
                    filled[cell.front, 1.0].append(_dot(shape, left, top))
                else:
                    drawn[cell.front].append(_line(shape, left, top))
    for (colour, opacity), pieces in filled.items():
        shade = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        yield f'<path fill="#{colour}"{shade} d="{"".join(pieces)}"/>'
    for colour, pieces in drawn.items():
        yield f'<path fill="none" stroke="#{colour}" stroke-width="{LIGHT}" d="{"".join(pieces)}"/>'


def _text(grid: Grid) -> Iterator[str]:
    for y, row in enumerate(grid.rows):
        for x, run in runs(row, _style):
            if shapes(run[0].text) is None:
                yield from _words(run, x, y)


def _style(cell: Cell) -> object:
    """What may share an element: letters that every fixed-width font has; any other stands alone, in its place."""
    if not cell.text.isascii():
        return object()
    return cell.front, cell.bold, cell.italic, cell.underline, cell.strike


def _words(run: list[Cell], x: int, y: int) -> Iterator[str]:
    first = run[0]
    text = "".join(cell.text for cell in run)
    columns = sum(cell.columns for cell in run)
    if not (first.underline or first.strike):
        x += len(text) - len(text.lstrip())
        columns -= len(text) - len(text.strip())
        text = text.strip()
    if not text:
        return
    attributes = f'x="{x * WIDTH:g}" y="{y * HEIGHT + WINDOW.baseline:g}" fill="#{first.front}"'
    if len(text) > 1:
        attributes += f' textLength="{columns * WIDTH:g}" lengthAdjust="spacingAndGlyphs"'
    if first.bold or first.italic:
        attributes += f' class="{" ".join("b" * first.bold + "i" * first.italic)}"'
    if first.underline or first.strike:
        attributes += f' text-decoration="{"underline" if first.underline else "line-through"}"'
    yield f"<text {attributes}>{escape(text)}</text>"


def _box(box: Box, left: float, top: float) -> str:
    width, height = box.right - box.left, box.bottom - box.top
    return f"M{left + box.left:g} {top + box.top:g}h{width:g}v{height:g}h{-width:g}z"


def _dot(dot: Dot, left: float, top: float) -> str:
    r = dot.radius
    return f"M{left + dot.x - r:g} {top + dot.y:g}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 {-2 * r:g} 0z"


def _line(line: Arc | Diagonal, left: float, top: float) -> str:
    if isinstance(line, Diagonal):
        first, second = (top + HEIGHT, top) if line.rising else (top, top + HEIGHT)
        return f"M{left:g} {first:g}L{left + WIDTH:g} {second:g}"
    x, y, radius = left + WIDTH / 2, top + HEIGHT / 2, WIDTH / 2
    across, along = (radius if line.right else -radius), (radius if line.down else -radius)
    end = top + HEIGHT if line.down else top
    return f"M{x:g} {end:g}V{y + along:g}Q{x:g} {y:g} {x + across:g} {y:g}"
