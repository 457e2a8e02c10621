"""A framed pane drawn by the Line API that repaints changed spans only.

Textual repaints whatever region it is told of, so a pane that says ``refresh()`` costs all of its
cells each time. A pane here builds its lines from a snapshot, compares them with those on the screen,
and asks for the spans that differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.filter import ANSIToTruecolor
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from bptui.tui.cells import Cells, cells, changed, width_of_text
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import Snapshot
from bptui.tui.text import fit

Piece = tuple[str, str]
"""Text and the name of its style."""
Line = list[Piece]

#: Names of styles: ``drawn--<name>`` in app.tcss.
STYLES = (
    "text", "dim", "strong", "title", "border", "first", "second", "good", "warn", "bad", "info", "cursor", "key",
    "caret",
)  # fmt: skip


def width_of(line: Sequence[Piece]) -> int:
    return width_of_text("".join([text for text, _ in line]))  # widths add up, and one look at a row is quicker


class Drawn(Widget):
    """Lines of styled pieces; ``show`` repaints what changed."""

    ALLOW_SELECT = False

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(id=id)
        self.snapshot = snapshot
        self.glyphs = glyphs
        self._lines: list[Line] = []
        self._strips: list[Strip] = []
        self._cells: dict[int, tuple[Strip, Cells]] = {}
        """Of the rows that changed the last time: they will again."""
        self._built_for: Size | None = None
        self._made_of: object = None
        """Of what ``drawn_from`` named the lines are made."""
        self._palette: dict[str, Style] = {}
        self._ground: tuple[str, Style] | None = None

    def build(self, width: int, height: int) -> list[Line]:
        """The lines of ``snapshot``; shorter ones are filled up with blanks."""
        raise NotImplementedError

    def drawn_from(self) -> object:
        """What of the snapshot the lines are made of, where that seldom changes; None: of anything."""
        return None

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw another snapshot (or the same one after a change of the widget's own), changed spans only."""
        if snapshot is not None:
            self.snapshot = snapshot
        if not self.is_mounted or not self.size or not self.display:
            self._built_for = None  # when it comes into sight at the same size, these lines are old ones
            return
        if snapshot is not None and self._built_for == self.size:
            made_of = self.drawn_from()
            if made_of is not None and made_of == self._made_of:
                return
        old, size = self._strips, self._built_for
        self._build()
        if size != self.size or len(old) != len(self._strips):
            self.refresh()
            return
        regions = [
            Region(first, y, end - first, 1)
            for y, (before, after) in enumerate(zip(old, self._strips, strict=True))
            if before is not after and before != after
            for first, end in changed(self._cells_of(y, before), self._cells_of(y, after))
        ]
        if regions:
            self.refresh(*regions)

    def _cells_of(self, y: int, strip: Strip) -> Cells:
        known = self._cells.get(y)
        if known is None or known[0] is not strip:
            known = self._cells[y] = strip, cells(strip)
        return known[1]

    def style_of(self, name: str) -> Style:
        """``name`` of STYLES; ``+cursor`` (or ``+caret``) behind it puts it on that one's background.

        The styles are component styles of the screen: one set for all, as each costs a look at every CSS rule.
        """
        style = self._palette.get(name)
        if style is None:
            base, _, on = name.partition("+")
            screen = self.screen
            ground = screen.get_component_rich_style(f"drawn--{on}") if on else self.rich_style
            style = screen.get_component_rich_style(f"drawn--{base}") + Style(bgcolor=ground.bgcolor)
            self._palette[name] = style
        return style

    def _build(self) -> None:
        width, height = size = self.size
        before = list(zip(self._lines, self._strips, strict=False)) if size == self._built_for else []
        self._built_for, self._made_of = size, self.drawn_from()
        self._lines = self.build(width, height)[:height]
        strips = []
        for y, line in enumerate(self._lines):
            if y < len(before) and before[y][0] == line:  # most lines: nothing is made anew, and nothing to compare
                strips.append(before[y][1])
            else:
                strips.append(self._strip(line, width))
        missing = height - len(strips)
        self._strips = strips + [Strip.blank(width, self.style_of("text"))] * missing

    def _strip(self, line: Line, width: int) -> Strip:
        segments: list[Segment] = []
        texts: list[str] = []
        palette, last = self._palette, None
        for text, name in line:
            if not text:
                continue
            style = palette.get(name) or self.style_of(name)
            if style is last:
                texts.append(text)
                continue
            if last is not None:
                segments.append(Segment("".join(texts), last))
            texts, last = [text], style
        if last is not None:
            segments.append(Segment("".join(texts), last))
        used = width_of(line)
        strip = Strip(segments, used)
        return strip if used == width else strip.adjust_cell_length(width, self.style_of("text")).simplify()

    def render_line(self, y: int) -> Strip:
        if self._built_for != self.size:
            self._build()
        return self._strips[y] if 0 <= y < len(self._strips) else Strip.blank(self.size.width, self.style_of("text"))

    def render_lines(self, crop: Region) -> list[Strip]:
        """A drawn widget has no border, padding, opacity or link: Textual's cache of styles has nothing to do."""
        size = self.size
        if self._built_for != size:
            self._build()
        strips = self._strips[crop.y : crop.bottom]
        if len(strips) < crop.height:  # taller than what could be drawn
            strips = strips + [Strip.blank(size.width, self.style_of("text"))] * (crop.height - len(strips))
        for each in self.get_line_filters():
            if isinstance(each, ANSIToTruecolor):  # every colour of a drawn style is a true one
                continue
            strips = [strip.apply_filter(each, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if not self.is_mounted:
            return
        ground = (self.app.theme, self.rich_style)
        if ground != self._ground:  # another theme, not just the focus
            self._ground, self._built_for, self._palette = ground, None, {}  # no line is taken over


class Pane(Drawn, can_focus=True):
    """A frame with a number, a title, and lines within."""

    number = 0
    title = ""

    class Focused(Message):
        """This pane has the focus now."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def inside(self, width: int, height: int) -> list[Line]:
        """Lines of ``width`` cells."""
        raise NotImplementedError

    def lit(self) -> bool:
        """Whether keys go to this pane: its frame shows it."""
        return self.has_focus

    def heading(self) -> list[tuple[int, str, str]]:
        """The texts at the left of the upper border."""
        return [(1, f" {self.number} ", "key"), (4, f"{self.title} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        """Texts in the upper border: column (−1: at the right end), text, style."""
        return []

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        """Texts in the lower border."""
        return []

    def build(self, width: int, height: int) -> list[Line]:
        if width < 6 or height < 2:
            return []
        corners = self.glyphs.frame
        border = "key" if self.lit() else "border"
        inner = self.inside(width - 4, height - 2)[: height - 2]  # first: the frame tells of what is in it
        lines = [self._edge(corners[0], corners[2], width, border, self.heading() + self.top(width))]
        for index in range(height - 2):
            line = inner[index] if index < len(inner) else []
            used = width_of(line)
            fill = line[-1][1] if line and line[-1][1].endswith("+cursor") else "text"
            lead = line[0][1] if line and line[0][1].endswith("+cursor") else "text"
            room = width - 4
            body = list(line) if used <= room else cut(line, room)
            lines.append(
                [
                    (corners[3], border),
                    (" ", lead),
                    *body,
                    (" " * max(0, room - used), fill),
                    (" ", fill),
                    (corners[3], border),
                ]
            )
        lines.append(self._edge(corners[4], corners[5], width, border, self.bottom(width)))
        return lines

    def _edge(self, start: str, end: str, width: int, border: str, texts: list[tuple[int, str, str]]) -> Line:
        line: Line = [(start, border)]
        at = 1
        for column, text, style in texts:
            if column < 0:
                column = width - 2 - cell_len(text)
            if column < at or column + cell_len(text) > width - 1:
                continue
            line += [(self.glyphs.rule * (column - at), border), (text, style)]
            at = column + cell_len(text)
        line += [(self.glyphs.rule * (width - 1 - at), border), (end, border)]
        return line

    def _on_focus(self, event: events.Focus) -> None:
        self._focus_is(True, event)

    def _on_blur(self, event: events.Blur) -> None:
        self._focus_is(False, event)

    def _focus_is(self, focused: bool, event: events.Event) -> None:
        """As Textual does, which repaints all of the widget besides: here its frame shows the focus."""
        event.prevent_default()
        self.has_focus = focused

    def watch_has_focus(self, has_focus: bool) -> None:
        if has_focus:
            self.post_message(self.Focused(self))
        self.show()

    async def on_click(self, event: events.Click) -> None:
        self.focus()
        self.clicked(event.y - 1)

    def clicked(self, row: int) -> None:
        """A line within the frame was clicked."""


def cut(line: Line, width: int) -> Line:
    """The beginning of a line, with an ellipsis where it does not fit in ``width`` cells."""
    if width_of(line) <= width:
        return line
    out: Line = []
    for text, style in line:
        room = width - width_of(out)
        if room <= 0:
            break
        out.append((text if cell_len(text) <= room else fit(text, room), style))
    return out
