"""Beside the matrix: the row and the column under the cursor as lines of bars, and how its values are spread."""

from __future__ import annotations

from collections.abc import Sequence

from bptui.runs.records import SPECIAL_CELLS
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.screens.inspector.grid import sparkline
from bptui.tui.screens.inspector.views import SheetView
from bptui.tui.store import Snapshot
from bptui.tui.text import integer
from bptui.tui.widgets.bins import axis, bars, labels, special_text
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line

_WORDS = {"zero": "zero", "nan": "NaN", "inf": "Inf", "below": "below", "above": "above"}


class InfoPane(ChartPane):
    """``put`` gives it the matrix's window and the two slices through the cursor."""

    number, title = 0, "slices and histogram"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: SheetView | None = None
        self.slices: list[tuple[str, Sequence[float]]] = []

    def put(self, view: SheetView | None, slices: list[tuple[str, Sequence[float]]]) -> None:
        self.view, self.slices = view, slices
        self.show()

    def heading(self) -> list[tuple[int, str, str]]:
        return [(2, f" {self.title} ", "title")]

    def inside(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = []
        for label, values in self.slices:
            lines += [[(label, "dim")], [(sparkline(values, width, self.glyphs.bars), "first")]]
        view = self.view
        if view is None:
            return lines
        special = len(SPECIAL_CELLS)
        counts = view.cells[special:]
        at = axis([counts], width)
        room = height - len(lines) - 3
        if at is not None and room >= 2:
            lines.append([])
            lines += [[(row, "second")] for row in bars(counts, at, width, min(room - 1, 8), self.glyphs)]
            lines.append([(labels(at, width, self.glyphs), "dim")])
        told = [
            special_text(_WORDS[name], view.cells[index], self.glyphs)
            for index, name in enumerate(SPECIAL_CELLS) if index < 3 or view.cells[index]
        ]  # fmt: skip
        lines.append([("  ".join(told), "dim")])
        lines.append([(f"{integer(sum(view.cells))} values, by floor(log₂|x|)", "dim")])
        return lines
