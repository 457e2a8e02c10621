"""Every series that there is, a small chart each, over one axis of steps."""

from __future__ import annotations

import math

from textual import events

from bptui.tui.families import families
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.marks import epoch_ends, marks_of
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, integer, loss_text
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line, width_of
from bptui.tui.widgets.plot import Frame, Plot
from bptui.tui.window import Window

_GAP = 3
_LEAST = 7
"""Rows of one chart at the least, its heading included."""


class MetricsChart(ChartPane):
    """A grid of charts; ``cursor`` is the step at which all are read."""

    number, title = 2, "Metrics"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.log_axis = False
        self.cursor: int | None = None
        self._window = Window()
        self._plots: dict[str, Plot] = {}
        self._frame = Frame(0, 20, 20, 5)

    def toggle_log(self) -> None:
        self.log_axis = not self.log_axis
        self.title = "Metrics, log" if self.log_axis else "Metrics"
        self.show()

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(-1, f" steps {integer(self._frame.first)} to {integer(self._frame.last)} ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        curves = self.snapshot.curves
        if curves is None or curves.last_step < 0:
            return self.empty(width, height, "No step yet: each series gets a chart of its own here.")
        first, last = self._window.ends(curves.last_step, self.snapshot.total_steps)
        every = families(curves.names())
        across = 1 if width < 70 else 2 if width < 150 or len(every) <= 4 else 3
        down = max(1, min(-(-len(every) // across), height // _LEAST))
        every = every[: across * down]
        each, tall = (width - _GAP * (across - 1)) // across, height // down
        marks, per_epoch = tuple(marks_of(self.snapshot)), self.snapshot.model.steps_per_epoch
        epochs = tuple(epoch_ends(per_epoch, first, last, each - 8, curves.last_step + 1))
        self._frame = frame = Frame(
            first, last, each, tall - 1, log=self.log_axis, cursor=self.cursor, marks=marks, epochs=epochs
        )
        blocks: list[list[Line]] = []
        for family in every:
            plot = self._plots.setdefault(family.title, Plot(self.glyphs))
            head: Line = [(fit(family.title, min(len(family.title), each - 16)), "strong")]
            names = ((family.first, family.words[0], "first"), (family.second, family.words[1], "second"))
            for name, word, style in names:
                found = curves.at(name, last if self.cursor is None else self.cursor) if name else None
                if found is not None:
                    shown = loss_text(found[1]) if self.cursor is None else f"{found[1]:.7g}"
                    head.append((f"  {word} {shown}", style if math.isfinite(found[1]) else "bad"))
            blocks.append([head, *plot.lines(curves, family, frame)])
        lines: list[Line] = []
        for start in range(0, len(blocks), across):
            row = blocks[start : start + across]
            for y in range(tall):
                line: Line = []
                for number, block in enumerate(row):
                    piece = block[y] if y < len(block) else []
                    line += [*piece, (" " * max(0, each - width_of(piece)), "text")]
                    line.append((" " * _GAP if number < len(row) - 1 else "", "text"))
                lines.append(line)
        return lines

    def readout(self) -> Line:
        return [(f" step {integer(self.cursor)} ", "key")] if self.cursor is not None else []

    def on_key(self, event: events.Key) -> None:
        head = self.snapshot.curves.last_step if self.snapshot.curves is not None else -1
        by = {"left": -1, "right": 1, "ctrl+left": -10, "ctrl+right": 10}.get(event.key)
        if by is not None and head >= 0:
            event.stop()
            one = max(1, round((self._frame.last - self._frame.first) / max(1, self._frame.plot - 1)))
            self.cursor = head if self.cursor is None else max(0, min(head, self.cursor + by * one))
        elif event.key == "escape" and self.cursor is not None:
            event.stop()
            self.cursor = None
        else:
            return
        self.show()
        self.post_message(self.Moved())
