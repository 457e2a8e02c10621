"""The step that a script stands still in: copies of what its layers saw and gave, as faces inspect it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bptui.attach.rows import Rows, matrix, weight_matrix

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Captured:
    """Of state ``step``, before its update. ``rows``: a layer's tensors by the names of ``engine.base.Kind``."""

    step: int
    loss: float
    raw_norm: float | None
    """The gradient's norm before the script clipped it; None: it does not."""
    rows: dict[str, dict[str, Tensor]]
    note: str
    output: Tensor | None = None
    """What the model gave, where the step was done again."""
    given: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """What a layer was given and the δ of what it gave, in their own shapes."""

    @classmethod
    def of(
        cls, rows: Rows, step: int, loss: float, raw_norm: Any, note: str = "", output: Tensor | None = None
    ) -> Captured:
        """From what a sampler kept of the update under way, and the gradients as they are now."""
        kept: dict[str, dict[str, Tensor]] = {}
        given = {
            row.name: (row.values["x"], row.values["delta"])
            for row in rows.all() if row.values.get("x") is not None and row.values.get("delta") is not None
        }  # fmt: skip
        for row in rows.all():
            tensors: dict[str, Tensor] = {
                kind: matrix(row.values[kind]) for kind in ("a", "delta", "x") if row.values.get(kind) is not None
            }
            weight = row.weight
            if weight is not None:
                tensors["W"] = weight_matrix(weight).clone()
                if weight.grad is not None:
                    tensors["grad_W"] = weight_matrix(weight.grad.to_dense()).clone()
            own = {} if row.module is None else dict(row.module.named_parameters(recurse=False))
            if "bias" in own:
                tensors["b"] = own["bias"].detach().clone()
                if own["bias"].grad is not None:
                    tensors["grad_b"] = own["bias"].grad.detach().clone()
            if "a" in tensors and row.parameters:
                tensors["z"] = tensors["a"]  # a module with weights gives pre-activations
            elif "x" in tensors:
                tensors["z"] = tensors["x"]
            kept[row.name] = tensors
        return cls(step, loss, None if raw_norm is None else float(raw_norm), kept, note, output, given)

    def array(self, layer: str, kind: str) -> Array | None:
        """A tensor of a layer as NumPy (f32 or f64); None where there is none."""
        tensor = self.rows.get(layer, {}).get(kind)
        if tensor is None:
            return None
        tensor = tensor.detach().cpu()
        if tensor.dtype not in (torch.float32, torch.float64):
            tensor = tensor.float()
        array: Array = tensor.contiguous().numpy()
        return array
