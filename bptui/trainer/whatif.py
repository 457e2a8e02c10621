"""What if: a run from one of its steps on with something changed, over the batches that it had, beside the record.

A changed continuation is what a branch from there with the same changes does: what was changed later in the record is
not changed in it. The unchanged one is the record, and is held against it bit for bit.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bptui.engine.base import COLUMNS
from bptui.protocol.whatif import Change, Continue, Outcome, WhatIfError
from bptui.spec.layers.base import Weighted, activation_of
from bptui.trainer import lens
from bptui.trainer.course import Course
from bptui.trainer.deaths import open_at
from bptui.trainer.replay import Replayed

Tell = Callable[[int, int, list[float]], None]
"""Updates done, of how many, and the losses since the last time."""
TELL_SECONDS = 0.1
_RELATIVE = re.compile(r"([/*x×÷])\s*([0-9.eE+-]+)")


def carry_on(run: Path, job: Continue, tell: Tell | None = None) -> Outcome:
    """``job.steps`` updates from state ``job.step``. Raises ReplayError, WhatIfError."""
    if job.steps < 1:
        raise WhatIfError(f"expected at least one step, got {job.steps}")
    again = open_at(run, job.step)
    course = again.course
    again.change()
    made = change(course, job.wanted)
    losses: list[float] = []
    held, differs, told, last = 0, "", 0, time.monotonic()
    with np.errstate(all="ignore"):
        for _ in range(job.steps):
            if not made and course.step > job.step:
                again.change()
            step = course.step
            loss = course.update()
            losses.append(loss)
            if not made and not differs:
                known = again.recorded[step] if step < len(again.recorded) else math.nan
                if not math.isnan(known):
                    held += 1
                    differs = "" if loss == known else f"the loss of step {step:,} is {loss!r}, recorded {known!r}"
            if not math.isfinite(loss):
                break
            if tell is not None and time.monotonic() - last > TELL_SECONDS:
                tell(len(losses), job.steps, losses[told:])
                told, last = len(losses), time.monotonic()
        return _outcome(again, made, losses, held, differs)


def _outcome(again: Replayed, made: Sequence[Change], losses: list[float], held: int, differs: str) -> Outcome:
    course = again.course
    ratio = _gradient_ratio(course)  # first: validation leaves other samples in the engine
    course.validate()
    x = lens.census_rows(course.setup.data.train.blocks())
    seen = lens.look(course.engine, x)
    tail = losses[-max(1, len(losses) // 10) :]
    return Outcome(
        step=course.step, changes=tuple(made), losses=tuple(map(finite, losses)), loss=finite(sum(tail) / len(tail)),
        val_loss=finite(course.scalars.get("val_loss")), val_accuracy=finite(course.scalars.get("val_accuracy")),
        val_return=finite(course.scalars.get("val_return")),
        dead=lens.stopped(seen), units=sum(len(layer.fired) for layer in seen if layer.gate != "open"),
        gradient_ratio=finite(ratio), held=held, differs=differs, not_comparable=again.not_comparable,
    )  # fmt: skip


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _gradient_ratio(course: Course) -> float:
    norms = course.engine.reduce()[:, COLUMNS.index("grad_norm")]
    return float(norms[0] / norms[-1]) if len(norms) and norms[-1] else math.nan


# -- changes -----------------------------------------------------------------------------------------------
def change(course: Course, wanted: Sequence[Change]) -> list[Change]:
    """Change what is wanted in the present state; returns what was really changed. WhatIfError."""
    made = []
    for one in wanted:
        for exact in _exact(course, one):
            try:
                course.change(exact.key, exact.value)
            except ValueError as error:
                raise WhatIfError(" ".join(str(error).split())) from None
            made.append(exact)
    return made


def _exact(course: Course, wanted: Change) -> Iterator[Change]:
    """The changes that a wanted one stands for: of every layer that is meant, with their values."""
    key, value = wanted.key, wanted.value
    if key == "revive":
        yield from _revive(course, str(value))
    elif key in _MEANT:
        meant = _MEANT[key](course)
        if not meant:
            raise WhatIfError(f"{key}: no layer of this model has that")
        yield from (Change(f"{name}.{key}", value) for name in meant)
    elif isinstance(value, str) and (found := _RELATIVE.fullmatch(value)):
        yield Change("batch_size.now" if key == "batch_size" else key, _relative(course, key, found))
    else:
        yield Change("batch_size.now" if key == "batch_size" else key, value)


def _bent(course: Course) -> list[str]:
    """Hidden layers that have an activation; where none has, those with weights, which might."""
    model = list(zip(course.engine.layers, course.setup.experiment.model, strict=True))[:-1]
    bent = [info.name for info, layer in model if activation_of(layer) != "identity"]
    return bent or [info.name for info, layer in model if isinstance(layer, Weighted)]


def _drawn(course: Course) -> list[str]:
    """Layers whose weights begin by an initialiser."""
    model = zip(course.engine.layers, course.setup.experiment.model, strict=True)
    return [info.name for info, layer in model if isinstance(layer, Weighted) and info.tensors]


def _biased(course: Course) -> list[str]:
    """Hidden layers with a bias of their own."""
    hidden = course.engine.layers[:-1]
    return [info.name for info in hidden if any(each.name == "bias" for each in info.tensors)]


_MEANT: dict[str, Callable[[Course], list[str]]] = {"activation": _bent, "init": _drawn, "bias+": _biased}
"""Short keys, and the layers that each is short for."""


def _revive(course: Course, initialiser: str) -> Iterator[Change]:
    x = lens.census_rows(course.setup.data.train.blocks())
    with np.errstate(all="ignore"):
        seen = lens.look(course.engine, x)
    dead = {
        layer.name: ",".join(map(str, units))
        for layer in seen
        if layer.gate != "open" and len(units := np.flatnonzero(layer.fired == 0))
    }
    if not dead:
        raise WhatIfError(f"no unit is dead at step {course.step:,}: there is none to begin again")
    again = [name for name in _drawn(course) if name in dead]
    if not again:
        raise WhatIfError(f"the dead units are in {', '.join(dead)}: there are no weights to draw again")
    yield from (Change(f"{name}.units[{dead[name]}]", initialiser) for name in again)


def _relative(course: Course, key: str, found: re.Match[str]) -> float:
    settings = course.engine.settings()
    now = (
        course.lr.at(course.step) if key == "lr"
        else float(course.batches.batch_size) if key == "batch_size" else settings.get(key)
    )  # fmt: skip
    if now is None:
        raise WhatIfError(f"{key}: {found.string} needs a number that there is (lr, batch_size, {', '.join(settings)})")
    if not math.isfinite(now):
        raise WhatIfError(f"{key} is off: {found.string} needs a limit that there is")
    try:
        by = float(found[2])
        value = now / by if found[1] in "/÷" else now * by
    except (ValueError, ZeroDivisionError):
        raise WhatIfError(f"{key}: expected a number in {found.string!r}") from None
    return float(max(1, round(value))) if key == "batch_size" else value
