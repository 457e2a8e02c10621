"""What is inside a layer, of one sample: gates by unit and time, attention of one head, δ through time.

A plane is drawn a shade a cell, a line as bars from its first step to its last. Tokens stand at the axes of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual import events

from bptui.protocol.messages import Inside
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.ramps import LEVELS, amount
from bptui.tui.screens.inspector.fading import fading
from bptui.tui.screens.inspector.formula import pending
from bptui.tui.screens.inspector.inside_view import MEANINGS, InsideView
from bptui.tui.screens.inspector.sheet import Layout, described, layout, sheet
from bptui.tui.screens.inspector.views import Nothing
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, small
from bptui.tui.widgets.chart import ChartPane
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.raster import joined

LABEL = 10
"""Cells of a row's label."""
PAGE = 20
"""Rows of a table that a page key goes."""


class InsidePane(ChartPane):
    """``wanted`` is what to ask for; ``row`` and ``column`` are the cursor."""

    number, title = 5, "Inside"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.view: InsideView | Nothing | None = None
        self.array, self.sample, self.page = "", 0, 0
        self.row = self.column = self._top = self._left = 0
        self.stale = False
        self._layout = Layout(1, 1, 1, 1, 1)
        self._aim: tuple[str, tuple[int, ...]] | None = None
        """The array and the place in it to begin at, until it has come."""

    def aim(self, name: str, place: tuple[int, ...]) -> None:
        """Ask for the sample, and the page, that a place names, and put the cursor there."""
        self._aim, self.array = (name, place), name
        sampled = not name.startswith(("kernels", "table"))
        self.sample = place[0] if sampled and place else 0
        rest = place[sampled:]
        self.page = rest[0] if len(rest) > (1 if name.startswith(("maps", "kernels")) else 2) else 0

    def arrive(self) -> str:
        """The cursor at the place that was aimed at; why it cannot be there, where it cannot."""
        aim, view, self._aim = self._aim, self.view, None
        if aim is None or not isinstance(view, InsideView):
            self._aim = aim if view is None else None
            return ""
        name, place = aim
        if view.name != name:
            return f"there is no {name} in this layer: {', '.join(view.names)}"
        cell = view.cell(place)
        if cell is None:
            return f"there is no place [{', '.join(map(str, place))}] in {name} of this batch"
        self.row, self.column = cell
        self.show()
        return ""

    def request(self, layer: int) -> Inside:
        return Inside(layer=layer, name=self.array, sample=self.sample, page=self.page)

    def put(self, view: InsideView | Nothing) -> None:
        self.view, self.stale = view, False
        if isinstance(view, InsideView):
            self.array, self.sample, self.page = view.name, view.sample, view.page
            self._clamp(view)
        self.show()

    def turn(self, by: int) -> None:
        """The next array of the layer."""
        if isinstance(self.view, InsideView):
            names = self.view.names
            self.array = names[(names.index(self.view.name) + by) % len(names)] if self.view.name in names else ""
            self.page = 0

    def _clamp(self, view: InsideView) -> None:
        self.row = max(0, min(self.row, len(view.values) - 1))
        self.column = max(0, min(self.column, len(view.values[0]) - 1 if view.values else 0))

    def words(self) -> tuple[str, str]:
        """Formula and meaning of what is shown."""
        if not isinstance(self.view, InsideView):
            return "", "what this kind of layer has inside beyond z and a"
        ends = sorted((key for key in MEANINGS if self.view.name.endswith(key)), key=len, reverse=True)
        text, meaning = MEANINGS[ends[0]] if ends else (self.view.name, "")
        lead = self.view.name.removesuffix(ends[0]) if ends else ""
        where = {"": "", "reverse.": ", of the direction that reads backwards"}.get(lead, f", of {lead.rstrip('.')}")
        return text, meaning + where

    # -- frame -------------------------------------------------------------------------------------
    def heading(self) -> list[tuple[int, str, str]]:
        name = self.view.name if isinstance(self.view, InsideView) else self.title
        return [(1, f" {self.number} ", "key"), (4, f"{name} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if not isinstance(view, InsideView):
            return []
        at = view.names.index(view.name) + 1 if view.name in view.names else 1
        texts = [(5 + len(view.name), f" {at} of {len(view.names)} (tab) ", "dim")]
        where = [f"sample {view.sample + 1} of {view.samples}"] if view.of_samples else []
        if view.pages > 1:
            where.append(f"{view.page_name} {view.page + 1} of {view.pages}")
        return [*texts, *([(-1, f" {', '.join(where)} ", "strong")] if where else [])]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        view = self.view
        if not isinstance(view, InsideView):
            return []
        keys = ["pgup pgdn sample"] if view.of_samples else ["pgup pgdn rows"] if view.table else []
        if view.pages > 1:
            keys.append(f"ctrl+{'left/right' if self.glyphs.name == 'ascii' else '← →'} {view.page_name}")
        texts = [(2, f" {'  '.join(keys)} ", "dim")] if keys else []
        if view.zoom > 1:
            texts.append((-1, f" {view.zoom}×{view.zoom} cells a shade ", "dim"))
        return texts

    # -- drawing -----------------------------------------------------------------------------------
    def inside(self, width: int, height: int) -> list[Line]:
        view = self.view
        if view is None:
            return self.empty(width, height, "asking …")
        if isinstance(view, Nothing):
            return self.empty(width, height, "nothing inside", pending(view.missing) if view.missing else view.note)
        if view.mean:
            return self._bars(view, width, height)
        if view.tile and view.values:
            return self._sheet(view, width, height)
        return self._plane(view, width, height)

    def _sheet(self, view: InsideView, width: int, height: int) -> list[Line]:
        count, chosen = len(view.values) // view.tile, self.row // view.tile
        self._layout = layout((view.tile, len(view.values[0])), count, width, height, self.glyphs)
        at, down = chosen // self._layout.across, self._layout.down
        self._top = max(0, min(max(self._top, at - down + 1), at))
        return sheet(view.values, view.tile, view.row_names, chosen, self._top, self._layout, self.glyphs)

    def _plane(self, view: InsideView, width: int, height: int) -> list[Line]:
        signed = any(v < 0 for row in view.values for v in row)
        cell = 2 if signed else 1
        tall, wide = max(1, height - 1), max(1, (width - LABEL) // cell)
        self._top = max(0, min(max(self._top, self.row - tall + 1), self.row, len(view.values) - tall))
        across = len(view.values[0]) if view.values else 0
        self._left = max(0, min(max(self._left, self.column - wide + 1), self.column, across - wide))
        shown = range(self._left, min(across, self._left + wide))
        lines = [self._head(view, shown, cell)]
        most = view.most
        for row in range(self._top, min(len(view.values), self._top + tall)):
            here = row == self.row
            label = f"{_label(view.row_names, row, view.zoom, LABEL - 1):>{LABEL - 1}} "
            cells: Line = []
            for column in shown:
                on = "+cursor" if here and column == self.column else ""
                cells += self._cell(view.values[row][column], most, signed, on)
            lines.append([(label, "key" if here else "dim"), *joined(cells)])
        return lines

    def _head(self, view: InsideView, shown: range, cell: int) -> Line:
        word = f"{view.axes[1]} {_label(view.column_names, self.column, view.zoom)}"
        place = max(0, min((self.column - shown.start) * cell, len(shown) * cell - len(word)))
        return [(f"{view.axes[0]:<{LABEL}}", "dim"), (" " * place, "dim"), (word, "key")]

    def _cell(self, value: float, most: float, signed: bool, on: str) -> Line:
        sign = [("-" if value < 0 else " ", "dim" + on)] if signed else []
        if not math.isfinite(value):
            return [*sign, (self.glyphs.gap, "bad" + on)]
        if value == 0:
            return [*sign, (" " if not on else "·", "dim" + on)]
        level = max(0, min(LEVELS - 1, int(abs(value) / most * LEVELS)))
        return [*sign, (amount(level, self.glyphs), f"tint{level}" if not on else "strong" + on)]

    def _bars(self, view: InsideView, width: int, height: int) -> list[Line]:
        """A step a line: the sample's value as a bar, and the batch's mean as a mark.

        Shares are drawn from 0 to 1, all else on a logarithmic scale.
        """
        values = view.values[0]
        both = [v for v in (*values, *view.mean) if math.isfinite(v) and v > 0]
        most = max(both, default=1.0)
        low = max(min(both, default=most), most * 1e-8)
        span = math.log10(most / low) or 1.0
        tall = max(1, height - 2)
        at = self.column
        self._left = max(0, min(max(self._left, at - tall + 1), at, len(values) - tall))
        room = max(4, width - LABEL - 12)
        share = view.name.startswith("share.")

        def length(size: float) -> int:
            return _length(size, low, span, room) if not share else max(1, round(room * size)) if 0 < size <= 1 else 0

        head = f"{view.axes[1]:<{LABEL}}{'value':>10}  of the sample ({self._bar}), mean of the batch "
        head += f"({self.glyphs.rule})" + ", from 0 to 1" * share
        lines: list[Line] = [[(fit(head, width), "dim")]]
        for step in range(self._left, min(len(values), self._left + tall)):
            here = step == at
            value, mean = values[step], view.mean[step] if step < len(view.mean) else math.nan
            label = f"{_label(view.column_names, step, view.zoom, LABEL - 1):>{LABEL - 1}} "
            line: Line = [(label, "key" if here else "dim")]
            line.append((f"{small(value):>10} ", "bad" if not math.isfinite(value) else "strong" if here else "text"))
            line += self._bar_line(length(value), length(mean), here)
            lines.append(line)
        told = ""
        if view.name.endswith("delta.time"):
            told = fading(values, backwards=view.name.startswith("reverse"), width=width)
        return [*lines, [(fit(told, width), "first")]]

    @property
    def _bar(self) -> str:
        return "#" if self.glyphs.name == "ascii" else "█"

    def _bar_line(self, full: int, mean: int, here: bool) -> Line:
        bar = self._bar * full
        if mean > full:
            return [(bar, "first"), (" " * (mean - full - 1), "text"), (self.glyphs.rule, "dim")]
        return [(bar, "first+cursor" if here else "first")]

    def here(self) -> tuple[str, tuple[int, ...], str] | None:
        """The array, the place under the cursor in it, and what is there in words."""
        view = self.view
        if not isinstance(view, InsideView) or not view.values:
            return None
        if view.tile:
            told = described(view.values, view.tile, self.row // view.tile)
        else:
            told = repr(view.values[0 if view.mean else self.row][self.column])
        return view.name, view.place(self.row, self.column), told

    def readout(self) -> Line:
        """The value under the cursor with all its digits, and what its row and column are."""
        view = self.view
        if not isinstance(view, InsideView) or not view.values:
            return []
        if view.tile:
            chosen = self.row // view.tile
            name = view.row_names[chosen] if chosen < len(view.row_names) else str(chosen)
            return [(f" {view.name}, {view.axes[0]} {name}: ", "dim"),
                    (described(view.values, view.tile, chosen), "strong")]  # fmt: skip
        line = view.mean
        value = view.values[0 if line else self.row][self.column]
        column = f"{view.axes[1]} {_label(view.column_names, self.column, view.zoom)}"
        row = "" if line else f"{view.axes[0]} {_label(view.row_names, self.row, view.zoom)}, "
        texts: Line = [(f" {view.name} = ", "dim"), (repr(value), "strong" if math.isfinite(value) else "bad")]
        if line and self.column < len(line):
            texts.append((f"   mean of the batch {small(line[self.column])}", "dim"))
        return [*texts, (f"   {row}{column}", "dim")]

    # -- keys --------------------------------------------------------------------------------------
    def on_key(self, event: events.Key) -> None:
        view = self.view
        if not isinstance(view, InsideView):
            return
        asked = {"pageup": (-1, 0), "pagedown": (1, 0), "ctrl+left": (0, -1), "ctrl+right": (0, 1)}
        moves = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1), "k": (-1, 0), "j": (1, 0),
                 "home": (0, -100_000), "end": (0, 100_000)}  # fmt: skip
        if view.table:
            moves |= {"pageup": (-PAGE, 0), "pagedown": (PAGE, 0)}
            asked = {key: by for key, by in asked.items() if key not in moves}
        if event.key in asked:
            event.stop()
            sample, page = asked[event.key]
            self.sample = max(0, min(view.samples - 1, view.sample + sample))
            self.page = max(0, min(view.pages - 1, view.page + page))
            self.post_message(self.Wanted())
        elif event.key in moves:
            event.stop()
            down, right = moves[event.key]
            if view.tile:  # from picture to picture
                down, right = (down * self._layout.across + right) * view.tile, 0
            if view.mean:  # a line: its steps run downwards
                down, right = 0, down + right
            self.row, self.column = self.row + down, self.column + right
            self._clamp(view)
            self.show()
            self.post_message(self.Moved())

    class Wanted(ChartPane.Moved):
        """Another sample or page is to be asked for."""

    def clicked(self, row: int) -> None:
        if isinstance(self.view, InsideView) and row >= 1:
            if self.view.tile:
                self.row = (self._top + (row - 1) // self._layout.tall) * self._layout.across * self.view.tile
            elif self.view.mean:
                self.column = self._left + row - 1
            else:
                self.row = self._top + row - 1
            self._clamp(self.view)
            self.show()
            self.post_message(self.Moved())


def _label(names: Sequence[str], at: int, zoom: int, width: int = 40) -> str:
    """A step's token, cut so that its number has room behind it, else the number."""
    if at < len(names):
        return f"{names[at][: max(1, width - 1 - len(str(at)))]} {at}"
    return str(at) if zoom == 1 else f"{at * zoom}…"


def _length(value: float, low: float, span: float, room: int) -> int:
    """Cells of a bar: 1 for the smallest that is shown, none for 0 and what is not finite."""
    if not math.isfinite(value) or value <= 0:
        return 0
    return max(1, min(room, round((1 + math.log10(max(value, low) / low)) / (1 + span) * room)))
