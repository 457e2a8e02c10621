"""The left of the builder: data, layers and settings as rows, and what differs from the running experiment."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from rich.cells import cell_len
from textual import events
from textual.message import Message

from bptui.spec.describe import Row
from bptui.spec.fields import fields_of, text_of
from bptui.tui import shapes
from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.builder.draft import Draft, Item
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, count, fit, right, wrap
from bptui.tui.widgets.pane import Line, Pane

ADD = Item("add")
"""The row that adds a layer."""


class Table(NamedTuple):
    """What stands in the rows of the layers."""

    rows: tuple[Row, ...]
    sizes: list[str]
    acts: list[str]
    lanes: list[str]


class BuilderPane(Pane, can_focus=False):
    """A framed pane of the builder; the screen says which one has the keys."""

    class Clicked(Message):
        """A row within the frame, counted from 0, and a column."""

        def __init__(self, pane: BuilderPane, row: int, column: int) -> None:
            super().__init__()
            self.pane, self.row, self.column = pane, row, column

    class Scrolled(Message):
        """The wheel was turned over it."""

        def __init__(self, pane: BuilderPane, by: int) -> None:
            super().__init__()
            self.pane, self.by = pane, by

    def __init__(self, draft: Draft, glyphs: Glyphs, id: str) -> None:
        super().__init__(Snapshot(), glyphs=glyphs, id=id)
        self.draft = draft
        self.active = False
        self._first = 0

    def lit(self) -> bool:
        return self.active

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def follow(self, row: int, rows: int, total: int) -> int:
        """The first row shown, so that ``row`` is among the ``rows`` that fit."""
        self._first = max(0, min(max(self._first, row - rows + 1), row, total - rows))
        return self._first

    def scroll_text(self, rows: int, total: int) -> list[tuple[int, str, str]]:
        if total <= rows:
            return []
        dash = "-" if self.glyphs.name == "ascii" else "–"
        return [(-1, f" {self._first + 1}{dash}{min(total, self._first + rows)} of {total} ", "dim")]

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        if 0 < event.y < self.size.height - 1:
            self.post_message(self.Clicked(self, event.y - 1 + self._first, event.x - 2))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Scrolled(self, 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Scrolled(self, -1))


class Outline(BuilderPane):
    """One row a table; ``selected`` counts ``entries``."""

    title = "Network"
    selected = 0

    def entries(self) -> list[Item]:
        """The items with the row that adds a layer behind the layers."""
        items = self.draft.items()
        place = 1 + len(self.draft.experiment.model)
        return [*items[:place], ADD, *items[place:]]

    @property
    def item(self) -> Item:
        entries = self.entries()
        return entries[min(self.selected, len(entries) - 1)]

    def select(self, item: Item) -> None:
        entries = self.entries()
        if item in entries:
            self.selected = entries.index(item)

    def _spacer(self) -> int:
        """The row before which a blank line stands."""
        return 2 + len(self.draft.experiment.model)

    def inside(self, width: int, height: int) -> list[Line]:
        entries = self.entries()
        rows = [self._row(index, item, width) for index, item in enumerate(entries)]
        self._blank = len(rows) + 1 <= height
        if self._blank:
            rows.insert(self._spacer(), [])
        at = self.selected + (1 if self._blank and self.selected >= self._spacer() else 0)
        first = self.follow(at, height, len(rows))
        return rows[first : first + height]

    _blank = False

    def entry_at(self, row: int) -> int | None:
        """The entry that stands in a row of the pane; None for the blank one."""
        spacer = self._spacer()
        if self._blank and row == spacer:
            return None
        entry = row - 1 if self._blank and row > spacer else row
        return entry if 0 <= entry < len(self.entries()) else None

    def _row(self, index: int, item: Item, width: int) -> Line:
        chosen = index == self.selected
        on = "+cursor" if chosen and self.active else ""
        lead = (f"{self.glyphs.cursor} " if chosen else "  ", "key" + on)
        if item is ADD:
            return [lead, (fit("+ add a layer", width - 2), ("key" if chosen else "dim") + on)]
        bad = bool(self.draft.problems_of(item))
        if bad:
            lead = ("x " if self.glyphs.name == "ascii" else "✖ ", "bad" + on)
        name_style = "bad" if bad else "strong" if chosen else "text"
        if item.table == "model":
            return [lead, *self._layer(item, width - 2, name_style, on)]
        column = 11
        text = fit(clean(summary(self.draft, item)), width - 2 - column)
        word = "runs on" if item.table == "machine" else item.table
        if item.table.startswith("adversary."):
            word = f" {self.draft.word(item)}"
        return [lead, (fit(word, column), name_style + on), (text, "dim" + on)]

    def wanted(self) -> int:
        """Cells for every row with its name, its size and what it does; without its number of parameters."""
        table = self._table()
        names = max((cell_len(row.name) for row in table.rows), default=0)
        sizes, acts = (max(map(cell_len, words), default=0) for words in (table.sizes, table.acts))
        return 2 + len(table.lanes[0] if table.lanes else "") + names + 1 + sizes + 1 + acts

    def _table(self) -> Table:
        rows = self.draft.rows()
        sources = [row.sources for row in rows]
        read = shapes.reads([row.name for row in rows], sources)
        acts = [
            shapes.does(row.activation, *of, self.glyphs, frozen=layer.freeze)
            for row, of, layer in zip(rows, read, self.draft.experiment.model, strict=True)
        ]
        sizes = shapes.sizes([(row.inputs, row.shape) for row in rows], self.glyphs)
        wrong = next((at for at, row in enumerate(rows) if not row.shape and self._problem(at)), len(rows))
        sizes[wrong:] = [""] * (len(rows) - wrong)  # nothing is known behind a layer that does not fit
        return Table(rows, sizes, acts, shapes.lanes(sources, self.glyphs))

    def _problem(self, layer: int) -> str:
        found = self.draft.problems_of(Item("model", layer))
        return f"{found[0].key}: {found[0].message}" if found and found[0].key else found[0].message if found else ""

    def _layer(self, item: Item, width: int, name_style: str, on: str) -> Line:
        table, at = self._table(), item.layer
        row = table.rows[at]
        lane = (table.lanes[at], "second" + on)
        width -= len(lane[0])
        size = max(map(len, table.sizes))
        act = max(map(len, table.acts))
        longest = max(cell_len(each.name) for each in table.rows)
        name = max(6, min(longest, width - size - min(act, 10) - 2))
        left = width - name - 1 - size - 1
        if not row.shape and (wrong := self._problem(at)):
            words = " " + fit(clean(wrong), width - name - 1)
            return [lane, (fit(clean(row.name), name), name_style + on), (words, "bad" + on)]
        count_text = count(row.parameters) if row.parameters and left >= act + 6 else ""
        act = left - 6 if count_text else left
        return [
            lane, (fit(clean(row.name), name), name_style + on), (" " + right(table.sizes[at], size), "text" + on),
            (" " + fit(clean(table.acts[at]), act), "dim" + on),
            (right(count_text, max(0, left - act)), "dim" + on),
        ]  # fmt: skip

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        rows = self.size.height - 2
        return self.scroll_text(rows, len(self.entries()))


def summary(draft: Draft, item: Item) -> str:
    """A table in a few words: its kind, then what is not a default."""
    struct = draft.struct(item)
    words = [str(struct.__struct_config__.tag)] if struct.__struct_config__.tag else []
    plain = {"data": ("source",), "experiment": ("name",), "machine": ("engine",)}.get(item.table, ())
    kind: type[msgspec.Struct] = type(struct)
    for field in fields_of(kind):
        value = getattr(struct, field.key)
        if field.key == "description":
            continue
        if field.key in plain:
            words.append(str(value))
        elif (field.key in ("lr", "noise") and item.table != "data") or value != field.default:
            words.append(f"{field.key} {text_of(field, value)}")
    if item.table == "stop" and not words:
        return "never"
    return " ".join(words)


class Changes(BuilderPane):
    """The difference to the running experiment, a line a key."""

    title = "Changes"

    def top(self, width: int) -> list[tuple[int, str, str]]:
        total = len(self.draft.changes())
        return [(-1, f" {total} ", "dim")] if total else []

    def inside(self, width: int, height: int) -> list[Line]:
        found = self.draft.changes()
        if not found:
            return [[(line, "dim")] for line in wrap("Nothing yet: it is the running experiment.", width, 3)]
        lines: list[Line] = []
        for change in found:
            path = change.path.removeprefix("model.")
            before, after = change.before or "–", change.after or ("removed" if "new" not in change.after else "")
            arrow = "->" if self.glyphs.name == "ascii" else "→"
            lines.append([
                (clean(path), "text"), (" ", "text"), (clean(before, 30), "dim"),
                (f" {arrow} ", "dim"), (clean(after, 60), "first"),
            ])  # fmt: skip
        if len(lines) > height:
            lines = [*lines[: max(0, height - 1)], [(f"and {len(lines) - height + 1} more", "dim")]]
        return lines
