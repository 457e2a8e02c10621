"""The inspector: exact values of one layer's tensors at the paused place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from bptui.client.reference import Reference
from bptui.protocol.messages import Inspect, Inspection, Pause
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.plain import spell
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, integer
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.matrix import Matrix
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import LAST_DELTA, QUANTITIES

if TYPE_CHECKING:
    from bptui.protocol.framing import Frame

ORDER = tuple(QUANTITIES)


class Inspector(TransportScreen):
    """Values of ``quantity`` of layer ``index``; it asks again after each step."""

    PLACE = "inspector"
    BINDINGS = bindings("inspector")
    AUTO_FOCUS = "#matrix"

    def __init__(self, layer: int, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="inspector")
        self.index = layer
        self.quantity = "delta"
        self.glyphs = glyphs
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.tabs = TextLine(snapshot, glyphs=glyphs, id="tabs")
        self.formula = TextLine(snapshot, glyphs=glyphs, id="formula")
        self.matrix = Matrix(snapshot, glyphs=glyphs, id="matrix")
        self.cell = TextLine(snapshot, glyphs=glyphs, id="cell")
        self.keybar = KeyBar(snapshot, "inspector", id="keys")
        self._seen: tuple[Any, ...] = ()
        self._asked = 0
        self._note = ""
        self._loss: float | None = None

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.tabs
        yield self.formula
        yield self.matrix
        yield self.cell
        yield self.keybar

    def on_mount(self) -> None:
        if self.snapshot.state == "RUNNING":
            self.face.send(Pause(), "paused, to look at values")
        self.show(self.snapshot)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        place = (snapshot.state, snapshot.step, snapshot.micro, snapshot.link)
        if place != self._seen:
            self._seen = place
            if snapshot.state != "RUNNING":
                self._request()
            else:
                self.matrix.stale = True
        self.header.show(snapshot)
        self._lines(snapshot)
        self.matrix.show(snapshot)
        self.keybar.show(snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _lines(self, snapshot: Snapshot) -> None:
        ascii_only = self.glyphs.name == "ascii"
        name = snapshot.model.layers[self.index].name if self.index < len(snapshot.model.layers) else "?"
        tabs = [(" ", "text"), (f"{name} ", "strong"), (f"{self.index + 1}/{len(snapshot.model.layers)}  ", "dim")]
        for key in ORDER:
            word = QUANTITIES[key][1 if ascii_only else 0]
            tabs.append((f" {word} ", "key+cursor" if key == self.quantity else "dim"))
        self.tabs.put(tabs)
        formula, meaning = self._words(snapshot)
        if ascii_only:
            formula, meaning = spell(formula), spell(meaning)
        self.formula.put([(" ", "text"), (formula, "first"), (f"   {meaning}", "dim")])
        self._cell_line()

    def _words(self, snapshot: Snapshot) -> tuple[str, str]:
        _, _, formula, meaning = QUANTITIES[self.quantity]
        last = self.index == len(snapshot.model.layers) - 1
        if self.quantity == "delta" and last:
            formula = LAST_DELTA.get(snapshot.model.loss, "δᴸ = ∂L/∂zᴸ")
        if self.quantity == "a" and self.index < len(snapshot.model.layers):
            meaning = f"g = {snapshot.model.layers[self.index].activation or 'identity'}: samples × units"
        return formula, meaning

    def _cell_line(self) -> None:
        value = self.matrix.value()
        if value is None:
            self.cell.put([(" ", "text"), (self._note, "warn")] if self._note else [])
            return
        place = ", ".join(str(i) for i in self.matrix.place())
        line = [
            (" ", "text"),
            (f"{self.quantity}[{place}] = ", "dim"),
            (repr(value), "bad" if not math.isfinite(value) else "strong"),
        ]
        shape = " × ".join(integer(n) for n in self.matrix.shape)
        line.append((f"   {shape}", "dim"))
        if self._loss is not None:
            line.append((f"   loss {self._loss!r}", "dim"))
        if self._note:
            line.append((f"   {self._note}", "dim"))
        self.cell.put(line)

    def on_matrix_moved(self, message: Matrix.Moved) -> None:
        self._cell_line()

    # -- asking ------------------------------------------------------------------------------------
    def _request(self) -> None:
        self._asked += 1
        self.run_worker(self._ask(self._asked), exclusive=True, group="inspect")

    async def _ask(self, number: int) -> None:
        session = self.face.session
        if session is None:
            return
        try:
            frame = await session.request(Inspect(layer=self.index, kinds=(self.quantity,)))
        except RequestRefused as refused:
            self._take(None, clean(str(refused.message)))
        except (ConnectionLost, OSError):
            self._take(None, "connection lost")
        else:
            if number == self._asked:
                self._take(frame, "")

    def _take(self, frame: Frame | None, note: str) -> None:
        self._note, self._loss = note, None
        values: Any = None
        if frame is not None and isinstance(frame.message, Inspection):
            reply = frame.message
            ref = reply.arrays.get(self.quantity)
            self._note, self._loss = clean(reply.note), reply.loss
            if ref is not None:
                values = frame.array(ref)
                whole = reply.shapes.get(self.quantity)
                if whole is not None and tuple(whole) != tuple(values.shape) and not self._note:
                    self._note = f"the first {integer(values.shape[0])} rows of {integer(whole[0])}"
            elif not self._note:
                self._note = f"{self.quantity}: not there at this place"
        self.matrix.stale = False
        self.matrix.put(values, "input" if self.quantity in ("W", "grad_W") else "sample")
        self._cell_line()

    # -- actions -----------------------------------------------------------------------------------
    def action_quantity(self, by: int) -> None:
        self.quantity = ORDER[(ORDER.index(self.quantity) + by) % len(ORDER)]
        self._lines(self.snapshot)
        self._request()

    def action_layer(self, by: int) -> None:
        total = len(self.snapshot.model.layers)
        self.index = max(0, min(total - 1, self.index + by))
        self.face.main.select(self.index)
        self._lines(self.snapshot)
        self._request()

    def action_back(self) -> None:
        self.dismiss()

    def place(self) -> tuple[Reference, str] | None:
        value = self.matrix.value()
        if value is None or self.index >= len(self.snapshot.model.layers):
            return None
        name = self.snapshot.model.layers[self.index].name
        return self.reference(self.snapshot.step, name, self.quantity, self.matrix.place()), repr(value)

    def explanation(self) -> tuple[str, str, Place]:
        formula, meaning = self._words(self.snapshot)
        name = QUANTITIES[self.quantity][0]
        text = (
            f"{name} is {meaning}. Rows are {'inputs' if self.quantity in ('W', 'grad_W') else 'samples'} and columns "
            f"are units; the cell under the cursor stands below with all its digits.\n\n    {formula}"
        )
        return f"Inspector: {name}", text, "inspector"


def open_inspector(below: TransportScreen) -> None:
    """The values of the selected layer."""
    snapshot = below.snapshot
    if not snapshot.model.layers:
        below.notice("no layers to inspect yet")
    elif snapshot.read_only or snapshot.link == "ended":
        below.notice("the run has ended: there is no process to ask for values")
    else:
        below.app.push_screen(Inspector(below.face.main.selected, snapshot, below.face.glyphs))
