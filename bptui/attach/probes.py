"""What is measured of a sampled update: each function is a probe that can fail alone.

Probes work on detached tensors: autograd sees none of it. On a processor a figure is read where it is made and is a
float, or an array of cells, at once; on another device it stays there as a tensor, so that nothing waits for that
device, and all come home in one transfer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bptui.attach.rows import MORTAL, Row, rows_of, unit_any
from bptui.engine import cells
from bptui.engine.torch.statistics import exponent_counts

Weighted = Sequence[tuple[Row, Tensor]]
"""Rows, each with its module's main parameter."""

#: A variance that is a smaller share of the mean square than this has lost digits where one is taken from the other.
_CANCELLED = 0.05


def weights(rows: Weighted) -> None:
    """‖W‖ and ‖∇W‖ before the update."""
    for (row, _), norm in zip(rows, norms([weight for _, weight in rows]), strict=True):
        row.values["weight_norm"] = norm
    trained = [(row, weight.grad) for row, weight in rows if weight.grad is not None]
    for (row, _), norm in zip(trained, norms([grad for _, grad in trained]), strict=True):
        row.values["grad_norm"] = norm


def activations(row: Row, output: Tensor) -> None:
    """Mean and standard deviation of what a row gave; which units fired."""
    a = output.detach()
    row.values["activation_mean"], row.values["activation_std"] = moments(_wide(a))
    if row.kind in MORTAL:
        fired = unit_any(a, row.unit_axis)
        row.values["silent"] = fired.numel() - number(torch.count_nonzero(fired))
        if row.fired is None or row.fired.shape != fired.shape:
            row.fired, row.seen = fired, 0
        else:
            row.fired |= fired
        row.seen += rows_of(a)


def deltas(row: Row, delta: Tensor) -> None:
    """‖δ‖: the gradient of the loss in a row's output."""
    norm = number(torch.linalg.vector_norm(_wide(delta.detach())))
    before = row.values.get("delta_norm")  # of another batch of this update
    if before is None:
        row.values["delta_norm"] = norm
    elif isinstance(before, float) and isinstance(norm, float):
        row.values["delta_norm"] = math.hypot(before, norm)
    else:
        row.values["delta_norm"] = torch.hypot(torch.as_tensor(before), torch.as_tensor(norm))


def updates(rows: Weighted, before: list[Tensor]) -> None:
    """‖ΔW‖ ∕ ‖W‖ of the update just made. ``before``: copies of W before it, which become W − ΔW − W = −ΔW."""
    sizes: list[float | Tensor] = [row.values["weight_norm"] for row, _ in rows if "weight_norm" in row.values]
    if len(sizes) < len(rows):
        sizes = norms(before)
    torch._foreach_sub_(before, [weight.detach() for _, weight in rows])
    for (row, _), size, change in zip(rows, sizes, norms(before), strict=True):
        if isinstance(size, float) and not size:
            row.values["update_ratio"] = math.inf if change else math.nan
        else:
            row.values["update_ratio"] = change / size


def histograms(row: Row, quantity: str, tensor: Tensor) -> None:
    """Counts of floor(log₂|x|): cells, or on another device counts of the exponent field."""
    values = _wide(tensor.detach())
    row.values[f"histogram {quantity}"] = (
        cells.histogram(values.contiguous().numpy()) if values.is_cpu else exponent_counts(values)
    )


PROBES: dict[str, Callable[..., None]] = {
    "weights": weights, "activations": activations, "deltas": deltas, "updates": updates, "histograms": histograms,
}  # fmt: skip
"""By name. One that raises is switched off for the rest of the run, and that is told."""


# -- arithmetic -------------------------------------------------------------------------------------------------------
def number(value: Tensor) -> float | Tensor:
    """A tensor of one number as a float, or as it is where reading it would wait for another device."""
    return float(value.item()) if value.is_cpu else value


def norms(tensors: Sequence[Tensor]) -> list[float | Tensor]:
    """Euclidean norms, by one call of torch for all; numbers of less than 32 bits are added up in 32."""
    if not tensors:
        return []
    return [number(norm) for norm in torch._foreach_norm([_wide(t.detach()) for t in tensors])]


def moments(a: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Mean and standard deviation of all numbers.

    ``torch.std_mean`` takes fifty times as long as a sum on a processor. σ² = mean square − μ² there, and the sum of
    squared differences where that would cancel.
    """
    if not a.is_cpu or not a.numel():
        std, mean = torch.std_mean(a, correction=0)
        return mean, std
    centre = float(a.sum().item()) / a.numel()  # half of what ``mean`` takes
    size = float(torch.linalg.vector_norm(a).item())
    square = size * size / a.numel()
    variance = square - centre * centre
    if variance < _CANCELLED * square:
        size = float(torch.linalg.vector_norm(a - centre).item())
        variance = size * size / a.numel()
    if not math.isfinite(variance):  # some are not, or their squares are not
        std, mean = torch.std_mean(a, correction=0)
        return number(mean), number(std)
    return centre, math.sqrt(max(variance, 0.0))


def _wide(tensor: Tensor) -> Tensor:
    """Its numbers, in 32 bits at least; of a sparse one those that are there."""
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    return values if values.dtype in (torch.float32, torch.float64) else values.float()
