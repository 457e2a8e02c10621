"""What conditions are in the present state: for the screen of breakpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bptui.expr import Condition, ConditionError, parse
from bptui.expr.armed import MOST_ARMED
from bptui.protocol.messages import Armed, Check, Checked, CheckedRow, PartRow

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer


def check(trainer: Trainer, request: Check) -> Checked:
    """What conditions are now: on a pause between updates, of this state and its coming batch."""
    scalars, functions = trainer.present()
    names = [layer.name for layer in trainer.engine.layers]
    past, armed = trainer.breakpoints.past_of(trainer.step), trainer.breakpoints.armed

    def row(text: str, one: Armed | None = None) -> CheckedRow:
        try:
            condition = parse(text, layers=names)
        except ConditionError as error:
            return CheckedRow(text, error=str(error), at=error.at)
        parts = condition.parts(scalars, functions, past)
        return CheckedRow(
            text, condition.value(scalars, functions, past),
            tuple(PartRow(part.words, part.value, part.limit, part.holds) for part in parts),
            every=_every(trainer, condition) if one is not None and one.enabled else 0,
        )  # fmt: skip

    return Checked(
        id=request.id, step=trainer.step, rows=tuple(row(text) for text in request.texts[:MOST_ARMED]), armed=armed,
        armed_rows=tuple(row(one.text, one) for one in armed), known_at=trainer.probe.known_at,
    )  # fmt: skip


def _every(trainer: Trainer, condition: Condition) -> int:
    if not condition.calls:
        return 1
    return trainer.units_every if any(name == "dead" for name, _ in condition.calls) else trainer.layers_every
