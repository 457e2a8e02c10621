"""The gradient's stages: raw → regularised → clipped → applied Δ, a row a layer; Enter shows the matrix of one."""

from __future__ import annotations

import math

from textual import events

from bptui.protocol.messages import Staged
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.screens.inspector.formula import pending
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, fit_layer, number, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line

KINDS = ("raw_W", "regularised_W", "clipped_W", "update_W")
"""Of the stages of bptui's own networks; a script's are fewer."""
WIDTH = 15


class StagesPane(ChartPane):
    """Norms; the cursor is on one layer and one stage."""

    number, title = 4, "Stages"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: Staged | None = None
        self.selected, self.stage, self._first = 0, 0, 0
        self.note = ""
        self.stale = False

    def put(self, view: Staged | None, note: str = "") -> None:
        self.view, self.note, self.stale = view, note, False
        self.show()

    def top(self, width: int) -> list[tuple[int, str, str]]:
        return [(6 + len(self.title), " Euclidean norm of ∂L/∂W, then of ΔW ", "dim")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        if self.view is None:
            return []
        limits = ", ".join(f"{key} {number(value)}" for key, value in self.view.limits.items()) or "no clipping"
        penalties = "penalties on, " if self.view.penalties else "no penalties, "
        if "regularised" not in self.view.names:
            penalties = ""
        return [(2, f" {penalties}{limits}, lr {number(self.view.lr)} ", "dim"), (-1, f" {self.view.note} ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        view, layers = self.view, self.snapshot.model.layers
        if view is None:
            return self.empty(width, height, self.note or "asking …")
        longest = max((len(layer.name) for layer in layers), default=6)
        lead = min(max(longest, len("all layers")), max(6, width - 4 * WIDTH - 4)) + 2
        head: Line = [(" " * lead, "text")]
        for name in view.names:
            word = "applied Δ" if name == "applied" else name
            head.append((f"{word:>{WIDTH}}", "title"))
        lines: list[Line] = [head]
        shown = max(1, height - 4)
        self._first = max(0, min(max(self._first, self.selected - shown + 1), self.selected, len(view.rows) - shown))
        for at in range(self._first, min(len(view.rows), self._first + shown)):
            lines.append(self._line(view, at, lead))
        return [*lines, [], self._whole(view, lead), [(self._sentence(view), "dim")]]

    @property
    def kind(self) -> str:
        """Of the matrix of the stage under the cursor."""
        name = self.view.names[min(self.stage, len(self.view.names) - 1)] if self.view is not None else "raw"
        return "update_W" if name == "applied" else f"{name}_W"

    def _line(self, view: Staged, at: int, lead: int) -> Line:
        layers = self.snapshot.model.layers
        name = layers[at].name if at < len(layers) else "?"
        here = at == self.selected
        mark = self.glyphs.cursor if here else " "
        line: Line = [(f"{mark} ", "key"), (fit_layer(name, lead - 2), "strong" if here else "text")]
        before: float | None = None
        for stage, value in enumerate(view.rows[at]):
            on = "+cursor" if here and stage == self.stage else ""
            text = _text(value, view.missing[stage])
            applied = view.names[stage] == "applied"
            changed = value is not None and before is not None and not applied and value != before
            tone = "dim" if value is None else "bad" if not math.isfinite(value) else "warn" if changed else "text"
            line += [(" " * max(0, WIDTH - len(text)), "text"), (text, tone + on)]
            before = value
        return line

    def _whole(self, view: Staged, lead: int) -> Line:
        """The norm over all layers: what clipping by norm sees."""
        line: Line = [(fit("  all layers", lead), "dim")]
        weighted = [row for row in view.rows if any(value is not None for value in row)] or list(view.rows)
        for stage, missing in enumerate(view.missing):
            column = [row[stage] for row in weighted]  # a script's layers need not have weights
            known = [value for value in column if value is not None]
            value = math.sqrt(math.fsum(v * v for v in known)) if known and len(known) == len(column) else None
            line.append((f"{_text(value, missing):>{WIDTH}}", "text" if value is not None else "dim"))
        return line

    def _sentence(self, view: Staged) -> str:
        row = view.rows[self.selected] if self.selected < len(view.rows) else ()
        known = dict(zip(view.names, row, strict=False))
        clipped, applied = known.get("clipped"), known.get("applied")
        if clipped and applied is not None:
            plain = f"plain gradient descent would make it lr = {number(view.lr)}"
            return f"‖ΔW‖ / ‖clipped‖ = {applied / clipped:.4g}   ({plain})"
        return ""

    def on_key(self, event: events.Key) -> None:
        moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "k": (-1, 0), "j": (1, 0)}
        if event.key in moves and self.view is not None:
            event.stop()
            down, right = moves[event.key]
            self.selected = max(0, min(len(self.view.rows) - 1, self.selected + down))
            self.stage = max(0, min(len(self.view.names) - 1, self.stage + right))
            self.show()
            self.post_message(self.Moved())

    def clicked(self, row: int) -> None:
        if self.view is not None and 1 <= row <= len(self.view.rows):
            self.selected = self._first + row - 1
            self.show()
            self.post_message(self.Moved())


def _text(value: float | None, missing: int) -> str:
    if value is not None:
        return small(value)
    return pending(missing) if missing else "–"
