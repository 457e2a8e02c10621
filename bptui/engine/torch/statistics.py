"""Statistics of the last step, reduced on the engine's own device; one transfer brings them home."""

from __future__ import annotations

from collections.abc import Sequence
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
    infos: Sequence[LayerInfo],
    layers: Sequence[LayerRun],
    gradients: Sequence[Tensor | None],
    applied: Sequence[Tensor | None],
) -> npt.NDArray[np.float32]:
    """``(layers, len(COLUMNS))``; nan for what this step has not computed (yet)."""
    nan = torch.full((), float("nan"), dtype=layers[0].weight.dtype, device=layers[0].weight.device)
    cells: list[Tensor] = []
    with torch.no_grad():
        for info, layer, gradient, change in zip(infos, layers, gradients, applied, strict=True):
            weight_norm = layer.weight.norm()
            row = [nan if gradient is None else gradient.norm(), weight_norm]
            row.append(nan if change is None else change.norm() / weight_norm)
            if layer.a is None:
                row += [nan, nan]
            else:
                row += [layer.a.mean(), layer.a.std(correction=0)]
            row.append(nan if layer.delta is None else layer.delta.norm())
            silent = info.activation in CAN_DIE and layer.h is not None
            row.append((~_fired(layer)).sum().to(nan.dtype) if silent else nan)
            cells += row
        flat = torch.stack(cells).to("cpu", torch.float32)
    return flat.numpy().reshape(len(infos), len(COLUMNS)).copy()


def fired(infos: Sequence[LayerInfo], layers: Sequence[LayerRun]) -> list[npt.NDArray[np.bool_] | None]:
    """Units that gave anything but 0 for any sample, before dropout; None where they cannot die or are not reached."""
    return [
        _fired(layer).cpu().numpy() if info.activation in CAN_DIE and layer.h is not None else None
        for info, layer in zip(infos, layers, strict=True)
    ]


def histograms(tensors: Sequence[Tensor | None]) -> npt.NDArray[np.uint32]:
    """``(layers, CELLS)`` from the exponent bits; a row of zeros where there is no tensor."""
    return exponent_cells([None if tensor is None else exponent_counts(tensor.detach()) for tensor in tensors])


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


def _fired(layer: LayerRun) -> Tensor:
    assert layer.h is not None
    return (layer.h != 0).any(dim=0)
