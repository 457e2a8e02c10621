"""Statistics of the last step, reduced on the engine's own device; one transfer brings them home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bptui.engine.base import COLUMNS, LayerInfo
from bptui.engine.cells import fold
from bptui.engine.states import CAN_DIE
from bptui.engine.torch.layers import LayerRun
from bptui.runs.records import CELLS


def table(
    infos: Sequence[LayerInfo], runs: Sequence[LayerRun], applied: Sequence[Mapping[str, Tensor]] | None
) -> npt.NDArray[np.float32]:
    """``(layers, len(COLUMNS))``; nan for what this step has not computed (yet), or the layer does not have."""
    like = next((value for run in runs for value in run.values.values()), torch.zeros(()))
    nan = torch.full((), float("nan"), dtype=like.dtype, device=like.device)
    cells: list[Tensor] = []
    with torch.no_grad():
        for index, (info, run) in enumerate(zip(infos, runs, strict=True)):
            weight_norm = _norm(info, run.values)
            gradient = None if run.gradients is None else _norm(info, run.gradients)
            change = None if applied is None else _norm(info, applied[index])
            row = [gradient, weight_norm]
            row.append(None if change is None or weight_norm is None else change / weight_norm)
            a = None if run.a is None else run.real(run.a)
            row += [None, None] if a is None else [a.mean(), a.std(correction=0)]
            row.append(None if run.delta is None else run.delta.norm())
            silent = info.activation in CAN_DIE and run.h is not None
            row.append((~_fired(info, run)).sum().to(nan.dtype) if silent else None)
            cells += [nan if cell is None else cell for cell in row]
        flat = torch.stack(cells).to("cpu", torch.float32)
    return flat.numpy().reshape(len(infos), len(COLUMNS)).copy()


def _norm(info: LayerInfo, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """Euclidean, over all weights of a layer; None where it has none."""
    norms = [tensors[each.name].norm() for each in info.weights]
    if len(norms) < 2:
        return norms[0] if norms else None
    whole: Tensor = torch.stack(norms).norm()
    return whole


def fired(infos: Sequence[LayerInfo], runs: Sequence[LayerRun]) -> list[npt.NDArray[np.bool_] | None]:
    """Units that gave anything but 0 for any sample, before dropout; None where they cannot die or are not reached."""
    return [
        _fired(info, run).cpu().numpy() if info.activation in CAN_DIE and run.h is not None else None
        for info, run in zip(infos, runs, strict=True)
    ]


def histograms(tensors: Sequence[Sequence[Tensor]]) -> npt.NDArray[np.uint32]:
    """``(layers, CELLS)`` from the exponent bits; a row of zeros where there is no tensor."""
    counted = []
    for group in tensors:
        counts = [exponent_counts(tensor.detach()) for tensor in group]
        counted.append(torch.stack(counts).sum(0) if counts else None)
    return exponent_cells(counted)


def exponent_cells(counted: Sequence[Tensor | None]) -> npt.NDArray[np.uint32]:
    """``(len(counted), CELLS)`` from what ``exponent_counts`` gave; a row of zeros for None."""
    cells = np.zeros((len(counted), CELLS), dtype=np.uint32)
    present = [counts for counts in counted if counts is not None]
    if not present:
        return cells
    if len({len(counts) for counts in present}) == 1:
        home = iter(torch.stack(present).cpu().numpy())
    else:  # of both precisions
        home = iter([counts.cpu().numpy() for counts in present])
    for index, counts in enumerate(counted):
        if counts is not None:
            *exponents, zeros, nans = next(home).tolist()
            cells[index] = fold(np.array(exponents), zeros, nans)
    return cells


def exponent_counts(x: Tensor) -> Tensor:
    """Counts of the exponent field, then the number of zeros and of nan."""
    flat = x.reshape(-1)
    wide = flat.dtype == torch.float64
    bits: Any = flat.contiguous().view(torch.int64 if wide else torch.int32)
    field = (bits >> 52) & 2047 if wide else (bits >> 23) & 255
    counts = torch.bincount(field, minlength=2048 if wide else 256)
    special = torch.stack([(flat == 0).sum(), flat.isnan().sum()])
    return torch.cat([counts, special])


def _fired(info: LayerInfo, run: LayerRun) -> Tensor:
    """(units,), over samples and places."""
    assert run.h is not None
    units = 1 if info.unit_axis == 0 else run.h.dim() - 1
    return (run.h != 0).movedim(units, 0).flatten(1).any(dim=1)
