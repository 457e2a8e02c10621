"""Activations: torch's definitions and defaults, each one small function.

An activation gets z, the place h = g(z) and the place of the gate g′(z), all of one shape and contiguous, and gives
the operations that fill h (forward) and those that fill the gate (backward, from what forward left behind).

``np.maximum`` and ``np.minimum`` against a whole array of zeros or ones take a third of the time that they take
against one number (NumPy 2.4: only the former is vectorised).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bptui.engine.numpy.erf import erf
from bptui.engine.numpy.operations import Array, Operation, constant

Prepared = tuple[Sequence[Operation], Sequence[Operation]]
LEAKY_SLOPE = 0.01
ELU_ALPHA = 1.0
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
SOFTPLUS_THRESHOLD = 20.0


def relu(z: Array, h: Array, gate: Array) -> Prepared:
    """max(z, 0); the gate ⌈min(h, 1)⌉ is the sign of h in a third of the time that ``np.sign`` takes."""
    backward = [partial(np.minimum, h, np.ones_like(z), out=gate), partial(np.ceil, gate, gate)]
    return [partial(np.maximum, z, np.zeros_like(z), out=h)], backward


def leaky_relu(z: Array, h: Array, gate: Array) -> Prepared:
    positive = np.empty(z.shape, dtype=bool)
    forward = [partial(np.multiply, z, constant(LEAKY_SLOPE, z), h), partial(np.maximum, z, h, out=h)]
    backward = [
        partial(np.greater, z, constant(0.0, z), positive),
        partial(gate.fill, LEAKY_SLOPE),
        partial(np.copyto, gate, constant(1.0, z), where=positive),
    ]
    return forward, backward


def elu(z: Array, h: Array, gate: Array) -> Prepared:
    below = np.empty_like(z)  # eᶻ − 1 where z < 0, else 0
    zero = np.zeros_like(z)
    forward = [
        partial(np.minimum, z, zero, out=below),
        partial(np.expm1, below, below),
        partial(np.maximum, z, zero, out=h),
        partial(np.add, h, below, h),
    ]
    return forward, [partial(np.add, below, constant(ELU_ALPHA, z), gate)]


def selu(z: Array, h: Array, gate: Array) -> Prepared:
    below, positive = np.empty_like(z), np.empty(z.shape, dtype=bool)
    zero, scale, slope = np.zeros_like(z), constant(SELU_SCALE, z), constant(SELU_SCALE * SELU_ALPHA, z)
    forward = [
        partial(np.minimum, z, zero, out=below),
        partial(np.expm1, below, below),
        partial(np.multiply, below, slope, below),
        partial(np.maximum, z, zero, out=h),
        partial(np.multiply, h, scale, h),
        partial(np.add, h, below, h),
    ]
    backward = [
        partial(np.add, below, slope, gate),
        partial(np.greater, z, zero, positive),
        partial(np.copyto, gate, scale, where=positive),
    ]
    return forward, backward


def gelu(z: Array, h: Array, gate: Array) -> Prepared:
    """z·Φ(z), with the exact Φ; g′ = Φ(z) + z·φ(z)."""
    phi = np.empty_like(z)
    forward = [
        partial(np.multiply, z, constant(math.sqrt(0.5), z), phi),
        partial(erf, phi, phi),
        partial(np.add, phi, constant(1.0, z), phi),
        partial(np.multiply, phi, constant(0.5, z), phi),
        partial(np.multiply, z, phi, h),
    ]
    backward = [
        partial(np.multiply, z, z, gate),
        partial(np.multiply, gate, constant(-0.5, z), gate),
        partial(np.exp, gate, gate),
        partial(np.multiply, gate, constant(1.0 / math.sqrt(2.0 * math.pi), z), gate),
        partial(np.multiply, gate, z, gate),
        partial(np.add, gate, phi, gate),
    ]
    return forward, backward


def logistic(z: Array, out: Array) -> list[Operation]:
    """σ(z) = 1 / (1 + e^(−z)): exact to the last bits at both ends, since an overflow gives the limit 0."""
    one = constant(1.0, z)
    return [
        partial(np.negative, z, out),
        partial(np.exp, out, out),
        partial(np.add, out, one, out),
        partial(np.divide, one, out, out),
    ]


def silu(z: Array, h: Array, gate: Array) -> Prepared:
    """z·σ(z); g′ = σ + h·(1 − σ)."""
    sigma, one = np.empty_like(z), constant(1.0, z)
    backward = [
        partial(np.subtract, one, sigma, gate),
        partial(np.multiply, gate, h, gate),
        partial(np.add, gate, sigma, gate),
    ]
    return [*logistic(z, sigma), partial(np.multiply, z, sigma, h)], backward


def softplus(z: Array, h: Array, gate: Array) -> Prepared:
    """log(1 + eᶻ), and z itself above torch's threshold of 20."""
    above, zero = np.empty(z.shape, dtype=bool), np.zeros_like(z)
    forward = [
        partial(np.copysign, z, constant(-1.0, z), h),
        partial(np.exp, h, h),
        partial(np.log1p, h, h),
        partial(np.maximum, z, zero, out=gate),  # borrowed as scratch
        partial(np.add, h, gate, h),
        partial(np.greater, z, constant(SOFTPLUS_THRESHOLD, z), above),
        partial(np.copyto, h, z, where=above),
    ]
    return forward, [*logistic(z, gate), partial(np.copyto, gate, constant(1.0, z), where=above)]


def sigmoid(z: Array, h: Array, gate: Array) -> Prepared:
    backward = [partial(np.subtract, constant(1.0, z), h, gate), partial(np.multiply, gate, h, gate)]
    return logistic(z, h), backward


def tanh(z: Array, h: Array, gate: Array) -> Prepared:
    backward = [partial(np.multiply, h, h, gate), partial(np.subtract, constant(1.0, z), gate, gate)]
    return [partial(np.tanh, z, h)], backward


#: ``identity`` is not here: its z and h are one array, and its gate is 1.
ACTIVATIONS: dict[str, Callable[[Array, Array, Array], Prepared]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "softplus": softplus,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
