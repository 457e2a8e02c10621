"""The network as a picture: columns of units, and between them each weight as a shaded cell.

A row of a block is one unit of the layer on its right, a column one input; the shade is |w|, the colour and
the texture its sign. Where a layer has more units than there are rows, a row stands for several: the largest
weight of them is shown, and the column is a bar. A unit that is dead is a cross. While micro-stepping, an
arrow over a block shows where a or δ goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bptui.tui.glyphs import Glyphs
from bptui.tui.store import LayerView, Snapshot
from bptui.tui.text import fit, fit_layer
from bptui.tui.widgets.pane import Line, width_of

if TYPE_CHECKING:
    import numpy.typing as npt

Weights = dict[str, "npt.NDArray[Any]"]
"""Layer → W (inputs, units), as last seen."""

LEAST_BLOCK = 4
"""Cells of the narrowest block."""
HEAD = 2
"""Rows above the picture: names, and where a or δ goes."""


class Marks(NamedTuple):
    """What a picture is drawn with."""

    unit: str
    dead: str
    bar: str
    positive: str
    """From faint to strong."""
    negative: str
    forward: str
    backward: str
    line: str
    unknown: str


UNICODE = Marks("●", "×", "┃", "░▒▓█", "⠂⠒⠶⣿", "▶", "◀", "─", "·")
BLOCKS = Marks("●", "×", "┃", "░▒▓█", "-=≡%", "▶", "◀", "─", "·")
ASCII = Marks("o", "x", "|", ".:+#", "-~=%", ">", "<", "-", ".")


def marks_of(glyphs: Glyphs) -> Marks:
    return {"ascii": ASCII, "block": BLOCKS}.get(glyphs.name, UNICODE)


def dead_units(snapshot: Snapshot) -> dict[str, set[int]]:
    """Layer → units that a finding calls dead."""
    found: dict[str, set[int]] = {}
    for finding in snapshot.findings:
        if finding.layer and finding.units and "dead" in f"{finding.fault} {finding.message}":
            found.setdefault(finding.layer, set()).update(finding.units)
    return found


def draw(snapshot: Snapshot, weights: Weights, width: int, height: int, glyphs: Glyphs, selected: int) -> list[Line]:
    """The picture in ``width`` × ``height`` cells; only the layers around the selected one where all are too many."""
    layers = snapshot.model.layers
    rows = height - HEAD - 1
    if not layers or rows < 2 or width < 2 + LEAST_BLOCK:
        return [[("too small for the picture; z fills the screen", "dim")]]
    marks, dead = marks_of(glyphs), dead_units(snapshot)
    most = max(1, (width - 1) // (LEAST_BLOCK + 3))
    first = max(0, min(selected - most // 2, len(layers) - most))
    shown = layers[first : first + most]
    before = layers[first - 1] if first else None
    inputs = before.units if before is not None else (snapshot.model.features or shown[0].inputs)
    room = max(LEAST_BLOCK, (width - 1) // len(shown) - 3)
    name = before.name if before is not None else "input"
    columns = [_units(inputs, dead.get(name, set()), rows, marks)]
    blocks: list[list[Line]] = []
    heads: list[tuple[Line, Line]] = []
    for index, layer in enumerate(shown, first):
        cells = block_width(layer.inputs, room)
        tall = min(layer.units, rows)
        blocks.append(_centred(_block(weights.get(layer.name), layer, cells, tall, marks), cells, rows))
        columns.append(_units(layer.units, dead.get(layer.name, set()), rows, marks))
        name = fit_layer(layer.name, cells + 2)
        heads.append(([(name, "strong" if index == selected else "text")], _flow(snapshot, layer, index, cells, marks)))
    used = 1 + sum(width_of(upper) + 1 for upper, _ in heads)
    left: Line = [(" " * max(0, (width - used) // 2), "text")]
    lines: list[Line] = [[*left, (" ", "text")], [*left, (" ", "text")]]
    for upper, lower in heads:
        lines[0] += [*upper, (" ", "text")]
        lines[1] += [*lower, (" ", "text")]
    for row in range(rows):
        line: Line = [*left, columns[0][row]]
        for block, column in zip(blocks, columns[1:], strict=True):
            line += [(" ", "text"), *block[row], (" ", "text"), column[row]]
        lines.append(line)
    return lines


def block_width(inputs: int, room: int) -> int:
    """Cells of a block: up to four an input, or one for several of them."""
    if not inputs:
        return LEAST_BLOCK
    return max(LEAST_BLOCK, min(room, inputs * max(1, min(4, room // inputs))))


def _flow(snapshot: Snapshot, layer: LayerView, index: int, cells: int, marks: Marks) -> Line:
    """An arrow over the block at which a micro-step stands, as wide as the block."""
    phase = snapshot.micro.partition(" ")[0]
    wide = cells + 2
    at = next((i for i, each in enumerate(snapshot.model.layers) if each.name == snapshot.micro_layer), -1)
    if phase == "forward" and index <= at:
        return [(fit("a " + marks.line * max(0, wide - 4) + marks.forward, wide), "good" if index == at else "dim")]
    if phase == "backward" and index >= at:
        delta = "d" if marks is ASCII else "δ"
        text = marks.backward + marks.line * max(0, wide - 4) + f" {delta}"
        return [(fit(text, wide), "second" if index == at else "dim")]
    if phase in ("clip", "update"):
        return [(fit("W" if marks is ASCII else "∇W" if phase == "clip" else "W − η∇W", wide), "second")]
    activation = "" if layer.activation == "identity" else f" {layer.activation}"
    return [(fit(f"{layer.units}{activation}", wide), "dim")]


def _units(units: int, dead: set[int], rows: int, marks: Marks) -> list[tuple[str, str]]:
    """One cell a row: units as dots, or a bar of which each row stands for several."""
    tall = min(units, rows) or 1
    cells = []
    for row in range(tall):
        first, end = row * units // tall, max(row * units // tall + 1, (row + 1) * units // tall)
        gone = all(unit in dead for unit in range(first, end))
        some = any(unit in dead for unit in range(first, end))
        plain = marks.unit if units <= rows else marks.bar
        cells.append((marks.dead, "bad") if gone else (plain, "warn" if some else "strong"))
    above = (rows - tall) // 2
    return [(" ", "text")] * above + cells + [(" ", "text")] * (rows - tall - above)


def _centred(lines: list[Line], cells: int, rows: int) -> list[Line]:
    blank: Line = [(" " * cells, "text")]
    above = (rows - len(lines)) // 2
    return [blank] * above + lines + [blank] * (rows - len(lines) - above)


def _block(values: Any, layer: LayerView, cells: int, tall: int, marks: Marks) -> list[Line]:
    """The weights into each unit, from the first input on the left to the last."""
    if values is None or values.ndim != 2 or values.shape[1] != layer.units or not values.size:
        return [[(marks.unknown * cells, "dim")] for _ in range(tall)]
    import numpy as np

    table = _largest(_largest(np.asarray(values, dtype=np.float64).T, tall), cells, axis=1)
    size = np.abs(table)
    finite = size[np.isfinite(size)]
    top = float(np.quantile(finite, 0.98)) if finite.size else 0.0
    steps = len(marks.positive) + 1
    level = np.zeros(table.shape, dtype=int)
    if top > 0:
        level = np.minimum(np.where(np.isfinite(size), size / top, 1) * steps, steps - 1).astype(int)
    wide = cells // table.shape[1]
    lines = []
    for row in range(table.shape[0]):
        line: Line = []
        for column in range(table.shape[1]):
            value, strength = table[row, column], int(level[row, column])
            if not np.isfinite(value):
                line.append(("!" * wide, "bad"))
            elif strength == 0:
                line.append((" " * wide, "text"))
            elif value > 0:
                line.append((marks.positive[strength - 1] * wide, "first"))
            else:
                line.append((marks.negative[strength - 1] * wide, "second"))
        line.append((" " * (cells - wide * table.shape[1]), "text"))
        lines.append(_joined(line))
    return lines


def _largest(table: npt.NDArray[Any], parts: int, axis: int = 0) -> npt.NDArray[Any]:
    """Of each of ``parts`` equal parts the value that is largest without its sign; not finite ones come first."""
    import numpy as np

    count = table.shape[axis]
    if count <= parts:
        return table
    edges = [part * count // parts for part in range(parts)]
    size = np.where(np.isfinite(table), np.abs(table), np.inf)
    pieces = []
    for first, end in zip(edges, [*edges[1:], count], strict=True):
        piece = np.take(table, range(first, end), axis=axis)
        best = np.argmax(np.take(size, range(first, end), axis=axis), axis=axis, keepdims=True)
        pieces.append(np.take_along_axis(piece, best, axis=axis))
    return np.concatenate(pieces, axis=axis)


def _joined(line: Line) -> Line:
    """Neighbours of one style as one piece."""
    out: Line = []
    for text, style in line:
        if out and out[-1][1] == style:
            out[-1] = (out[-1][0] + text, style)
        elif text:
            out.append((text, style))
    return out


def legend(marks: Marks, seen: str) -> Line:
    """What the shades mean, and of which step they are."""
    return [
        (marks.positive, "first"), (" w>0 ", "dim"), (marks.negative, "second"), (" w<0 ", "dim"),
        (marks.dead, "bad"), (" dead", "dim"), (f"   {seen}" if seen else "", "dim"),
    ]  # fmt: skip
