"""Layers: z from the input and the parameters as one function, and its backward by autograd.

A new kind is one function in ``FORWARD``. Inputs and parameters are detached leaves, so a layer's graph is
its own and backward is one call for one layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bptui.engine.torch.activations import ACTIVATIONS, GATES
from bptui.spec.experiment import Layer


def dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, x, weight)  # (N, inputs)·(inputs, units) + (units,)


FORWARD: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"dense": dense}


class LayerRun:
    """One layer and what the present step has left in it, by the names of ``base.Kind``."""

    def __init__(self, layer: Layer, weight: Tensor, bias: Tensor) -> None:
        """``weight`` and ``bias`` are leaves that share the memory of the flat parameters."""
        self._function = FORWARD[str(layer.__struct_config__.tag)]
        self.activation = layer.activation
        self.weight, self.bias = weight, bias
        self.forget()

    def forget(self) -> None:
        """Drop the graph and every tensor of a step."""
        self.a: Tensor | None = None
        self.h: Tensor | None = None
        self.gate: Tensor | None = None
        self.mask: Tensor | None = None
        self.delta: Tensor | None = None
        self.upstream: Tensor | None = None
        self.weight_gradient: Tensor | None = None
        self.bias_gradient: Tensor | None = None
        self._graph: tuple[Tensor, ...] = ()

    @property
    def z(self) -> Tensor | None:
        return self._z if self.a is not None else None

    def forward(self, x: Tensor, mask: Tensor | None, wants_upstream: bool) -> Tensor:
        """a = g(z) ⊙ mask, (N, units). ``wants_upstream``: there is a layer below that needs its part of δ."""
        source = x.requires_grad_() if wants_upstream else x
        z = self._function(source, self.weight, self.bias)
        self._graph = (z, self.weight, self.bias, source) if wants_upstream else (z, self.weight, self.bias)
        self._z = z.detach()
        if self.activation == "identity":
            self.h = self._z
        elif self.activation in GATES:
            self.h = ACTIVATIONS[self.activation](self._z)
        else:
            self._h_graph = ACTIVATIONS[self.activation](self._z.requires_grad_())
            self.h = self._h_graph.detach()
        self.mask = mask
        self.a = self.h if mask is None else self.h * mask
        return self.a

    def backward(self, upstream: Tensor) -> Tensor | None:
        """δ = upstream ⊙ gate, then ∂L/∂W and ∂L/∂b; returns δWᵀ for the layer below, if it wants it."""
        self.upstream = upstream
        self.gate = self._gate()
        self.delta = upstream if self.gate is None else upstream * self.gate
        z, *leaves = self._graph
        self.weight_gradient, self.bias_gradient, *rest = torch.autograd.grad(z, leaves, self.delta)
        self._graph = ()
        return rest[0] if rest else None

    def _gate(self) -> Tensor | None:
        """g′(z), dropout's mask included; None where it is 1."""
        if self.activation == "identity":
            return self.mask
        assert self.h is not None
        if self.activation in GATES:
            gate = GATES[self.activation](self.h)
        else:
            (gate,) = torch.autograd.grad(self._h_graph, self._z, torch.ones_like(self._h_graph))
        return gate if self.mask is None else gate * self.mask
