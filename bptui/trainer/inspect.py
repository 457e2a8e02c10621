"""What can be seen of the paused place: tensors, the ledger of δ, ranked rows, stages of the gradient, a shadow check.

Nothing here moves the run. Between two updates what is seen is the coming one: forward and backward of its batch,
and, for the stages, the whole update, done once and taken back bit for bit. Inside an update only what has been
computed by then is there; the rest says how many micro-steps are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt

from bptui.engine.base import Batch, Kind, micro_steps
from bptui.engine.cells import histogram
from bptui.expr import ConditionError
from bptui.expr.cells import parse_cells
from bptui.probe import ledger as books
from bptui.probe.ranked import ranked_places
from bptui.probe.sheet import Order, Sheet, Window
from bptui.probe.stages import STAGES, Stages, regularised
from bptui.protocol import messages as m
from bptui.protocol.framing import MAX_BODY, Body
from bptui.spec.layers.base import penalties_of
from bptui.spec.networks import layers_of
from bptui.trainer.insides import insides
from bptui.trainer.setup import build

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer
    from bptui.trainer.recorded import Recorded

#: Kinds of a sheet beside the engine's own: the stages of the gradient.
STAGE_KINDS = {f"{stage}_W": stage for stage in STAGES[:3]} | {"update_W": "applied"}
SHEET_KINDS = (*get_args(Kind), *(kind for kind in STAGE_KINDS if kind not in get_args(Kind)))
#: Most cells of one window, and most rows ranked in one reply.
MOST_CELLS, MOST_ROWS = 1 << 16, 64
MOST_FEATURES = 4096
"""Inputs of a ranked row that travel: of wider data the first."""


class CannotSee(ValueError):
    """One line: why there is nothing to be seen."""


Answer = tuple[m.AnyReply, bytes]


class Seen:
    """What has been read of the present place; forgotten as soon as anything is asked that may move it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.tensors: dict[tuple[str, int], npt.NDArray[Any] | None] = {}
        self.sheets: dict[tuple[str, int], Sheet] = {}
        self.cells: dict[tuple[str, int], npt.NDArray[np.uint32]] = {}
        self.stages: Stages | None = None
        self.measured = False
        """The layers' table is that of this state."""


def see(trainer: Trainer, request: m.Request) -> Answer:
    """Answer one request that looks. Raises CannotSee."""
    if trainer.state == "RUNNING":
        raise CannotSee("pause first: tensors are kept only while the run stands still")
    layer = getattr(request, "layer", 0)
    if not 0 <= layer < len(trainer.engine.layers):
        raise CannotSee(f"no layer {layer}: there are {len(trainer.engine.layers)}")
    trainer.preview()
    return _ANSWERS[type(request)](trainer, request)


# -- what is there -------------------------------------------------------------------------------------
def missing(trainer: Trainer, kind: str, layer: int) -> int:
    """Micro-steps until ``kind`` of ``layer`` is computed; 0: it is, or it is known between updates too."""
    if trainer.micro is None:
        return 0
    layers = len(trainer.engine.layers)
    order = [("batch", None), *(("forward", i) for i in range(layers)), ("loss", None),
             *(("backward", i) for i in reversed(range(layers))), ("clip", None), ("update", None)]  # fmt: skip
    last = layer == layers - 1
    plain = trainer.engine.tensor("upstream", layers - 1) is None  # the loss gives the last δ whole
    wanted: dict[str, tuple[str, int | None]] = {
        "x": ("batch", None), "y": ("batch", None), "z": ("forward", layer), "a": ("forward", layer),
        "raw_W": ("backward", 0), "regularised_W": ("clip", None), "clipped_W": ("clip", None),
        "update_W": ("update", None),
    }  # fmt: skip
    if kind in ("W", "b"):
        return 0
    place = wanted.get(kind, ("backward", layer))
    if last and (kind == "upstream" or (kind == "delta" and plain)):
        place = ("loss", None)
    return max(0, order.index(place) - order.index((trainer.micro.phase, trainer.micro.layer)))


def tensor(trainer: Trainer, kind: str, layer: int) -> npt.NDArray[Any] | None:
    """A tensor of the place, read once; None where there is none (yet)."""
    seen = trainer.seen
    if (kind, layer) not in seen.tensors:
        if kind in STAGE_KINDS:
            found = stages(trainer).of(STAGE_KINDS[kind], layer)
        else:
            found = trainer.engine.tensor(cast(Kind, kind), 0 if kind in ("x", "y") else layer)
        seen.tensors[kind, layer] = found
    return seen.tensors[kind, layer]


def stages(trainer: Trainer) -> Stages:
    """The gradient's stages: of the coming update, or, inside one, as far as it has come."""
    if trainer.seen.stages is None:
        trainer.seen.stages = _under_way(trainer) if trainer.micro is not None else _coming(trainer)
        if trainer.micro is None:
            trainer.preview()
    return trainer.seen.stages


Gradients = list[npt.NDArray[np.floating] | None]
"""Of each layer; None of those that have no weights."""


def gradients(trainer: Recorded) -> Gradients:
    """∂L/∂W of every layer as the engine holds it now."""
    return [trainer.engine.tensor("grad_W", layer) for layer in range(len(trainer.engine.layers))]


def _penalised(trainer: Trainer, raw: Gradients) -> Gradients:
    out: Gradients = []
    for index, (gradient, layer) in enumerate(zip(raw, layers_of(trainer.setup.experiment), strict=True)):
        weight = trainer.engine.tensor("W", index)
        out.append(None if gradient is None or weight is None else regularised(gradient, weight, *penalties_of(layer)))
    return out


def _under_way(trainer: Trainer) -> Stages:
    raw = trainer.raw_gradients
    if raw is None:
        return Stages()
    if trainer.micro is None or trainer.micro.phase != "clip":
        return Stages(raw=raw)
    return Stages(raw=raw, regularised=_penalised(trainer, raw), clipped=gradients(trainer))


def _coming(trainer: Trainer) -> Stages:
    """The whole coming update, done and taken back: the state is captured and restored bit for bit."""
    if trainer.state == "FAILED":
        raise CannotSee("training has failed here: there is no coming update")
    engine, step = trainer.engine, trainer.step
    tensors, words = trainer.capture()
    raw, clipped = None, None
    try:
        trainer.relive_here()
        engine.watch(True)
        group = trainer.next_group()
        for micro in micro_steps(engine, group, step, trainer.lr.at(step)):
            if micro.phase == "backward" and micro.layer == 0:
                raw = gradients(trainer)
            elif micro.phase == "clip":
                clipped = gradients(trainer)
                penalised = _penalised(trainer, raw or [])
        applied = [engine.tensor("update_W", layer) for layer in range(len(engine.layers))]
    finally:
        engine.watch(False)
        trainer.restore(step, tensors, words)
        trainer.shows = "other"
    return Stages(raw, penalised, clipped, applied)


def note(trainer: Trainer) -> str:
    """Whose numbers these are."""
    if trainer.state == "FAILED":
        return f"the values of step {trainer.step - 1}, in which training failed; W is after its update"
    if trainer.micro is not None:
        return "inside the update: what has not been computed yet is empty"
    return "state and batch of the coming update"


# -- answers -------------------------------------------------------------------------------------------
def _inspect(trainer: Trainer, request: m.Inspect) -> Answer:
    unknown = [kind for kind in request.kinds if kind not in get_args(Kind)]
    if unknown:
        raise CannotSee(f"unknown kind {unknown[0][:40]!r} (one of {', '.join(get_args(Kind))})")
    body = Body()
    arrays, shapes = {}, {}
    kinds = tuple(dict.fromkeys(request.kinds))
    limit = min(request.limit, MAX_BODY // 9 // max(len(kinds), 1))  # eight bytes each, and all in one frame
    for kind in kinds:
        found = trainer.engine.tensor(cast(Kind, kind), request.layer)
        if found is None:
            continue
        shapes[kind] = tuple(found.shape)
        if found.size > max(limit, 1):
            found = found[: max(1, limit // max(found.size // len(found), 1))]
        arrays[kind] = body.add(found)
    reply = m.Inspection(
        id=request.id, step=trainer.step, micro=trainer.micro_text, layer=request.layer, loss=trainer.shown_loss,
        arrays=arrays, shapes=shapes, note=note(trainer),
    )  # fmt: skip
    return reply, body.bytes()


def _ledger(trainer: Trainer, request: m.Ledger) -> Answer:
    layers = range(len(trainer.engine.layers))
    kinds = ("delta", "upstream", "gate")
    accounts = books.ledger([cast(Any, tuple(tensor(trainer, kind, layer) for kind in kinds)) for layer in layers])
    rows = tuple(
        m.LedgerRow(
            account.delta, account.upstream, account.gate, account.stopped, account.closed, account.ratio,
            missing(trainer, "delta", layer),
        )
        for layer, account in zip(layers, accounts, strict=True)
    )  # fmt: skip
    batch = tensor(trainer, "x", 0)
    return m.Ledgered(
        id=request.id, step=trainer.step, micro=trainer.micro_text, loss=trainer.shown_loss, rows=rows,
        samples=0 if batch is None else len(batch), note=note(trainer),
    ), b""  # fmt: skip


def _sheet(trainer: Trainer, request: m.Sheet) -> Answer:
    kind, layer = request.kind, request.layer
    if kind not in SHEET_KINDS:
        raise CannotSee(f"unknown kind {kind[:40]!r} (one of {', '.join(SHEET_KINDS)})")
    common: dict[str, Any] = {
        "id": request.id, "step": trainer.step, "micro": trainer.micro_text, "layer": layer, "kind": kind,
        "loss": trainer.shown_loss,
    }  # fmt: skip
    values = tensor(trainer, kind, layer)
    if values is None or not values.size:
        wait = missing(trainer, kind, layer)
        why = "" if wait else _none(trainer, kind, layer)
        return m.Sheeted(**common, note=why or note(trainer), missing=wait), b""
    sheet = trainer.seen.sheets.get((kind, layer))
    if sheet is None:
        sheet = trainer.seen.sheets[kind, layer] = Sheet(values)
        floats = sheet.values if sheet.values.dtype.kind == "f" else sheet.values.astype(np.float64)
        trainer.seen.cells[kind, layer] = histogram(np.ascontiguousarray(floats))
    try:
        condition = parse_cells(request.condition) if request.condition else None
        rows, columns = (Order(o.by, o.at, o.ascending) for o in (request.row_order, request.column_order))
        window = _bounded(request)
        place: tuple[int, int] | None = None
        if request.find is not None and condition is not None:
            place = sheet.next_match(condition, (rows, columns), request.find)
        if place is not None:  # the window moves so that the match is in it
            top, left = place[0] // window.zoom, place[1] // window.zoom
            if not window.top <= top < window.top + window.rows:
                window = window._replace(top=max(0, top - window.rows // 2))
            if not window.left <= left < window.left + window.columns:
                window = window._replace(left=max(0, left - window.columns // 2))
        seen = sheet.window(window, rows, columns, condition)
    except ConditionError as error:
        raise CannotSee(str(error)) from None
    body, facts = Body(), sheet.facts()
    arrays = {
        "values": body.add(seen.values), "rows": body.add(seen.rows.astype("<i8")),
        "columns": body.add(seen.columns.astype("<i8")), "cells": body.add(trainer.seen.cells[kind, layer]),
    }  # fmt: skip
    if condition is not None:
        arrays["matches"] = body.add(seen.matches.astype(np.uint8))
    return m.Sheeted(
        **common, arrays=arrays, shape=_sheet_shape(values), whole=tuple(map(int, values.shape)),
        tensor=_tensor_name(trainer, kind, layer), top=window.top, left=window.left,
        zoom=window.zoom, matched=0 if condition is None else sheet.matched(condition), found=place,
        facts=m.SheetFacts(*facts), picture=_picture(trainer, kind, layer), note=note(trainer),
    ), body.bytes()  # fmt: skip


def _none(trainer: Trainer, kind: str, layer: int) -> str:
    """Why a layer has no such thing."""
    info = trainer.engine.layers[layer]
    if trainer.engine.settings().get(f"freeze.{info.name}") and kind not in ("b", "W"):
        return f"{kind}: {info.name} is frozen, and so is all before it: nothing comes back so far"
    if kind in ("upstream", "gate", "delta"):
        last = layer == len(trainer.engine.layers) - 1
        why = "its loss gives δ whole" if last else "neither it nor what is before it learns"
        return f"{kind}: {info.name} has none: {why}"
    missing = "bias" if kind in ("b", "grad_b") else "weights"
    return f"{kind}: {info.name} ({info.kind}) has no {missing}"


def _sheet_shape(values: npt.NDArray[Any]) -> tuple[int, ...]:
    """Rows and columns: of more than two axes all but the first are folded into columns."""
    return tuple(map(int, values.shape)) if values.ndim < 2 else (len(values), int(np.prod(values.shape[1:])))


def _tensor_name(trainer: Trainer, kind: str, layer: int) -> str:
    """The parameter that a sheet shows, as a state names it; empty where it shows another thing."""
    info = trainer.engine.layers[layer]
    if kind == "b":
        return f"{info.name}.bias"
    return f"{info.name}.{info.tensors[0].name}" if kind == "W" and info.tensors else ""


def _bounded(request: m.Sheet) -> Window:
    zoom = max(1, request.zoom)
    rows = max(1, min(request.rows, MOST_CELLS))
    return Window(
        max(0, request.top), max(0, request.left), rows, max(1, min(request.columns, MOST_CELLS // rows)), zoom
    )


def _picture(trainer: Trainer, kind: str, layer: int) -> tuple[int, ...]:
    """The shape of one sample, where rows (of x) or columns (of the first layer's weights) are pictures of it."""
    shape = trainer.setup.data.shape
    if shape is None or len(shape) < 2 or int(np.prod(shape[-2:])) != trainer.setup.data.features:
        return ()
    if trainer.setup.experiment.adversary is not None:  # whose first layer reads noise
        return ()
    per_weight = layer == 0 and (kind in ("W", "grad_W") or kind in STAGE_KINDS)
    return tuple(int(n) for n in shape[-2:]) if kind == "x" or per_weight else ()


def _ranked(trainer: Trainer, request: m.Ranked) -> Answer:
    layer, unit = request.layer, request.unit
    info = trainer.engine.layers[layer]
    if not 0 <= unit < info.units:
        raise CannotSee(f"no unit {unit}: {info.name} has {info.units}")
    common: dict[str, Any] = {
        "id": request.id,
        "step": trainer.step,
        "micro": trainer.micro_text,
        "layer": layer,
        "unit": unit,
    }
    delta = tensor(trainer, "delta", layer)
    read = info.sources[0]
    inputs = tensor(trainer, "x", 0) if read < 0 else tensor(trainer, "a", read)
    if delta is None or inputs is None:
        wait = missing(trainer, "delta", layer)
        return m.RankedRows(**common, note=note(trainer), missing=wait), b""
    order = ranked_places(inputs, delta, unit, info.unit_axis, weighted=info.kind == "dense")
    rows = order.rows[: max(1, min(request.rows, MOST_ROWS))]
    data, body = trainer.setup.data, Body()
    engine, out = trainer.engine, tensor(trainer, "a", len(trainer.engine.layers) - 1)
    x, y = engine.row_inputs(layer), engine.row_targets(layer)
    assert x is not None and y is not None and out is not None
    numbers = data.train.rows[trainer.batches.rows(given=trainer.micro is not None)]
    every = engine.row_numbers(layer, numbers)
    source = every[rows] if len(every) == len(x) else np.full(len(rows), -1)
    arrays = {
        "rows": body.add(rows.astype("<i8")), "given": body.add(order.given[: len(rows)]),
        "along": body.add(order.along[: len(rows)]), "delta": body.add(order.delta[: len(rows)]),
        "x": body.add(_flat(x[rows])[:, :MOST_FEATURES]), "y": body.add(_one_target(y[rows])),
        "out": body.add(_one_output(out[rows], y)),
        "source": body.add(np.asarray(source).astype("<i8")),
    }  # fmt: skip
    return m.RankedRows(
        **common, arrays=arrays, samples=len(delta), gradient=order.gradient, picture=_picture(trainer, "x", 0),
        names=tuple(map(str, data.class_names or ())),
        features=tuple(map(str, (data.feature_names or ())[:MOST_FEATURES])),
        note=note(trainer),
    ), body.bytes()  # fmt: skip


def _flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape(len(values), -1)


def _one_target(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A target a row: of a sequence of class ids the last that there is."""
    if y.dtype.kind != "i" or y.ndim < 2:
        return y
    last = np.where(y >= 0, np.arange(y.shape[1]), 0).max(axis=1)
    return np.asarray(y[np.arange(len(y)), last])


def _one_output(out: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The outputs that go with it: of a sequence those of the last step."""
    return np.asarray(out[:, -1]) if out.ndim == 3 and y.dtype.kind == "i" and y.ndim > 1 else _flat(out)


def _stages(trainer: Trainer, request: m.Stages) -> Answer:
    found = stages(trainer)
    nothing: tuple[float | None, ...] = (None,) * len(STAGES)
    rows = found.norms() or [nothing] * len(trainer.engine.layers)
    limits = {key: value for key, value in trainer.engine.settings().items() if key.startswith("clip")}
    penalties = any(any(penalties_of(layer)) for layer in layers_of(trainer.setup.experiment))
    return m.Staged(
        id=request.id, step=trainer.step, micro=trainer.micro_text, names=STAGES, rows=tuple(rows),
        missing=tuple(missing(trainer, kind, 0) for kind in STAGE_KINDS), lr=trainer.lr.at(trainer.step),
        limits={key: value for key, value in limits.items() if np.isfinite(value)}, penalties=penalties,
        note=note(trainer),
    ), b""  # fmt: skip


def _shadow(trainer: Trainer, request: m.Shadow) -> Answer:
    """The step again in float64, from the same state and batch: how far off each δ is."""
    engine, experiment, data = trainer.engine, trainer.setup.experiment, trainer.setup.data
    y = tensor(trainer, "y", 0)
    x = tensor(trainer, "x", 0) if experiment.adversary is None else y  # there x is the noise, which it draws again
    if x is None or y is None:
        raise CannotSee("there is no batch here")
    if trainer.state == "FAILED":
        raise CannotSee("training has failed in the last step: its weights are those after it; go back one step (S)")
    if trainer.parts_done > 1:
        raise CannotSee("inside an update of several batches: pause before it, or in its first one")
    exact = build(experiment, data, engine=cast(Any, engine.name), device=engine.device, dtype="f64")
    for key, value in engine.settings().items():
        if exact.settings()[key] != value:
            exact.set(key, value)
    exact.load_state({name: _double(value) for name, value in engine.state().items()})
    exact.begin(Batch(_double(_flat(x)), _double(y), engine.lengths, engine.weights), trainer.step)
    layers = range(len(engine.layers))
    for layer in layers:
        exact.forward(layer)
    loss = exact.loss()
    for layer in reversed(layers):
        exact.backward(layer)
    errors = []
    for layer in layers:
        here, true = tensor(trainer, "delta", layer), exact.tensor("delta", layer)
        errors.append(None if here is None or true is None else books.relative_error(here, true))
    return m.Shadowed(
        id=request.id, step=trainer.step, micro=trainer.micro_text, dtype=engine.dtype, errors=tuple(errors),
        loss=trainer.shown_loss, exact_loss=loss,
    ), b""  # fmt: skip


def _double(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.float64) if values.dtype.kind == "f" else values


_ANSWERS: dict[type[m.Request], Callable[[Trainer, Any], Answer]] = {
    m.Inspect: _inspect, m.Ledger: _ledger, m.Sheet: _sheet, m.Ranked: _ranked, m.Stages: _stages, m.Shadow: _shadow,
    m.Inside: insides,
}  # fmt: skip
