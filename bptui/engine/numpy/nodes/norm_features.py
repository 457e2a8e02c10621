"""Layer norm and RMS norm: x̂ over the last axis, then scale and shift.

    layer  x̂ = (x − μ)·r, r = 1/√(σ² + ε)   ∂L/∂x = r·(d − mean(d) − x̂·mean(d⊙x̂)),  d = δ⊙w
    rms    x̂ = x·r,       r = 1/√(mean(x²) + ε)   ∂L/∂x = r·(d − x̂·mean(d⊙x̂))
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.spec.shapes import Placed


class FeatureNorm:
    """The arithmetic, for any layer that has a norm inside; ``bias`` is None for RMS norm."""

    def __init__(
        self, eps: float, weight: Array, bias: Array | None, weight_gradient: Array, bias_gradient: Array | None
    ) -> None:
        self._eps, self._weight, self._bias = eps, weight, bias
        self._weight_gradient, self._bias_gradient = weight_gradient, bias_gradient

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
        features = rows.shape[1]
        if self._bias is not None:
            rows = rows - (rows.sum(axis=1, keepdims=True) / features)
        power = np.einsum("ij,ij->i", rows, rows)
        power /= features
        power += self._eps
        self._scale = (1.0 / np.sqrt(power))[:, None]  # (rows, 1)
        self._normal = rows * self._scale
        y = self._normal * self._weight
        if self._bias is not None:
            y += self._bias
        return np.asarray(y.reshape(x.shape))

    def backward(self, delta: Array, wanted: bool) -> Array | None:
        """The parameters' gradients; ∂L/∂x if wanted."""
        rows, normal = delta.reshape(-1, delta.shape[-1]), self._normal
        np.einsum("ij,ij->j", rows, normal, out=self._weight_gradient)
        if self._bias_gradient is not None:
            np.sum(rows, axis=0, out=self._bias_gradient)
        if not wanted:
            return None
        features = rows.shape[1]
        d = rows * self._weight
        along = np.einsum("ij,ij->i", d, normal)[:, None]
        along /= features
        if self._bias is not None:
            d -= d.sum(axis=1, keepdims=True) / features
        d -= normal * along
        d *= self._scale
        return d.reshape(delta.shape)


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
