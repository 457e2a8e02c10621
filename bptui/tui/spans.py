"""Changed spans, and nothing to the left of them.

Textual 8.2 knows which spans of a row changed, but writes each of them from the left edge of its
widget; a row with three changed numbers is written three times. Here a span is cut on both sides.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class SpanUpdate(ChopsUpdate):
    """A partial update that writes the spans' own cells."""

    def render_segments(self, console: Console) -> str:
        out: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(first, x), min(last, end)
                if strip is None or start >= stop:
                    continue
                piece = strip.crop(start - x, stop - x).simplify()
                out += (Control.move_to(start, y).segment.text, piece.render(console))
        return "".join(out)


class SpanCompositor(Compositor):
    """A screen's compositor whose partial updates are ``SpanUpdate``."""

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return None if update is None else SpanUpdate(update.chops, update.spans, update.chop_ends)
