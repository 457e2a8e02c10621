"""Layer norm and RMS norm: x̂ over the last axis, then scale and shift.

    layer  x̂ = (x − μ)·r, r = 1/√(σ² + ε)   ∂L/∂x = r·(d − mean(d) − x̂·mean(d⊙x̂)),  d = δ⊙w
    rms    x̂ = x·r,       r = 1/√(mean(x²) + ε)   ∂L/∂x = r·(d − x̂·mean(d⊙x̂))

Sums are products with a vector of ones or of the weights, which BLAS does in a fraction of the time of ``np.sum`` over
short rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.engine.numpy.buffers import Buffers
from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.spec.shapes import Placed


class Held(NamedTuple):
    """Of so many rows."""

    normal: Array  # x̂, (rows, F)
    y: Array
    product: Array
    below: Array
    ones: Array  # (rows,)


class FeatureNorm:
    """The arithmetic, for any layer that has a norm inside; ``bias`` is None for RMS norm.

    What it gives it overwrites at the next pass.
    """

    def __init__(
        self, eps: float, weight: Array, bias: Array | None, weight_gradient: Array, bias_gradient: Array | None
    ) -> None:
        self._eps, self._weight, self._bias = eps, weight, bias
        self._weight_gradient, self._bias_gradient = weight_gradient, bias_gradient
        self._mean = np.full(len(weight), 1.0 / len(weight), weight.dtype)
        self._buffers: Buffers[Held] = Buffers(self._make)
        self._now: Held | None = None

    def _make(self, rows: int, dtype: npt.DTypeLike) -> Held:
        shape = rows, len(self._weight)
        normal, y, product, below = (np.empty(shape, dtype) for _ in range(4))
        return Held(normal, y, product, below, np.ones(rows, dtype))

    @classmethod
    def of(
        cls, eps: float, values: Mapping[str, Array], gradients: Mapping[str, Array], prefix: str = ""
    ) -> FeatureNorm:
        """With the parameters ``<prefix>weight`` and, where there is one, ``<prefix>bias``."""
        weight, bias = f"{prefix}weight", f"{prefix}bias"
        return cls(eps, values[weight], values.get(bias), gradients[weight], gradients.get(bias))

    def forward(self, x: Array) -> Array:
        """(…, F) → (…, F)."""
        rows = x.reshape(-1, x.shape[-1])
        self._now = held = self._buffers.of(rows)
        centred = rows
        if self._bias is not None:
            centred = np.subtract(rows, np.dot(rows, self._mean)[:, None], held.normal)
        np.multiply(centred, centred, held.product)
        power = np.dot(held.product, self._mean)
        power += self._eps
        self._scale = (1.0 / np.sqrt(power))[:, None]  # (rows, 1)
        np.multiply(centred, self._scale, held.normal)
        np.multiply(held.normal, self._weight, held.y)
        if self._bias is not None:
            np.add(held.y, self._bias, held.y)
        return held.y.reshape(x.shape)

    def backward(self, delta: Array, wanted: bool) -> Array | None:
        """The parameters' gradients; ∂L/∂x if wanted."""
        held = self._now
        assert held is not None
        rows = np.ascontiguousarray(delta).reshape(-1, delta.shape[-1])
        product, below = held.product, held.below
        np.multiply(rows, held.normal, product)
        np.dot(held.ones, product, self._weight_gradient)
        if self._bias_gradient is not None:
            np.dot(held.ones, rows, self._bias_gradient)
        if not wanted:
            return None
        share = self._weight * self._mean
        along = np.dot(product, share)  # mean(d⊙x̂)
        np.multiply(rows, self._weight, below)
        np.multiply(held.normal, along[:, None], product)
        np.subtract(below, product, below)
        if self._bias is not None:
            np.subtract(below, np.dot(rows, share)[:, None], below)
        np.multiply(below, self._scale, below)
        return below.reshape(delta.shape)


class FeatureNormLayer(Node):
    """layer_norm and rms_norm."""

    def __init__(
        self, place: Placed, values: Mapping[str, Array], gradients: Mapping[str, Array], buffers: Mapping[str, Array]
    ) -> None:
        super().__init__(place, values, gradients, buffers)
        layer = self.layer
        self._norm = FeatureNorm.of(layer.eps, values, gradients)

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        return self._norm.forward(sources[0])

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        return (self._norm.backward(delta, wanted),)
