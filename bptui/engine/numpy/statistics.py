"""What can be seen of the last step: tensors turned back to (N, units), the table of norms, histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.engine.base import COLUMNS, Kind, LayerInfo, Quantity
from bptui.engine.cells import histogram
from bptui.engine.numpy.parameters import Parameters
from bptui.engine.numpy.tape import LayerTape, Tape
from bptui.engine.progress import Progress
from bptui.engine.states import CAN_DIE
from bptui.runs.records import CELLS

Array = npt.NDArray[Any]


def tensor(tape: Tape, kind: Kind, layer: int) -> Array | None:
    """A copy of ``kind`` as (N, units); the batch for ``x`` and ``y``."""
    if kind == "x":
        return tape.x.copy()
    if kind == "y":
        return tape.loss.targets()
    part = tape.layers[layer]
    if kind in ("upstream", "gate") and tape.fused and layer == len(tape.layers) - 1:
        return None
    if kind == "gate" and part.gate is None:
        return np.ones(part.a.T.shape, part.a.dtype)
    return np.array(getattr(part, kind).T, order="C")


def table(
    layers: Sequence[LayerInfo],
    parameters: Parameters,
    gradient: Array,
    applied: Array | None,
    tape: Tape | None,
    reached: Progress,
) -> npt.NDArray[np.float32]:
    """``(layers, len(COLUMNS))``; nan for what this step has not computed (yet)."""
    nan = math.nan
    rows = []
    for index, (info, block) in enumerate(zip(layers, parameters.blocks, strict=True)):
        part = tape.layers[index] if tape is not None else None
        weight_norm = _norm(block.weight(parameters.values))
        grad_norm = delta_norm = mean = std = silent = ratio = nan
        if part is not None and reached.has("grad_W", index):
            grad_norm, delta_norm = _norm(block.weight(gradient)), _norm(part.delta)
        if applied is not None:
            changed = _norm(block.weight(applied))
            ratio = changed / weight_norm if weight_norm else (math.inf if changed else nan)
        if part is not None and reached.has("a", index):
            mean, std = _mean_and_std(part.a)
            if info.activation in CAN_DIE:
                silent = float(np.count_nonzero(~_fired(part)))
        rows.append((grad_norm, weight_norm, ratio, mean, std, delta_norm, silent))
    return np.array(rows, dtype=np.float32).reshape(len(layers), len(COLUMNS))


def fired(layers: Sequence[LayerInfo], tape: Tape | None, reached: Progress) -> list[npt.NDArray[np.bool_] | None]:
    """Units that gave anything but 0 for any sample, before dropout; None where they cannot die or are not reached."""
    return [
        _fired(tape.layers[index])
        if tape is not None and info.activation in CAN_DIE and reached.has("a", index)
        else None
        for index, info in enumerate(layers)
    ]


def histograms(
    kind: Quantity,
    parameters: Parameters,
    gradient: Array,
    tape: Tape | None,
    reached: Progress,
) -> npt.NDArray[np.uint32]:
    """``(layers, CELLS)``; a row of zeros for what this step has not computed (yet)."""
    cells = np.zeros((len(parameters.blocks), CELLS), dtype=np.uint32)
    for index, block in enumerate(parameters.blocks):
        if kind == "W":
            cells[index] = histogram(block.weight(parameters.values))
        elif tape is not None and reached.has(kind, index):
            values = block.weight(gradient) if kind == "grad_W" else getattr(tape.layers[index], kind)
            cells[index] = histogram(values)
    return cells


def _norm(x: Array) -> float:
    flat = x.reshape(-1)
    return math.sqrt(float(np.dot(flat, flat)))


def _mean_and_std(x: Array) -> tuple[float, float]:
    flat = x.reshape(-1)
    mean = float(np.add.reduce(flat)) / flat.size
    centred = flat - flat.dtype.type(mean)
    return mean, math.sqrt(float(np.dot(centred, centred)) / flat.size)


def _fired(part: LayerTape) -> npt.NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce(part.h, axis=1), dtype=np.bool_)
