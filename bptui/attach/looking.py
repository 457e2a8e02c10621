"""Windows of a captured step's matrices, and its ledger, as the inspector asks for them.

A script's network is a graph of any shape, so what depends on the next layer of a chain is not there: the two factors
of δ. That is said, never made up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bptui.attach.capture import Captured
from bptui.attach.given import ranked, why_not
from bptui.attach.interventions import Impossible
from bptui.attach.rows import Row, weight_matrix
from bptui.attach.stages import STAGES, Stages
from bptui.engine.cells import histogram
from bptui.expr import ConditionError
from bptui.expr.cells import parse_cells
from bptui.probe.ledger import norm
from bptui.probe.sheet import Order, Sheet, Window
from bptui.protocol import messages as m
from bptui.protocol.framing import Body

if TYPE_CHECKING:
    from bptui.attach.rerun import Rerun

#: Most cells of one window.
MOST_CELLS = 1 << 16
#: Most samples that are ranked in one reply, and most inputs of one that travel.
MOST_ROWS, MOST_FEATURES = 64, 4096
#: Kinds of a sheet that a script's captured step may have, and why it has not the others.
KINDS = ("z", "a", "delta", "x", "W", "b", "grad_W", "grad_b", "raw_W", "clipped_W", "update_W")
_WITHOUT = {
    "upstream": "the factors of δ need the next layer of a chain, which a script need not have: δ itself is shown",
    "gate": "the factors of δ need the next layer of a chain, which a script need not have: δ itself is shown",
    "y": "a script's targets are its own: bptui does not see them",
    "regularised_W": "a script's penalties are in its loss, or in its optimiser: raw, or applied Δ, have them",
}


def with_stages(captured: Captured, rows: list[Row], found: Stages) -> None:
    """Put the gradient's stages beside what else is known of each layer's W."""
    for row in rows:
        weight = row.weight
        for stage, kind in zip(STAGES, ("raw_W", "clipped_W", "update_W"), strict=True):
            tensor = None if weight is None else found.of(stage, weight)
            if tensor is not None:
                captured.rows.setdefault(row.name, {})[kind] = weight_matrix(tensor.to_dense())


def staged(captured: Captured, rows: list[Row], found: Stages, request: m.Stages, lr: float, note: str) -> m.Staged:
    """The norm of each layer's ∂L/∂W at each stage, then of its Δ."""
    with_stages(captured, rows, found)
    told = []
    for row in rows:
        arrays = [captured.array(row.name, kind) for kind in ("raw_W", "clipped_W", "update_W")]
        told.append(tuple(None if array is None else float(norm(array.astype(np.float64))) for array in arrays))
    return m.Staged(
        id=request.id, step=captured.step, micro="clip", names=STAGES, rows=tuple(told), missing=(0, 0, 0), lr=lr,
        limits=found.limits, note="; ".join((*found.notes, note)),
    )  # fmt: skip


def ranked_rows(
    captured: Captured, rows: list[Row], request: m.Ranked, rerun: Rerun, note: str
) -> tuple[m.RankedRows, bytes]:
    """Samples of the batch by what they give to the gradient of a unit. Raises Impossible in one line."""
    row = rows[request.layer]
    why = why_not(row)
    common: dict[str, Any] = {
        "id": request.id, "step": captured.step, "micro": "clip", "layer": request.layer, "unit": request.unit,
    }  # fmt: skip
    pair = captured.given.get(row.name)
    if why or pair is None:
        return m.RankedRows(**common, note=why or f"{row.name} was not seen in this update"), b""
    order = ranked(row, *pair, request.unit)
    samples = order.rows[: max(1, min(request.rows, MOST_ROWS))]
    batch, count, body = rerun.batch(len(pair[0])), len(samples), Body()
    arrays = {
        "rows": body.add(samples.astype("<i8")), "given": body.add(order.given[:count]),
        "along": body.add(order.along[:count]), "delta": body.add(order.delta[:count]),
        "source": body.add(np.full(count, -1, "<i8")),
        **{name: body.add(array) for name, array in batch.arrays(samples, MOST_FEATURES).items()},
    }  # fmt: skip
    return m.RankedRows(
        **common, arrays=arrays, samples=len(pair[0]), gradient=order.gradient, picture=batch.picture, note=note
    ), body.bytes()  # fmt: skip


def sheet(captured: Captured, rows: list[Row], request: m.Sheet, note: str) -> tuple[m.Sheeted, bytes]:
    """The window that is asked for. Raises Impossible in one line."""
    row, kind = rows[request.layer], request.kind
    common: dict[str, Any] = {
        "id": request.id, "step": captured.step, "micro": "clip", "layer": request.layer, "kind": kind,
        "loss": captured.loss,
    }  # fmt: skip
    values = captured.array(row.name, kind) if kind in KINDS else None
    if values is None or not values.size:
        return m.Sheeted(**common, note=_why_not(row, kind)), b""
    seen = Sheet(values)
    orders = [Order(o.by, o.at, o.ascending) for o in (request.row_order, request.column_order)]
    zoom, height = max(1, request.zoom), max(1, min(request.rows, MOST_CELLS))
    window = Window(max(0, request.top), max(0, request.left), height,
                    max(1, min(request.columns, MOST_CELLS // height)), zoom)  # fmt: skip
    place: tuple[int, int] | None = None
    try:
        condition = parse_cells(request.condition) if request.condition else None
        if request.find is not None and condition is not None:
            place = seen.next_match(condition, (orders[0], orders[1]), request.find)
        if place is not None:
            window = _around(window, place)
        shown = seen.window(window, orders[0], orders[1], condition)
    except (ConditionError, ValueError) as error:
        raise Impossible(str(error)) from None
    body = Body()
    arrays = {
        "values": body.add(np.ascontiguousarray(shown.values)), "rows": body.add(shown.rows.astype("<i8")),
        "columns": body.add(shown.columns.astype("<i8")),
        "cells": body.add(histogram(np.ascontiguousarray(seen.values))),
    }  # fmt: skip
    if condition is not None:
        arrays["matches"] = body.add(shown.matches.astype(np.uint8))
    return m.Sheeted(
        **common, arrays=arrays, shape=tuple(int(n) for n in values.shape[:2]), top=window.top, left=window.left,
        zoom=window.zoom, matched=0 if condition is None else seen.matched(condition), found=place,
        facts=m.SheetFacts(*seen.facts()), note=note,
    ), body.bytes()  # fmt: skip


def _around(window: Window, place: tuple[int, int]) -> Window:
    """The window moved so that the match is in it."""
    top, left = place[0] // window.zoom, place[1] // window.zoom
    if not window.top <= top < window.top + window.rows:
        window = window._replace(top=max(0, top - window.rows // 2))
    if not window.left <= left < window.left + window.columns:
        window = window._replace(left=max(0, left - window.columns // 2))
    return window


def _why_not(row: Row, kind: str) -> str:
    if kind in _WITHOUT:
        return _WITHOUT[kind]
    if kind in ("W", "b", "grad_W", "grad_b", "raw_W", "clipped_W", "update_W"):
        return f"{kind}: {row.name} ({row.kind}) has none" + (", or it is frozen" if kind not in ("W", "b") else "")
    return f"{kind}: {row.name} was not seen in this update"


def ledger(captured: Captured, rows: list[Row], request: m.Ledger, note: str) -> m.Ledgered:
    """‖δ‖ of each layer, with the ratio to the layer that was called after it."""
    norms: list[float | None] = []
    for row in rows:
        delta = captured.array(row.name, "delta")
        norms.append(None if delta is None else float(norm(delta.astype(np.float64))))
    after: float | None = None
    ratios: list[float | None] = []
    for value in reversed(norms):
        ratios.append(value / after if value is not None and after and math.isfinite(after) else None)
        after = value if value is not None else after
    batch = next((array for row in rows if (array := captured.array(row.name, "a")) is not None), None)
    told = tuple(
        m.LedgerRow(value, None, None, None, None, ratio)
        for value, ratio in zip(norms, reversed(ratios), strict=True)
    )  # fmt: skip
    return m.Ledgered(
        id=request.id, step=captured.step, micro="clip", loss=captured.loss, rows=told,
        samples=0 if batch is None else len(batch), note=note,
    )  # fmt: skip
