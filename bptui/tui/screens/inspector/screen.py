"""The inspector's screen: which view, layer and quantity; what the keys do.

Beside it: ``asking`` (what is asked of the trainer), ``wording`` (what is said of it), ``changing`` (marks, edits).
"""

from __future__ import annotations

import contextlib
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches

from bptui.client.reference import QUANTITIES as REFERABLE
from bptui.client.reference import Reference, is_view
from bptui.protocol.messages import Ledger, Pause
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.plain import spell
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.screens.inspector import axes, changing, formula, wording
from bptui.tui.screens.inspector.asking import BESIDE, Asking
from bptui.tui.screens.inspector.grid import LEVELS, Grid
from bptui.tui.screens.inspector.info import InfoPane
from bptui.tui.screens.inspector.inside import InsidePane
from bptui.tui.screens.inspector.ledger import FACTORS, FactorsPane, StripPane, shadow_text
from bptui.tui.screens.inspector.matrix import GridPane, MatrixPane
from bptui.tui.screens.inspector.ranked import RankedPane
from bptui.tui.screens.inspector.stages import StagesPane
from bptui.tui.screens.inspector.views import Nothing, SheetView
from bptui.tui.screens.inspector.wording import INPUTS, ORDER, VIEWS, labels
from bptui.tui.store import Snapshot
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.strips import TextLine

SIDE = 42


class Inspector(TransportScreen):
    """One of VIEWS of layer ``index``; it asks again after each step."""

    PLACE = "inspector"
    BINDINGS = bindings("inspector")

    def __init__(self, layer: int, snapshot: Snapshot, glyphs: Glyphs, at: Reference | None = None) -> None:
        """``at``: begin at the cell of the matrix that it names."""
        super().__init__(id="inspector")
        self.index = layer
        # Of a script's layer the factors of δ are not known: it begins with δ itself.
        self.view, self.quantity = "matrix" if snapshot.script else "ledger", "delta"
        self.glyphs = glyphs
        self.grid = Grid()
        self.asking = Asking(self)
        self._wanted: tuple[int, ...] = ()
        """The cell to begin at, until its matrix is there."""
        if at is not None and at.cell and not is_view(at.quantity):
            self.view, self.quantity, self._wanted = "matrix", at.quantity, at.cell
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.tabs = TextLine(snapshot, glyphs=glyphs, id="tabs")
        self.formula = TextLine(snapshot, glyphs=glyphs, id="formula")
        self.factors = FactorsPane(snapshot, self.grid, glyphs=glyphs, id="factors")
        self.matrix = MatrixPane(snapshot, self.grid, glyphs=glyphs, id="matrix")
        self.ranked = RankedPane(snapshot, glyphs=glyphs, id="ranked")
        self.stages = StagesPane(snapshot, glyphs=glyphs, id="stages")
        self.inner = InsidePane(snapshot, glyphs=glyphs, id="inner")
        if at is not None and is_view(at.quantity):
            self.view = "inside"
            self.inner.aim(at.quantity, at.cell)
        self.strip = StripPane(snapshot, glyphs=glyphs, id="strip")
        self.info = InfoPane(snapshot, glyphs=glyphs, id="info")
        self.panes: dict[str, ChartPane] = {
            "ledger": self.factors, "matrix": self.matrix, "rows": self.ranked, "stages": self.stages,
            "inside": self.inner,
        }  # fmt: skip
        self.cell = TextLine(snapshot, glyphs=glyphs, id="cell")
        self.numbers = TextLine(snapshot, glyphs=glyphs, id="numbers")
        self.keybar = KeyBar(snapshot, "inspector", id="keys")
        self.seen: tuple[Any, ...] = ()
        """The place of the run that is shown."""
        self.unit = 0
        """Whose gradient the rows are ranked by."""

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.tabs
        yield self.formula
        with Horizontal(id="body"):
            with Vertical(id="main"):
                yield from self.panes.values()
            with Vertical(id="side"):
                yield self.strip
                yield self.info
        yield self.cell
        yield self.numbers
        yield self.keybar

    def on_mount(self) -> None:
        if self.snapshot.state == "RUNNING":
            self.face.send(Pause(), "paused, to look at values")
        self.turn(self.view)
        self.show(self.snapshot)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self.call_after_refresh(self.complete)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        place = (snapshot.state, snapshot.step, snapshot.micro, snapshot.link)
        if place != self.seen:
            self.seen = place
            self.strip.shadow = None
            if snapshot.state != "RUNNING":
                self.asking.ask()
            else:
                for pane in self.panes.values():
                    pane.stale = True  # type: ignore[attr-defined]
        self.header.show(snapshot)
        for pane in (*self.panes.values(), self.strip, self.info):
            pane.snapshot = snapshot
        self.panes[self.view].show(snapshot)
        self.strip.show(snapshot)
        self.info.show(snapshot)
        self.lines()
        self.keybar.show(snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _arrange(self) -> None:
        with contextlib.suppress(NoMatches):
            side = self.query_one("#side")
            side.display = self.app.size.width >= BESIDE
            side.styles.width = SIDE if self.app.size.width < 160 else SIDE + 14
            self.factors.alone = not side.display
            self.info.display = self.view == "matrix"
            layers = len(self.snapshot.model.layers)
            least = min(layers + 2, max(6, self.app.size.height // 3))
            self.strip.styles.height = least if self.info.display else "1fr"

    def turn(self, view: str) -> None:
        self.view = view
        for name, pane in self.panes.items():
            pane.display = name == view
        self._arrange()
        self.set_focus(self.panes[view])
        self.lines()

    @property
    def _ascii(self) -> bool:
        return self.glyphs.name == "ascii"

    @property
    def _shown(self) -> str:
        """The quantity under the cursor."""
        return "delta" if self.view == "ledger" else self.quantity

    def lines(self) -> None:
        narrow = self.app.size.width < BESIDE
        self.tabs.put(
            wording.tabs(self.view, self.quantity, self.snapshot, self.index, narrow=narrow, ascii_only=self._ascii)
        )
        text, meaning = self._words()
        if self._ascii:
            text, meaning = spell(text), spell(meaning)
        self.formula.put([(" ", "text"), (text, "first"), (f"   {meaning}", "dim")])
        self.matrix.word = wording.name(self.quantity, self._ascii)
        self.matrix.labels = labels(self.quantity)
        self.cell_lines()

    def cell_lines(self) -> None:
        self.cell.put(self._exact())
        text = self.asking.note if self.view != "ledger" else self._formula_here() or self.asking.note
        if self.strip.shadow is not None:
            text = shadow_text(self.strip.shadow)
        if self._ascii:
            text = spell(text)
        self.numbers.put([(" ", "text"), (text, "first" if text != self.asking.note else "dim")])

    def _words(self) -> tuple[str, str]:
        if self.view == "inside":
            return self.inner.words()
        return wording.formula_and_meaning(self.view, self._shown, self.snapshot, self.index)

    def _exact(self) -> Line:
        if self.view == "rows":
            sample = self.ranked.sample()
            return [] if sample is None else [(f" row {sample} of the batch, for unit {self.unit}", "dim")]
        if self.view in ("stages", "inside"):
            return self.inner.readout() if self.view == "inside" else []
        return wording.exact(self._shown, self._sheet(), self._cell(), self._value(), self.grid.zoom)

    def _value(self) -> float | None:
        return self.factors.value("delta") if self.view == "ledger" else self.matrix.value()

    def _cell(self) -> tuple[int, int] | None:
        return self.factors.cell() if self.view == "ledger" else self.matrix.cell()

    def _sheet(self) -> SheetView | Nothing | None:
        return self.matrix.view if self.view == "matrix" else self.factors.views.get("delta")

    def _formula_here(self) -> str:
        """The formula of δ with the numbers under the cursor in it."""
        cell = self.factors.cell()
        if cell is None:
            return ""
        values = [self.factors.value(kind) for kind in FACTORS]
        if values[0] is None and self.asking.last_delta:
            return f"δ{formula.index(self.index)}[{cell[0]}, {cell[1]}] = {self.asking.last_delta}"
        return formula.cell(self.index, cell, *values)

    def at_last_layer(self) -> bool:
        return self.index == len(self.snapshot.model.layers) - 1

    def aim(self, view: SheetView) -> None:
        """The size of the matrix is known: put the cursor on the cell to begin at, or say that it is not there."""
        wanted, self._wanted = self._wanted, ()
        if not wanted:
            return
        sizes = axes.sizes(view.whole, view.shape, vector=view.vector)
        if (cell := axes.folded(sizes, wanted)) is not None:
            self.grid.row, self.grid.column = cell
            self.grid.follow()
            self.matrix.show()
            return
        place, size = ", ".join(map(str, wanted)), " × ".join(map(str, sizes))
        self.notice(f"there is no cell [{place}]: {wording.name(self.quantity, self._ascii)} is {size}", "warn")

    # -- what panes say ----------------------------------------------------------------------------
    def on_chart_pane_moved(self, message: ChartPane.Moved) -> None:
        if self.view == "stages" and self.stages.selected != self.index:
            self._select(self.stages.selected)
        self.cell_lines()
        if self.view in ("ledger", "matrix"):
            self._later()

    def on_inside_pane_wanted(self, message: InsidePane.Wanted) -> None:
        self.asking.ask()

    def on_grid_pane_wanted(self, message: GridPane.Wanted) -> None:
        self.asking.ask()

    def complete(self) -> None:
        pane = self.panes[self.view]
        if isinstance(pane, GridPane) and not pane.complete():
            self.asking.ask()

    def _later(self) -> None:
        """Slices, and the numbers of the last δ, once the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(0.08, self._rested)

    _rest: Any = None

    def _rested(self) -> None:
        if self.view == "matrix" and isinstance(self.matrix.view, SheetView):
            self.work("slices", self.asking.slices, self.matrix.view)
        elif self.view == "ledger" and self.at_last_layer():
            self.work("slices", self._renew_last)

    async def _renew_last(self) -> None:
        await self.asking.renew_last_delta()
        self.cell_lines()

    # -- actions -----------------------------------------------------------------------------------
    def action_view_at(self, number: int) -> None:
        if VIEWS[number - 1] == "rows" and self.view in ("ledger", "matrix"):
            cell = self._cell()
            if cell is not None and labels(self.quantity)[1] == "unit":
                self.unit = self._unit_of(cell)
        self.turn(VIEWS[number - 1])
        self.asking.ask()

    def action_quantity(self, by: int) -> None:
        if self.view == "inside":
            self.inner.turn(by)
            self.asking.ask()
            return
        now = ORDER.index(self.quantity) if self.quantity in ORDER else 0
        self._put_quantity(ORDER[(now + by) % len(ORDER)])

    def _put_quantity(self, quantity: str) -> None:
        if labels(quantity) != labels(self.quantity):
            self.grid.forget_orders()
        self.quantity = quantity
        self.matrix.pictures = False
        self.turn("matrix")
        self.asking.ask()

    def action_layer(self, by: int) -> None:
        total = len(self.snapshot.model.layers)
        self._select(max(0, min(total - 1, self.index + by)))
        if self.view == "rows":
            self.unit = 0
        self.grid.forget_orders()
        self.lines()
        self.asking.ask()

    def _select(self, index: int) -> None:
        self.index = index
        self.strip.selected = self.factors.selected = index
        self.face.main.select(index)
        self.strip.show()
        self.lines()

    def action_zoom_cells(self, by: int) -> None:
        """Out to ever larger blocks (1), or in (−1)."""
        if self.view != "matrix":
            self.turn("matrix")
        if not self.grid.zoom_by(by):
            self.notice("that is the whole matrix" if by > 0 else "that is as near as it gets")
        self.matrix.pictures = False
        self.asking.ask()
        shade = LEVELS[self.grid.level][1]
        if self.grid.shaded:
            self.notice(f"a shade is {shade}×{shade} cells" if shade > 1 else "a shade a cell: sign and magnitude")

    def action_sort(self, axis: int) -> None:
        if self.view != "matrix":
            self.turn("matrix")
        cell = self.matrix.cell() or (0, 0)
        by = self.grid.turn_order(axis, cell[1 - axis])
        words = labels(self.quantity)
        other = f"by {words[1 - axis]} {cell[1 - axis]}"
        self.notice(f"{words[axis]}s " + {"": "as they are", "norm": "by norm", "value": other}[by])
        self.asking.ask()

    def action_reverse(self) -> None:
        self.notice("smallest first" if self.grid.reverse() else "largest first")
        self.asking.ask()

    def action_mark(self) -> None:
        changing.mark(self)

    def action_next_match(self) -> None:
        if not self.grid.condition:
            self.notice("nothing is marked: / takes a condition such as abs > 1e-3")
        else:
            self.asking.ask(find=True)

    def action_picture(self) -> None:
        if self.view != "matrix":
            self.quantity = "x" if self.quantity not in INPUTS else self.quantity
            self.turn("matrix")
        self.matrix.pictures = not self.matrix.pictures
        self.grid.level = 0
        self.asking.ask()

    def action_edit_cell(self) -> None:
        changing.edit_cell(self)

    def action_shadow(self) -> None:
        self.work("shadow", changing.shadow, self)

    def action_open_here(self) -> None:
        """Enter: the sample under the cursor, or the matrix of the stage under it."""
        if self.view == "stages":
            self._put_quantity(self.stages.kind)
        elif self.view == "rows":
            self.ranked.whole = not self.ranked.whole
            self.ranked.show()
        elif self.view == "inside":
            self.notice("enter shows a sample in the other views")
        elif (cell := self._cell()) is not None:
            self.work("sample", self._to_sample, cell, alone=False)

    async def _to_sample(self, cell: tuple[int, int]) -> None:
        """The row of the batch under the cursor, among those ranked by its unit."""
        if self.view == "matrix" and self.quantity in INPUTS | {"b", "grad_b"}:
            self.unit = self._unit_of(cell)
            self.action_view_at(3)
            return
        if labels(self.quantity)[1] == "unit":
            self.unit = self._unit_of(cell)
        self.turn("rows")
        await self.asking.rows()
        view = self.ranked.view
        rows = list(view.rows) if not isinstance(view, Nothing) and view is not None else []
        if cell[0] in rows:
            self.ranked.row, self.ranked.whole = rows.index(cell[0]), True
        self.ranked.show()
        self.lines()

    def _unit_of(self, cell: tuple[int, int]) -> int:
        """The unit that a cell of the matrix, or of the factors of δ, belongs to."""
        view = self._sheet()
        whole = view.whole if isinstance(view, SheetView) else ()
        return axes.unit(whole, cell, weights=self.view == "matrix" and self.quantity in INPUTS)

    def action_back(self) -> None:
        if self.view == "rows" and self.ranked.whole:
            self.ranked.whole = False
            self.ranked.show()
        elif self.view == "matrix" and self.matrix.pictures:
            self.action_picture()
        else:
            self.dismiss()

    def place(self) -> tuple[Reference, str] | None:
        layer = self.snapshot.model.layers[self.index].name
        if self.view == "inside":
            here = self.inner.here()
            return None if here is None else (self.reference(self.snapshot.step, layer, *here[:2]), here[2])
        value, cell, view = self._value(), self._cell(), self._sheet()
        if value is None or cell is None or self.view not in ("ledger", "matrix") or self._shown not in REFERABLE:
            return None
        at: tuple[int, ...] = cell
        if isinstance(view, SheetView):
            at = cell[1:] if view.vector else axes.unfolded(view.whole, cell)
        return self.reference(self.snapshot.step, layer, self._shown, at), repr(value)

    def explanation(self) -> tuple[str, str, Place]:
        return *wording.about(self.view, self._shown, self.snapshot, self.index), "inspector"


def open_inspector(below: TransportScreen, at: Reference | None = None) -> None:
    """The values of the selected layer; ``at``: the matrix and the cell that it names."""
    snapshot = below.snapshot
    if not snapshot.model.layers:
        below.notice("no layers to inspect yet")
    elif not below.face.may_ask(Ledger()):
        below.notice("the run has ended: there is no process to ask for values")
    else:
        below.app.push_screen(Inspector(below.face.main.selected, snapshot, below.face.glyphs, at))
