"""The main screen: header, four panes, key bar; panes fold away where it is small."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from bptui.client.reference import Reference
from bptui.protocol.messages import Inspect, Inspection
from bptui.tui import places
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.layout import gradients_height, left_width, model_height
from bptui.tui.screens.base import bindings
from bptui.tui.screens.curve import CurveScreen
from bptui.tui.store import Snapshot
from bptui.tui.widgets.banner import Banner
from bptui.tui.widgets.findings import FindingsPane
from bptui.tui.widgets.gradients import Gradients, symbol_of
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.layers import LayerPane
from bptui.tui.widgets.loss import LossChart
from bptui.tui.widgets.model import ModelPane
from bptui.tui.widgets.pane import Drawn, Pane
from bptui.tui.words import HEADER, PANES

SMALLEST = (40, 12)
ONE_PANE = (64, 18)
"""Below this width or height one pane is shown at a time."""


class MainScreen(CurveScreen):
    """Panes 1–4 of one run."""

    BINDINGS = bindings("main")
    AUTO_FOCUS = "#gradients"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__()
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.banner = Banner(snapshot, glyphs=glyphs, id="banner")
        self.model = ModelPane(snapshot, glyphs=glyphs, id="model")
        self.loss = LossChart(snapshot, glyphs=glyphs, id="loss")
        self.gradients = Gradients(snapshot, glyphs=glyphs, id="gradients")
        self.findings = FindingsPane(snapshot, glyphs=glyphs, id="findings")
        self.keybar = KeyBar(snapshot, id="keys")
        self.small = Banner(snapshot, glyphs=glyphs, id="small")
        self.left = Vertical(self.model, self.findings, id="left")
        self.right = Vertical(self.loss, self.gradients, id="right")
        self.body = Horizontal(self.left, self.right, id="body")
        self.panes: tuple[Pane, ...] = (self.model, self.loss, self.gradients, self.findings)
        self.zoomed = False
        self.current: Pane = self.gradients
        self._arranged: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        self.place_panes()  # before anything is drawn, so that the first frame is the right one
        yield self.header
        yield self.banner
        yield self.body
        yield self.keybar
        yield self.small

    @property
    def selected(self) -> int:
        """Index of the layer that is selected."""
        return self.gradients.selected

    def select(self, index: int) -> None:
        """Select a layer, in all panes."""
        for pane in (self.model, self.gradients):
            pane.select(index)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        drawn: tuple[Drawn, ...] = (self.header, self.banner, *self.panes, self.keybar)
        for widget in drawn:
            widget.snapshot = snapshot
        self.place_panes()
        for widget in drawn:
            widget.show(snapshot)
        self._ask_weights()

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def on_resize(self, event: events.Resize) -> None:
        self.place_panes()

    def on_pane_focused(self, message: Pane.Focused) -> None:
        self.current = message.pane
        self.place_panes()

    def on_layer_pane_selected(self, message: LayerPane.Selected) -> None:
        self.select(message.pane.selected)

    def place_panes(self) -> None:
        """Give each pane its place for this size; nothing happens when nothing changed."""
        width, height = self.app.size
        wanted = self.model.rows_wanted(), self.gradients.rows_wanted()
        banner = bool(self.banner.line())
        key = (width, height, wanted, self.zoomed, self.current, banner)
        if key == self._arranged:
            return
        self._arranged = key
        too_small = width < SMALLEST[0] or height < SMALLEST[1]
        self.small.message = f"terminal too small, needs {SMALLEST[0]}×{SMALLEST[1]}" if too_small else ""
        self.small.display = too_small
        for widget in (self.header, self.body, self.keybar):
            widget.display = not too_small
        self.banner.display = banner and not too_small
        one = self.zoomed or width < ONE_PANE[0] or height < ONE_PANE[1]
        for pane in self.panes:
            pane.display = not one or pane is self.current
        self.left.display = not one or self.current in (self.model, self.findings)
        self.right.display = not one or self.current in (self.loss, self.gradients)
        rows = height - 2 - banner
        self.left.styles.width = "1fr" if one else left_width(width)
        self.model.styles.height = "1fr" if one else model_height(rows, wanted[0])
        self.gradients.styles.height = "1fr" if one else gradients_height(rows, wanted[1] - 2)

    # -- actions -----------------------------------------------------------------------------------
    def action_focus_pane(self, number: int) -> None:
        pane = self.panes[number - 1]
        self.current = pane
        self.place_panes()
        pane.focus()

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self.place_panes()

    def action_metric(self) -> None:
        if self.current is self.model:
            self.action_picture()
        else:
            super().action_metric()

    def action_histogram(self) -> None:
        quantity = self.gradients.turn()
        if not self.snapshot.histogram(quantity) and self.snapshot.state != "READY":
            self.notice(f"no histogram of {symbol_of(quantity, self.gradients.glyphs)} has come yet")

    def action_picture(self) -> None:
        self.model.picture = not self.model.picture
        self.action_focus_pane(1)
        self.place_panes()
        self.model.show()
        self._ask_weights()

    def _ask_weights(self) -> None:
        """The picture's weights, where the run stands still and they are not those of this step already."""
        snapshot = self.snapshot
        still = snapshot.link == "live" and (
            snapshot.read_only or snapshot.state in ("READY", "PAUSED", "DONE", "FAILED")
        )
        if (
            self.model.picture
            and still
            and self._weights_asked != snapshot.step
            and self.face.may_ask(Inspect(layer=0, kinds=()))
        ):
            self._weights_asked = snapshot.step
            self.run_worker(self._weights(snapshot.step), exclusive=True, group="weights")

    async def _weights(self, step: int) -> None:
        from bptui.tui.ports import ConnectionLost, RequestRefused

        found = {}
        for index, layer in enumerate(self.snapshot.model.layers):
            try:
                frame = await self.face.session.request(Inspect(layer=index, kinds=("W",)))  # type: ignore[union-attr]
            except (RequestRefused, ConnectionLost, OSError):
                self._weights_asked = -1
                return
            if isinstance(frame.message, Inspection) and (ref := frame.message.arrays.get("W")) is not None:
                found[layer.name] = frame.array(ref)
        self.model.seen(found, step)

    _weights_asked = -1

    def action_undo_setting(self) -> None:
        from bptui.tui.screens.settings import undo

        undo(self.face)

    def action_freeze(self) -> None:
        from bptui.tui.screens.settings import freeze

        if self.has("freeze"):
            freeze(self.face)

    def action_revive(self) -> None:
        from bptui.tui.screens.settings import revive

        if self.has("revive"):
            revive(self.face)

    def action_restart(self) -> None:
        if not self.has("restart"):
            return
        experiment = self.snapshot.model.experiment or self.face.experiment
        if experiment is None or self.face.relaunch is None:
            self.notice("this run cannot be restarted: it was not started from an experiment here")
        else:
            self.face.restart(experiment, "restarted from step 0 with the same experiment")

    def place(self) -> tuple[Reference, str] | None:
        return places.under_cursor(self)

    def go_to(self, at: Reference) -> None:
        """Show the step and select what a reference names, and say what can be seen of it."""
        self.face.spawn(places.go_to(self, at))

    def explanation(self) -> tuple[str, str, Place]:
        text = PANES[self.current.number]
        if self.current is self.gradients and (row := self.gradients.describe()):
            text += "\n\n" + row
        if self.current is self.model and self.snapshot.model.engine:
            model = self.snapshot.model
            text += f"\n\nEngine: {model.engine} on {model.device}, {model.dtype}. {model.engine_reason}"
        return self.current.title, f"{text}\n\n{HEADER}", "main"
