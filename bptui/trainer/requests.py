"""What a trainer does when it is asked something."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bptui.expr import ConditionError
from bptui.protocol.messages import (
    Arm,
    Back,
    Branch,
    Branched,
    Check,
    GoTo,
    Keep,
    Lens,
    Look,
    Looking,
    MicroStep,
    Ok,
    Pace,
    Pause,
    Refused,
    Request,
    Run,
    Set,
    Step,
    Stop,
)
from bptui.runs.interventions import Change
from bptui.runs.ring import Record
from bptui.trainer.changes import Value
from bptui.trainer.checks import check
from bptui.trainer.inspect import Answer, CannotSee, see
from bptui.trainer.keep import keep
from bptui.trainer.looks import look, through_lens
from bptui.trainer.rewind import branch, go_to

if TYPE_CHECKING:
    from bptui.trainer.control import Asked
    from bptui.trainer.loop import Trainer

_STOPPED = ("READY", "PAUSED", "DONE")


class NotNow(ValueError):
    """What is asked cannot be done in this state; the text says why."""


def answer(trainer: Trainer, asked: Asked) -> None:
    """Do what is asked and reply; a request, and a look no less, never ends a training."""
    request, link = asked
    try:
        trainer.control.reply(link, *_answer(trainer, request))
    except (NotNow, CannotSee) as error:
        trainer.control.reply(link, Refused(id=request.id, code="bad-request", message=str(error)))
    except Exception as error:
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        trainer.control.reply(link, Refused(id=request.id, code="bad-request", message=text))


def _answer(trainer: Trainer, request: Request) -> Answer:
    if trainer.state == "STOPPED":
        return Refused(id=request.id, code="ended", message="the run has ended"), b""
    if isinstance(request, Look):
        return look(trainer, request)
    if isinstance(request, Lens):
        return through_lens(trainer, request)
    if isinstance(request, Check):
        return check(trainer, request), b""
    if isinstance(request, Looking):
        return see(trainer, request)
    trainer.seen.forget()
    handler = _HANDLERS.get(type(request))
    if handler is None:
        return Refused(id=request.id, code="unsupported", message="a trainer does not do that"), b""
    return handler(trainer, request) or Ok(id=request.id, step=trainer.step), b""


def _run(trainer: Trainer, request: Run) -> None:
    if trainer.state == "FAILED":
        raise NotNow("training has failed here; restart it")
    if trainer.state == "DONE":
        total = trainer.stopping.total_steps
        if total is not None:
            _change(trainer, "total_steps", float(trainer.step + max(total, 1)))
    if trainer.state != "RUNNING":
        trainer.enter("RUNNING")


def _pause(trainer: Trainer, request: Pause) -> None:
    if trainer.state == "RUNNING" and not trainer.settle():
        trainer.look()
        trainer.remember()
        trainer.enter("PAUSED")


def _step(trainer: Trainer, request: Step) -> None:
    trainer.remember()
    _several(trainer, request.count, lambda: trainer.one_step(everything=True))


def _micro_step(trainer: Trainer, request: MicroStep) -> None:
    trainer.remember()
    _several(trainer, request.count, trainer.micro_step)


def _several(trainer: Trainer, count: int, act: Callable[[], None]) -> None:
    if trainer.state == "FAILED":
        raise NotNow("training has failed here; restart it")
    if count < 1:
        raise NotNow(f"expected a count of at least 1, got {count}")
    if trainer.state == "RUNNING":
        trainer.enter("PAUSED")
    trainer.broke = False
    for _ in range(count):
        if trainer.state not in _STOPPED or trainer.broke:
            break
        total = trainer.stopping.total_steps
        if total is not None and trainer.step >= total:
            trainer.stopping.total_steps = trainer.step + 1  # stepping past the end is asked for: one more
        act()
    if trainer.state in _STOPPED and not trainer.broke:
        trainer.enter("PAUSED")


def _stand_still(trainer: Trainer) -> None:
    """Before going back: running is paused, and a failure or the end is left behind."""
    if trainer.state == "RUNNING":
        trainer.enter("PAUSED")


def _arrive(trainer: Trainer, step: int) -> None:
    before = trainer.step
    try:
        problem = go_to(trainer, step, interruptible=True)
    except ValueError as error:
        raise NotNow(str(error)) from None
    if step != before or trainer.state not in ("DONE", "FAILED"):
        trainer.forget_failure()
        trainer.show()
        trainer.enter("PAUSED")
        trainer.tell_settings(problem if trainer.step == step else f"stopped on the way to step {step:,}")
    trainer.memory.lay(trainer)


def _go_to(trainer: Trainer, request: GoTo) -> None:
    if not 0 <= request.step <= trainer.head:
        raise NotNow(f"there is no step {request.step:,} yet: 0 to {trainer.head:,} can be gone to")
    _stand_still(trainer)
    _arrive(trainer, request.step)


def _back(trainer: Trainer, request: Back) -> None:
    if request.count < 1:
        raise NotNow(f"expected a count of at least 1, got {request.count}")
    _stand_still(trainer)
    if request.micro:
        for _ in range(request.count):
            _micro_back(trainer)
        return
    step = trainer.step - request.count + (trainer.micro is not None)
    if step < 0:
        raise NotNow("this is the beginning")
    trainer.leave_update()
    _arrive(trainer, step)


def _micro_back(trainer: Trainer) -> None:
    """To the place before this one; from between two updates, to the last place of the one before."""
    done = trainer.leave_update()
    if done == 0:
        if trainer.step == 0:
            raise NotNow("this is the beginning")
        _arrive(trainer, trainer.step - 1)
        while trainer.micro is None or trainer.micro.phase != "clip":
            trainer.micro_step()
    for _ in range(done - 1):
        trainer.micro_step()
    trainer.enter("PAUSED")


def _pace(trainer: Trainer, request: Pace) -> None:
    if not (math.isfinite(request.steps_per_second) and -1 <= request.steps_per_second <= 1e6):
        raise NotNow(f"pace: expected −1, 0 or steps a second, got {request.steps_per_second!r}")
    trainer.pace = request.steps_per_second
    trainer.restart_clock()
    trainer.probe.governor.paced(trainer.pace)
    trainer.enter(trainer.state)


def _stop(trainer: Trainer, request: Stop) -> None:
    trainer.finish()


def _keep(trainer: Trainer, request: Keep) -> None:
    if trainer.state == "FAILED":
        raise NotNow("training has failed: its weights are not worth keeping")
    trainer.finish_update()
    keep(trainer, asked=True)


def _arm(trainer: Trainer, request: Arm) -> None:
    try:
        trainer.arm(request.conditions)
    except ConditionError as error:
        raise NotNow(str(error)) from None


def _set(trainer: Trainer, request: Set) -> Branched | None:
    if trainer.micro is not None:
        raise NotNow("inside an update: do its rest first (s), or go back to its beginning (S)")
    if request.key == "total_steps":
        raise NotNow("total_steps: on DONE, space trains as long again")
    if trainer.step < trainer.head:
        return _branched(trainer, request.id, trainer.step, [(request.key, request.value)])
    _change(trainer, request.key, request.value)
    if request.key == "lr":
        trainer.record_lr()
    trainer.tell_settings()
    return None


def _branch(trainer: Trainer, request: Branch) -> Branched:
    return _branched(trainer, request.id, request.step, [(one.key, one.value) for one in request.changes])


def _branched(trainer: Trainer, number: int, step: int, wanted: Sequence[tuple[str, Value]]) -> Branched:
    try:
        made = branch(trainer, step, wanted)
    except ValueError as error:
        raise NotNow(str(error)) from None
    return Branched(id=number, run=made.name, directory=str(made), step=step)


def _change(trainer: Trainer, key: str, value: Value) -> None:
    """Change something of the head's state, so that it is remembered, recorded and done again by a replay.

    It is on record before the update that it acts on.
    """
    trainer.remember()
    try:
        before = trainer.change(key, value)
    except ValueError as error:
        raise NotNow(str(error)) from None
    trainer.memory.changes.append(Change(trainer.step, key, value, before))
    _event(trainer, key, before, value)
    trainer.changed()


def _event(trainer: Trainer, change: str, before: Value, after: Value) -> None:
    event = {"step": trainer.step, "phase": trainer.micro_text, "change": change, "before": before, "after": after}
    trainer.ring.write(Record.EVENT, trainer.step, json.dumps(event).encode())


_HANDLERS: dict[type[Request], Callable[[Trainer, Any], Branched | None]] = {
    Run: _run, Pause: _pause, Step: _step, MicroStep: _micro_step, Back: _back, GoTo: _go_to,
    Pace: _pace, Stop: _stop, Set: _set, Keep: _keep, Arm: _arm, Branch: _branch,
}  # fmt: skip
