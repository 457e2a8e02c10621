"""What the inspector asks its user for: which cells to mark, another value of a weight; and the step in float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bptui.expr.cells import parse_cells
from bptui.protocol.messages import Set, Shadow
from bptui.tui.screens.inspector import axes
from bptui.tui.screens.inspector.ledger import shadow_text
from bptui.tui.screens.inspector.views import SheetView, shadowed
from bptui.tui.text import small

if TYPE_CHECKING:
    from bptui.tui.screens.inspector.screen import Inspector


def mark(screen: Inspector) -> None:
    """Ask for a condition, and go to the next cell that meets it."""
    from bptui.tui.screens.ask import AskScreen

    def taken(text: str | None) -> None:
        if text is None:
            return
        screen.grid.condition = " ".join(text.split())
        if screen.view != "matrix":
            screen.turn("matrix")
        screen.asking.ask(find=bool(screen.grid.condition))

    screen.app.push_screen(
        AskScreen("Mark cells", "Cells that meet it are marked and counted; m goes to the next. Empty: none.",
                  value=screen.grid.condition, hint="< 0   == 0   abs > 1e-3   not finite",
                  check=lambda text: parse_cells(text) if text.strip() else None),
        taken,
    )  # fmt: skip


def edit_cell(screen: Inspector) -> None:
    """Another value of the weight or bias under the cursor, from here on."""
    from bptui.tui.screens.ask import AskScreen

    cell, value = screen.matrix.cell(), screen.matrix.value()
    if screen.view != "matrix" or screen.quantity not in ("W", "b") or cell is None or value is None:
        screen.notice("e changes a cell of W or b: tab leads there")
        return
    if screen.grid.zoom > 1:
        screen.notice("zoom in until a cell is one number: >")
        return
    view = screen.matrix.view
    assert isinstance(view, SheetView)
    at = (cell[1],) if view.vector else axes.unfolded(view.whole, cell)
    place = f"{view.tensor}[{','.join(map(str, at))}]"

    def taken(text: str | None) -> None:
        if text is not None:
            screen.work("edit", _edit, screen, place, value, float(text), alone=False)

    screen.app.push_screen(
        AskScreen(f"Edit {place}", "Another value from here on, as an event; in the past it makes another future.",
                  value=repr(value), check=_finite),
        taken,
    )  # fmt: skip


async def _edit(screen: Inspector, place: str, before: float, after: float) -> None:
    if await screen.face.ask(Set(key=place, value=after)) is not None:
        screen.notice(f"{place} {small(before)} → {small(after)}")
        screen.asking.ledger_changed()
        screen.asking.ask()


def _finite(text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")


async def shadow(screen: Inspector) -> None:
    """The step again, in float64: what rounding does."""
    screen.notice("the step again, in float64 …")
    frame = await screen.asking.fetch(Shadow())
    if frame is None:
        screen.notice(screen.asking.note, "warn")
        return
    screen.strip.shadow = shadowed(frame)
    screen.strip.show()
    if screen.strip.shadow is not None:
        screen.notice(shadow_text(screen.strip.shadow))
    screen.cell_lines()
