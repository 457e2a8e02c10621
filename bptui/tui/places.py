"""``Y`` on the main screen, and its way back: a place in the run as text, and the place that a text names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bptui.client.reference import Reference, is_view
from bptui.protocol.messages import GoTo, Inspect, Ledger
from bptui.runs.records import QUANTITIES, SERIES
from bptui.tui.text import clean, integer, small
from bptui.tui.words import QUANTITIES as WORDS

if TYPE_CHECKING:
    from bptui.tui.screens.base import TransportScreen
    from bptui.tui.screens.main import MainScreen
    from bptui.tui.widgets.loss import LossChart

SAY_SECONDS = 15.0


def under_cursor(screen: MainScreen) -> tuple[Reference, str] | None:
    """The place in the pane that has the focus, and its value in words."""
    snapshot, pane = screen.snapshot, screen.current
    if pane is screen.findings and snapshot.findings:
        finding = snapshot.findings[min(screen.findings.at, len(snapshot.findings) - 1)]
        return screen.reference(finding.first_step, finding.layer), f"{finding.fault}: {finding.message}"
    if pane is screen.loss and (point := on_chart(screen, screen.loss)) is not None:
        return point
    index = screen.gradients.selected
    if index >= len(snapshot.model.layers):
        return screen.reference(snapshot.step), snapshot.shown_state
    layer = snapshot.model.layers[index]
    if pane is screen.gradients:
        row = snapshot.rows[index] if index < len(snapshot.rows) else None
        if row is None:
            return screen.reference(snapshot.step, layer.name), ""
        words = [f"norm of grad_W {small(row.grad_norm)}", f"update/W {small(row.update_ratio)}"]
        if row.dead >= 0:
            words.append(f"dead {row.dead}/{row.units}")
        return screen.reference(snapshot.step, layer.name, "grad_W"), ", ".join(words)
    size = f"{layer.inputs or '?'} to {layer.units} {layer.activation or 'identity'}"
    return screen.reference(snapshot.step, layer.name), f"{size}, {integer(layer.parameters)} parameters"


def on_chart(screen: TransportScreen, chart: LossChart) -> tuple[Reference, str] | None:
    """The point under the crosshair, else the newest, of the chart's first series."""
    curves = screen.snapshot.curves
    if curves is None or curves.last_step < 0:
        return None
    series = chart.family.series[0]
    found = curves.at(series, curves.last_step if chart.cursor is None else chart.cursor)
    return None if found is None else (screen.reference(found[0], series), repr(found[1]))


async def go_to(screen: MainScreen, at: Reference) -> None:
    """Be at the step, where its updates can be done again; select layer and quantity, and open the inspector at the
    cell. What cannot be shown is said."""
    names = [layer.name for layer in screen.snapshot.model.layers]
    if at.layer in names:
        screen.select(names.index(at.layer))
        screen.action_focus_pane(3)
    elif at.layer in SERIES:
        screen.action_focus_pane(2)
        screen.loss.point(at.step)
    there = at.step == screen.snapshot.step or await _travel(screen, at.step)
    said = ["" if there and at.step < _head(screen) else _step(screen, at)]
    if at.layer in names and at.quantity:
        said.append(_quantity(screen, at, there))
    elif at.layer and at.layer not in names and at.layer not in SERIES:
        from difflib import get_close_matches

        close = get_close_matches(at.layer, names, n=1)
        said.append(f"There is no layer {clean(at.layer, 80)!r}" + (f"; nearest: {close[0]!r}." if close else "."))
    shown = at.layer in names and there and _in_inspector(screen, at)
    screen.app.notify(
        " ".join(filter(None, said)) or f"Shown is step {integer(at.step)} of {integer(_head(screen))}.",
        title=clean(str(at), 120), timeout=SAY_SECONDS, markup=False,
        severity="warning" if not there or len(list(filter(None, said))) > 1 else "information",
    )  # fmt: skip
    if shown:
        from bptui.tui.screens.inspector import open_inspector

        open_inspector(screen, at)


def _in_inspector(screen: MainScreen, at: Reference) -> bool:
    """Whether the inspector can show the very cell."""
    return bool(at.cell) and (at.quantity in WORDS or is_view(at.quantity)) and screen.face.may_ask(Ledger())


async def _travel(screen: MainScreen, step: int) -> bool:
    """Whether the run now stands at ``step``."""
    if step > _head(screen) or not screen.face.may_ask(GoTo(step=step)):
        return False
    screen.notice(f"going to step {integer(step)}: its updates are done again")
    if await screen.face.ask(GoTo(step=step)) is None:
        return False
    screen.notice(f"step {integer(step)} of {integer(_head(screen))}; g goes elsewhere")
    return True


def _head(screen: MainScreen) -> int:
    """The last step that was recorded."""
    curves = screen.snapshot.curves
    return max(screen.snapshot.step, curves.last_step + 1 if curves is not None else 0)


def _step(screen: MainScreen, at: Reference) -> str:
    snapshot = screen.snapshot
    last, wanted = integer(snapshot.step), integer(at.step)
    if at.step == snapshot.step:
        return f"Step {wanted} is the run's last step: this is it."
    if at.step > snapshot.step:
        return f"There is no step {wanted}: the run ends at step {last}, which is shown."
    text = f"Shown is step {last}, the run's last"
    if snapshot.curves is not None:
        loss = snapshot.curves.reduce("loss", at.step, at.step, 1).low[0]
        if loss == loss:
            text = f"At step {wanted} the loss was {small(loss)}. {text}"
    session = screen.face.session
    kept = session is not None and (session.directory / "keyframes" / f"{at.step:012d}.safetensors").exists()
    return text + (f"; the weights of step {wanted} are kept in its keyframe." if kept else
                   f"; weights and gradients of step {wanted} are not kept.")  # fmt: skip


def _quantity(screen: MainScreen, at: Reference, there: bool) -> str:
    if at.quantity in QUANTITIES:
        screen.gradients.quantity = at.quantity
        screen.gradients.show()
        if not at.cell:
            return ""
    if there and _in_inspector(screen, at):
        return ""
    if there and screen.face.may_ask(Inspect(layer=0, kinds=("W",))):
        return f"i shows the values of {at.quantity}."
    return f"Single values of {at.quantity} are not in the files: i shows them while a run is paused."
