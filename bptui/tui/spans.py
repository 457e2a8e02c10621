"""A compositor for screens that are tiled with panes: changed spans, and nothing to the left of or behind them.

Textual 8.2 knows which spans of a row changed, but writes each of them from the left edge of its
widget; a row with three changed numbers is written three times. Here a span is cut on both sides.
It also draws and cuts each container behind the panes, to throw it away: here none is, where panes cover the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from bptui.tui.cells import is_narrow
from bptui.tui.widgets.pane import Drawn

Places = Mapping[Widget, tuple[Region, Region]]
"""Region and clip of each visible widget."""


class SpanUpdate(ChopsUpdate):
    """A partial update that writes the spans' own cells."""

    def render_segments(self, console: Console) -> str:
        out: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(first, x), min(last, end)
                if strip is None or start >= stop:
                    continue
                out += (f"\x1b[{y + 1};{start + 1}H", written(strip, start - x, stop - x, console))
        return "".join(out)


def written(strip: Strip, start: int, stop: int, console: Console) -> str:
    """Cells ``start`` to ``stop`` of a row for the terminal, without a strip for them: they are written once."""
    pieces: list[tuple[str, Style | None]] = []
    at = 0
    for text, style, _ in strip:
        if not is_narrow(text):
            return strip.crop(start, stop).simplify().render(console)
        end = at + len(text)
        if end > start:
            piece = text[max(0, start - at) : stop - at]
            if pieces and pieces[-1][1] is style:
                pieces[-1] = (pieces[-1][0] + piece, style)
            else:
                pieces.append((piece, style))
        at = end
        if at >= stop:
            break
    colours = console._color_system or ColorSystem.TRUECOLOR
    render = Strip.render_style
    return "".join([text if style is None else render(style, text, color_system=colours) for text, style in pieces])


class SpanCompositor(Compositor):
    """A screen's compositor whose partial updates are ``SpanUpdate``."""

    def __init__(self) -> None:
        super().__init__()
        self._front_of: Places = {}
        self._front: Places = {}

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return None if update is None else SpanUpdate(update.chops, update.spans, update.chop_ends)

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        every: Places = self.visible_widgets
        if every is not self._front_of:
            self._front_of, self._front = every, _in_front(every, self.size.area)
        for widget, (region, clip) in self._front.items():
            if crop is not None and not crop.overlaps(clip):
                continue
            seen = region.intersection(clip)
            if seen:
                yield region, clip, widget.render_lines(seen.translate(-region.offset))


def _in_front(every: Places, area: int) -> Places:
    """Without what only holds drawn widgets, where these cover the screen."""
    drawn = [widget for widget in every if isinstance(widget, Drawn)]
    if sum(region.intersection(clip).area for region, clip in map(every.__getitem__, drawn)) != area:
        return every
    behind = {holder for widget in drawn for holder in widget.ancestors}
    return {widget: place for widget, place in every.items() if widget not in behind}
