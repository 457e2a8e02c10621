"""The chart of a loss or a metric: training solid, validation dotted, what is not finite as a marked gap."""

from __future__ import annotations

import math

from textual import events

from bptui.tui.axis import ticks
from bptui.tui.families import LOSS, families, leading, loss_of
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.marks import Kind, epoch_ends, legend, marks_of
from bptui.tui.ports import Curves
from bptui.tui.smooth import LEVELS
from bptui.tui.store import Snapshot
from bptui.tui.text import integer, loss_text, wrap
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.plot import LABEL, Frame, Plot
from bptui.tui.window import Window


class LossChart(ChartPane):
    """``curves`` of the snapshot; untouched, the axis of steps starts at 0 and holds the whole run."""

    number, title = 2, "Loss"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.log_axis = False
        self.family = self._leads = leading(snapshot.model.task)
        self.smoothing = 0
        """Index in ``smooth.LEVELS``."""
        self.window = Window()
        self.cursor: int | None = None
        """The step under the crosshair."""
        self._plot = Plot(glyphs)
        self._frame = Frame(0, 20, 20, 5)
        self._drawn: tuple[object, ...] = ()
        """Of what ``_curve`` is made: the focus, a crosshair's readout or a state word draws no curve again."""
        self._curve: list[Line] = []
        self._kinds: set[Kind] = set()
        self._entitle()

    def show(self, snapshot: Snapshot | None = None) -> None:
        """As of every pane; what is learned is known once the run has told it."""
        if snapshot is not None and (leads := leading(snapshot.model.task)) != self._leads:
            self._leads = self.family = leads
            self._entitle()
        super().show(snapshot)

    # -- what a user changes -----------------------------------------------------------------------
    def toggle_log(self) -> None:
        self.log_axis = not self.log_axis
        self._changed()

    def turn_smoothing(self) -> float:
        """The next level; its weight."""
        self.smoothing = (self.smoothing + 1) % len(LEVELS)
        self._changed()
        return LEVELS[self.smoothing]

    def turn_metric(self, by: int = 1) -> str:
        """The next series that there is; its title."""
        curves = self.snapshot.curves
        every = families(curves.names()) if curves is not None else [LOSS]
        titles = [family.title for family in every]
        at = titles.index(self.family.title) if self.family.title in titles else 0
        self.family = every[(at + by) % len(every)]
        self._changed()
        return self.family.title

    def zoom(self, by: float) -> None:
        """Around the crosshair, else around the newest step."""
        if (head := self._head()) >= 0:
            about = self.cursor if self.cursor is not None else min(head, self.window.last)
            self.window.zoom(by, about, head)
            self._changed()

    def pan(self, share: float) -> None:
        if (head := self._head()) >= 0:
            self.window.pan(share, head)
            self._changed()

    def whole(self) -> None:
        self.window.home()
        self._changed()

    def follow(self) -> None:
        self.window.end(self._head())
        self._changed()

    def point(self, step: int | None) -> None:
        """Put the crosshair on a step, or take it away."""
        head = self._head()
        self.cursor = None if step is None or head < 0 else max(0, min(head, step))
        if self.cursor is not None:
            self.window.reveal(self.cursor)
        self._changed()

    def move(self, cells: int) -> None:
        """Move the crosshair by columns; the first press puts it on the newest step."""
        head = self._head()
        if self.cursor is None:
            self.point(min(head, self.window.last))
            return
        width = max(1, self._frame.plot - 1)
        by = cells * max(1, round((self._frame.last - self._frame.first) / width))
        self.point(self.cursor + by)

    def _pointed(self) -> int | None:
        """The step under the crosshair; without one, the step that is shown where that lies behind the newest."""
        if self.cursor is not None:
            return self.cursor
        behind = self.snapshot.state == "PAUSED" and 0 <= self.snapshot.step <= self._head()
        return self.snapshot.step if behind else None

    def _head(self) -> int:
        return self.snapshot.curves.last_step if self.snapshot.curves is not None else -1

    def _changed(self) -> None:
        self._entitle()
        self.show()

    def _entitle(self) -> None:
        words = [self.family.title]
        if self.log_axis:
            words.append("log")
        if self.smoothing:
            words.append(f"smoothed {LEVELS[self.smoothing]:g}")
        self.title = ", ".join(words)

    # -- frame -------------------------------------------------------------------------------------
    def top(self, width: int) -> list[tuple[int, str, str]]:
        curves = self.snapshot.curves
        if curves is None or curves.last_step < 0:
            return []
        at = self._pointed()
        parts = self._readout(curves, at) if at is not None else self._latest(curves)
        while parts and sum(len(text) + 1 for text, _ in parts) > width - 10 - len(self.title):
            parts.pop(0)
        column = width - 2 - sum(len(text) + 1 for text, _ in parts) + 1
        placed: list[tuple[int, str, str]] = []
        at = 6 + len(self.title)
        for text, style in legend(self._plot.kinds, self.glyphs):
            if at + len(text) + 3 < column:
                placed.append((at, f" {text} ", style if style != "border" else "dim"))
                at += len(text) + 2
        for text, style in parts:
            placed.append((column, text, style))
            column += len(text) + 1
        return placed

    def _latest(self, curves: Curves) -> list[tuple[str, str]]:
        """The newest values, the least important first."""
        family = self.family
        parts = []
        accuracy = curves.latest("val_accuracy") if family is LOSS else None
        if accuracy is not None:
            parts.append((f" val accuracy {accuracy * 100:.1f} % ", "second"))
        bad = sum(curves.bad(name) for name in family.series)
        if bad:
            parts.append((f" {self.glyphs.gap} {integer(bad)} not finite ", "bad"))
        lines = ((family.first, family.words[0], self.glyphs.train, "first"),
                 (family.second, family.words[1], self.glyphs.validation, "second"))  # fmt: skip
        for name, word, line, style in lines:
            value = curves.latest(name) if name else None
            if value is not None:
                sign = line if family.first or style == "first" else self.glyphs.train
                parts.append((f" {word} {sign} {self._value(value)} ", style))
        return parts

    def _readout(self, curves: Curves, at: int) -> list[tuple[str, str]]:
        """The exact values of a step, and what happened there."""
        parts: list[tuple[str, str]] = []
        reach = max(1, (self._frame.last - self._frame.first) // max(1, self._frame.plot))
        near = [mark for mark in self._frame.marks if abs(mark.step - at) <= reach]
        if near:
            parts.append((f" {near[-1].text} at {integer(near[-1].step)} ", "warn"))
        parts.append((f" step {integer(at)} ", "key"))
        for name, word, style in zip(self.family.series, self._words(), ("first", "second"), strict=False):
            found = curves.at(name, at)
            if found is None:
                continue
            step, value = found
            when = "" if step == at else f" (of {integer(step)})"
            style = style if math.isfinite(value) else "bad"
            parts.append((f" {word} {value:.7g}{when} ", style))
        return parts

    def _words(self) -> tuple[str, ...]:
        names = (self.family.first, self.family.second)
        return tuple(word for word, name in zip(self.family.words, names, strict=True) if name)

    def _value(self, value: float) -> str:
        return f"{value * 100:.1f} %" if self.family.percent and math.isfinite(value) else loss_text(value)

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        frame = self._frame
        plot = width - 4 - LABEL - 1
        curves = self.snapshot.curves
        if plot < 20 or curves is None or curves.last_step < 0:
            return []
        texts = []
        occupied = 0
        for value in ticks(frame.first, frame.last, max(1, plot // 16)):
            if value != int(value):
                continue
            text = f" {integer(int(value))} "
            share = (value - frame.first) / max(1, frame.last - frame.first)
            column = 2 + LABEL + 1 + round(share * (plot - 1)) - len(text) // 2
            column = max(2 + LABEL, min(column, width - 2 - len(text)))
            if column >= occupied:
                texts.append((column, text, "dim"))
                occupied = column + len(text) + 1
        if occupied + 6 < width - 1:
            texts.append((-1, " step ", "dim"))
        if not self.window.whole:
            texts.insert(0, (1, " follow " if self.window.follow else " fixed ", "key"))
        return texts

    # -- plot --------------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        curves = self.snapshot.curves
        self._plot.kinds = set()
        if curves is None or curves.last_step < 0 or width - LABEL - 1 < 4 or height < 2:
            if self.snapshot.script and self.snapshot.output:  # what it is doing until then, in its own words
                parts = [part for text in self.snapshot.output[-height:] for part in wrap(text, width, height)]
                return [[(part, "text")] for part in parts[-height:]]
            return self.empty(width, height, self._nothing())
        if self.family is LOSS:  # two networks say so with their first step
            self.family = loss_of(curves.names())
        beneath = self.snapshot.beneath
        furthest = max(curves.last_step, beneath.last_step if beneath is not None else -1)
        first, last = self.window.ends(furthest, self.snapshot.total_steps)
        plot = width - LABEL - 1
        self._frame = Frame(
            first, last, width, height, self.log_axis, not self.window.whole, LEVELS[self.smoothing], self._pointed(),
            tuple(marks_of(self.snapshot)),
            tuple(epoch_ends(self.snapshot.model.steps_per_epoch, first, last, plot, curves.last_step + 1)),
        )  # fmt: skip
        drawn = (curves, curves.last_step, self.snapshot.log_bytes, self.family, self._frame, beneath)
        if drawn != self._drawn:
            self._drawn, self._curve = drawn, self._plot.lines(curves, self.family, self._frame, beneath)
            self._kinds = self._plot.kinds
        self._plot.kinds = self._kinds
        return self._curve

    def _nothing(self) -> str:
        return {
            "READY": "No step yet: space runs it, s takes one step.",
            "STARTING": "Starting …",
            "FAILED": "It failed before its first step.",
        }.get(self.snapshot.shown_state, "No loss yet.")

    # -- keys --------------------------------------------------------------------------------------
    def on_key(self, event: events.Key) -> None:
        act = {
            "left": lambda: self.move(-1), "right": lambda: self.move(1),
            "ctrl+left": lambda: self.move(-10), "ctrl+right": lambda: self.move(10),
            "shift+left": lambda: self.pan(-0.25), "shift+right": lambda: self.pan(0.25),
            "up": lambda: self.zoom(0.5), "down": lambda: self.zoom(2.0),
            "home": self.whole, "end": self.follow,
        }.get(event.key)  # fmt: skip
        if act is None and event.key == "escape" and self.cursor is not None:
            act = lambda: self.point(None)  # noqa: E731
        if act is not None:
            event.stop()
            event.prevent_default()
            act()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._zoom_at(event, 0.7)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._zoom_at(event, 1 / 0.7)

    def _zoom_at(self, event: events.MouseEvent, by: float) -> None:
        if (head := self._head()) >= 0:
            self.window.zoom(by, self._step_at(event.x), head)
            self._changed()

    def _step_at(self, x: int) -> int:
        return self._frame.step(max(0, min(self._frame.plot - 1, x - 2 - LABEL - 1)))

    async def on_click(self, event: events.Click) -> None:
        self.focus()
        if self._head() >= 0 and 0 < event.y < self.size.height - 1:
            self.point(self._step_at(event.x))
