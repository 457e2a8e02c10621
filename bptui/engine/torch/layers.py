"""One layer of the torch engine over one batch: z by its kind's function, activation and dropout, and the way back.

Inputs and parameters are detached leaves, so a layer's graph is its own and backward is one call for one layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from bptui.engine.torch.activations import ACTIVATIONS, GATES
from bptui.engine.torch.kinds import BACKWARD, FORWARD
from bptui.engine.torch.kinds.base import Context, beyond_of, ended
from bptui.spec.layers.base import activation_of
from bptui.spec.shapes import Ends, Placed

NO_MASKS: Mapping[str, Tensor] = MappingProxyType({})


class LayerRun:
    """One layer and what the present step has left in it, by the names of ``base.Kind``."""

    def __init__(
        self, place: Placed, values: dict[str, Tensor], gradients: dict[str, Tensor], buffers: dict[str, Tensor]
    ) -> None:
        """Parameters, and the places of their gradients: views of the flat tensors."""
        self.place, self.values, self.buffers = place, values, buffers
        self.activation = activation_of(place.layer)
        self._function, self._formula = FORWARD[place.kind], BACKWARD.get(place.kind)
        self._leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        self._gradients = gradients
        self.pending: dict[str, Tensor] = {}
        self.forget()

    def forget(self) -> None:
        """Drop every tensor of a step."""
        self.z: Tensor | None = None
        self.h: Tensor | None = None  # g(z), before dropout
        self.a: Tensor | None = None
        self.gate: Tensor | None = None
        self.mask: Tensor | None = None
        self.masks: Mapping[str, Tensor] = NO_MASKS
        self.delta: Tensor | None = None
        self.upstream: Tensor | None = None
        self.gradients: dict[str, Tensor] | None = None
        self.views: dict[str, Tensor] = {}
        self.sources: tuple[Tensor, ...] = ()
        self._z_graph: Tensor | None = None
        self._h_graph: tuple[Tensor, Tensor] | None = None
        self.beyond: Tensor | None = None

    def forward(
        self, sources: tuple[Tensor, ...], mask: Tensor | None, ends: Ends, wanted: bool, masks: Mapping[str, Tensor]
    ) -> None:
        """z, and a = g(z) ⊙ mask, (N, *shape). ``wanted``: a layer below wants its part of δ.

        Of sequences that end, all beyond is 0: z, a and δ.
        """
        context = Context(self.place, True, ends.read, masks, self.pending)
        buffers = {**self.buffers, **self.pending} if self.buffers else self.buffers
        if self._formula is None:
            sources = tuple(x.detach().requires_grad_(wanted and x.is_floating_point()) for x in sources)
            self._z_graph = self._function(self.place.layer, sources, self._leaves, buffers, context)
            self.z = self._z_graph.detach()
        else:
            self.z = self._function(self.place.layer, sources, self.values, buffers, context)
        self.sources, self.views = sources, context.views
        self.beyond = beyond_of(ends.given, self.z.shape[1])
        self.z = ended(self.z, self.beyond)
        if self.activation == "identity":
            self.h = self.z
        elif self.activation in GATES:
            self.h = ACTIVATIONS[self.activation](self.z)
        else:
            leaf = self.z.detach().requires_grad_()
            h = ACTIVATIONS[self.activation](leaf)
            self._h_graph, self.h = (leaf, h), h.detach()
        if self.activation != "identity":
            self.h = ended(self.h, self.beyond)  # where g(0) is not 0
        self.mask, self.masks = mask, masks
        self.a = self.h if mask is None else self.h * mask

    def forward_alone(
        self, sources: tuple[Tensor, ...], mask: Tensor | None, ends: Ends, masks: Mapping[str, Tensor]
    ) -> None:
        """z and a of a layer through which nothing will come back."""
        self.sources = sources
        with torch.no_grad():
            self.z, self.h = self.predict(sources, ends, masks)
            self.mask, self.masks = mask, masks
            self.a = self.h if mask is None else self.h * mask

    def predict(
        self, sources: tuple[Tensor, ...], ends: Ends, masks: Mapping[str, Tensor] = NO_MASKS
    ) -> tuple[Tensor, Tensor]:
        """z, and a without dropout but that of branches by ``masks``; nothing of the step is touched."""
        context = Context(self.place, False, ends.read, masks)
        z = self._function(self.place.layer, sources, self.values, self.buffers, context)
        beyond = beyond_of(ends.given, z.shape[1])
        z = ended(z, beyond)
        return z, z if self.activation == "identity" else ended(ACTIVATIONS[self.activation](z), beyond)

    def backward(self, upstream: Tensor, wanted: bool, part: int, parts: int) -> tuple[Tensor | None, ...]:
        """δ = upstream ⊙ gate, then the parameters' gradients; gives ∂L/∂source of each input if ``wanted``.

        The gradients of several ``parts`` add up to their mean; part 0 starts anew.
        """
        self.upstream = upstream
        self.gate = self._gate()
        self.delta = ended(upstream if self.gate is None else upstream * self.gate, self.beyond)
        below: tuple[Tensor | None, ...]
        if self._formula is not None:
            into: Mapping[str, Tensor] = self._gradients
            if parts > 1:
                into = {name: torch.empty_like(place) for name, place in self._gradients.items()}
            below = (self._formula(self.sources, self.values, self.delta, into, wanted),)
        else:
            into, below = self._by_autograd(self.delta)
        for name, place in self._gradients.items():
            gradient = into[name]
            if parts > 1 and part:
                place.add_(gradient / parts)
            elif parts > 1:
                torch.div(gradient, parts, out=place)
            elif place is not gradient:
                place.copy_(gradient)
        self.gradients = self._gradients
        return below

    def real(self, tensor: Tensor) -> Tensor:
        """Of z, a or δ what stands for something: without the places beyond each sample's end, (steps, units)."""
        return tensor if self.beyond is None else tensor[~self.beyond[..., 0]]

    def _by_autograd(self, delta: Tensor) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        assert self._z_graph is not None
        sources = [x for x in self.sources if x.requires_grad]
        wanted = [*self._leaves.values(), *sources]
        if not wanted:
            return {}, (None,) * len(self.sources)
        given: tuple[Tensor | None, ...] = torch.autograd.grad(self._z_graph, wanted, delta, allow_unused=True)
        gradients = {
            name: torch.zeros_like(leaf) if found is None else found
            for (name, leaf), found in zip(self._leaves.items(), given, strict=False)
        }
        rest = iter(given[len(self._leaves) :])
        return gradients, tuple(next(rest) if x.requires_grad else None for x in self.sources)

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
