"""The dense layer: every input goes to every unit."""

from __future__ import annotations

from bptui.spec.layers.base import Geometry, Misfit, Parameter, Shape, Weighted, words


class Dense(Weighted, frozen=True, tag="dense", kw_only=True):
    """``z = aW + b``, ``a = g(z)``; W is ``(inputs, units)``. Of a sequence it takes each step by itself."""

    units: int
    """Outputs of this layer; the last layer has one a class (or one a value to predict)."""


def dense(layer: Dense, inputs: tuple[Shape, ...]) -> Geometry:
    (shape,) = inputs
    if len(shape) > 2:
        raise Misfit(f"takes rows or sequences, got {words(shape)}: add a flatten before it")
    features, units = shape[-1], layer.units
    weight = Parameter("weight", (features, units), features, units)
    return Geometry((*shape[:-1], units), (weight, Parameter("bias", (units,), begins="bias")))
