"""Initial values of a layer's parameters, drawn by the counter-based generator: the same in every engine.

Formulas are those of ``torch.nn.init``; fans are the parameter's own (of a dense W ``(inputs, units)``, its lengths).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bptui.philox import Stream
from bptui.spec.base import Initialiser
from bptui.spec.layers.base import Activated, LayerBase, Parameter, Weighted

Values = npt.NDArray[np.float64]

#: Activations that pass about half of a centred input: He et al. 2015.
RELU_LIKE = frozenset({"relu", "leaky_relu", "elu", "gelu", "silu", "softplus"})


def values(layer: LayerBase, name: str, parameter: Parameter, seed: int, again: str = "") -> Values:
    """How ``parameter`` of the layer called ``name`` begins, in float64 whatever the engine computes in.

    ``again``: for values other than the first ones, one name a time.
    """
    shape = parameter.shape
    how = layer if isinstance(layer, Weighted) else Weighted()
    if parameter.begins in ("zeros", "ones", "bias"):
        return np.full(shape, {"zeros": 0.0, "ones": 1.0, "bias": how.bias}[parameter.begins])
    if parameter.begins == "forget":
        quarters = np.zeros((4, parameter.size // 4))
        quarters[1] = getattr(layer, "forget_bias", 0.0)
        return quarters.reshape(shape)
    draw = Stream(seed, f"{name}{again}.{parameter.name}")
    if parameter.begins == "orthogonal":
        return _orthogonal_blocks(how, draw, parameter)
    begun = RULES[how.init or default(layer)](how, draw, parameter).reshape(shape)
    if parameter.begins == "padded" and (row := getattr(layer, "padding", None)) is not None:
        begun[row] = 0.0
    return begun


def default(layer: LayerBase) -> Initialiser:
    """``he_normal`` before relu-like activations, ``glorot_uniform`` elsewhere."""
    return "he_normal" if isinstance(layer, Activated) and layer.activation in RELU_LIKE else "glorot_uniform"


Rule = Callable[[Weighted, Stream, Parameter], Values]


def _within(draw: Stream, n: int, low: float, high: float) -> Values:
    return low + (high - low) * draw.uniform(0, n)


def _uniform(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return _within(draw, of.size, how.low, how.high)


def _normal(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return how.std * draw.normal(0, of.size)


def _glorot_uniform(how: Weighted, draw: Stream, of: Parameter) -> Values:
    bound = how.gain * math.sqrt(6.0 / (of.fan_in + of.fan_out))
    return _within(draw, of.size, -bound, bound)


def _glorot_normal(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return how.gain * math.sqrt(2.0 / (of.fan_in + of.fan_out)) * draw.normal(0, of.size)


def _he_uniform(how: Weighted, draw: Stream, of: Parameter) -> Values:
    bound = how.gain * math.sqrt(6.0 / of.fan_in)
    return _within(draw, of.size, -bound, bound)


def _he_normal(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return how.gain * math.sqrt(2.0 / of.fan_in) * draw.normal(0, of.size)


def _lecun_normal(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return how.gain * math.sqrt(1.0 / of.fan_in) * draw.normal(0, of.size)


def _orthogonal(how: Weighted, draw: Stream, of: Parameter) -> Values:
    """Q of a QR of a normal matrix, with R's diagonal made positive so that Q is spread evenly (Saxe et al. 2013).

    The matrix has the first axis and all the others, as in ``torch.nn.init.orthogonal_``.
    """
    rows = of.shape[0]
    return how.gain * _spread(draw.normal(0, of.size), rows, of.size // rows)


def _spread(numbers: Values, rows: int, columns: int) -> Values:
    q, r = np.linalg.qr(numbers.reshape(max(rows, columns), min(rows, columns)))
    q *= np.where(np.diagonal(r) < 0.0, -1.0, 1.0)
    return np.asarray(q if rows >= columns else q.T, dtype=np.float64)


def _orthogonal_blocks(how: Weighted, draw: Stream, of: Parameter) -> Values:
    """Of ``(rows, k·rows)`` each of the k squares orthogonal, as the gates of a recurrent layer; else the whole."""
    rows, columns = of.shape
    width = rows if columns % rows == 0 else columns
    numbers = draw.normal(0, of.size)
    count = rows * width
    blocks = [_spread(numbers[i : i + count], rows, width) for i in range(0, of.size, count)]
    return how.gain * np.concatenate(blocks, axis=1)


def _zeros(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return np.zeros(of.size)


def _constant(how: Weighted, draw: Stream, of: Parameter) -> Values:
    return np.full(of.size, how.value, dtype=np.float64)


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
