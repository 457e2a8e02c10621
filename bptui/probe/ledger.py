"""The ledger of δ: what comes back to a layer, what its gate lets through, and what is left of it.

    δˡ = (δˡ⁺¹ Wˡ⁺¹ᵀ) ⊙ g′(zˡ)      upstream = δˡ⁺¹ Wˡ⁺¹ᵀ      gate = g′(zˡ), dropout's mask included

Arrays are (N, units). Norms are Euclidean over all of them, summed in float64 whatever the engine's precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Account:
    """One layer's entries; None where there is no such thing, or it has not been computed yet."""

    delta: float | None = None
    """‖δˡ‖."""
    upstream: float | None = None
    """‖δˡ⁺¹ Wˡ⁺¹ᵀ‖."""
    gate: float | None = None
    """‖g′(zˡ)‖."""
    stopped: float | None = None
    """1 − ‖δˡ‖ / ‖δˡ⁺¹ Wˡ⁺¹ᵀ‖: the share of the signal that the gate stopped; negative where it amplifies."""
    closed: float | None = None
    """Share of the gates that are exactly 0."""
    ratio: float | None = None
    """‖δˡ‖ / ‖δˡ⁺¹‖: what is left on the way from the layer after this one."""


def norm(values: Array) -> float:
    """Euclidean norm over all entries, in float64: squares of float32 neither vanish nor overflow."""
    flat = values.reshape(-1)
    if flat.dtype == np.float64:
        return math.sqrt(float(np.dot(flat, flat)))
    return math.sqrt(float(np.einsum("i,i->", flat, flat, dtype=np.float64)))


def account(delta: Array | None, upstream: Array | None, gate: Array | None) -> Account:
    """The entries of one layer, without its ratio to the next."""
    back = None if upstream is None else norm(upstream)
    left = None if delta is None else norm(delta)
    return Account(
        delta=left,
        upstream=back,
        gate=None if gate is None else norm(gate),
        stopped=None if left is None or not back or gate is None else 1.0 - left / back,
        closed=None if gate is None or not gate.size else (gate.size - int(np.count_nonzero(gate))) / gate.size,
    )


def ledger(layers: Sequence[tuple[Array | None, Array | None, Array | None]]) -> list[Account]:
    """(δ, upstream, gate) of every layer, the input's first → their accounts with ratios."""
    accounts = [account(*layer) for layer in layers]
    out = []
    for here, after in zip(accounts, [*accounts[1:], None], strict=True):
        known = after is not None and here.delta is not None and after.delta
        out.append(
            here if not known else Account(
                here.delta, here.upstream, here.gate, here.stopped, here.closed, here.delta / after.delta  # type: ignore[operator,union-attr]
            )
        )  # fmt: skip
    return out


def relative_error(values: Array, exact: Array) -> float:
    """‖values − exact‖ / ‖exact‖ in float64; 0 where both are 0, inf where only ``exact`` is."""
    true = np.asarray(exact, np.float64)
    off, size = norm(np.asarray(values, np.float64) - true), norm(true)
    return off / size if size else (math.inf if off else 0.0)
