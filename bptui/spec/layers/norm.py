"""Normalisation over the batch or over groups of channels; definitions and defaults are torch's."""

from __future__ import annotations

from bptui.spec.layers.base import Activated, Geometry, Misfit, Parameter, Shape


class BatchNorm(Activated, frozen=True, tag="batch_norm", kw_only=True):
    """``z = γ·(x − μ)/√(σ² + eps) + β`` a channel: μ, σ² of the batch in training, running means of them elsewhere."""

    momentum: float = 0.1
    """Share of each batch's mean and variance that goes into the running ones."""
    eps: float = 1e-5
    """Added to the variance, so that the divisor is never 0."""


class GroupNorm(Activated, frozen=True, tag="group_norm", kw_only=True):
    """``z = γ·(x − μ)/√(σ² + eps) + β``: μ, σ² of each sample's groups of channels, in training and elsewhere alike."""

    groups: int = 1
    """Parts into which the channels fall; 1: all together, as many as channels: each by itself."""
    eps: float = 1e-5
    """Added to the variance, so that the divisor is never 0."""


def _affine(channels: int) -> tuple[Parameter, Parameter]:
    return Parameter("weight", (channels,), begins="ones"), Parameter("bias", (channels,), begins="zeros")


def _channels(shape: Shape) -> tuple[int, int]:
    """(channels, their axis)."""
    axis = 0 if len(shape) == 3 else -1
    return shape[axis], axis


def _positive(eps: float) -> None:
    if not 0.0 < eps < 1.0:
        raise Misfit(f"expected above 0 and below 1, got {eps!r}", "eps")


def batch_norm(layer: BatchNorm, inputs: tuple[Shape, ...]) -> Geometry:
    channels, axis = _channels(inputs[0])
    _positive(layer.eps)
    if not 0.0 < layer.momentum <= 1.0:
        raise Misfit(f"expected above 0 and at most 1, got {layer.momentum!r}", "momentum")
    running = (
        Parameter("running_mean", (channels,), begins="zeros"),
        Parameter("running_var", (channels,), begins="ones"),
    )
    return Geometry(inputs[0], _affine(channels), running, axis)


def group_norm(layer: GroupNorm, inputs: tuple[Shape, ...]) -> Geometry:
    channels, axis = _channels(inputs[0])
    _positive(layer.eps)
    if layer.groups < 1 or channels % layer.groups:
        raise Misfit(f"{channels} channels do not fall into {layer.groups} groups", "groups")
    return Geometry(inputs[0], _affine(channels), unit_axis=axis)
