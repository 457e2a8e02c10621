"""Initial values of a layer, drawn by the counter-based generator: the same in both engines.

Formulas are those of ``torch.nn.init``; W is ``(inputs, units)``, so fan-in is ``inputs`` and fan-out ``units``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bptui.philox import Stream
from bptui.spec.experiment import Dense, Initialiser

Values = npt.NDArray[np.float64]

#: Activations that pass about half of a centred input: He et al. 2015.
RELU_LIKE = frozenset({"relu", "leaky_relu", "elu", "gelu", "silu", "softplus"})


def weight(layer: Dense, name: str, inputs: int, seed: int) -> Values:
    """Initial W ``(inputs, units)`` of ``layer``, in float64 whatever the engine computes in."""
    draw = Stream(seed, f"{name}.weight")
    rule = RULES[layer.init or default(layer)]
    return rule(layer, draw, inputs, layer.units).reshape(inputs, layer.units)


def bias(layer: Dense) -> Values:
    """Initial b ``(units,)``."""
    return np.full(layer.units, layer.bias, dtype=np.float64)


def default(layer: Dense) -> Initialiser:
    """``he_normal`` before relu-like activations, ``glorot_uniform`` elsewhere."""
    return "he_normal" if layer.activation in RELU_LIKE else "glorot_uniform"


Rule = Callable[[Dense, Stream, int, int], Values]


def _within(draw: Stream, n: int, low: float, high: float) -> Values:
    return low + (high - low) * draw.uniform(0, n)


def _uniform(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return _within(draw, inputs * units, layer.low, layer.high)


def _normal(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return layer.std * draw.normal(0, inputs * units)


def _glorot_uniform(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    bound = layer.gain * math.sqrt(6.0 / (inputs + units))
    return _within(draw, inputs * units, -bound, bound)


def _glorot_normal(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return layer.gain * math.sqrt(2.0 / (inputs + units)) * draw.normal(0, inputs * units)


def _he_uniform(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    bound = layer.gain * math.sqrt(6.0 / inputs)
    return _within(draw, inputs * units, -bound, bound)


def _he_normal(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return layer.gain * math.sqrt(2.0 / inputs) * draw.normal(0, inputs * units)


def _lecun_normal(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return layer.gain * math.sqrt(1.0 / inputs) * draw.normal(0, inputs * units)


def _orthogonal(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    """Q of a QR of a normal matrix, with R's diagonal made positive so that Q is spread evenly (Saxe et al. 2013)."""
    tall = draw.normal(0, inputs * units).reshape(max(inputs, units), min(inputs, units))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0.0, -1.0, 1.0)
    return np.asarray(layer.gain * (q if inputs >= units else q.T), dtype=np.float64)


def _zeros(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return np.zeros(inputs * units)


def _constant(layer: Dense, draw: Stream, inputs: int, units: int) -> Values:
    return np.full(inputs * units, layer.value, dtype=np.float64)


RULES: dict[Initialiser, Rule] = {
    "uniform": _uniform,
    "normal": _normal,
    "glorot_uniform": _glorot_uniform,
    "glorot_normal": _glorot_normal,
    "he_uniform": _he_uniform,
    "he_normal": _he_normal,
    "lecun_normal": _lecun_normal,
    "orthogonal": _orthogonal,
    "zeros": _zeros,
    "constant": _constant,
}
