"""The ledger: both factors of δ beside it for some samples and units; and ‖δ‖ of all layers as a strip."""

from __future__ import annotations

import math

from rich.cells import cell_len

from bptui.protocol.messages import LedgerRow, Shadowed
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.screens.inspector.formula import account, factor, index, pending
from bptui.tui.screens.inspector.grid import Grid
from bptui.tui.screens.inspector.matrix import LABEL, GridPane
from bptui.tui.screens.inspector.views import LedgerView, Nothing, SheetView
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, fit_layer, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line

FACTORS = ("upstream", "gate", "delta")
WIDTH = 9
"""Cells a number."""


class FactorsPane(GridPane):
    """Three windows of one grid side by side: upstream ⊙ gate = δ, and the layer's entries above them."""

    number, title = 1, "Ledger"

    def __init__(self, snapshot: Snapshot, grid: Grid, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, grid, glyphs=glyphs, id=id)
        self.ledger: LedgerView | None = None
        self.selected = 0
        self.views: dict[str, SheetView | Nothing] = {}
        self.note = ""
        self.alone = False
        """There is no strip beside it."""

    def _mini(self, width: int) -> Line:
        """‖δ‖ of all layers in one line: the last ones where not all fit."""
        assert self.ledger is not None
        layers = self.snapshot.model.layers
        line: Line = [("‖δ‖", "dim")]
        for at, row in enumerate(self.ledger.rows):
            name = layers[at].name if at < len(layers) else "?"
            value = "…" if row.delta is None else small(row.delta)
            here = at == self.selected
            line += [(f"  {name} ", "strong" if here else "dim"), (value, "first" if here else "text")]
        while len(line) > 3 and sum(cell_len(text) for text, _ in line) > width:
            del line[1:3]
        return line

    def put(self, views: dict[str, SheetView | Nothing], note: str = "") -> None:
        self.views, self.note, self.stale = views, note, False
        known = [view for view in views.values() if isinstance(view, SheetView)]
        self.grid.sized(*(known[-1].shape if known else (0, 0)))
        self.show()

    def complete(self) -> bool:
        grid = self.grid
        known = [view for view in self.views.values() if isinstance(view, SheetView)]
        return all(view.holds(grid.top, grid.left, grid.tall, grid.wide, 1) for view in known)

    def value(self, kind: str) -> float | None:
        view = self.views.get(kind)
        return view.block(self.grid.row, self.grid.column) if isinstance(view, SheetView) else None

    def cell(self) -> tuple[int, int] | None:
        view = self.views.get("delta")
        if not isinstance(view, SheetView):
            return None
        row, column = self.grid.row - view.top, self.grid.column - view.left
        if not (0 <= row < len(view.rows) and 0 <= column < len(view.columns)):
            return None
        return view.rows[row], view.columns[column]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        layers = self.snapshot.model.layers
        name = layers[self.selected].name if self.selected < len(layers) else "?"
        return [(5 + len(self.title), f" of {name} ", "strong")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        if self.ledger is None:
            return []
        return [(2, f" {self.ledger.samples} samples ", "dim"), (-1, f" {self.ledger.note} ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        if self.ledger is None:
            return self.empty(width, height, *(("no values", self.note) if self.note else ("asking …",)))
        rows = self.ledger.rows
        if self.selected >= len(rows):
            return self.empty(width, height, "no such layer")
        last = self.selected == len(rows) - 1
        lines: list[Line] = [[(text, "first" if at == 0 else "text")] for at, text in
                             enumerate(account(self.selected, rows[self.selected], last))]  # fmt: skip
        lines.append(self._mini(width) if self.alone else [])
        known = [kind for kind in FACTORS if isinstance(self.views.get(kind), SheetView)]
        if not known:
            return lines + self.empty(width, height - len(lines), *self._why())
        shown = FACTORS if len(known) > 1 or rows[self.selected].upstream is not None else ("delta",)
        room = (width - LABEL - 3 * (len(shown) - 1)) // len(shown)
        grid = self.grid
        grid.fits(height - len(lines) - 2, room, WIDTH)
        columns = range(grid.left, min(grid.columns, grid.left + grid.wide))
        lines += [self._titles(shown, len(columns)), self._head(shown, columns, known)]
        for row in range(grid.top, min(grid.rows, grid.top + grid.tall)):
            lines.append(self._row(shown, row, columns))
        return lines

    def _why(self) -> list[str]:
        missing = max((view.missing for view in self.views.values() if isinstance(view, Nothing)), default=0)
        return [pending(missing)] if missing else ["no values"]

    def _titles(self, shown: tuple[str, ...], columns: int) -> Line:
        here, after = index(self.selected), index(self.selected + 1)
        last = self.ledger is not None and self.selected == len(self.ledger.rows) - 1
        back = f"∂L/∂a{here}" if last else f"δ{after}W{after}ᵀ"
        words = {"upstream": back, "gate": f"g′(z{here})", "delta": f"δ{here}"}
        signs = {"upstream": "", "gate": "⊙", "delta": "="}
        line: Line = [(" " * LABEL, "text")]
        for kind in shown:
            sign = signs[kind] if len(shown) > 1 else ""
            line += [(f" {sign} " if sign else "", "key"), (fit(words[kind], columns * WIDTH), "title")]
        return line

    def _head(self, shown: tuple[str, ...], columns: range, known: list[str]) -> Line:
        view = self.views[known[-1]]
        assert isinstance(view, SheetView)
        line: Line = [(f"{'sample':<{LABEL}}", "dim")]
        for at, _ in enumerate(shown):
            line.append(("   " if at else "", "text"))
            for column in columns:
                place = column - view.left
                text = str(view.columns[place]) if 0 <= place < len(view.columns) else "…"
                line.append((f"{text:>{WIDTH}}", "key" if column == self.grid.column else "dim"))
        return line

    def _row(self, shown: tuple[str, ...], row: int, columns: range) -> Line:
        here = row == self.grid.row
        view = self.views.get("delta")
        place = row - view.top if isinstance(view, SheetView) else -1
        label = str(view.rows[place]) if isinstance(view, SheetView) and 0 <= place < len(view.rows) else str(row)
        line: Line = [(f"{label:>{LABEL - 1}} ", "key" if here else "dim")]
        for at, kind in enumerate(shown):
            line.append(("   " if at else "", "text"))
            matrix = self.views.get(kind)
            for column in columns:
                value = matrix.block(row, column) if isinstance(matrix, SheetView) else None
                text = "…" if value is None else small(value)
                on = "+cursor" if here and column == self.grid.column else ""
                tone = "dim" if value is None or value == 0 or self.stale else "text" if math.isfinite(value) else "bad"
                tone = "strong" if on and tone == "text" else tone
                line += [(" " * (WIDTH - len(text)), "text"), (text, tone + on)]
        return line


class StripPane(ChartPane):
    """‖δ‖ of every layer on one logarithmic scale, each with its ratio to the next: where the gradient dies."""

    number, title = 0, "‖δ‖"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.ledger: LedgerView | None = None
        self.shadow: Shadowed | None = None
        self.selected = 0

    def heading(self) -> list[tuple[int, str, str]]:
        title = "|delta|" if self.glyphs.name == "ascii" else self.title
        return [(2, f" {title} of each layer ", "title")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        if self.shadow is not None:
            return [(2, " float64 shadow: relative error ", "dim")]
        steepest = self.steepest()
        if steepest is None:
            return [(2, " × ratio to the layer after it ", "dim")]
        name, ratio, whole = steepest
        return [(2, f" ×{small(whole)} in all, most in {name} ×{factor(ratio)} ", "warn")]

    def steepest(self) -> tuple[str, float, float] | None:
        """The layer in which ‖δ‖ falls most, its ratio to the next, and the first layer's to the last; None where no
        layer loses half of it."""
        if self.ledger is None:
            return None
        names = (layer.name for layer in self.snapshot.model.layers)
        known = [(row.ratio, name) for row, name in zip(self.ledger.rows, names, strict=False) if row.ratio is not None]
        ratio, name = min(known, default=(1.0, ""))
        whole = math.prod(each for each, _ in known)
        return (name, ratio, whole) if ratio < 0.5 else None

    def inside(self, width: int, height: int) -> list[Line]:
        if self.ledger is None:
            return []
        rows, layers = self.ledger.rows, self.snapshot.model.layers
        values = [row.delta for row in rows if row.delta is not None and math.isfinite(row.delta) and row.delta > 0]
        low, high = (math.log10(min(values)), math.log10(max(values))) if values else (0.0, 1.0)
        low = math.floor(low) if high - low > 0.5 else low - 0.5
        longest = max((cell_len(layer.name) for layer in layers), default=6)
        lead = min(longest, max(6, width - 27))
        room = max(0, width - lead - 20)
        first = max(0, min(self.selected - height // 2, len(rows) - height))
        lines = []
        for at, row in enumerate(rows[first : first + height], first):
            name = layers[at].name if at < len(layers) else "?"
            lines.append(self._line(at, name, row, lead, room, low, high))
        return lines

    def _line(self, at: int, name: str, row: LedgerRow, lead: int, room: int, low: float, high: float) -> Line:
        here = at == self.selected
        mark = self.glyphs.cursor if here else " "
        line: Line = [(f"{mark} ", "key"), (fit_layer(name, lead), "strong" if here else "text")]
        if row.delta is None:
            return [*line, ("  " + pending(row.missing) if row.missing else "  –", "dim")]
        if self.shadow is not None:
            error = self.shadow.errors[at] if at < len(self.shadow.errors) else None
            return [*line, ("  –" if error is None else f"  {small(error):>8}", "first")]
        finite = math.isfinite(row.delta)
        line.append((f" {small(row.delta):>7} ", "text" if finite and row.delta else "bad"))
        share = (math.log10(row.delta) - low) / max(high - low, 1e-9) if finite and row.delta > 0 else 0.0
        line.append((_bar(share, room, self.glyphs), "first" if here else "second"))
        steep = row.ratio is not None and row.ratio < 0.5
        ratio = "" if row.ratio is None else f" ×{factor(row.ratio):<7}"
        return [*line, (ratio, "warn" if steep else "dim")]


def _bar(share: float, room: int, glyphs: Glyphs) -> str:
    if room <= 0:
        return ""
    full = max(0.0, min(1.0, share)) * room
    if glyphs.name == "ascii":
        return fit("#" * max(1, round(full)), room)
    eighths = max(1, round(full * 8))
    return fit("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip(), room)


def shadow_text(shadow: Shadowed) -> str:
    """The worst of its errors in one line."""
    known = [error for error in shadow.errors if error is not None]
    if shadow.dtype == "f64":
        return "the run is in float64 already: the shadow is the same step"
    worst = max(known, default=0.0)
    return f"float64 shadow: δ is off by at most {small(worst)} of its norm; loss {shadow.exact_loss!r}"
