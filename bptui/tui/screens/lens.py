"""The dead-unit lens (``d``): every unit of every layer over a fixed set of samples, and what killed one."""

from __future__ import annotations

import time

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.worker import Worker

from bptui.client.aside import Aside
from bptui.client.reference import Reference
from bptui.protocol.lens import LensView
from bptui.protocol.messages import GoTo, Lens
from bptui.protocol.whatif import Die, Found, Going, WhatIfError
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.lens import view_of
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, integer
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.strips import TextLine
from bptui.tui.widgets.units import CertificatePane, LayersPane, UnitsPane
from bptui.tui.words import LENS

ASK_SECONDS = 0.5
ASK_SHARE = 0.02
"""While it runs the trainer is asked so seldom that the answers take no more of its time than this share."""
HINT = "enter on a dead unit: the update after which it fired no more, and what that did to it; found by replay"


class LensScreen(TransportScreen):
    """The layer that is selected is the same as in the panes."""

    PLACE = "lens"
    BINDINGS = bindings("lens")
    AUTO_FOCUS = "#lens-units"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs, layer: int = 0) -> None:
        super().__init__(id="lens")
        self.glyphs = glyphs
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.claim = TextLine(snapshot, glyphs=glyphs, id="claim")
        self.overview = LayersPane(snapshot, glyphs)
        self.units = UnitsPane(snapshot, glyphs)
        self.certificate = CertificatePane(snapshot, glyphs)
        self.keybar = KeyBar(snapshot, "lens", id="keys")
        self.view: LensView | None = None
        self._layer = layer
        self._aside = Aside(1)
        self._search: Worker[None] | None = None
        self._asked: tuple[object, ...] = ()
        self._asking = False
        self._next = 0.0

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.claim
        yield self.overview
        with Horizontal(id="lens-body"):
            yield self.units
            yield self.certificate
        yield self.keybar

    def on_mount(self) -> None:
        self.certificate.put(None, HINT)
        self._fold()
        self.show(self.snapshot)
        self.set_interval(ASK_SECONDS / 2, self._ask_again)

    def on_resize(self, event: events.Resize) -> None:
        self._fold()

    def _fold(self) -> None:
        """Where it is narrow the certificate stands below the units."""
        wide = self.app.size.width >= 110
        self.query_one("#lens-body").styles.layout = "horizontal" if wide else "vertical"
        layers = len(self.view.layers) if self.view is not None else 3
        self.overview.styles.height = min(layers, max(1, self.app.size.height // 6)) + 2

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        self.header.show(snapshot)
        self.keybar.show(snapshot)
        self._ask_again()

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _put(self, view: LensView) -> None:
        self.view = self.overview.view = view
        self._fold()
        lost = sum(len(layer.lost) for layer in view.layers)
        total = sum(len(layer.units) for layer in view.layers if layer.gate != "open")
        self.claim.put([
            (" ", "text"), (f"step {integer(view.step)}  ", "strong"),
            (f"{lost}/{total} units let no δ through  ", "bad" if lost else "good"),
            (view.claim, "dim"),
        ])  # fmt: skip
        self._select(self._layer)

    def _select(self, index: int) -> None:
        total = len(self.view.layers) if self.view is not None else len(self.snapshot.model.layers)
        self._layer = self.overview.at = max(0, min(total - 1, index))
        self.face.main.select(self._layer)
        self.overview.show()
        if self.view is not None and self.view.layers:
            self.units.put(self.view.layers[self._layer], self.view.samples)

    # -- asking the trainer ------------------------------------------------------------------------
    def _ask_again(self) -> None:
        """Ask where the view is of a state gone by, not too often."""
        snapshot = self.snapshot
        place = (snapshot.step, snapshot.micro, snapshot.events[-1:], snapshot.link)
        if self._asking or place == self._asked or time.monotonic() < self._next or not self.is_current:
            return
        if not self.face.may_ask(Lens()):
            if self.view is None:
                self.overview.note = "there is no process that could be asked, and its files hold no keyframe"
                self.overview.show()
            return
        if snapshot.state == "STARTING":
            return
        self._asked, self._asking = place, True
        self._next = time.monotonic() + ASK_SECONDS
        self.run_worker(self._ask(), group="lens")

    async def _ask(self) -> None:
        session = self.face.session
        assert session is not None
        try:
            frame = await session.request(Lens())
        except RequestRefused as refused:
            self.overview.note = clean(str(refused.message))
            self.overview.show()
        except (ConnectionLost, OSError):
            self._asked = ()
        else:
            view = view_of(frame)
            if view is not None:
                if self.snapshot.state == "RUNNING":
                    self._next = max(self._next, time.monotonic() + view.seconds / ASK_SHARE)
                self._put(view)
        finally:
            self._asking = False

    # -- the certificate ---------------------------------------------------------------------------
    def action_certify(self) -> None:
        found, unit = self.certificate.found, self.units.unit
        layer = self.units.of
        if layer is None or unit is None or self.view is None or self.face.session is None:
            return
        if found is not None and (found.layer, found.unit) == (layer.name, unit):
            self._go(found.last_fired)
        elif unit not in layer.lost:
            state = layer.units[unit].state.name.lower()
            self.notice(f"{layer.name} unit {unit} is {state}: it fires for {layer.units[unit].fired:,} samples")
        else:
            self._stop_search()
            job = Die(layer.name, unit, self.view.step)
            self.certificate.put(None, f"{layer.name} unit {unit}: going back … (backspace gives up)")
            self._search = self.run_worker(self._certify(job), group="certificate", exclusive=True)

    async def _certify(self, job: Die) -> None:
        session = self.face.session
        assert session is not None

        def going(word: Going) -> None:
            looked = f"{word.done:,} of {word.total:,} steps looked at"
            self.certificate.put(None, f"{job.layer} unit {job.unit}: {looked} (backspace gives up)")

        try:
            word = await self._aside.do(session.directory, job, going)
        except (WhatIfError, OSError) as error:
            self.certificate.put(None, clean(str(error)))
        else:
            assert isinstance(word, Found)
            self.certificate.put(word.certificate)

    def _stop_search(self) -> bool:
        if self._search is None or self._search.is_finished:
            return False
        self._search.cancel()
        return True

    def action_give_up(self) -> None:
        if self._stop_search():
            self.certificate.put(None, "given up. " + HINT)

    def _go(self, step: int | None) -> None:
        if step is None:
            self.notice("it fired in no state that there is to go to")
        else:
            self.face.send(GoTo(step=step), f"step {step:,}: the last one in which it fired")

    def action_first(self) -> None:
        found = self.certificate.found
        if found is None:
            self.notice("enter finds what killed the selected unit, and where dying began")
        else:
            first = found.first if found.first is not None else found.last_fired
            if first is None:
                self.notice("it fired in no state that there is to go to")
            else:
                self.face.send(GoTo(step=first), f"step {first:,}: its update killed the first units")
                self._point(*(found.first_ids[0] if found.first_ids else (found.layer, found.unit)))

    def _point(self, layer: str, unit: int) -> None:
        """Put the cursor on a unit."""
        names = [one.name for one in self.view.layers] if self.view is not None else []
        if layer in names:
            self._select(names.index(layer))
            if unit in self.units.rows:
                self.units.go(self.units.rows.index(unit))

    # -- actions -----------------------------------------------------------------------------------
    def action_layer(self, by: int) -> None:
        self._select(self._layer + by)

    def action_order(self) -> None:
        self.units.turn(order=1)

    def action_filter(self) -> None:
        self.units.turn(shown=1)

    def action_back(self) -> None:
        self.dismiss()

    def place(self) -> tuple[Reference, str] | None:
        layer, unit = self.units.of, self.units.unit
        if layer is None or unit is None or self.view is None:
            return None
        row = layer.units[unit]
        value = f"{row.state.name.lower()}, fires for {row.fired} of {self.view.samples}"
        return self.reference(self.view.step, layer.name, "a", (unit,)), value

    def explanation(self) -> tuple[str, str, Place]:
        return "Dead units", LENS, "lens"


def open_lens(below: TransportScreen) -> None:
    """The lens over the run that is shown."""
    session = below.face.session
    if session is None or not below.snapshot.model.layers:
        below.notice("no layers to look at yet")
    else:
        below.app.push_screen(LensScreen(below.snapshot, below.face.glyphs, below.face.main.selected))
