"""What can be seen of a graph's last step: the table of norms, which units fired, histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bptui.engine.base import COLUMNS, LayerInfo, Quantity
from bptui.engine.cells import histogram
from bptui.engine.numpy.operations import Array
from bptui.engine.numpy.station import Station
from bptui.engine.numpy.vectors import Vectors
from bptui.engine.progress import Progress
from bptui.engine.states import CAN_DIE
from bptui.runs.records import CELLS


def table(
    vectors: Vectors, gradient: Array, applied: Array | None, stations: Sequence[Station], reached: Progress
) -> npt.NDArray[np.float32]:
    """``(layers, len(COLUMNS))``; nan for what this step has not computed (yet), or the layer does not have."""
    nan, rows = math.nan, []
    for index, (info, station) in enumerate(zip(vectors.layers, stations, strict=True)):
        weight_norm = _norm(vectors.weights(vectors.values, index))
        grad_norm = delta_norm = mean = std = silent = ratio = nan
        if reached.batch and reached.has("grad_W", index) and station.delta is not None:
            grad_norm = _norm(vectors.weights(gradient, index))
            delta_norm = _norm([station.delta])
        if applied is not None:
            changed = _norm(vectors.weights(applied, index))
            ratio = changed / weight_norm if weight_norm else (math.inf if changed > 0 else nan)
        if station.a is not None and reached.has("a", index):
            a = station.real(station.a)
            mean, std = float(a.mean()), float(a.std())
            if info.activation in CAN_DIE:
                silent = float(np.count_nonzero(~_fired(info, station)))
        rows.append((grad_norm, weight_norm, ratio, mean, std, delta_norm, silent))
    return np.array(rows, dtype=np.float32).reshape(len(stations), len(COLUMNS))


def fired(
    layers: Sequence[LayerInfo], stations: Sequence[Station], reached: Progress
) -> list[npt.NDArray[np.bool_] | None]:
    """Units that gave anything but 0 for any sample, before dropout; None where they cannot die or are not reached."""
    return [
        _fired(info, station)
        if info.activation in CAN_DIE and station.h is not None and reached.has("a", index)
        else None
        for index, (info, station) in enumerate(zip(layers, stations, strict=True))
    ]


def histograms(
    kind: Quantity, vectors: Vectors, gradient: Array, stations: Sequence[Station], reached: Progress
) -> npt.NDArray[np.uint32]:
    """``(layers, CELLS)``; a row of zeros for what this step has not computed (yet), or the layer does not have."""
    cells = np.zeros((len(stations), CELLS), dtype=np.uint32)
    for index, station in enumerate(stations):
        found: list[Array] = []
        if kind == "W":
            found = vectors.weights(vectors.values, index)
        elif reached.batch and reached.has(kind, index):
            if kind == "grad_W":  # nothing has come back to a layer without δ: there its gradient is of an earlier step
                found = [] if station.delta is None else vectors.weights(gradient, index)
            else:
                array: Array | None = getattr(station, kind)
                found = [] if array is None else [station.real(array)]
        for array in found:
            cells[index] += histogram(np.ascontiguousarray(array))
    return cells


def _norm(arrays: Sequence[Array]) -> float:
    """Euclidean, over all of them; nan where there are none."""
    if not arrays:
        return math.nan
    flats = [array.reshape(-1) for array in arrays]
    return math.sqrt(sum(float(np.dot(flat, flat)) for flat in flats))


def _fired(info: LayerInfo, station: Station) -> npt.NDArray[np.bool_]:
    assert station.h is not None
    units = 1 if info.unit_axis == 0 else station.h.ndim - 1
    others = tuple(axis for axis in range(station.h.ndim) if axis != units)
    return np.asarray((station.h != 0).any(axis=others))
