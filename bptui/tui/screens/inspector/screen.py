"""The inspector's screen: which view, layer and quantity; what is asked; what the keys do."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches

from bptui.client.reference import QUANTITIES as REFERABLE
from bptui.client.reference import Reference
from bptui.expr.cells import parse_cells
from bptui.protocol.framing import Frame
from bptui.protocol.messages import Ledger, Order, Pause, Ranked, Request, Set, Shadow, Sheet, Stages
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.plain import spell
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.screens.inspector import axes, formula
from bptui.tui.screens.inspector.grid import LEVELS, Grid
from bptui.tui.screens.inspector.info import InfoPane
from bptui.tui.screens.inspector.inside import InsidePane, inside_view
from bptui.tui.screens.inspector.ledger import FACTORS, FactorsPane, StripPane, shadow_text
from bptui.tui.screens.inspector.matrix import GridPane, MatrixPane
from bptui.tui.screens.inspector.ranked import RankedPane
from bptui.tui.screens.inspector.stages import KINDS, StagesPane
from bptui.tui.screens.inspector.views import (
    LedgerView,
    Nothing,
    SheetView,
    ledger_view,
    ranked_view,
    shadowed,
    sheet_view,
    staged,
)
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import INSPECTOR, LAST_DELTA, QUANTITIES, STAGE_QUANTITIES

VIEWS = ("ledger", "matrix", "rows", "stages", "inside")
ORDER = tuple(QUANTITIES)
BESIDE = 100
"""From this width on the strip and the slices stand beside the view."""
SIDE = 42
MOST_SLICE = 4096
#: Quantities whose rows are inputs, whose rows are samples of features, and that have no rows.
_INPUTS = {"W", "grad_W", "update_W", *KINDS}
_WORDS = {**QUANTITIES, **STAGE_QUANTITIES}
#: Of a script's layer, which may be of any kind.
_SCRIPT_WORDS = {
    "delta": ("δ = ∂L/∂a", "how the loss changes with what the layer gives: samples × all of it"),
    "a": ("a", "what the layer gives on: samples × all of it"),
    "z": ("z", "what a layer with weights gives, or what an activation is given: samples × all of it"),
}


class Inspector(TransportScreen):
    """One of VIEWS of layer ``index``; it asks again after each step."""

    PLACE = "inspector"
    BINDINGS = bindings("inspector")

    def __init__(self, layer: int, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="inspector")
        self.index = layer
        # Of a script's layer the factors of δ are not known: it begins with δ itself.
        self.view, self.quantity = "matrix" if snapshot.script else "ledger", "delta"
        self.glyphs = glyphs
        self.grid = Grid()
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.tabs = TextLine(snapshot, glyphs=glyphs, id="tabs")
        self.formula = TextLine(snapshot, glyphs=glyphs, id="formula")
        self.factors = FactorsPane(snapshot, self.grid, glyphs=glyphs, id="factors")
        self.matrix = MatrixPane(snapshot, self.grid, glyphs=glyphs, id="matrix")
        self.ranked = RankedPane(snapshot, glyphs=glyphs, id="ranked")
        self.stages = StagesPane(snapshot, glyphs=glyphs, id="stages")
        self.inner = InsidePane(snapshot, glyphs=glyphs, id="inner")
        self.strip = StripPane(snapshot, glyphs=glyphs, id="strip")
        self.info = InfoPane(snapshot, glyphs=glyphs, id="info")
        self.panes: dict[str, ChartPane] = {
            "ledger": self.factors, "matrix": self.matrix, "rows": self.ranked, "stages": self.stages,
            "inside": self.inner,
        }  # fmt: skip
        self.cell = TextLine(snapshot, glyphs=glyphs, id="cell")
        self.numbers = TextLine(snapshot, glyphs=glyphs, id="numbers")
        self.keybar = KeyBar(snapshot, "inspector", id="keys")
        self._seen: tuple[Any, ...] = ()
        self._ledger_of: tuple[Any, ...] = ()
        self._asked = 0
        self._note = ""
        self._unit = 0
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
        self._turn(self.view)
        self.show(self.snapshot)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self.call_after_refresh(self._complete)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        place = (snapshot.state, snapshot.step, snapshot.micro, snapshot.link)
        if place != self._seen:
            self._seen = place
            self.strip.shadow = None
            if snapshot.state != "RUNNING":
                self._request()
            else:
                for pane in self.panes.values():
                    pane.stale = True  # type: ignore[attr-defined]
        self.header.show(snapshot)
        for pane in (*self.panes.values(), self.strip, self.info):
            pane.snapshot = snapshot
        self.panes[self.view].show(snapshot)
        self.strip.show(snapshot)
        self.info.show(snapshot)
        self._lines()
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

    def _turn(self, view: str) -> None:
        self.view = view
        for name, pane in self.panes.items():
            pane.display = name == view
        self._arrange()
        self.set_focus(self.panes[view])
        self._lines()

    @property
    def _ascii(self) -> bool:
        return self.glyphs.name == "ascii"

    def _lines(self) -> None:
        layers = self.snapshot.model.layers
        name = layers[self.index].name if self.index < len(layers) else "?"
        tabs: Line = [(" ", "text"), (f"{name} ", "strong"), (f"{self.index + 1}/{len(layers)} ", "dim")]
        narrow = self.app.size.width < BESIDE
        for number, view in enumerate(VIEWS, start=1):
            on = view == self.view
            word = "" if narrow and self.view == "matrix" and not on else f"{view} "
            tabs += [(f" {number} ", "key+cursor" if on else "key"), (word, "strong+cursor" if on else "dim")]
        if self.view == "matrix":
            tabs.append((" ", "text"))
            for key in (*ORDER, *(() if self.quantity in ORDER else (self.quantity,))):
                word = _WORDS[key][1 if self._ascii else 0]
                tabs.append((f" {word} ", "key+cursor" if key == self.quantity else "dim"))
        self.tabs.put(tabs)
        text, meaning = self._words()
        if self._ascii:
            text, meaning = spell(text), spell(meaning)
        self.formula.put([(" ", "text"), (text, "first"), (f"   {meaning}", "dim")])
        self.matrix.word = _WORDS[self.quantity][1 if self._ascii else 0]
        self.matrix.labels = self._labels(self.quantity)
        self._cell_lines()

    @property
    def _dense_here(self) -> bool:
        """Whether the rows' part in the gradient of W is known: each place has inputs of its own."""
        layers = self.snapshot.model.layers
        return self.snapshot.script or self.index >= len(layers) or layers[self.index].kind == "dense"

    @staticmethod
    def _labels(kind: str) -> tuple[str, str]:
        if kind == "x":
            return "sample", "feature"
        return ("input" if kind in _INPUTS else "sample"), "unit"

    def _words(self) -> tuple[str, str]:
        if self.view == "rows":
            if not self._dense_here:
                return "∂L/∂b[j] = Σₙ Σₓ δₙⱼ(x)", "each row gives its δ, summed over places; enter shows the sample"
            return "∂L/∂W[:, j] = Σₙ aₙ δₙⱼ", "each row gives the vector aₙδₙⱼ; enter shows the sample"
        if self.view == "stages":
            between = "" if self.snapshot.script else "regularised → "
            return f"raw → {between}clipped → ΔW", "enter shows the matrix of a stage"
        if self.view == "inside":
            return self.inner.words()
        quantity = "delta" if self.view == "ledger" else self.quantity
        _, _, text, meaning = _WORDS[quantity]
        layers = self.snapshot.model.layers
        if quantity == "delta" and self.index == len(layers) - 1:
            text = LAST_DELTA.get(self.snapshot.model.loss, "δᴸ = ∂L/∂zᴸ")
        if self.snapshot.script and quantity in ("delta", "a", "z"):
            return _SCRIPT_WORDS[quantity]
        if quantity == "a" and self.index < len(layers):
            meaning = f"g = {layers[self.index].activation or 'identity'}: samples × units"
        return text, meaning

    def _cell_lines(self) -> None:
        self.cell.put(self._exact())
        text = self._note if self.view != "ledger" else self._formula_here() or self._note
        if self.strip.shadow is not None:
            text = shadow_text(self.strip.shadow)
        if self._ascii:
            text = spell(text)
        self.numbers.put([(" ", "text"), (text, "first" if text != self._note else "dim")])

    def _exact(self) -> Line:
        """What is under the cursor, with all its digits, and what its row and column are."""
        if self.view == "rows":
            sample = self.ranked.sample()
            return [] if sample is None else [(f" row {sample} of the batch, for unit {self._unit}", "dim")]
        if self.view in ("stages", "inside"):
            return self.inner.readout() if self.view == "inside" else []
        kind = "delta" if self.view == "ledger" else self.quantity
        value = self.factors.value("delta") if self.view == "ledger" else self.matrix.value()
        cell = self.factors.cell() if self.view == "ledger" else self.matrix.cell()
        if value is None or cell is None:
            return []
        view = self.matrix.view if self.view == "matrix" else self.factors.views.get("delta")
        vector = isinstance(view, SheetView) and view.vector
        whole = view.whole if isinstance(view, SheetView) else ()
        place = str(cell[1]) if vector else ", ".join(map(str, axes.unfolded(whole, cell)))
        block = f" (the largest of {self.grid.zoom}×{self.grid.zoom})" if self.grid.zoom > 1 else ""
        line: Line = [(f" {kind}[{place}] = ", "dim"), (repr(value), "bad" if not math.isfinite(value) else "strong")]
        line.append((block, "dim"))
        rows, columns = self._labels(kind)
        named = axes.words(whole, cell, weights=kind in _INPUTS) or f"{rows} {cell[0]}, {columns} {cell[1]}"
        line.append((f"   {columns} {cell[1]}" if vector else f"   {named}", "dim"))
        loss = view.loss if isinstance(view, SheetView) else None
        if loss is not None:
            line.append((f"   loss {loss!r}", "dim"))
        return line

    def _formula_here(self) -> str:
        """The formula of δ with the numbers under the cursor in it."""
        cell = self.factors.cell()
        if cell is None:
            return ""
        values = [self.factors.value(kind) for kind in FACTORS]
        if values[0] is None and self._last_delta:
            return f"δ{formula.index(self.index)}[{cell[0]}, {cell[1]}] = {self._last_delta}"
        return formula.cell(self.index, cell, *values)

    _last_delta = ""

    # -- asking ------------------------------------------------------------------------------------
    def _request(self, find: bool = False) -> None:
        self._asked += 1
        self.work("inspect", self._ask, self._asked, find)

    async def _fetch(self, request: Request) -> Frame | None:
        session = self.face.session
        if session is None:
            return None
        try:
            return await session.request(request)
        except RequestRefused as refused:
            self._note = clean(str(refused.message), 200)
        except (ConnectionLost, OSError):
            self._note = "connection lost"
        return None

    async def _ask(self, number: int, find: bool) -> None:
        self._note = ""
        if self._ledger_of != self._seen:
            frame = await self._fetch(Ledger())
            if number != self._asked:
                return
            self._take_ledger(None if frame is None else ledger_view(frame))
        await {"ledger": self._ask_factors, "matrix": self._ask_matrix, "rows": self._ask_rows,
               "stages": self._ask_stages, "inside": self._ask_inside}[self.view](find)  # fmt: skip
        self._cell_lines()

    def _take_ledger(self, view: LedgerView | None) -> None:
        if view is not None:
            self._ledger_of = self._seen
        for pane in (self.factors, self.strip):
            pane.ledger, pane.selected = view, self.index
            pane.show()

    async def _sheet(self, request: Sheet) -> SheetView | Nothing:
        frame = await self._fetch(request)
        return Nothing(note=self._note) if frame is None else sheet_view(frame)

    async def _ask_factors(self, find: bool) -> None:
        self.grid.level = min(self.grid.level, 1)
        views = {}
        for kind in FACTORS:
            views[kind] = await self._sheet(self.grid.request(self.index, kind))
        self.factors.selected = self.index
        self._last_delta = ""
        self.factors.put(views, self._note)
        known = isinstance(views["delta"], SheetView)
        if known and self.index == len(self.snapshot.model.layers) - 1:
            await self._ask_last_delta()
        if not self.factors.complete():  # the first answer told how large it is
            self._complete()

    async def _ask_last_delta(self) -> None:
        """δᴸ from the sample's logits and target."""
        cell, experiment, ledger = self.factors.cell(), self.snapshot.model.experiment, self.factors.ledger
        if cell is None or experiment is None or ledger is None:
            return
        z = await self._sheet(Sheet(layer=self.index, kind="a", top=cell[0], rows=1, columns=MOST_SLICE))
        y = await self._sheet(Sheet(layer=self.index, kind="y", rows=ledger.samples, columns=MOST_SLICE))
        rows_alone = isinstance(z, SheetView) and len(z.whole) < 3  # of a sequence each step has a target of its own
        if isinstance(z, SheetView) and isinstance(y, SheetView) and z.values and rows_alone:
            target = y.values[0][cell[0]] if y.vector else list(y.values[cell[0]])
            self._last_delta = formula.last_delta(experiment, z.values[0], target, ledger.samples, cell[1])

    async def _ask_matrix(self, find: bool) -> None:
        request = self.grid.request(self.index, self.quantity, find)
        if self.matrix.pictures:  # whole rows or columns of the matrix
            request = Sheet(
                layer=self.index, kind=self.quantity, top=self.grid.row if self.quantity == "x" else 0,
                left=0 if self.quantity == "x" else self.grid.column, rows=40 if self.quantity == "x" else MOST_SLICE,
                columns=MOST_SLICE if self.quantity == "x" else 64,
                row_order=self.grid.row_order if self.quantity == "x" else Order(),
                column_order=self.grid.column_order if self.quantity != "x" else Order(),  # pixels stay in their places
            )  # fmt: skip
        view = await self._sheet(request)
        self.matrix.put(view)
        if not self.matrix.complete():  # the first answer told how large it is
            self._complete()
            return
        if isinstance(view, Nothing):
            self.info.put(None, [])
            self._note = self._note or view.note
            return
        self._note = view.note
        if find:
            self.notice(f"{view.matched:,} cells meet it" if view.found is not None else "no cell meets it")
        if self.matrix.pictures and not view.picture:
            self.matrix.pictures = False
            self.notice("pictures are there for x, and for W of the first layer, where inputs are pictures")
            self._request()
            return
        await self._ask_slices(view)

    async def _ask_slices(self, view: SheetView) -> None:
        if not self.info.display or self.app.size.width < BESIDE:
            return
        grid, cell = self.grid, self.matrix.cell()
        slices = []
        if cell is not None:
            common: dict[str, Any] = {"layer": self.index, "kind": self.quantity, "row_order": grid.row_order,
                                      "column_order": grid.column_order}  # fmt: skip
            across = await self._sheet(Sheet(top=grid.row, rows=1, columns=MOST_SLICE, **common))
            rows, columns = self._labels(self.quantity)
            if isinstance(across, SheetView):
                word = "all" if view.vector else f"{rows} {cell[0]}"
                slices.append((f"{word}: {view.shape[1]} {columns}s", across.values[0]))
            if not view.vector:
                down = await self._sheet(Sheet(left=grid.column, rows=MOST_SLICE, columns=1, **common))
                if isinstance(down, SheetView):
                    slices.append((f"{columns} {cell[1]}: {view.shape[0]} {rows}s", [row[0] for row in down.values]))
        self.info.put(view, slices)

    async def _ask_rows(self, find: bool) -> None:
        units = self.snapshot.model.layers[self.index].units
        self._unit = max(0, min(self._unit, units - 1))
        frame = await self._fetch(Ranked(layer=self.index, unit=self._unit))
        self.ranked.by_inputs = self._dense_here
        self.ranked.put(Nothing(note=self._note) if frame is None else ranked_view(frame))

    async def _ask_stages(self, find: bool) -> None:
        frame = await self._fetch(Stages())
        self.stages.selected = self.index
        self.stages.put(None if frame is None else staged(frame), self._note)

    async def _ask_inside(self, find: bool) -> None:
        frame = await self._fetch(self.inner.request(self.index))
        self.inner.put(Nothing(note=self._note) if frame is None else inside_view(frame))
        self._note = self._note or getattr(self.inner.view, "note", "")
        self._lines()

    # -- what panes say ----------------------------------------------------------------------------
    def on_chart_pane_moved(self, message: ChartPane.Moved) -> None:
        if self.view == "stages" and self.stages.selected != self.index:
            self._select(self.stages.selected)
        self._cell_lines()
        if self.view in ("ledger", "matrix"):
            self._later()

    def on_inside_pane_wanted(self, message: InsidePane.Wanted) -> None:
        self._request()

    def on_grid_pane_wanted(self, message: GridPane.Wanted) -> None:
        self._request()

    def _complete(self) -> None:
        pane = self.panes[self.view]
        if isinstance(pane, GridPane) and not pane.complete():
            self._request()

    def _later(self) -> None:
        """Slices, and the numbers of the last δ, once the cursor rests."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(0.08, self._rested)

    _rest: Any = None

    def _rested(self) -> None:
        if self.view == "matrix" and isinstance(self.matrix.view, SheetView):
            self.work("slices", self._ask_slices, self.matrix.view)
        elif self.view == "ledger" and self.index == len(self.snapshot.model.layers) - 1:
            self.work("slices", self._renew_last)

    async def _renew_last(self) -> None:
        await self._ask_last_delta()
        self._cell_lines()

    # -- actions -----------------------------------------------------------------------------------
    def action_view_at(self, number: int) -> None:
        if VIEWS[number - 1] == "rows" and self.view in ("ledger", "matrix"):
            cell = self.factors.cell() if self.view == "ledger" else self.matrix.cell()
            if cell is not None and self._labels(self.quantity)[1] == "unit":
                self._unit = self._unit_of(cell)
        self._turn(VIEWS[number - 1])
        self._request()

    def action_quantity(self, by: int) -> None:
        if self.view == "inside":
            self.inner.turn(by)
            self._request()
            return
        now = ORDER.index(self.quantity) if self.quantity in ORDER else 0
        self._put_quantity(ORDER[(now + by) % len(ORDER)])

    def _put_quantity(self, quantity: str) -> None:
        if self._labels(quantity) != self._labels(self.quantity):
            self.grid.forget_orders()
        self.quantity = quantity
        self.matrix.pictures = False
        self._turn("matrix")
        self._request()

    def action_layer(self, by: int) -> None:
        total = len(self.snapshot.model.layers)
        self._select(max(0, min(total - 1, self.index + by)))
        if self.view == "rows":
            self._unit = 0
        self.grid.forget_orders()
        self._lines()
        self._request()

    def _select(self, index: int) -> None:
        self.index = index
        self.strip.selected = self.factors.selected = index
        self.face.main.select(index)
        self.strip.show()
        self._lines()

    def action_zoom_cells(self, by: int) -> None:
        """Out to ever larger blocks (1), or in (−1)."""
        if self.view != "matrix":
            self._turn("matrix")
        if not self.grid.zoom_by(by):
            self.notice("that is the whole matrix" if by > 0 else "that is as near as it gets")
        self.matrix.pictures = False
        self._request()
        shade = LEVELS[self.grid.level][1]
        if self.grid.shaded:
            self.notice(f"a shade is {shade}×{shade} cells" if shade > 1 else "a shade a cell: sign and magnitude")

    def action_sort(self, axis: int) -> None:
        if self.view != "matrix":
            self._turn("matrix")
        cell = self.matrix.cell() or (0, 0)
        by = self.grid.turn_order(axis, cell[1 - axis])
        words = self._labels(self.quantity)
        other = f"by {words[1 - axis]} {cell[1 - axis]}"
        self.notice(f"{words[axis]}s " + {"": "as they are", "norm": "by norm", "value": other}[by])
        self._request()

    def action_reverse(self) -> None:
        self.notice("smallest first" if self.grid.reverse() else "largest first")
        self._request()

    def action_mark(self) -> None:
        from bptui.tui.screens.ask import AskScreen

        def taken(text: str | None) -> None:
            if text is None:
                return
            self.grid.condition = " ".join(text.split())
            if self.view != "matrix":
                self._turn("matrix")
            self._request(find=bool(self.grid.condition))

        self.app.push_screen(
            AskScreen("Mark cells", "Cells that meet it are marked and counted; m goes to the next. Empty: none.",
                      value=self.grid.condition, hint="< 0   == 0   abs > 1e-3   not finite",
                      check=lambda text: parse_cells(text) if text.strip() else None),
            taken,
        )  # fmt: skip

    def action_next_match(self) -> None:
        if not self.grid.condition:
            self.notice("nothing is marked: / takes a condition such as abs > 1e-3")
        else:
            self._request(find=True)

    def action_picture(self) -> None:
        if self.view != "matrix":
            self.quantity = "x" if self.quantity not in _INPUTS else self.quantity
            self._turn("matrix")
        self.matrix.pictures = not self.matrix.pictures
        self.grid.level = 0
        self._request()

    def action_edit_cell(self) -> None:
        from bptui.tui.screens.ask import AskScreen

        cell, value = self.matrix.cell(), self.matrix.value()
        if self.view != "matrix" or self.quantity not in ("W", "b") or cell is None or value is None:
            self.notice("e changes a cell of W or b: tab leads there")
            return
        if self.grid.zoom > 1:
            self.notice("zoom in until a cell is one number: >")
            return
        view = self.matrix.view
        assert isinstance(view, SheetView)
        at = (cell[1],) if view.vector else axes.unfolded(view.whole, cell)
        place = f"{view.tensor}[{','.join(map(str, at))}]"

        def taken(text: str | None) -> None:
            if text is not None:
                self.work("edit", self._edit, place, value, float(text), alone=False)

        self.app.push_screen(
            AskScreen(f"Edit {place}", "Another value from here on, as an event; in the past it makes another future.",
                      value=repr(value), check=_finite),
            taken,
        )  # fmt: skip

    async def _edit(self, place: str, before: float, after: float) -> None:
        if await self.face.ask(Set(key=place, value=after)) is not None:
            self.notice(f"{place} {small(before)} → {small(after)}")
            self._ledger_of = ()
            self._request()

    def action_shadow(self) -> None:
        self.work("shadow", self._shadow)

    async def _shadow(self) -> None:
        self.notice("the step again, in float64 …")
        frame = await self._fetch(Shadow())
        if frame is None:
            self.notice(self._note, "warn")
            return
        self.strip.shadow = shadowed(frame)
        self.strip.show()
        if self.strip.shadow is not None:
            self.notice(shadow_text(self.strip.shadow))
        self._cell_lines()

    def action_open_here(self) -> None:
        """Enter: the sample under the cursor, or the matrix of the stage under it."""
        if self.view == "stages":
            self._put_quantity(self.stages.kind)
        elif self.view == "rows":
            self.ranked.whole = not self.ranked.whole
            self.ranked.show()
        elif self.view == "inside":
            self.notice("enter shows a sample in the other views")
        elif (cell := self.factors.cell() if self.view == "ledger" else self.matrix.cell()) is not None:
            self.work("sample", self._to_sample, cell, alone=False)

    async def _to_sample(self, cell: tuple[int, int]) -> None:
        """The row of the batch under the cursor, among those ranked by its unit."""
        if self.view == "matrix" and self.quantity in _INPUTS | {"b", "grad_b"}:
            self._unit = self._unit_of(cell)
            self.action_view_at(3)
            return
        if self._labels(self.quantity)[1] == "unit":
            self._unit = self._unit_of(cell)
        self._turn("rows")
        await self._ask_rows(False)
        view = self.ranked.view
        rows = list(view.rows) if not isinstance(view, Nothing) and view is not None else []
        if cell[0] in rows:
            self.ranked.row, self.ranked.whole = rows.index(cell[0]), True
        self.ranked.show()
        self._lines()

    def _unit_of(self, cell: tuple[int, int]) -> int:
        """The unit that a cell of the matrix, or of the factors of δ, belongs to."""
        view = self.factors.views.get("delta") if self.view == "ledger" else self.matrix.view
        whole = view.whole if isinstance(view, SheetView) else ()
        return axes.unit(whole, cell, weights=self.view == "matrix" and self.quantity in _INPUTS)

    def action_back(self) -> None:
        if self.view == "rows" and self.ranked.whole:
            self.ranked.whole = False
            self.ranked.show()
        elif self.view == "matrix" and self.matrix.pictures:
            self.action_picture()
        else:
            self.dismiss()

    def place(self) -> tuple[Reference, str] | None:
        kind = "delta" if self.view == "ledger" else self.quantity
        value = self.factors.value("delta") if self.view == "ledger" else self.matrix.value()
        cell = self.factors.cell() if self.view == "ledger" else self.matrix.cell()
        if value is None or cell is None or self.view in ("rows", "stages", "inside") or kind not in REFERABLE:
            return None
        view = self.matrix.view if self.view == "matrix" else self.factors.views.get("delta")
        at: tuple[int, ...] = cell
        if isinstance(view, SheetView):
            at = cell[1:] if view.vector else axes.unfolded(view.whole, cell)
        return self.reference(self.snapshot.step, self.snapshot.model.layers[self.index].name, kind, at), repr(value)

    def explanation(self) -> tuple[str, str, Place]:
        text, meaning = self._words()
        if self.view in ("rows", "stages", "inside"):
            return f"Inspector: {self.view}", INSPECTOR[self.view], "inspector"
        quantity = "delta" if self.view == "ledger" else self.quantity
        name = _WORDS[quantity][0]
        rows, columns = self._labels(quantity)
        about = (
            f"{name} is {meaning}. Rows are {rows}s and columns are {columns}s; the cell under the cursor stands below "
            f"with all its digits.\n\n    {text}\n\n{INSPECTOR[self.view]}"
        )
        return f"Inspector: {name}", about, "inspector"


def _finite(text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")


def open_inspector(below: TransportScreen) -> None:
    """The values of the selected layer."""
    snapshot = below.snapshot
    if not snapshot.model.layers:
        below.notice("no layers to inspect yet")
    elif not below.face.may_ask(Ledger()):
        below.notice("the run has ended: there is no process to ask for values")
    else:
        below.app.push_screen(Inspector(below.face.main.selected, snapshot, below.face.glyphs))
