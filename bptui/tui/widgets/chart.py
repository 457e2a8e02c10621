"""A pane that also paints amounts and classes."""

from __future__ import annotations

from rich.style import Style
from textual.message import Message

from bptui.tui.ramps import painted
from bptui.tui.widgets.pane import Line, Pane

_PAINTED = ("ramp", "class", "field", "point", "tint", "count", "pixel")


class ChartPane(Pane):
    """Knows the names of ``ramps.painted`` beside those of the screen's styles."""

    class Moved(Message):
        """The cursor stands elsewhere."""

    def style_of(self, name: str) -> Style:
        style = self._palette.get(name)
        if style is None:
            if not name.startswith(_PAINTED):
                return super().style_of(name)
            ground = self.rich_style.bgcolor
            triplet = ground.triplet if ground is not None else None
            found = painted(name, (triplet.red, triplet.green, triplet.blue) if triplet is not None else (18, 18, 18))
            style = self._palette[name] = found if found is not None else super().style_of("text")
        return style

    def readout(self) -> Line:
        """What stands under the cursor, exactly; nothing where there is no cursor."""
        return []

    def empty(self, width: int, height: int, *texts: str) -> list[Line]:
        """What will come here, in the middle of nothing."""
        lines: list[Line] = [[] for _ in range(max(0, (height - len(texts)) // 2))]
        return lines + [[(" " * max(0, (width - len(text)) // 2), "text"), (text, "dim")] for text in texts]
