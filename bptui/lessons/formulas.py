"""The numbers of the lesson in plain floats, each as its formula stands in the lesson: none is taken from the trainer.

Layer 1 has W¹ (inputs × units: ``w11`` is from input 1 to unit 1, ``w21`` from input 2 to unit 1) and biases ``b1``,
``b2``; the output has V = W² (``v1``, ``v2``) and bias ``c``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec


class Start(msgspec.Struct, frozen=True):
    """State 0 and the row of its update."""

    x: tuple[float, float]
    y: float
    W1: tuple[tuple[float, float], tuple[float, float]]
    b1: tuple[float, float]
    W2: tuple[float, float]
    b2: float
    lr: float


def start_of(first: Mapping[str, Sequence[object]], second: Mapping[str, Sequence[object]], lr: float) -> Start:
    """From the tensors x, y, W, b of layer 0 and W, b of layer 1, as nested lists; msgspec.ValidationError if other."""
    row = msgspec.convert(first["x"], list[tuple[float, float]], strict=False)[0]
    W2 = msgspec.convert(second["W"], tuple[tuple[float], tuple[float]], strict=False)
    return Start(
        x=row,
        y=_first(first["y"]),
        W1=msgspec.convert(first["W"], tuple[tuple[float, float], tuple[float, float]], strict=False),
        b1=msgspec.convert(first["b"], tuple[float, float], strict=False),
        W2=(W2[0][0], W2[1][0]),
        b2=_first(second["b"]),
        lr=lr,
    )


def _first(nested: object) -> float:
    while isinstance(nested, list | tuple):
        nested = nested[0]
    return msgspec.convert(nested, float, strict=False)


def values(start: Start) -> dict[str, float]:
    """Name in the lesson → value: the right answers, the slips, and what the sentences quote."""
    (x1, x2), y, lr = start.x, start.y, start.lr
    (w11, w12), (w21, w22) = start.W1
    (b1, b2), (v1, v2), c = start.b1, start.W2, start.b2
    z1 = x1 * w11 + x2 * w21 + b1
    z2 = x1 * w12 + x2 * w22 + b2
    a1, a2 = math.tanh(z1), math.tanh(z2)
    g1, g2 = 1 - a1**2, 1 - a2**2
    z = a1 * v1 + a2 * v2 + c
    p = 1 / (1 + math.exp(-z))
    loss = _loss(p, y)
    d = p - y  # N = 1
    gv1, gv2, gc = a1 * d, a2 * d, d
    u1, u2 = d * v1, d * v2
    d1, d2 = u1 * g1, u2 * g2
    gw11, gw12, gw21, gw22 = x1 * d1, x1 * d2, x2 * d1, x2 * d2
    squares = sum(g**2 for g in (gw11, gw12, gw21, gw22, d1, d2, gv1, gv2, gc))
    after = Start(
        x=start.x, y=y, lr=lr, b2=c - lr * gc, W2=(v1 - lr * gv1, v2 - lr * gv2), b1=(b1 - lr * d1, b2 - lr * d2),
        W1=((w11 - lr * gw11, w12 - lr * gw12), (w21 - lr * gw21, w22 - lr * gw22)),
    )  # fmt: skip
    told = {
        "x1": x1, "x2": x2, "y": y, "lr": lr, "w11": w11, "w12": w12, "w21": w21, "w22": w22, "b1": b1, "b2": b2,
        "v1": v1, "v2": v2, "c": c, "z1": z1, "z2": z2, "a1": a1, "a2": a2, "g1": g1, "g2": g2, "z": z, "p": p,
        "loss": loss, "d": d, "gv1": gv1, "gv2": gv2, "u1": u1, "u2": u2, "d1": d1, "d2": d2, "gw11": gw11,
        "gw21": gw21, "new_w11": w11 - lr * gw11, "new_loss": _loss(_output(after), y), "squares": squares,
        "first_order": loss - lr * squares,
    }  # fmt: skip
    slips = {
        "z1_without_bias": x1 * w11 + x2 * w21, "z1_without_inputs": w11 + w21 + b1,
        "z1_rows": x1 * w11 + x2 * w12 + b1,
        "a1_squared": a1**2, "one_minus_a1": 1 - a1, "one_minus_z1_squared": 1 - z1**2,
        "z_without_bias": a1 * v1 + a2 * v2, "z_from_inputs": x1 * v1 + x2 * v2 + c,
        "z_from_sums": z1 * v1 + z2 * v2 + c,
        "minus_d": y - p, "d_with_slope": d * p * (1 - p), "u1_times_a1": u1 * a1, "d_times_g1": d * g1,
        "u1_other_gate": u1 * g2, "a1_times_d1": a1 * d1, "w11_uphill": w11 + lr * gw11, "w11_without_lr": w11 - gw11,
        "change_of_w11": -lr * gw11,
    }  # fmt: skip
    return told | slips


def _output(state: Start) -> float:
    hidden = [math.tanh(state.x[0] * state.W1[0][j] + state.x[1] * state.W1[1][j] + state.b1[j]) for j in (0, 1)]
    return 1 / (1 + math.exp(-(hidden[0] * state.W2[0] + hidden[1] * state.W2[1] + state.b2)))


def _loss(p: float, y: float) -> float:
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))
