"""The decision boundary over data with two features: fields by colour and texture, rows of data as marks."""

from __future__ import annotations

from textual import events

from bptui.tui.axis import ticks
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.looks import BoundaryView
from bptui.tui.ramps import SHADES, mark, texture
from bptui.tui.store import Snapshot
from bptui.tui.text import integer
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.raster import joined

_LABEL = 7
MOST_COLUMNS, MOST_ROWS = 120, 60
POINTS = 300


class BoundaryChart(ChartPane):
    """``put`` gives it an answer; ``grid`` says how many points to ask for."""

    number, title = 7, "Boundary"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: BoundaryView | None = None
        self.note = ""
        self.at: tuple[int, int] | None = None
        """Row and column of the grid under the cursor."""

    def put(self, view: BoundaryView | None, note: str = "") -> None:
        self.view, self.note = view, note
        self.show()

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows that the pane has room for."""
        width, height = self.size.width - 4 - _LABEL - 1, self.size.height - 3
        return max(2, min(MOST_COLUMNS, width)), max(2, min(MOST_ROWS, height))

    def class_name(self, label: int) -> str:
        names = self.view.names if self.view is not None else ()
        return names[label] if label < len(names) else f"class {label}"

    def top(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if view is None:
            return []
        step = f" of step {integer(view.step)} "
        texts: list[tuple[int, str, str]] = [(6 + len(self.title), step, "dim")]
        column = 6 + len(self.title) + len(step) + 1
        labels = sorted(set(view.labels) | {label for row in view.classes for label in set(row)})
        for label in labels:
            text = f" {mark(label, self.glyphs)} {self.class_name(label)} "
            field = texture(label, self.glyphs) * 2
            if column + len(text) + len(field) + 3 > width:
                break
            texts += [(column, text, f"class{label}"), (column + len(text), field, f"field{label}.{SHADES - 1}")]
            column += len(text) + len(field) + 2
        return texts

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if view is None:
            return []
        texts: list[tuple[int, str, str]] = []
        low, high = view.x
        columns = len(view.classes[0])
        for value in ticks(low, high, max(2, columns // 14)):
            text = f" {value:.4g} "
            column = 2 + _LABEL + 1 + round((value - low) / (high - low) * (columns - 1)) - len(text) // 2
            if not texts or column >= texts[-1][0] + len(texts[-1][1]) + 1:
                texts.append((max(2 + _LABEL, column), text, "dim"))
        return texts

    def inside(self, width: int, height: int) -> list[Line]:
        view = self.view
        if view is None:
            return self.empty(
                width, height, *(
                    [self.note] if self.note else
                    ["Which class the network gives each point of the plane.", "The trainer is asked …"]
                )
            )  # fmt: skip
        rows, columns = len(view.classes), len(view.classes[0])
        points = self._points(view, rows, columns)
        labels: dict[int, str] = {}
        low, high = view.y
        for value in ticks(low, high, max(2, rows // 4)):
            labels.setdefault(round((1 - (value - low) / (high - low)) * (rows - 1)), f"{value:.4g}")
        lines: list[Line] = []
        for y in range(rows):
            text = labels.get(y, "")
            lead: Line = [(f"{text:>{_LABEL - 1}} ", "dim"),
                          (self.glyphs.tick if text else self.glyphs.frame[3], "border")]  # fmt: skip
            cells = []
            for x, (label, sure) in enumerate(zip(view.classes[y], view.sure[y], strict=True)):
                shade = min(SHADES - 1, max(0, (sure - 100) // 52))
                point = points.get((y, x))
                if self.at == (y, x):
                    cells.append((mark(point, self.glyphs) if point is not None else "+", "strong+cursor"))
                elif point is not None:
                    cells.append((mark(point, self.glyphs), f"point{point}.{label}.{shade}"))
                else:
                    cells.append((texture(label, self.glyphs), f"field{label}.{shade}"))
            lines.append(lead + joined(cells))
        return lines

    def _points(self, view: BoundaryView, rows: int, columns: int) -> dict[tuple[int, int], int]:
        """The class of the last point that lies in each cell."""
        found: dict[tuple[int, int], int] = {}
        (left, right), (low, high) = view.x, view.y
        for (x, y), label in zip(view.points, view.labels, strict=True):
            column = round((x - left) / (right - left) * (columns - 1))
            row = round((high - y) / (high - low) * (rows - 1))
            if 0 <= column < columns and 0 <= row < rows:
                found[row, column] = label
        return found

    def readout(self) -> Line:
        view = self.view
        if view is None or self.at is None:
            return []
        rows, columns = len(view.classes), len(view.classes[0])
        row, column = min(self.at[0], rows - 1), min(self.at[1], columns - 1)
        x = view.x[0] + (view.x[1] - view.x[0]) * column / (columns - 1)
        y = view.y[1] - (view.y[1] - view.y[0]) * row / (rows - 1)
        label = view.classes[row][column]
        first, second = (*view.features, "x", "y")[:2] if len(view.features) == 2 else ("x", "y")
        return [
            (f" {first} {x:.4g}, {second} {y:.4g} ", "key"),
            (f" {self.class_name(label)}, probability {view.sure[row][column] / 255:.2f}", "text"),
        ]

    def on_key(self, event: events.Key) -> None:
        moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "ctrl+left": (0, -10),
                 "ctrl+right": (0, 10)}  # fmt: skip
        view = self.view
        if view is None:
            return
        if event.key in moves:
            event.stop()
            rows, columns = len(view.classes), len(view.classes[0])
            row, column = self.at or (rows // 2, columns // 2)
            down, across = moves[event.key] if self.at is not None else (0, 0)
            self.at = max(0, min(rows - 1, row + down)), max(0, min(columns - 1, column + across))
        elif event.key == "escape" and self.at is not None:
            event.stop()
            self.at = None
        else:
            return
        self.show()
        self.post_message(self.Moved())
