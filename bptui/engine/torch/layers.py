"""Layers: z from the input and the parameters as one function, and its backward by autograd.

A new kind is one function in ``FORWARD``. Inputs and parameters are detached leaves, so a layer's graph is
its own and backward is one call for one layer. Where the formula is short, a row of ``BACKWARD`` may say it:
on a small layer autograd costs four times the arithmetic (45 µs against 9 µs).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bptui.engine.torch.activations import ACTIVATIONS, GATES
from bptui.spec.experiment import Layer


def dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, x, weight)  # (N, inputs)·(inputs, units) + (units,)


def dense_backward(x: Tensor, weight: Tensor, delta: Tensor, into: tuple[Tensor, Tensor], down: bool) -> Tensor | None:
    torch.mm(x.t(), delta, out=into[0])  # ∂L/∂W, (inputs, units)
    torch.sum(delta, 0, out=into[1])  # ∂L/∂b, (units,)
    return torch.mm(delta, weight.t()) if down else None  # (N, inputs)


FORWARD: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"dense": dense}
#: (input, W, δ, places of ∂L/∂W and ∂L/∂b, whether δWᵀ is wanted) → δWᵀ.
BACKWARD: dict[str, Callable[[Tensor, Tensor, Tensor, tuple[Tensor, Tensor], bool], Tensor | None]] = {
    "dense": dense_backward
}


class LayerRun:
    """One layer and what the present step has left in it, by the names of ``base.Kind``."""

    def __init__(self, layer: Layer, values: tuple[Tensor, Tensor], gradients: tuple[Tensor, Tensor]) -> None:
        """W and b, and the places of their gradients: views of the flat tensors."""
        kind = str(layer.__struct_config__.tag)
        self._function, self._formula = FORWARD[kind], BACKWARD.get(kind)
        self.activation = layer.activation
        self.weight, self.bias = values
        self._leaves = (self.weight.detach().requires_grad_(), self.bias.detach().requires_grad_())
        self._gradients = gradients
        self.forget()

    def forget(self) -> None:
        """Drop every tensor of a step."""
        self.z: Tensor | None = None
        self.h: Tensor | None = None  # g(z), before dropout
        self.a: Tensor | None = None
        self.gate: Tensor | None = None
        self.mask: Tensor | None = None
        self.delta: Tensor | None = None
        self.upstream: Tensor | None = None
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None
        self._source: Tensor | None = None
        self._z_graph: Tensor | None = None
        self._h_graph: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, mask: Tensor | None, down: bool) -> None:
        """z, and a = g(z) ⊙ mask, (N, units). ``down``: there is a layer below that wants its part of δ."""
        if self._formula is None:
            x = x.detach().requires_grad_(down)
            self._z_graph = self._function(x, *self._leaves)
            self.z = self._z_graph.detach()
        else:
            self.z = self._function(x, self.weight, self.bias)
        self._source = x
        if self.activation == "identity":
            self.h = self.z
        elif self.activation in GATES:
            self.h = ACTIVATIONS[self.activation](self.z)
        else:
            leaf = self.z.detach().requires_grad_()
            h = ACTIVATIONS[self.activation](leaf)
            self._h_graph, self.h = (leaf, h), h.detach()
        self.mask = mask
        self.a = self.h if mask is None else self.h * mask

    def backward(self, upstream: Tensor, down: bool, part: int, parts: int) -> Tensor | None:
        """δ = upstream ⊙ gate, then ∂L/∂W and ∂L/∂b; returns δWᵀ if the layer below wants it.

        The gradients of several ``parts`` add up to their mean; part 0 starts anew.
        """
        assert self._source is not None
        self.upstream = upstream
        self.gate = self._gate()
        self.delta = upstream if self.gate is None else upstream * self.gate
        below: Tensor | None = None
        if self._formula is not None:
            into = self._gradients
            if parts > 1:
                into = (torch.empty_like(into[0]), torch.empty_like(into[1]))
            below = self._formula(self._source, self.weight, self.delta, into, down)
        else:
            assert self._z_graph is not None
            wanted = (*self._leaves, self._source) if down else self._leaves
            dw, db, *rest = torch.autograd.grad(self._z_graph, wanted, self.delta)
            into, below = (dw, db), (rest[0] if rest else None)
        for place, gradient in zip(self._gradients, into, strict=True):
            if parts > 1 and part:
                place.add_(gradient / parts)
            elif parts > 1:
                torch.div(gradient, parts, out=place)
            elif place is not gradient:
                place.copy_(gradient)
        self.weight_gradient, self.bias_gradient = self._gradients
        return below

    def _gate(self) -> Tensor | None:
        """g′(z), dropout's mask included; None where it is 1."""
        if self.activation == "identity":
            return self.mask
        assert self.h is not None
        if self.activation in GATES:
            gate = GATES[self.activation](self.h)
        else:
            assert self._h_graph is not None
            leaf, h = self._h_graph
            (gate,) = torch.autograd.grad(h, leaf, torch.ones_like(h))
        return gate if self.mask is None else gate * self.mask
