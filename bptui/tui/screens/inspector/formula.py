"""Formulas with this layer's numbers in them, in one line each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bptui.protocol.messages import LedgerRow
from bptui.spec.experiment import Experiment
from bptui.tui.text import small

_UP = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def index(layer: int) -> str:
    """The layer's number as it stands above a letter: the first is 1."""
    return str(layer + 1).translate(_UP)


def pending(missing: int) -> str:
    """What is not computed yet: how often ``n`` is to be pressed."""
    return f"not yet: n × {missing}" if missing > 1 else "not yet: n"


def percent(share: float) -> str:
    """A share as a percentage that shows how near to 0 or 100 it is."""
    if not math.isfinite(share):
        return small(share)
    text = f"{share * 100:.1f}"
    if text == "100.0" and share < 1:
        return "> 99.9 %"
    return f"{text} %"


def factor(value: float) -> str:
    """A ratio: ``0.246``, ``1.28``, ``3.1e-5``."""
    return f"{value:.3g}" if 1e-3 <= value < 1000 else small(value)


def account(layer: int, row: LedgerRow, last: bool) -> list[str]:
    """The entries of one layer's ledger as lines."""
    here, after = index(layer), index(layer + 1)
    if row.delta is None:
        return [f"δ{here} {pending(row.missing)}" if row.missing else f"δ{here} is not there"]
    if row.upstream is None or row.gate is None:
        why = "the loss gives it whole: no gate stands behind it" if last else "its two factors are not known here"
        return [f"‖δ{here}‖ = {small(row.delta)}", why]
    # the last layer's first factor comes from the loss
    back = f"‖∂L/∂a{here}‖" if last else f"‖δ{after}W{after}ᵀ‖"
    lines = [f"{back} {small(row.upstream)} · ‖g′(z{here})‖ {small(row.gate)} → ‖δ{here}‖ {small(row.delta)}"]
    if row.stopped is not None:
        word = "stopped" if row.stopped >= 0 else "added"
        lines.append(f"the gate {word} {percent(abs(row.stopped))} of the signal")
    if row.closed is not None:
        lines.append(f"{percent(row.closed)} of the gates are exactly 0")
    if row.ratio is not None:
        lines[-1] += f" · ‖δ{here}‖ = {factor(row.ratio)} ‖δ{after}‖"
    return lines


def cell(layer: int, where: tuple[int, int], upstream: float | None, gate: float | None, delta: float | None) -> str:
    """δ of one sample and unit as the product of its factors."""
    if delta is None:
        return ""
    name = f"δ{index(layer)}[{where[0]}, {where[1]}]"
    if upstream is None or gate is None:
        return f"{name} = {delta:.6g}"
    return f"{name} = {upstream:.6g} × {gate:.6g} = {delta:.6g}"


def last_delta(experiment: Experiment, z: Sequence[float], y: Sequence[float] | float, samples: int, unit: int) -> str:
    """δᴸ of one sample and unit from its logits (outputs, for other losses) and target; empty where it is another form.

    ``z``: what the last layer gives for the sample. ``y``: its class, or its targets.
    """
    loss, outputs = experiment.loss, len(z)
    kind = str(loss.__struct_config__.tag)
    targets = [y] if isinstance(y, (int, float)) else list(y)
    if getattr(loss, "label_smoothing", 0.0) or getattr(loss, "class_weights", None) or not 0 <= unit < outputs:
        return ""
    if kind == "cross_entropy" and all(math.isfinite(v) for v in z) and len(targets) == 1:
        top = max(z)
        p = math.exp(z[unit] - top) / math.fsum(math.exp(v - top) for v in z)
        truth = int(targets[0] == unit)
        return f"(p − y)/N = ({p:.4f} − {truth})/{samples} = {(p - truth) / samples:.6g}"
    if len(targets) != outputs:
        return ""
    target = float(targets[unit])
    if kind == "binary_cross_entropy" and getattr(loss, "pos_weight", 1.0) == 1.0:
        p = 1 / (1 + math.exp(-z[unit])) if z[unit] > -700 else 0.0
        share = "N" if outputs == 1 else f"(N·{outputs})"
        value = (p - target) / (samples * outputs)
        return f"(σ(z) − y)/{share} = ({p:.4f} − {target:g})/{samples * outputs} = {value:.6g}"
    if kind == "mse":
        value = 2 * (z[unit] - target) / (samples * outputs)
        return f"2(a − y)/(N·{outputs}) = 2·({z[unit]:.4g} − {target:.4g})/{samples * outputs} = {value:.6g}"
    if kind == "mae":
        sign = (z[unit] > target) - (z[unit] < target)
        return f"sign(a − y)/(N·{outputs}) = {sign}/{samples * outputs} = {sign / (samples * outputs):.6g}"
    return ""
