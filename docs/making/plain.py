"""A dense network in plain Python: lists of floats and nothing else, a line of code a line of the derivation.

Matrices are lists of rows. It is slow, and meant to be read beside ``docs/backprop.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

Vector = list[float]
Matrix = list[Vector]
Function = Callable[[float], float]


def sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


#: Activation → (g, g′), both functions of z.
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "identity": (lambda z: z, lambda z: 1.0),
    "relu": (lambda z: max(0.0, z), lambda z: 1.0 if z > 0 else 0.0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1.0 - sigmoid(z))),
    "tanh": (math.tanh, lambda z: 1.0 - math.tanh(z) ** 2),
}


def product(a: Matrix, b: Matrix) -> Matrix:
    """a b, (n, k) times (k, m)."""
    columns = list(zip(*b, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


def transpose(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def each(function: Callable[..., float], *matrices: Matrix) -> Matrix:
    """A function of the elements at each place."""
    return [[function(*items) for items in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


@dataclass
class Pass:
    """What one batch gave: per layer z, a, the two factors of δ, δ, ∂L/∂W, ∂L/∂b. ``loss`` is the batch's mean."""

    x: Matrix
    y: Matrix
    loss: float = 0.0
    z: list[Matrix] = field(default_factory=list)
    a: list[Matrix] = field(default_factory=list)
    p: Matrix = field(default_factory=list)
    upstream: list[Matrix | None] = field(default_factory=list)
    gate: list[Matrix | None] = field(default_factory=list)
    delta: list[Matrix] = field(default_factory=list)
    grad_W: list[Matrix] = field(default_factory=list)
    grad_b: list[Vector] = field(default_factory=list)


class PlainNetwork:
    """Dense layers, then a sigmoid fused with binary cross-entropy; gradient descent with momentum."""

    def __init__(self, weights: list[Matrix], biases: list[Vector], activations: list[str]) -> None:
        self.W = [[list(row) for row in weight] for weight in weights]
        self.b = [list(bias) for bias in biases]
        self.activations = activations
        self.velocity: list[tuple[Matrix, Vector]] | None = None

    def run(self, x: Matrix, y: Matrix) -> Pass:
        """Forward and backward of one batch: ``x`` (N, features), ``y`` (N, 1) of zeros and ones."""
        step, n = Pass(x, y), len(x)
        a = x
        for weight, bias, name in zip(self.W, self.b, self.activations, strict=True):
            z = [[s + c for s, c in zip(row, bias, strict=True)] for row in product(a, weight)]  # zˡ = aˡ⁻¹Wˡ + bˡ
            a = each(ACTIVATIONS[name][0], z)  # aˡ = g(zˡ)
            step.z.append(z)
            step.a.append(a)
        step.p = each(sigmoid, step.z[-1])
        step.loss = sum(_loss(z[0], t[0]) for z, t in zip(step.z[-1], y, strict=True)) / n
        delta = each(lambda p, t: (p - t) / n, step.p, y)  # δᴸ = (p − y)/N
        layers = range(len(self.W))
        for layer in reversed(layers):
            upstream = gate = None
            if layer < len(self.W) - 1:
                slope = ACTIVATIONS[self.activations[layer]][1]
                upstream = product(delta, transpose(self.W[layer + 1]))  # δˡ⁺¹Wˡ⁺¹ᵀ
                gate = each(slope, step.z[layer])  # g′(zˡ)
                delta = each(lambda u, g: u * g, upstream, gate)
            before = step.a[layer - 1] if layer else x
            step.upstream.insert(0, upstream)
            step.gate.insert(0, gate)
            step.delta.insert(0, delta)
            step.grad_W.insert(0, product(transpose(before), delta))  # ∂L/∂Wˡ = aˡ⁻¹ᵀδˡ
            step.grad_b.insert(0, [sum(column) for column in zip(*delta, strict=True)])  # Σₙ δˡₙ
        return step

    def update(self, step: Pass, lr: float, momentum: float = 0.0) -> None:
        """v ← μv + ∇; W ← W − ηv (the first v is the gradient itself)."""
        gradients = list(zip(step.grad_W, step.grad_b, strict=True))
        if self.velocity is None:
            self.velocity = [([[0.0] * len(g[0]) for _ in g], [0.0] * len(h)) for g, h in gradients]
        self.velocity = [
            (each(lambda v, g: momentum * v + g, v, g), [momentum * v + g for v, g in zip(u, h, strict=True)])
            for (v, u), (g, h) in zip(self.velocity, gradients, strict=True)
        ]
        for layer, (v, u) in enumerate(self.velocity):
            self.W[layer] = each(lambda w, v: w - lr * v, self.W[layer], v)
            self.b[layer] = [c - lr * v for c, v in zip(self.b[layer], u, strict=True)]


def _loss(z: float, y: float) -> float:
    """−[y·log p + (1 − y)·log(1 − p)] with p = σ(z), written so that no logarithm of 0 is taken."""
    return max(z, 0.0) - z * y + math.log1p(math.exp(-abs(z)))
