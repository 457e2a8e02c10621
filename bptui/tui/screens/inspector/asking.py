"""What the inspector asks the trainer for, and to which pane an answer goes.

A question that was asked later makes an earlier one void: its task is taken back, and its answer not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bptui.protocol.framing import Frame
from bptui.protocol.messages import Ledger, Order, Ranked, Request, Sheet, Stages
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.inspector import formula
from bptui.tui.screens.inspector.inside_view import inside_view
from bptui.tui.screens.inspector.ledger import FACTORS
from bptui.tui.screens.inspector.views import (
    LedgerView,
    Nothing,
    SheetView,
    ledger_view,
    ranked_view,
    sheet_view,
    staged,
)
from bptui.tui.screens.inspector.wording import dense, labels
from bptui.tui.text import clean

if TYPE_CHECKING:
    from bptui.tui.screens.inspector.screen import Inspector

BESIDE = 100
"""From this width on the strip and the slices stand beside the view."""
MOST_SLICE = 4096


class Asking:
    """Of one inspector. ``note`` says why there is no answer, or what is to be said of it."""

    def __init__(self, screen: Inspector) -> None:
        self._screen = screen
        self._number = 0
        self._ledger_of: tuple[Any, ...] = ()
        """The place of the run whose ledger has come."""
        self.note = ""
        self.last_delta = ""
        """δ of the last layer, its formula with the numbers under the cursor in it."""

    def ask(self, find: bool = False) -> None:
        """All that the present view shows; ``find``: and go to the next cell that is marked."""
        self._number += 1
        self._screen.work("inspect", self._ask, self._number, find)

    def ledger_changed(self) -> None:
        """The next question asks for it too."""
        self._ledger_of = ()

    async def fetch(self, request: Request) -> Frame | None:
        """The answer; None, and a note, where there is none."""
        session = self._screen.face.session
        if session is None:
            return None
        try:
            return await session.request(request)
        except RequestRefused as refused:
            self.note = clean(str(refused.message), 200)
        except (ConnectionLost, OSError):
            self.note = "connection lost"
        return None

    async def _ask(self, number: int, find: bool) -> None:
        screen = self._screen
        self.note = ""
        if self._ledger_of != screen.seen:
            frame = await self.fetch(Ledger())
            if number != self._number:
                return
            self._take_ledger(None if frame is None else ledger_view(frame))
        await {"ledger": self._factors, "matrix": self._matrix, "rows": self.rows, "stages": self._stages,
               "inside": self._inside}[screen.view](find)  # fmt: skip
        screen.cell_lines()

    def _take_ledger(self, view: LedgerView | None) -> None:
        screen = self._screen
        if view is not None:
            self._ledger_of = screen.seen
        for pane in (screen.factors, screen.strip):
            pane.ledger, pane.selected = view, screen.index
            pane.show()

    async def _sheet(self, request: Sheet) -> SheetView | Nothing:
        frame = await self.fetch(request)
        return Nothing(note=self.note) if frame is None else sheet_view(frame)

    # -- views -------------------------------------------------------------------------------------
    async def _factors(self, find: bool) -> None:
        screen = self._screen
        screen.grid.level = min(screen.grid.level, 1)
        views = {}
        for kind in FACTORS:
            views[kind] = await self._sheet(screen.grid.request(screen.index, kind))
        screen.factors.selected = screen.index
        self.last_delta = ""
        screen.factors.put(views, self.note)
        if isinstance(views["delta"], SheetView) and screen.at_last_layer():
            await self.renew_last_delta()
        screen.complete()  # the first answer told how large it is

    async def renew_last_delta(self) -> None:
        """δᴸ from the sample's logits and target."""
        screen = self._screen
        cell, experiment, ledger = screen.factors.cell(), screen.snapshot.model.experiment, screen.factors.ledger
        if cell is None or experiment is None or ledger is None:
            return
        z = await self._sheet(Sheet(layer=screen.index, kind="a", top=cell[0], rows=1, columns=MOST_SLICE))
        if experiment.adversary is not None:  # generated samples, then as many true ones
            if isinstance(z, SheetView) and z.values:
                rows, truth = 2 * ledger.samples, float(cell[0] >= ledger.samples)
                self.last_delta = formula.last_delta(experiment, z.values[0], truth, rows, cell[1])
            return
        y = await self._sheet(Sheet(layer=screen.index, kind="y", rows=ledger.samples, columns=MOST_SLICE))
        rows_alone = isinstance(z, SheetView) and len(z.whole) < 3  # of a sequence each step has a target of its own
        if isinstance(z, SheetView) and isinstance(y, SheetView) and z.values and rows_alone:
            target = y.values[0][cell[0]] if y.vector else list(y.values[cell[0]])
            self.last_delta = formula.last_delta(experiment, z.values[0], target, ledger.samples, cell[1])

    async def _matrix(self, find: bool) -> None:
        screen = self._screen
        request = screen.grid.request(screen.index, screen.quantity, find)
        if screen.matrix.pictures:
            request = self._whole_rows(screen.quantity)
        view = await self._sheet(request)
        screen.matrix.put(view)
        if isinstance(view, SheetView):
            screen.aim(view)
        if not screen.matrix.complete():  # the first answer told how large it is
            screen.complete()
            return
        if isinstance(view, Nothing):
            screen.info.put(None, [])
            self.note = self.note or view.note
            return
        self.note = view.note
        if find:
            screen.notice(f"{view.matched:,} cells meet it" if view.found is not None else "no cell meets it")
        if screen.matrix.pictures and not view.picture:
            screen.matrix.pictures = False
            screen.notice("pictures are there for x, and for W of the first layer, where inputs are pictures")
            self.ask()
            return
        await self.slices(view)

    def _whole_rows(self, quantity: str) -> Sheet:
        """Rows of x, or columns of a matrix, as pictures: pixels stay in their places."""
        grid, rows = self._screen.grid, quantity == "x"
        return Sheet(
            layer=self._screen.index, kind=quantity, top=grid.row if rows else 0, left=0 if rows else grid.column,
            rows=40 if rows else MOST_SLICE, columns=MOST_SLICE if rows else 64,
            row_order=grid.row_order if rows else Order(), column_order=Order() if rows else grid.column_order,
        )  # fmt: skip

    async def slices(self, view: SheetView) -> None:
        """The row and the column under the cursor, whole."""
        screen = self._screen
        if not screen.info.display or screen.app.size.width < BESIDE:
            return
        grid, cell = screen.grid, screen.matrix.cell()
        found = []
        if cell is not None:
            common: dict[str, Any] = {"layer": screen.index, "kind": screen.quantity, "row_order": grid.row_order,
                                      "column_order": grid.column_order}  # fmt: skip
            across = await self._sheet(Sheet(top=grid.row, rows=1, columns=MOST_SLICE, **common))
            rows, columns = labels(screen.quantity)
            if isinstance(across, SheetView):
                word = "all" if view.vector else f"{rows} {cell[0]}"
                found.append((f"{word}: {view.shape[1]} {columns}s", across.values[0]))
            if not view.vector:
                down = await self._sheet(Sheet(left=grid.column, rows=MOST_SLICE, columns=1, **common))
                if isinstance(down, SheetView):
                    found.append((f"{columns} {cell[1]}: {view.shape[0]} {rows}s", [row[0] for row in down.values]))
        screen.info.put(view, found)

    async def rows(self, find: bool = False) -> None:
        """The batch's rows, ranked by what they give to the gradient of the screen's unit."""
        screen = self._screen
        screen.unit = max(0, min(screen.unit, screen.snapshot.model.layers[screen.index].units - 1))
        frame = await self.fetch(Ranked(layer=screen.index, unit=screen.unit))
        screen.ranked.by_inputs = dense(screen.snapshot, screen.index)
        screen.ranked.put(Nothing(note=self.note) if frame is None else ranked_view(frame))

    async def _stages(self, find: bool) -> None:
        screen = self._screen
        frame = await self.fetch(Stages())
        screen.stages.selected = screen.index
        screen.stages.put(None if frame is None else staged(frame), self.note)

    async def _inside(self, find: bool) -> None:
        inner = self._screen.inner
        frame = await self.fetch(inner.request(self._screen.index))
        inner.put(Nothing(note=self.note) if frame is None else inside_view(frame))
        self.note = self.note or getattr(inner.view, "note", "")
        if wrong := inner.arrive():
            self._screen.notice(wrong, "warn")
        self._screen.lines()
