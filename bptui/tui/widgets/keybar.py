"""The key bar: what the table of keys ranks, the least important dropped where it is narrow; notices for a while."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from bptui.tui.glyphs import ASCII
from bptui.tui.keys import Key, Place, keys_of
from bptui.tui.plain import spell
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit
from bptui.tui.widgets.pane import Drawn, Line

NOTICE_SECONDS = 4.0


def fitting(keys: tuple[Key, ...], width: int) -> list[Key]:
    """The ranked keys that fit in ``width`` cells, in the table's order; ``?`` and ``q`` stay."""
    ranked = [key for key in keys if key.rank]
    while ranked and sum(len(key.shown) + len(key.label) + 3 for key in ranked) > width:
        last = max(ranked, key=lambda key: key.rank)
        if last.rank == 1:
            break
        ranked.remove(last)
    return ranked


class KeyBar(Drawn):
    """One line of keys and words; a notice (the answer to a key) stands in front of them for some seconds."""

    def __init__(self, snapshot: Snapshot, place: Place = "main", *, id: str | None = None) -> None:
        super().__init__(snapshot, id=id)
        self.place = place
        self.text = ""
        self._tone = "info"

    def notice(self, text: str, tone: str = "info") -> None:
        """Say one line at once."""
        self.text, self._tone = clean(text, 300), tone
        self.show()
        self.set_timer(NOTICE_SECONDS, partial(self._forget, self.text))

    def _forget(self, said: str) -> None:
        if self.text == said:
            self.text = ""
            self.show()

    def drawn_from(self) -> object:
        return self.place, self.snapshot.script

    def build(self, width: int, height: int) -> list[Line]:
        if self.text:
            return [[(" ", "text"), (fit(self.text, width - 2), self._tone)]]
        line: Line = [(" ", "text")]
        script = self.snapshot.script
        rows = tuple(key for key in keys_of(self.place) if not (key.script if script else key.native))
        if script:
            rows = tuple(replace(key, label=key.named(True)) for key in rows)
        if getattr(self.app, "glyphs", None) is ASCII:
            rows = tuple(replace(key, label=spell(key.label)) for key in rows)
        for key in fitting(rows, width):
            line += [(key.shown, "key"), (f" {key.label}  ", "dim")]
        return [line]
