"""Rows of the batch, ranked by what each gives to one unit's gradient; and one of them as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual import events

from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.screens.inspector.formula import pending, percent
from bptui.tui.screens.inspector.grid import sparkline
from bptui.tui.screens.inspector.picture import enlarged, picture, size
from bptui.tui.screens.inspector.views import Nothing, RankedView
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, integer, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line, width_of
from bptui.tui.widgets.raster import joined


class RankedPane(ChartPane):
    """A list; the row under the cursor is shown beside it as picture or as features."""

    number, title = 3, "Rows of the batch"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: RankedView | Nothing | None = None
        self.row = self._first = 0
        self.whole = False
        """The sample under the cursor fills the pane."""
        self.by_inputs = True
        """Ranked by their part of ∂L/∂W; else by that of ∂L/∂b."""
        self.stale = False

    def put(self, view: RankedView | Nothing) -> None:
        self.view, self.stale = view, False
        if isinstance(view, RankedView):
            self.row = max(0, min(self.row, len(view.rows) - 1))
        self.show()

    def sample(self) -> int | None:
        """The row of the batch under the cursor."""
        return self.view.rows[self.row] if isinstance(self.view, RankedView) and self.view.rows else None

    def top(self, width: int) -> list[tuple[int, str, str]]:
        if not isinstance(self.view, RankedView):
            return []
        layers = self.snapshot.model.layers
        name = layers[self.view.layer].name if self.view.layer < len(layers) else "?"
        what = "|δ|·‖a‖" if self.by_inputs else "|Σ δ|"
        text = f" by {what}, to unit {self.view.unit} of {name} "
        return [(6 + len(self.title), text, "strong")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        if not isinstance(self.view, RankedView):
            return []
        shown = f"{len(self.view.rows)} of " if len(self.view.rows) < self.view.samples else ""
        gradient = f"‖∂L/∂W[:, {self.view.unit}]‖ = {small(self.view.gradient)}"
        return [(2, f" {gradient}, of {shown}{self.view.samples} rows ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        view = self.view
        if view is None:
            return self.empty(width, height, "asking …")
        if isinstance(view, Nothing):
            return self.empty(width, height, "no values", pending(view.missing) if view.missing else view.note)
        if self.whole:
            return self._whole(view, width, height)
        beside = self._beside(view, width, height)
        room = width - (max((width_of(line) for line in beside), default=0) + 2 if beside else 0)
        shown = max(1, height - 1)
        self._first = max(0, min(max(self._first, self.row - shown + 1), self.row, len(view.rows) - shown))
        lines: list[Line] = [[(fit("  rank  row  data     given  share      δ      label  gives", room), "dim")]]
        most = max((g for g in view.given if math.isfinite(g)), default=0.0)
        for at in range(self._first, min(len(view.rows), self._first + shown)):
            lines.append(self._line(view, at, room, most))
        return _side_by_side(lines, beside, room)

    def _line(self, view: RankedView, at: int, room: int, most: float) -> Line:
        here = at == self.row
        on = "+cursor" if here else ""
        source = integer(view.source[at]) if view.source[at] >= 0 else "–"
        text = f"{self.glyphs.cursor if here else ' '} {at + 1:>4} {view.rows[at]:>4} {source:>6} "
        share = f"{view.along[at] * 100:.1f} %" if math.isfinite(view.along[at]) else "–"
        text += f"{small(view.given[at]):>8} {share:>7} {small(view.delta[at]):>8}  "
        label, given = self.label(view, at), self._answer(view, at)
        text += f"{label:>7.7}  {given:<10.10}"
        used = len(text)
        full = view.given[at] / most if most and math.isfinite(view.given[at]) else 0.0
        bar = "█" * round(full * max(0, room - used - 1)) if self.glyphs.name != "ascii" else "#" * round(
            full * max(0, room - used - 1)
        )  # fmt: skip
        wrong = label != given and bool(label) and bool(given)
        return [
            (text[: used - 10], ("strong" if here else "text") + on),
            (text[used - 10 :], ("warn" if wrong else "dim") + on),
            (fit(bar, max(0, room - used)), "first" + on),
        ]

    def label(self, view: RankedView, at: int) -> str:
        """The target in words: the class's name, or the number."""
        target = view.targets[at]
        if isinstance(target, (int, float)):
            return _class(view.names, target) if isinstance(target, int) else small(target)
        if len(target) == 1:
            return _class(view.names, int(target[0])) if self._binary else small(target[0])
        return ", ".join(small(v) for v in target[:3])

    @property
    def _binary(self) -> bool:
        return self.snapshot.model.task == "binary"

    def _answer(self, view: RankedView, at: int) -> str:
        out = view.outputs[at]
        if self._binary and len(out) == 1:
            return _class(view.names, int(out[0] > 0))
        target = view.targets[at]
        script = self.snapshot.script and isinstance(target, int) and target < len(out)  # it looks like classes
        if (script or self.snapshot.model.task == "classification") and len(out) > 1 and all(v == v for v in out):
            return _class(view.names, max(range(len(out)), key=out.__getitem__))
        return ", ".join(small(v) for v in out[:2])

    def _beside(self, view: RankedView, width: int, height: int) -> list[Line]:
        """The input of the row under the cursor, where there is room."""
        if not view.picture or width < 96 or not view.rows:
            return []
        across, down = size(view.picture, self.glyphs)
        if across > width - 74 or down > height - 2:
            return []
        lines = picture(view.inputs[self.row], view.picture, self.glyphs, signed=False)
        return [[(f"row {view.rows[self.row]}, {self.label(view, self.row)}"[:across], "key")], *lines]

    def _whole(self, view: RankedView, width: int, height: int) -> list[Line]:
        """One sample: its input, its target, and what the network gives."""
        at = self.row
        names = view.names or tuple(str(i) for i in range(len(view.outputs[at])))
        lines: list[Line] = [
            [("row ", "dim"), (str(view.rows[at]), "strong"), (" of the batch", "dim"),
             (f", row {integer(view.source[at])} of the data" if view.source[at] >= 0 else "", "dim")],
            [("label ", "dim"), (self.label(view, at), "strong"),
             ("   gives ", "dim"), (self._answer(view, at), "strong")],
            [("to this unit's gradient ", "dim"), (small(view.given[at]), "first"),
             (f" = |{view.delta[at]:.6g}| · ‖a‖, along it {percent(view.along[at])}", "dim")],
            [],
        ]  # fmt: skip
        outputs: list[Line] = [[("output", "dim")]]
        for name, value in list(zip(names, view.outputs[at], strict=False))[: height - len(lines) - 1]:
            outputs.append([(f"{name:>12.12} ", "text"), (f"{value: .6g}", "text")])
        across, down = size(view.picture, self.glyphs) if view.picture else (0, 0)
        if view.picture and down <= height - len(lines) and across <= width - 30:
            times = enlarged(view.picture, self.glyphs, min(width - 30, 64), height - len(lines))
            drawn = picture(view.inputs[at], view.picture, self.glyphs, signed=False, times=times)
            return lines + _side_by_side(drawn, outputs, across * times + 2)
        features: list[Line] = [[("input", "dim"), (f"  {sparkline(view.inputs[at], 24, self.glyphs.bars)}", "first")]]
        for index, value in enumerate(view.inputs[at][: height - len(lines) - 1]):
            name = view.features[index] if index < len(view.features) else f"x[{index}]"
            features.append([(f"{name:>16.16} ", "text"), (f"{value: .6g}", "text")])
        return lines + _side_by_side(features, outputs, 42)

    def on_key(self, event: events.Key) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10, "home": -10_000, "end": 10_000}
        if event.key in moves and isinstance(self.view, RankedView):
            event.stop()
            self.row = max(0, min(len(self.view.rows) - 1, self.row + moves[event.key]))
            self.show()
            self.post_message(self.Moved())

    def clicked(self, row: int) -> None:
        if isinstance(self.view, RankedView) and row >= 1 and self._first + row - 1 < len(self.view.rows):
            self.row = self._first + row - 1
            self.show()


def _class(names: Sequence[str], label: int) -> str:
    return names[label] if 0 <= label < len(names) else str(label)


def _side_by_side(left: list[Line], right: list[Line], room: int) -> list[Line]:
    out = []
    for at in range(max(len(left), len(right))):
        line = list(left[at]) if at < len(left) else []
        if at < len(right):
            line += [(" " * max(0, room - width_of(line)), "text"), *right[at]]
        out.append(joined([piece for piece in line if piece[0]]))
    return out
