"""Recurrent layers and pooling over time: sequences ``(T, F)`` in, ``(T, units)`` or ``(units,)`` out.

Where samples are of different lengths, a layer reads each to its own end: what lies beyond is neither read nor
written (the output there is 0), and the state that counts as last is that of the last real step.
"""

from __future__ import annotations

from typing import Literal

from bptui.spec.layers.base import Activated, Geometry, Misfit, Parameter, Shape, Weighted, words

#: How many blocks of ``units`` columns a kind's weights have.
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Recurrent(Weighted, frozen=True, kw_only=True):
    """Fields that every recurrent layer has."""

    units: int
    """Values of the state; a bidirectional layer gives twice as many."""
    layers: int = 1
    """How many are stacked, each reading the states of the one below."""
    bidirectional: bool = False
    """Whether a second one reads the sequence backwards; the states of both are given side by side."""
    returns: Literal["sequence", "last"] = "sequence"
    """``sequence``: the state at each step (many to many); ``last``: the one after the last step (many to one)."""


class RNN(Recurrent, frozen=True, tag="rnn", kw_only=True):
    """``h_t = φ(x_t·W_ih + b_ih + h_{t−1}·W_hh + b_hh)``; torch's ``RNN``."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """φ; relu remembers longer and may explode."""


class LSTM(Recurrent, frozen=True, tag="lstm", kw_only=True):
    """Gates i, f, o and a cell ``c_t = f⊙c_{t−1} + i⊙g``, ``h_t = o⊙tanh(c_t)``; torch's ``LSTM``."""

    forget_bias: float = 1.0
    """Where the bias of the forget gate begins; 1 lets a cell keep what it holds until training says otherwise."""


class GRU(Recurrent, frozen=True, tag="gru", kw_only=True):
    """Gates r and z, ``n = tanh(x·W + b + r⊙(h·U + c))``, ``h_t = (1−z)⊙n + z⊙h_{t−1}``; torch's ``GRU``."""


class TimePool(Activated, frozen=True, tag="time_pool", kw_only=True):
    """One vector of a sequence: (T, F) → (F,); only real steps count."""

    how: Literal["mean", "max", "last"] = "mean"
    """Mean or largest value of each feature over time, or the last step's."""


def recurrent(layer: Recurrent, inputs: tuple[Shape, ...]) -> Geometry:
    """Parameters as torch names them, matrices turned: ``weight_ih_l0`` is (F, gates·units)."""
    steps, features = sequence(inputs[0])
    kind = str(layer.__struct_config__.tag)
    if layer.units < 1 or layer.layers < 1:
        raise Misfit("needs at least 1 unit and 1 layer")
    width, sides = GATES[kind] * layer.units, ("", "_reverse") if layer.bidirectional else ("",)
    parameters = []
    for level in range(layer.layers):
        below = features if level == 0 else layer.units * len(sides)
        for side in sides:
            end = f"l{level}{side}"
            parameters += [
                Parameter(f"weight_ih_{end}", (below, width), below, layer.units),
                Parameter(f"weight_hh_{end}", (layer.units, width), layer.units, layer.units, "orthogonal"),
                Parameter(f"bias_ih_{end}", (width,), below, layer.units, "forget" if kind == "lstm" else "bias"),
                Parameter(f"bias_hh_{end}", (width,), layer.units, layer.units, "zeros"),
            ]
    out = layer.units * len(sides)
    return Geometry((out,) if layer.returns == "last" else (steps, out), tuple(parameters))


def time_pool(layer: TimePool, inputs: tuple[Shape, ...]) -> Geometry:
    return Geometry((sequence(inputs[0])[1],))


def sequence(shape: Shape) -> tuple[int, int]:
    """(steps, features) of a shape; Misfit where it is none of a sequence of vectors."""
    if len(shape) == 1:
        raise Misfit(f"needs sequences T×F, got {shape[0]}; tokens need an embedding before")
    if len(shape) != 2:
        raise Misfit(f"needs sequences T×F, got {words(shape)}")
    return shape[0], shape[1]
