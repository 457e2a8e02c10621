"""Forward and backward for one batch size: buffers, and the operations that fill them, layer by layer.

Inside, samples are columns: z, a and δ are ``(units, N)``, and an input has one more row, of ones, for the bias.

    z = [W; b]ᵀ·[a; 1]      ∂L/∂[W; b] = [a; 1]·δᵀ      upstream = Wˡ⁺¹·δˡ⁺¹      δ = upstream ⊙ gate
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bptui.engine.base import Batch
from bptui.engine.dropout import Dropout
from bptui.engine.numpy.activations import ACTIVATIONS
from bptui.engine.numpy.blas import BLAS
from bptui.engine.numpy.losses import FUSED, LOSSES, weighed
from bptui.engine.numpy.operations import Array, Operation
from bptui.engine.numpy.optimisers import Direct
from bptui.engine.numpy.parameters import Block, Parameters
from bptui.spec.experiment import Layer, Loss
from bptui.spec.layers.base import activation_of, dropout_of


class LayerTape:
    """One layer over N samples: its arrays by the names of ``base.Kind``, and its two lists of operations."""

    def __init__(self, layer: Layer, block: Block, parameters: Parameters, source: Array, rows: int) -> None:
        """``source``: the input with its ones, ``(inputs + 1, N)``."""
        dtype = source.dtype
        self.source = source
        self.with_ones = np.ones((block.units + 1, rows), dtype)
        self.a = self.with_ones[: block.units]
        activation = activation_of(layer)
        plain, whole = activation == "identity", not dropout_of(layer)
        self.z = self.a if plain and whole else np.empty_like(self.a)
        self.h = self.a if whole else (self.z if plain else np.empty_like(self.a))  # g(z), before dropout
        self.gate: Array | None = None if plain and whole else np.empty_like(self.a)
        self.mask: Array | None = None if whole else np.empty_like(self.a)
        self.delta = np.empty_like(self.a)
        self.upstream = self.delta if self.gate is None else np.empty_like(self.a)
        self.block, self.weight = block, block.weight(parameters.values)
        #: ∂L/∂[W; b] of this layer, put into its place of the flat gradient.
        self.gradient: Operation = partial(np.dot, source, self.delta.T, block.of(parameters.gradient))
        self.forward: list[Operation] = [partial(np.dot, block.of(parameters.values).T, source, self.z)]
        self._gating: list[Operation] = []
        if not plain:
            assert self.gate is not None
            values, gating = ACTIVATIONS[activation](self.z, self.h, self.gate)
            self.forward += values
            self._gating += gating
        if self.mask is not None:
            assert self.gate is not None
            self.forward.append(partial(np.multiply, self.h, self.mask, self.a))
            self._gating.append(
                partial(np.copyto, self.gate, self.mask)
                if plain
                else partial(np.multiply, self.gate, self.mask, self.gate)
            )

    def backward(self, above: LayerTape | None) -> list[Operation]:
        """δ from the layer ``above`` (None: the loss has left ``upstream``)."""
        operations: list[Operation] = []
        if above is not None:
            operations.append(partial(np.dot, above.weight, above.delta, self.upstream))
        if self.gate is not None:
            operations += [*self._gating, partial(np.multiply, self.upstream, self.gate, self.delta)]
        return operations


class Tape:
    """The whole network over N samples."""

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss,
        parameters: Parameters,
        dropouts: Sequence[Dropout | None],
        rows: int,
        weighted: bool = False,
    ) -> None:
        """``weighted``: each batch says how much each of its samples counts."""
        features = parameters.blocks[0].inputs
        self.rows = rows
        x_with_ones = np.ones((rows, features + 1), parameters.values.dtype)
        self.x = x_with_ones[:, :features]
        self.layers: list[LayerTape] = []
        source = x_with_ones.T
        for layer, block in zip(layers, parameters.blocks, strict=True):
            self.layers.append(LayerTape(layer, block, parameters, source, rows))
            source = self.layers[-1].with_ones
        last = self.layers[-1]
        kind = str(loss.__struct_config__.tag)
        self.loss = LOSSES[kind](loss, last.a, last.upstream)
        self.weights: Array | None = None
        if weighted:
            self.loss, self.weights = weighed(self.loss, last.upstream)
        #: A fused loss gives δ of the last layer whole.
        self.fused = kind in FUSED and last.gate is None
        self.forward = [tape.forward for tape in self.layers]
        self.backward = [
            tape.backward(above) for tape, above in zip(self.layers, [*self.layers[1:], None], strict=True)
        ]
        self._masks = [
            (tape.mask.T, dropout)
            for tape, dropout in zip(self.layers, dropouts, strict=True)
            if tape.mask is not None and dropout is not None
        ]
        #: The same operations in one row, for a step without a stop.
        self.to_loss = [operation for layer in self.forward for operation in layer] + self.loss.operations
        self.to_deltas = [operation for layer in reversed(self.backward) for operation in layer]
        self.gradients = [tape.gradient for tape in self.layers]
        self._way: Direct | None = None
        self._products: list[Operation] = []

    def products(self, way: Direct) -> list[Operation]:
        """The product of each layer's gradient, made not into the gradient but into what the optimiser names."""
        if self._way is not way:
            self._way = way
            self._products = [
                BLAS.product(tape.source, tape.delta.T, tape.block.of(way.target), way.alpha, way.beta)
                for tape in self.layers
            ]
        return self._products

    def load(self, batch: Batch, step: int, first: int) -> None:
        """Take a batch; masks are those of samples ``first`` … of ``step``."""
        np.copyto(self.x, batch.x)
        self.loss.load(batch.y)
        if self.weights is not None and batch.weights is not None:
            np.copyto(self.weights, batch.weights)
        for mask, dropout in self._masks:
            np.copyto(mask, dropout.mask(step, self.rows, first))


def outputs(layers: Sequence[Layer], parameters: Parameters, x: Array) -> Array:
    """Outputs ``(N, outputs)`` without dropout, in buffers of their own."""
    *_, (_, a) = passes(layers, parameters, x)
    return np.array(a, order="C")


def passes(layers: Sequence[Layer], parameters: Parameters, x: Array) -> Iterator[tuple[Array, Array]]:
    """z and a ``(N, units)`` of each layer without dropout, in buffers of their own."""
    rows = len(x)
    ones = np.ones((rows, x.shape[1] + 1), parameters.values.dtype)
    ones[:, :-1] = x
    source = ones.T
    for layer, block in zip(layers, parameters.blocks, strict=True):
        with_ones = np.ones((block.units + 1, rows), source.dtype)
        h = with_ones[: block.units]
        activation = activation_of(layer)
        z = h if activation == "identity" else np.empty_like(h)
        np.dot(block.of(parameters.values).T, source, out=z)
        if activation != "identity":
            for operation in ACTIVATIONS[activation](z, h, np.empty_like(h))[0]:
                operation()
        yield z.T, h.T
        source = with_ones
