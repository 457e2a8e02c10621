"""Death certificates: when a unit last fired, and what the update after that did to it; found by replay from files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Batch, Engine, micro_steps
from bptui.protocol.certificate import Cause, Certificate, Driver, Parts
from bptui.protocol.lens import LensView
from bptui.runs import keyframes
from bptui.runs.info import RunError
from bptui.trainer import lens
from bptui.trainer.course import Course
from bptui.trainer.replay import Progress, Replayed, ReplayError

Floats = npt.NDArray[np.float64]
MOST_DRIVERS, MOST_FIRST = 12, 6


class LensError(ValueError):
    """No such layer or unit, or one that is not dead; one line."""


def view_at(run: Path, at: int | None, progress: Progress | None = None) -> LensView:
    """The lens over a state (None: the last) of a run's files. Raises ReplayError."""
    again = open_at(run, at, progress)
    part = again.course.setup.data.train
    x = lens.census_rows(part.blocks())
    return lens.view(lens.look(again.course.engine, x), again.to, len(x.x), len(part))


def certify(run: Path, layer: str, unit: int, at: int | None = None, progress: Progress | None = None) -> Certificate:
    """The certificate of a unit that is dead in state ``at`` (None: the last).

    Of the keyframes before, those are passed over in which the unit was silent; from the last one in which it fired
    every state up to ``at`` is looked at. Raises ReplayError, LensError.
    """
    again = open_at(run, at)
    names = [info.name for info in again.course.engine.layers]
    index = _layer(names, layer)
    activation = again.course.engine.layers[index].activation
    units = again.course.engine.layers[index].units
    if not 0 <= unit < units:
        raise LensError(f"{layer} has units 0 to {units - 1}: there is no unit {unit}")
    if lens.GATES.get(activation, "open") == "open":
        raise LensError(f"{layer} has {activation}, which lets δ through for every z: its units cannot die")
    part = again.course.setup.data.train
    x = lens.census_rows(part.blocks())
    now = _fired(again.course, index, x)
    if now[unit]:
        raise LensError(
            f"{layer} unit {unit} is not dead at step {again.to:,}: it fires for {now[unit]:,} of {len(x.x):,} samples"
        )
    info = again.course.engine.layers[index]
    if info.kind != "dense" or len(info.shape) > 1:
        raise LensError(f"{layer}: what killed a unit can be told of dense layers on rows, not of {info.kind}")
    start = _last_alive(run, again.course, index, unit, x, again.to)
    go_to(again, run, start)
    common: dict[str, Any] = {
        "run": again.info.id, "layer": layer, "unit": unit, "activation": activation, "at": again.to,
        "samples": len(x.x), "rows": len(part), "not_comparable": again.not_comparable, "looked_from": start,
    }  # fmt: skip
    last = _scan(again, index, unit, x, progress)
    if last is None:
        return Certificate(**common, last_fired=None)
    first, killed = _first_death(again, run, last, x, progress)
    common |= {"first": first, "first_units": len(killed), "first_ids": tuple(killed[:MOST_FIRST])}
    go_to(again, run, last)
    return _killing(again, index, unit, x, common)


def _layer(names: Sequence[str], layer: str) -> int:
    from bptui.engine.errors import nearest

    if layer not in names:
        raise LensError(f"no layer {layer[:40]!r}{nearest(layer, names)}")
    return names.index(layer)


def open_at(run: Path, at: int | None, progress: Progress | None = None) -> Replayed:
    """A run's course in state ``at`` (None: the last one), before what was changed there. Raises ReplayError."""
    again = Replayed(run, at, first=True)
    go_to(again, run, again.to, progress)
    return again


def go_to(again: Replayed, run: Path, step: int, progress: Progress | None = None) -> None:
    """To state ``step`` from the nearest keyframe before it, before what was changed there."""
    for frame in sorted(keyframes.keyframes(run), reverse=True):
        if frame.step > step:
            continue
        try:
            again.course.restore(frame.step, *keyframes.read(frame.path))
            break
        except (RunError, ValueError):
            continue  # a damaged one: the one before does as well
    else:
        raise ReplayError(f"{again.info.id}: no keyframe before step {step:,} can be read")
    with np.errstate(all="ignore"):
        while again.course.step < step:
            again.change()
            again.course.update()
            if progress is not None and again.course.step % 50 == 0:
                progress(again.course.step, step)


def _fired(course: Course, index: int, x: Batch) -> npt.NDArray[np.int64]:
    """For how many samples each unit of the layer fires."""
    info = course.engine.layers[index]
    gate, total = lens.GATES.get(info.activation, "open"), np.zeros(info.units, np.int64)
    with np.errstate(all="ignore"):
        for piece in lens.pieces(course.engine, x):
            z, _ = next(islice(lens.passes(course.engine, piece), index, None))
            fires = lens.firing(gate, z)
            units = np.moveaxis(fires, 1, -1) if info.unit_axis == 0 else fires
            total += units.reshape(len(z), -1, info.units).any(axis=1).sum(axis=0)
    return total


def _last_alive(run: Path, course: Course, index: int, unit: int, x: Batch, at: int) -> int:
    """Step of the last keyframe in whose state the unit fires; the first keyframe if there is none."""
    first = at
    for frame in sorted(keyframes.keyframes(run), reverse=True):
        if frame.step <= at:
            try:
                course.restore(frame.step, *keyframes.read(frame.path))
            except (RunError, ValueError):
                continue  # a damaged one: the one before does as well
            first = frame.step
            if _fired(course, index, x)[unit]:
                break
    return first


def _scan(again: Replayed, index: int, unit: int, x: Batch, progress: Progress | None) -> int | None:
    """The last state in which the unit fires; None: none of those looked at."""
    last, before, fires = None, b"", False
    course, start = again.course, again.course.step
    with np.errstate(all="ignore"):
        while True:
            now = _parameters(course.engine, index)
            if now != before:  # nothing up to here has changed: nor has the answer
                before, fires = now, bool(_fired(course, index, x)[unit])
            if fires:
                last = course.step
            if progress is not None and course.step % 20 == 0:
                progress(course.step - start, again.to - start)
            if course.step >= again.to:
                return last
            again.change()
            course.update()


def _parameters(engine: Engine, index: int) -> bytes:
    """All that the units of a layer depend on."""
    found = []
    for layer, info in enumerate(engine.layers[: index + 1]):
        found += [engine.tensor_of(each.name, layer) for each in (*info.tensors, *info.buffers)]
    return b"".join(array.tobytes() for array in found if array is not None)


def _first_death(
    again: Replayed, run: Path, until: int, x: Batch, progress: Progress | None
) -> tuple[int | None, list[tuple[str, int]]]:
    """The first state up to ``until`` whose update killed any unit that had fired, and layer and unit of those."""
    first = next((frame.step for frame in keyframes.keyframes(run)), until)
    go_to(again, run, min(first, until))
    course, lost = again.course, _lost(again.course, x)
    with np.errstate(all="ignore"):
        while course.step <= until:
            again.change()
            course.update()
            now = _lost(course, x)
            if (killed := now & ~lost).any():
                ids = [(layer.name, unit) for layer in course.engine.layers for unit in range(layer.units)]
                return course.step - 1, [ids[at] for at in np.flatnonzero(killed)]
            lost = now
            if progress is not None and course.step % 20 == 0:
                progress(course.step, until)
    return None, []


def _lost(course: Course, x: Batch) -> npt.NDArray[np.bool_]:
    """Of all units of all layers, those that no sample's δ comes through."""
    return np.concatenate([(layer.fired == 0) & (layer.gate != "open") for layer in lens.look(course.engine, x)])


def _killing(again: Replayed, index: int, unit: int, x: Batch, common: dict[str, Any]) -> Certificate:
    """What the update from the present state does to the unit."""
    course = again.course
    engine, step = course.engine, course.step
    before = _here(engine, index, x)
    fired_before = _fired(course, index, x)
    again.change()  # an intervention belongs to the update that follows it
    engine = course.engine
    lr, group = course.lr.at(step), course.next_group()
    wanted = engine.row_numbers(index, _batch_of(course, len(group), sum(len(one.x) for one in group)))
    loss, pieces, gradients = 0.0, [], []
    for micro in micro_steps(engine, group, step, lr):
        if micro.phase == "loss":
            loss += (micro.value or 0.0) / len(group)
        elif micro.phase == "backward" and micro.layer == 0:
            source = engine.layers[index].sources[0]
            inputs = engine.tensor("x", 0) if source < 0 else engine.tensor("a", source)
            delta = engine.tensor("delta", index)
            assert inputs is not None and delta is not None
            pieces.append((inputs, delta[:, unit], engine.row_targets(index)))
            gradients = [engine.tensor("grad_W", layer) for layer in range(len(engine.layers))]
    course.step += 1
    old, new = before, _here(engine, index, x)
    parts, z_before, z_after, at_peak = decompose(old, new, unit)
    drivers, pulls = _drivers(pieces, at_peak, lr, len(group), wanted, course)
    norms = [float(np.linalg.norm(np.asarray(one, np.float64))) for one in gradients if one is not None]
    mine = gradients[index]
    silent = np.flatnonzero((_fired(course, index, x) == 0) & (fired_before > 0))
    return Certificate(
        **common, last_fired=step, fired=int(fired_before[unit]), cause=blame(parts), z_before=z_before,
        z_after=z_after, parts=parts, bias_before=float(old.bias[unit]),
        bias_step=float(np.float64(new.bias[unit]) - np.float64(old.bias[unit])),
        weights_before=float(np.linalg.norm(old.weight[:, unit])),
        weights_step=float(np.linalg.norm(np.float64(new.weight[:, unit]) - np.float64(old.weight[:, unit]))),
        lr=lr, optimizer=str(course.setup.experiment.optimizer.__struct_config__.tag),
        gradient=0.0 if mine is None else float(np.linalg.norm(np.asarray(mine, np.float64)[:, unit])),
        gradient_all=float(np.hypot.reduce(norms)) if norms else 0.0, loss=loss,
        batch=sum(len(delta) for _, delta, _ in pieces), drivers=drivers, pulls=pulls,
        also=tuple(int(other) for other in silent if other != unit),
    )  # fmt: skip


class Here(NamedTuple):
    """A dense layer in one state: what the samples give it, and its parameters."""

    inputs: Floats
    """(n, inputs), in float64."""
    weight: npt.NDArray[np.floating]
    """(inputs, units)."""
    bias: npt.NDArray[np.floating]


def _here(engine: Engine, index: int, x: Batch) -> Here:
    """What there is of a layer now. A chain of dense layers is computed in float64."""
    weight, bias = engine.tensor("W", index), engine.tensor("b", index)
    assert weight is not None and bias is not None
    source = engine.layers[index].sources[0]
    if source < 0:
        entered = [engine.entering(piece.x) for piece in lens.pieces(engine, x)]
        return Here(np.concatenate(entered).astype(np.float64), weight, bias)
    if lens.plain(engine):
        return Here(_inputs(lens.layers_of(engine)[:index], x.x), weight, bias)
    passed = (next(islice(lens.passes(engine, piece), source, None))[1] for piece in lens.pieces(engine, x))
    found = [np.array(a, np.float64) for a in passed]  # copies: pieces of one size share their arrays
    return Here(np.concatenate(found), weight, bias)


def decompose(before: Here, after: Here, unit: int) -> tuple[Parts, float, float, Floats]:
    """Δ max z over the samples in parts, max z before and after, and a of the sample n* that was the highest."""
    a_old, a_new = before.inputs, after.inputs
    w_old, w_new = (np.asarray(here.weight[:, unit], np.float64) for here in (before, after))
    b_old, b_new = (float(here.bias[unit]) for here in (before, after))
    z_old, z_new = a_old @ w_old + b_old, a_new @ w_new + b_new  # (n,)
    peak = int(np.argmax(z_old))
    a_mean, w_mean = (a_old[peak] + a_new[peak]) / 2, (w_old + w_new) / 2
    parts = Parts(
        bias=b_new - b_old,
        weights=float(a_mean @ (w_new - w_old)),
        upstream=float((a_new[peak] - a_old[peak]) @ w_mean),
        other=float(z_new.max() - z_new[peak]),
    )
    return parts, float(z_old[peak]), float(z_new.max()), a_old[peak]


def blame(parts: Parts) -> Cause:
    """The part that lowered z the most."""
    causes: dict[Cause, float] = {"bias": parts.bias, "weights": parts.weights, "upstream": parts.upstream}
    return min(causes, key=lambda name: causes[name])


def _inputs(layers: Sequence[lens.Layer], x: npt.NDArray[np.generic]) -> Floats:
    a = np.asarray(x, np.float64)
    exact = [
        layer._replace(weight=np.asarray(layer.weight, np.float64), bias=np.asarray(layer.bias, np.float64))
        for layer in layers
    ]
    outputs = [given for _, given in lens.forward(exact, a)]
    return np.asarray(outputs[-1] if outputs else a, np.float64)


def _batch_of(course: Course, parts: int, rows: int) -> npt.NDArray[np.int64]:
    """Numbers in the data of the rows that an update's last batch held; of several batches they are not known."""
    if parts != 1:
        return np.full(rows, -1)
    mine = course.batches.rows(given=True)
    return course.setup.data.train.rows[mine] if len(mine) == rows else np.full(rows, -1)


def _drivers(
    pieces: Sequence[tuple[Any, Any, Any]], peak: Floats, lr: float, parts: int, rows: npt.NDArray[np.int64],
    course: Course,
) -> tuple[tuple[Driver, ...], float]:  # fmt: skip
    """Samples by what their part of the gradient does to z of the sample ``peak``, and the sum over all of them."""
    inputs = np.concatenate([np.asarray(a, np.float64) for a, _, _ in pieces])
    delta = np.concatenate([np.asarray(d, np.float64) for _, d, _ in pieces]) / parts
    targets = np.concatenate([y for _, _, y in pieces])
    pull = -lr * delta * (inputs @ peak + 1)  # (N,)
    order = np.argsort(pull, kind="stable")[:MOST_DRIVERS]
    names = course.setup.data.class_names or ()
    found = tuple(
        Driver(int(rows[n]), _target(targets[n], names), float(delta[n]), float(pull[n])) for n in order if pull[n] < 0
    )
    return found, float(pull.sum())


def _target(value: Any, names: Sequence[object]) -> str:
    flat = np.ravel(value)
    if flat.size == 1 and names and float(flat[0]).is_integer() and 0 <= int(flat[0]) < len(names):
        return str(names[int(flat[0])])
    return " ".join(f"{float(number):.4g}" for number in flat[:3]) + (" …" if flat.size > 3 else "")
