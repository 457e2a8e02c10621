"""One layer of a graph over one batch: the node's z, then activation and dropout, and the way back."""

from __future__ import annotations

import numpy as np

from bptui.engine.numpy.activations import ACTIVATIONS
from bptui.engine.numpy.nodes.base import Array, Context, Node, beyond_of
from bptui.engine.numpy.operations import Operation, run
from bptui.spec.base import Activation
from bptui.spec.layers.base import Shape

#: Shapes of z for which the buffers of an activation are kept: the whole batch, the short last one.
KEPT = 2


class _Prepared:
    """An activation over arrays of one shape."""

    def __init__(self, activation: Activation, z: Array) -> None:
        self.z, self.h, self.gate = np.empty_like(z), np.empty_like(z), np.empty_like(z)
        forward, backward = ACTIVATIONS[activation](self.z, self.h, self.gate)
        self.forward: list[Operation] = [*forward]
        self.backward: list[Operation] = [*backward]


class Station:
    """A node, and what the present step has left, by the names of ``base.Kind``."""

    def __init__(self, node: Node, activation: Activation) -> None:
        self.node, self.activation = node, activation
        self._prepared: dict[Shape, _Prepared] = {}
        self._now: _Prepared | None = None
        self.forget()

    def forget(self) -> None:
        """Drop every array of a step."""
        self.z: Array | None = None
        self.h: Array | None = None  # g(z), before dropout
        self.a: Array | None = None
        self.gate: Array | None = None
        self.mask: Array | None = None
        self.delta: Array | None = None
        self.upstream: Array | None = None
        self.beyond: Array | None = None

    def forward(
        self, sources: tuple[Array, ...], context: Context, mask: Array | None, ends: Array | None = None
    ) -> Array:
        """a = g(z) ⊙ mask, ``(N, *shape)``; of sequences of ``ends`` (N,) steps all that lies beyond is 0."""
        z = self.node.forward(sources, context)
        self.beyond = beyond = None if ends is None else beyond_of(ends, z.shape[1])
        if beyond is not None:
            z[beyond] = 0.0
        if self.activation == "identity":
            self.z = self.h = z
        else:
            self._now = self._for(z)
            np.copyto(self._now.z, z)
            run(self._now.forward)
            self.z, self.h = self._now.z, self._now.h
            if beyond is not None:
                self.h[beyond] = 0.0  # where g(0) is not
        self.mask = mask
        self.a = self.h if mask is None else self.h * mask
        return self.a

    def backward(self, upstream: Array, wanted: bool) -> tuple[Array | None, ...]:
        """δ = upstream ⊙ gate, then the parameters' gradients; gives ∂L/∂source of each input if ``wanted``."""
        self.upstream, self.gate = upstream, self.mask
        if self.activation != "identity":
            assert self._now is not None
            run(self._now.backward)
            self.gate = self._now.gate if self.mask is None else self._now.gate * self.mask
        self.delta = upstream if self.gate is None else upstream * self.gate
        if self.beyond is not None:
            self.delta = np.array(upstream) if self.gate is None else self.delta
            self.delta[self.beyond] = 0.0
        return self.node.backward(self.delta, wanted)

    def real(self, array: Array) -> Array:
        """Of z, a or δ what stands for something: without the places beyond each sample's end, (steps, units)."""
        return array if self.beyond is None else array[~self.beyond]

    def _for(self, z: Array) -> _Prepared:
        found = self._prepared.pop(z.shape, None) or _Prepared(self.activation, z)
        while len(self._prepared) >= KEPT:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[z.shape] = found
        return found


def contribute(totals: list[Array | None], owned: list[bool], layer: int, part: Array) -> None:
    """One reader's share of ∂L/∂a of ``layer``; arrays that others hold are not written to."""
    total = totals[layer]
    if total is None:
        totals[layer], owned[layer] = part, False
    elif owned[layer]:
        total += part
    else:
        totals[layer], owned[layer] = total + part, True
