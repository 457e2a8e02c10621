"""Charts that fill the screen, one at a time: what `v` opens."""

from __future__ import annotations

import time

from textual.app import ComposeResult

from bptui.client.reference import Reference
from bptui.protocol.messages import Look
from bptui.tui import places
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.looks import boundary_view, confusion_view
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.screens.curve import CurveScreen
from bptui.tui.store import Snapshot
from bptui.tui.text import clean
from bptui.tui.widgets.boundary import POINTS, BoundaryChart
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.confusion import ConfusionChart
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.heat import HeatChart
from bptui.tui.widgets.histogram import HistogramChart
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.loss import LossChart
from bptui.tui.widgets.metrics import MetricsChart
from bptui.tui.widgets.ridge import RidgeChart
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import CHARTS, PANES

VIEWS = ("loss", "metrics", "histogram", "ridge", "heat", "confusion", "boundary")
LOOK_SECONDS = 0.5
"""A trainer is asked no more often than this …"""
LOOK_SHARE = 0.02
"""… nor so often that the answers would take more of its time than this share."""
_ENDED = "The run has ended: there is no process that could be asked."


class ChartsScreen(CurveScreen):
    """One of VIEWS; the layer that is selected is the same as in the panes."""

    PLACE = "charts"
    BINDINGS = bindings("charts")

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs, view: str = "", layer: int = 0) -> None:
        super().__init__(id="charts")
        self.glyphs = glyphs
        self.view = view or "loss"
        self._layer = layer
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.tabs = TextLine(snapshot, glyphs=glyphs, id="tabs")
        self.loss = LossChart(snapshot, glyphs=glyphs, id="view-loss")
        self.metrics = MetricsChart(snapshot, glyphs=glyphs, id="view-metrics")
        self.histogram = HistogramChart(snapshot, glyphs=glyphs, id="view-histogram")
        self.ridge = RidgeChart(snapshot, glyphs=glyphs, id="view-ridge")
        self.heat = HeatChart(snapshot, glyphs=glyphs, id="view-heat")
        self.confusion = ConfusionChart(snapshot, glyphs=glyphs, id="view-confusion")
        self.boundary = BoundaryChart(snapshot, glyphs=glyphs, id="view-boundary")
        self.charts: dict[str, ChartPane] = {
            "loss": self.loss, "metrics": self.metrics, "histogram": self.histogram, "ridge": self.ridge,
            "heat": self.heat, "confusion": self.confusion, "boundary": self.boundary,
        }  # fmt: skip
        for number, chart in enumerate(self.charts.values(), start=1):
            chart.number = number
        self.cell = TextLine(snapshot, glyphs=glyphs, id="cell")
        self.keybar = KeyBar(snapshot, "charts", id="keys")
        self._asked: tuple[object, ...] = ()
        self._next_look = 0.0
        self._asking = False

    @property
    def chart(self) -> ChartPane:
        return self.charts[self.view]

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.tabs
        yield from self.charts.values()
        yield self.cell
        yield self.keybar

    def on_mount(self) -> None:
        self._select(self._layer)
        self._turn(self.view)
        self.set_interval(LOOK_SECONDS / 2, self._look_again)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        self.header.show(snapshot)
        for chart in self.charts.values():
            chart.snapshot = snapshot
        self.chart.show(snapshot)
        self.keybar.show(snapshot)
        self._cell_line()
        self._look_again()

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _turn(self, view: str) -> None:
        self.view = view
        for name, chart in self.charts.items():
            chart.display = name == view
        line = [(" ", "text")]
        for number, name in enumerate(VIEWS, start=1):
            on = name == view
            line += [(f" {number} ", "key+cursor" if on else "key"), (f"{name} ", "strong+cursor" if on else "dim")]
        self.tabs.put(line)
        self.set_focus(self.chart)  # at once: the next key is meant for it
        self.call_after_refresh(self._shown)

    def _shown(self) -> None:
        self._asked = ()
        self.show(self.snapshot)

    def _cell_line(self) -> None:
        self.cell.put(self.chart.readout())

    def on_chart_pane_moved(self, message: ChartPane.Moved) -> None:
        self._cell_line()
        if self.view == "heat":
            self._select(self.heat.row)

    def on_pane_focused(self) -> None:
        self._cell_line()

    def _select(self, index: int) -> None:
        total = max(1, len(self.snapshot.model.layers))
        self._layer = max(0, min(total - 1, index))
        for chart in (self.histogram, self.ridge, self.heat):
            chart.select(self._layer)
        self.face.main.select(self._layer)

    # -- asking the trainer ------------------------------------------------------------------------
    def _look_again(self) -> None:
        """Ask where the chart is of a state gone by, not too often."""
        if self.view not in ("confusion", "boundary") or self._asking or not self.is_current:
            return
        snapshot = self.snapshot
        if not self.face.may_ask(Look(kind="confusion")):
            self._refuse(_ENDED)
            return
        gone = ("STARTING",) if snapshot.read_only else ("STARTING", "STALE", "STOPPED")
        if snapshot.state in gone or snapshot.link != "live":
            return
        wanted = (self.view, snapshot.step, snapshot.micro, self.boundary.grid if self.view == "boundary" else ())
        if wanted == self._asked or time.monotonic() < self._next_look:
            return
        self._asked = wanted
        self._asking = True
        self._next_look = time.monotonic() + LOOK_SECONDS
        self.run_worker(self._look(self.view), group="look")

    async def _look(self, view: str) -> None:
        session = self.face.session
        assert session is not None
        columns, rows = self.boundary.grid
        still = self.boundary.view is not None and self.boundary.view.points and self.snapshot.model.task != "generate"
        points = 0 if still else POINTS  # rows of data do not move
        request = (
            Look(kind="confusion") if view == "confusion"
            else Look(kind="boundary", columns=columns, rows=rows, points=points)
        )  # fmt: skip
        try:
            frame = await session.request(request)
        except RequestRefused as refused:
            self._refuse(clean(str(refused.message)))
        except (ConnectionLost, OSError):
            pass  # the header says so; it is asked again once there is a connection
        else:
            seconds = getattr(frame.message, "seconds", 0.0)
            self._next_look = max(self._next_look, time.monotonic() + seconds / LOOK_SHARE)
            if view == "confusion":
                self.confusion.put(confusion_view(frame))
            else:
                self.boundary.put(boundary_view(frame, self.boundary.view))
            self._cell_line()
        finally:
            self._asking = False

    def _refuse(self, note: str) -> None:
        """Say why there is nothing; what was seen before stays."""
        chart = self.confusion if self.view == "confusion" else self.boundary
        if chart.view is None and chart.note != note:
            chart.put(None, note)

    # -- actions -----------------------------------------------------------------------------------
    def action_view(self, by: int) -> None:
        self._turn(VIEWS[(VIEWS.index(self.view) + by) % len(VIEWS)])

    def action_view_at(self, number: int) -> None:
        self._turn(VIEWS[number - 1])

    def action_layer(self, by: int) -> None:
        self._select(self._layer + by)
        self._cell_line()

    def action_histogram(self) -> None:
        if self.view == "ridge":
            self.ridge.turn()
        elif self.view == "heat":
            self.heat.turn()
        else:
            self.notice("h turns the quantity of the ridge and of the heat chart")
        self._cell_line()

    def action_log_axis(self) -> None:
        if self.view == "loss":
            super().action_log_axis()
        elif self.view == "metrics":
            self.metrics.toggle_log()
        else:
            self.notice("this chart's axis is logarithmic already" if self.view != "confusion" else "no axis here")

    def action_metric(self) -> None:
        if self.view != "loss":
            self._turn("loss")
        super().action_metric()

    def action_smooth(self) -> None:
        if self.view == "loss":
            super().action_smooth()
        else:
            self.notice("a smooths the loss chart")

    def action_zoom_steps(self, by: float) -> None:
        if self.view == "loss":
            super().action_zoom_steps(by)

    def action_back(self) -> None:
        self.dismiss()

    def place(self) -> tuple[Reference, str] | None:
        return places.on_chart(self, self.loss) if self.view == "loss" else None

    def explanation(self) -> tuple[str, str, Place]:
        text = PANES[2] if self.view == "loss" else CHARTS[self.view]
        return f"Chart: {self.view}", text, "charts"


def open_charts(below: TransportScreen) -> None:
    """The chart of the pane that has the focus, or the first."""
    main = below.face.main
    view = {main.gradients: "histogram", main.loss: "loss"}.get(main.current, "")
    below.app.push_screen(ChartsScreen(below.snapshot, below.face.glyphs, view, main.selected))
