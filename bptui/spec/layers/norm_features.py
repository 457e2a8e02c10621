"""Normalisation over the features of each step or sample: the last axis of (F,) or (T, F)."""

from __future__ import annotations

from bptui.spec.layers.base import Activated, Geometry, Misfit, Parameter, Shape, words


class LayerNorm(Activated, frozen=True, tag="layer_norm", kw_only=True):
    """``(x − mean)/σ · w + b`` over the features; torch's ``LayerNorm``."""

    eps: float = 1e-5
    """Added to the variance, so that it is never 0."""


class RMSNorm(Activated, frozen=True, tag="rms_norm", kw_only=True):
    """``x/√mean(x²) · w`` over the features; torch's ``RMSNorm``."""

    eps: float = 1e-6
    """Added to the mean square, so that it is never 0."""


def layer_norm(layer: LayerNorm, inputs: tuple[Shape, ...]) -> Geometry:
    features = _features(inputs[0])
    scale, shift = norm_parameters(features, "layer")
    return Geometry(inputs[0], (scale, shift))


def rms_norm(layer: RMSNorm, inputs: tuple[Shape, ...]) -> Geometry:
    return Geometry(inputs[0], norm_parameters(_features(inputs[0]), "rms"))


def norm_parameters(features: int, kind: str, prefix: str = "") -> tuple[Parameter, ...]:
    """Scale and, of a layer norm, shift."""
    scale = Parameter(f"{prefix}weight", (features,), features, features, "ones")
    shift = Parameter(f"{prefix}bias", (features,), features, features, "zeros")
    return (scale, shift) if kind == "layer" else (scale,)


def _features(shape: Shape) -> int:
    if len(shape) > 2:
        raise Misfit(f"needs F or T×F, got {words(shape)}; pictures have batch_norm and group_norm")
    return shape[-1]
