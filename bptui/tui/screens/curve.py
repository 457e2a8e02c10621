"""What screens with a loss chart share: the keys that change its axis, series, smoothing and window."""

from __future__ import annotations

from bptui.tui.screens.base import TransportScreen
from bptui.tui.widgets.loss import LossChart


class CurveScreen(TransportScreen):
    """``loss`` is the chart."""

    loss: LossChart

    def action_log_axis(self) -> None:
        self.loss.toggle_log()
        self.notice("loss on a logarithmic axis" if self.loss.log_axis else "loss on a linear axis")

    def action_metric(self) -> None:
        self.notice(f"chart: {self.loss.turn_metric()}")

    def action_smooth(self) -> None:
        weight = self.loss.turn_smoothing()
        self.notice(f"smoothed: a running mean with weight {weight:g}" if weight else "not smoothed")

    def action_zoom_steps(self, by: float) -> None:
        self.loss.zoom(by)
