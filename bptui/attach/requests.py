"""What a script does when a face asks something of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bptui.protocol.framing import MAX_BODY, Body
from bptui.protocol.messages import (
    Arm,
    ArrayRef,
    Back,
    Check,
    Checked,
    GoTo,
    Inside,
    Inspect,
    Inspection,
    Keep,
    Ledger,
    Ok,
    Pause,
    Ranked,
    Refused,
    Request,
    Run,
    Set,
    Shadow,
    Shadowed,
    Sheet,
    Stages,
    Step,
    Stop,
    TrainerReply,
    Tried,
    Try,
)

if TYPE_CHECKING:
    from bptui.attach.capture import Captured
    from bptui.attach.observer import Observer
    from bptui.attach.rows import Row
    from bptui.attach.session import Session
    from bptui.trainer.control import Asked

#: Why a script does not do what the built-in trainer does.
_NOT = {
    "Lens": "the lens needs fixed training samples, which a script keeps to itself; dead units stand in pane 3",
    "Branch": "a script cannot be branched: its past is its own",
    "MicroStep": "a script's update is one step: s does it; micro-steps are for bptui's own networks",
    "Pace": "a script keeps its own pace",
    "Look": "a script's data are its own: no confusion matrix and no boundary",
}


class NotNow(ValueError):
    """What is asked cannot be done in this state; the text says why."""


def answer(session: Session, asked: Asked) -> None:
    """Do what is asked and reply. Nothing that goes wrong in it reaches the script."""
    request, link = asked
    control = session.control
    assert control is not None
    was_held = session.state == "HELD"
    try:
        if (look := _LOOKS.get(type(request))) is not None:
            reply, body = look(session, request)
            control.reply(link, reply, body)
            return
        if isinstance(request, Shadow):
            control.reply(link, _shadow(session, request))
            return
        if isinstance(request, Try):
            control.reply(link, _try(session, request))
            return
        if isinstance(request, Check):
            control.reply(link, _check(session, request))
            return
        handler = _HANDLERS.get(type(request))
        if handler is None:
            raise NotNow(_NOT.get(type(request).__name__, "a script does not do that"))
        handler(session, request)
    except Exception as error:
        known = type(error).__name__ in ("NotNow", "Impossible", "ConditionError")
        text = str(error) if known else f"{type(error).__name__}: {error}"
        control.reply(link, Refused(id=request.id, code="bad-request", message=(text.splitlines() or [""])[0]))
    else:
        control.reply(link, Ok(id=request.id, step=session.step))
        if session.stop_asked and isinstance(request, Stop) and not was_held:
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun by ``&`` or nohup in a shell's script
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: scripts that end cleanly on it do so


def _observer(session: Session) -> Observer:
    if session.observer is None or session.observer.rows is None:
        raise NotNow("the script has made no update yet")
    return session.observer


def _run(session: Session, request: Run) -> None:
    if session.observer is not None:
        session.observer.pausing = False
    if session.state in ("PAUSED", "HELD"):
        session.enter("RUNNING")


def _pause(session: Session, request: Pause) -> None:
    if session.state in ("PAUSED", "HELD"):
        return
    if session.observer is None:
        raise NotNow("the script has not imported torch yet")
    session.observer.request_pause()
    session.enter(session.state, "pausing in the coming update, in which δ is caught")


def _step(session: Session, request: Step) -> None:
    observer = _observer(session)
    if session.state == "HELD":
        raise NotNow("the script has raised an exception: space lets it end")
    observer.request_pause()
    if session.state == "PAUSED":
        session.enter("RUNNING", "one update")


def _stop(session: Session, request: Stop) -> None:
    """The script is interrupted once the reply has gone (see ``answer``); one that is held goes on to its end."""
    session.stop_asked = True
    if session.state in ("PAUSED", "HELD"):
        session.enter("RUNNING", "stopping")


def _set(session: Session, request: Set) -> None:
    observer = _observer(session)
    if isinstance(request.value, str):
        raise NotNow(f"{request.key}: expected a number")
    before = observer.interventions.change(request.key, request.value)
    session.event(request.key, before, request.value)
    if request.key == "lr":
        observer.write_lr()
    session.enter(session.state)


def _arm(session: Session, request: Arm) -> None:
    observer = _observer(session)
    observer.arm(request.conditions)
    if observer.breaks.of_layers and not observer.everything:
        session.enter(session.state, "a breakpoint on a layer: every update is measured from now on")


def _check(session: Session, request: Check) -> Checked:
    observer = _observer(session)
    loss = observer.hooks.current_loss()
    rows, armed_rows = observer.breaks.check(
        request.texts, observer.known(loss), observer.functions(), observer.layer_names
    )
    return Checked(
        id=request.id, step=session.step, rows=rows, armed=observer.breaks.armed, armed_rows=armed_rows,
        known_at=observer.known_at,
    )  # fmt: skip


def _keep(session: Session, request: Keep) -> None:
    observer = _observer(session)
    observer.snapshots.keep()
    session.event("snapshot", None, session.step)
    session.enter(session.state, f"snapshot of step {session.step:,} kept")


def _go_to(session: Session, request: GoTo) -> None:
    observer = _observer(session)
    observer.snapshots.back(request.step)
    session.event("roll back", session.step, request.step)
    session.enter(session.state, f"weights and optimiser of step {request.step:,}; data and schedule go on")


def _back(session: Session, request: Back) -> None:
    observer = _observer(session)
    raise NotNow(f"a script cannot rewind; g rolls back to a snapshot ({observer.snapshots.said})")


def _captured(session: Session, layer: int = 0) -> tuple[Captured, list[Row], str]:
    """What is kept of the paused update, the rows, and whose numbers these are."""
    observer = _observer(session)
    captured = observer.captured
    assert observer.rows is not None
    if captured is None or session.state != "PAUSED":
        raise NotNow("pause first: tensors are kept only of the update that is paused in")
    rows = observer.rows.all()
    if not 0 <= layer < len(rows):
        raise NotNow(f"no layer {layer}: there are {len(rows)}")
    note = captured.note or "before this step's update"
    if captured.raw_norm is not None:
        note += f"; ‖∇‖ {captured.raw_norm:.4g} before the script clipped it"
    return captured, rows, note


def _sheet(session: Session, request: Sheet) -> tuple[TrainerReply, bytes]:
    from bptui.attach.looking import sheet, with_stages

    captured, rows, note = _captured(session, request.layer)
    if request.kind in ("raw_W", "clipped_W", "update_W"):
        found = _observer(session).stages()
        if found is not None:
            with_stages(captured, rows, found)
            note = "; ".join((*found.notes, note))
    return sheet(captured, rows, request, note)


def _stages(session: Session, request: Stages) -> tuple[TrainerReply, bytes]:
    from bptui.attach.looking import staged

    captured, rows, note = _captured(session)
    found, observer = _observer(session).stages(), _observer(session)
    if found is None:
        raise NotNow("pause first: stages are of the update that is paused in")
    lr = observer.known(captured.loss)["lr"]
    return staged(captured, rows, found, request, lr or 0.0, note), b""


def _ranked(session: Session, request: Ranked) -> tuple[TrainerReply, bytes]:
    from bptui.attach.looking import ranked_rows

    captured, rows, note = _captured(session, request.layer)
    rerun = _observer(session).rerun
    assert rerun is not None
    return ranked_rows(captured, rows, request, rerun, note)


def _ledger(session: Session, request: Ledger) -> tuple[TrainerReply, bytes]:
    from bptui.attach.looking import ledger

    captured, rows, note = _captured(session)
    return ledger(captured, rows, request, note), b""


def _inside(session: Session, request: Inside) -> tuple[TrainerReply, bytes]:
    from bptui.attach.inside import inside

    captured, rows, note = _captured(session, request.layer)
    return inside(captured, rows[request.layer], request, note)


def _inspect(session: Session, request: Inspect) -> tuple[TrainerReply, bytes]:
    captured, rows, note = _captured(session, request.layer)
    body = Body()
    arrays: dict[str, ArrayRef] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    kinds = tuple(dict.fromkeys(request.kinds))
    limit = max(min(request.limit, MAX_BODY // 9 // max(len(kinds), 1)), 1)
    for kind in kinds:
        array = captured.array(rows[request.layer].name, kind)
        if array is None or not array.size:
            continue
        shapes[kind] = tuple(array.shape)
        if array.size > limit:
            array = array[: max(1, limit // max(array.size // len(array), 1))]
        arrays[kind] = body.add(np.ascontiguousarray(array))
    reply = Inspection(
        id=request.id, step=captured.step, micro="clip", layer=request.layer, loss=captured.loss, arrays=arrays,
        shapes=shapes, note=note,
    )  # fmt: skip
    return reply, body.bytes()


def _shadow(session: Session, request: Shadow) -> Shadowed:
    observer = _observer(session)
    captured, rerun = observer.captured, observer.rerun
    if captured is None or rerun is None or session.state != "PAUSED":
        raise NotNow("pause first: a step is done again in float64 from what is kept of the update that is paused in")
    errors, exact = rerun.shadow(captured)
    assert observer.rows is not None
    return Shadowed(
        id=request.id, step=captured.step, micro="clip", dtype=observer.dtype, loss=captured.loss, exact_loss=exact,
        errors=tuple(errors.get(row.name) for row in observer.rows.all()),
    )  # fmt: skip


def _try(session: Session, request: Try) -> Tried:
    from bptui.attach.variations import Variation

    observer = _observer(session)
    if observer.one_batch is None or session.state != "PAUSED":
        raise NotNow("pause first: what-if does the update again that is paused in")
    variation = Variation([(one.key, one.value) for one in request.wanted]) if request.wanted else None
    result = observer.one_batch.attempt(variation)
    return Tried(
        id=request.id, step=session.step, loss=result.loss, after=result.after, grad_norm=result.grad_norm,
        silent=result.silent, units=result.units, update_ratio=result.update_ratio,
        made=() if variation is None else tuple(variation.made), note=observer.one_batch.note,
    )  # fmt: skip


_LOOKS: dict[type[Request], Callable[[Session, Any], tuple[TrainerReply, bytes]]] = {
    Inspect: _inspect, Inside: _inside, Sheet: _sheet, Ledger: _ledger, Ranked: _ranked, Stages: _stages,
}  # fmt: skip
_HANDLERS: dict[type[Request], Callable[[Session, Any], None]] = {
    Run: _run, Pause: _pause, Step: _step, Stop: _stop, Set: _set, Keep: _keep, GoTo: _go_to, Back: _back,
    Arm: _arm,
}  # fmt: skip
