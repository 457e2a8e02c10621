"""What each sample of a script's paused batch gives to the gradient of one unit: exact for linear and 2-D convolution.

    ∂L/∂W[:, j] = Σₙ Σₜ aₙₜ δₙₜⱼ      sample n gives the vector Σₜ aₙₜ δₙₜⱼ

over the places t at which the layer's weights are used: one for a plain batch, each token of a sequence, each pixel of
a convolution's output (a is then the patch that it sees).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bptui.attach.interventions import Impossible
from bptui.attach.nesting import tensors_in
from bptui.attach.rows import Row, first_tensor, matrix
from bptui.attach.tape import FunctionCall, Slot, Tape
from bptui.probe.ranked import Ranked

#: Most numbers of the patches that are laid out at once.
_AT_ONCE = 1 << 24


def ranked(row: Row, x: Tensor, delta: Tensor, unit: int) -> Ranked:
    """Samples in the order of what they give. ``x``, ``delta``: as the layer was given and got them."""
    if not 0 <= unit < row.units:
        raise Impossible(f"no unit {unit}: {row.name} has {row.units}")
    given = torch.cat([_given(row, *part, unit) for part in _parts(row, x, delta)]).double().cpu()
    total = given.sum(0)
    size = float(total @ total)
    norms = given.norm(dim=1).numpy()
    along = (given @ total / size).numpy() if size > 0 else np.full(len(given), np.nan)
    deltas = delta.transpose(1, row.unit_axis)[:, unit].reshape(len(delta), -1).double().sum(1).cpu().numpy()
    order = np.argsort(-np.where(np.isnan(norms), np.inf, norms), kind="stable")
    return Ranked(order, norms[order], along[order], deltas[order], size**0.5)


def why_not(row: Row) -> str:
    """Why a layer's samples cannot be ranked; empty: they can."""
    if isinstance(row.module, nn.Linear):
        return ""
    if isinstance(row.module, nn.Conv2d):
        plain = (
            row.module.groups == 1 and row.module.padding_mode == "zeros" and not isinstance(row.module.padding, str)
        )
        return "" if plain else f"{row.name}: samples are ranked for convolutions without groups, padded with zeros"
    return f"{row.name} ({row.kind}): samples are ranked for linear layers and 2-D convolutions, where it is exact"


def _parts(row: Row, x: Tensor, delta: Tensor) -> list[tuple[Tensor, Tensor]]:
    each = x[0].numel()
    if isinstance(row.module, nn.Conv2d):
        each *= int(np.prod(row.module.kernel_size))
    rows = max(1, _AT_ONCE // max(each, 1))
    return list(zip(torch.split(x, rows), torch.split(delta, rows), strict=True))


def _given(row: Row, x: Tensor, delta: Tensor, unit: int) -> Tensor:
    """(samples, inputs): the vector that each gives."""
    module: Any = row.module
    if isinstance(row.module, nn.Conv2d):
        patches = nn.functional.unfold(
            x, module.kernel_size, dilation=module.dilation, padding=module.padding, stride=module.stride
        )  # (samples, inputs, places)
        return torch.einsum("nit,nt->ni", patches, delta[:, unit].reshape(len(x), -1).to(x.dtype))
    places = x.reshape(len(x), -1, x.shape[-1])
    return torch.einsum("nti,nt->ni", places, delta[..., unit].reshape(len(x), -1).to(x.dtype))


class Batch:
    """What the script's batch was, as far as it can be seen: input of its first model, output, and a target."""

    def __init__(self, tape: Tape, inputs: Any, output: Tensor | None, samples: int) -> None:
        first = first_tensor(inputs)
        self.x = None if first is None or len(first) != samples else first
        self.output = None if output is None or len(output) != samples else output
        self.target = self._target(tape, samples)

    @property
    def picture(self) -> tuple[int, ...]:
        """The shape of a sample, where samples are pictures."""
        shape = () if self.x is None else tuple(self.x.shape[1:])
        return shape if len(shape) == 3 and shape[0] in (1, 3) else ()

    @staticmethod
    def _target(tape: Tape, samples: int) -> Tensor | None:
        """The first tensor of a value a sample that a function got together with what a model gave."""
        for entry in tape.entries:
            if isinstance(entry, FunctionCall) and any(isinstance(one, Slot) for one in entry.inputs):
                for tensor in tensors_in((entry.inputs, entry.options)):
                    if tensor.ndim in (1, 2) and len(tensor) == samples and tensor.numel() <= 64 * samples:
                        return tensor
        return None

    def arrays(self, rows: npt.NDArray[np.intp], most: int) -> dict[str, npt.NDArray[Any]]:
        """``x``, ``y`` and ``out`` of these rows; NaN where they are not known."""
        chosen = torch.from_numpy(np.ascontiguousarray(rows))

        def of(tensor: Tensor | None) -> npt.NDArray[Any]:
            if tensor is None:
                return np.full((len(rows), 1), np.nan)
            part = matrix(tensor.detach().cpu()[chosen])[:, :most]
            return np.ascontiguousarray((part if part.dtype == torch.float64 else part.float()).numpy())

        target = self.target
        if target is not None and not target.is_floating_point() and target.ndim == 1:
            y: npt.NDArray[Any] = target.detach().cpu()[chosen].to(torch.int64).numpy()
        else:
            y = of(target)
        return {"x": of(self.x), "y": y, "out": of(self.output)}
