"""The confusion matrix: what each class is taken for, as counts, colour and height."""

from __future__ import annotations

from textual import events

from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.looks import ConfusionView
from bptui.tui.ramps import LEVELS, amount
from bptui.tui.store import Snapshot
from bptui.tui.text import count, fit, integer, right
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line

_RECALL = 18


class ConfusionChart(ChartPane):
    """``put`` gives it an answer; the cursor reads one cell."""

    number, title = 6, "Confusion"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: ConfusionView | None = None
        self.note = ""
        """Why there is nothing."""
        self.row = self.column = 0
        self._top = self._left = 0
        self._shown = (1, 1)

    def put(self, view: ConfusionView | None, note: str = "") -> None:
        self.view, self.note = view, note
        self.show()

    def top(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if view is None or not view.total:
            return []
        return [
            (6 + len(self.title), " rows: true class, columns: predicted ", "dim"),
            (-1, f" {view.part} {view.right / view.total * 100:.1f} % of {integer(view.total)} right ", "strong"),
        ]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if view is None:
            return []
        texts = [(2, f" of step {integer(view.step)} ", "dim")]
        low, high = " 0 % of the row ", " 100 % "
        column = width - 2 - len(low) - LEVELS - len(high)
        if column > 24:
            texts.append((column, low, "dim"))
            texts += [(column + len(low) + i, amount(i, self.glyphs), f"ramp{i}") for i in range(LEVELS)]
            texts.append((column + len(low) + LEVELS, high, "dim"))
        return texts

    def class_name(self, label: int) -> str:
        names = self.view.names if self.view is not None else ()
        return names[label] if label < len(names) else str(label)

    def inside(self, width: int, height: int) -> list[Line]:
        view = self.view
        if view is None:
            return self.empty(
                width, height, *(
                    [self.note] if self.note else
                    ["What each class is taken for, over the validation rows.", "The trainer is asked …"]
                )
            )  # fmt: skip
        classes = len(view.counts)
        lead = min(max((len(self.class_name(label)) for label in range(classes)), default=1), 14) + 2
        recall = _RECALL if width >= 60 else 0
        cell = max(4, min(13, (width - lead - recall) // max(1, classes)))
        tall = max(1, min(3, (height - 1) // classes))
        wide = max(1, min(classes, (width - lead - recall) // cell))
        rows = max(1, min(classes, (height - 1) // tall))
        self._shown = rows, wide
        self._top = max(0, min(max(self._top, self.row - rows + 1), self.row, classes - rows))
        self._left = max(0, min(max(self._left, self.column - wide + 1), self.column, classes - wide))
        columns = range(self._left, self._left + wide)
        head: Line = [(" " * lead, "text")]
        for column in columns:
            style = "key" if column == self.column else "dim"
            name = self.class_name(column)
            head.append((right(fit(name, min(cell - 1, len(name))), cell - 1) + " ", style))
        if recall:
            head.append((right("of class right", recall), "dim"))
        lines = [head]
        for truth in range(self._top, self._top + rows):
            lines += self._row(view, truth, columns, lead, cell, recall, tall)
        return lines

    def _row(
        self, view: ConfusionView, truth: int, columns: range, lead: int, cell: int, recall: int, tall: int
    ) -> list[Line]:
        counts = view.counts[truth]
        whole = sum(counts)
        worst = max((n for label, n in enumerate(counts) if label != truth), default=0)
        line: Line = [(fit(self.class_name(truth), lead - 2) + "  ", "key" if truth == self.row else "dim")]
        above: Line = [(" " * lead, "text")]
        for column in columns:
            value = counts[column]
            level = round(value / whole * (LEVELS - 1)) if whole else 0
            ground = f"count{level}" if value else "text"
            here = truth == self.row and column == self.column and self.has_focus
            sign = " "
            if column != truth and value and value == worst and value >= 0.05 * whole:
                sign = self.glyphs.alarm
            elif value:
                sign = amount(level, self.glyphs)
            text = right(count(value) if value else ("." if self.glyphs.name == "ascii" else "·"), cell - 3)
            style = "strong+cursor" if here else ground if value else "dim"
            line += [(f"{sign}{text} ", style), (" ", "text")]
            above += [(" " * (cell - 1), style if value or here else "text"), (" ", "text")]
        if recall:
            share = f"{counts[truth] / whole * 100:5.1f} %" if whole else "none"
            line.append((right(f"{share} of {integer(whole)}", recall), "text"))
        return [above, line, above][1 if tall == 1 else 0 :][:tall]

    def readout(self) -> Line:
        view = self.view
        if view is None or not self.has_focus:
            return []
        value, whole = view.counts[self.row][self.column], sum(view.counts[self.row])
        share = f" ({value / whole * 100:.1f} %)" if whole else ""
        return [
            (f" true {self.class_name(self.row)}, predicted {self.class_name(self.column)} ", "key"),
            (f" {integer(value)} of {integer(whole)}{share}", "text"),
        ]

    def on_key(self, event: events.Key) -> None:
        moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "home": (0, -1000),
                 "end": (0, 1000), "pageup": (-10, 0), "pagedown": (10, 0)}  # fmt: skip
        if event.key not in moves or self.view is None:
            return
        event.stop()
        last = len(self.view.counts) - 1
        self.row = max(0, min(last, self.row + moves[event.key][0]))
        self.column = max(0, min(last, self.column + moves[event.key][1]))
        self.show()
        self.post_message(self.Moved())
