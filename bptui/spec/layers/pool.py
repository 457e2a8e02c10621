"""Layers without weights that make pictures and sequences smaller or larger: pooling and upsampling."""

from __future__ import annotations

from typing import Literal

from bptui.spec.layers.base import Activated, Geometry, Misfit, Shape, words
from bptui.spec.layers.conv import Window
from bptui.spec.layers.windows import Sizes, joined, picture, shortened, slid, spatial, spread


class Pooling(Activated, frozen=True, kw_only=True):
    """A window slides over pictures C×H×W, or along the steps of a sequence T×F."""

    kernel: Sizes = 2
    """Rows and columns (steps) that become one; one number for both."""
    stride: Sizes | None = None
    """From one window to the next; empty: a window's own size."""
    padding: Sizes = 0
    """How far a window reaches over the edges, half a window at the most."""


class MaxPool(Pooling, frozen=True, tag="max_pool", kw_only=True):
    """The largest number of each window; δ goes to the first place that holds it."""


class AveragePool(Pooling, frozen=True, tag="average_pool", kw_only=True):
    """The mean of each window; what lies over an edge counts as 0."""


class GlobalPool(Activated, frozen=True, tag="global_pool", kw_only=True):
    """One number a channel: the mean or the maximum over the whole picture."""

    mode: Literal["average", "max"] = "average"
    """Which of the two."""


class Upsample(Activated, frozen=True, tag="upsample", kw_only=True):
    """Pictures made larger by a whole factor."""

    factor: Sizes = 2
    """How many times as high and wide; one number for both."""
    mode: Literal["nearest", "bilinear"] = "nearest"
    """Each pixel repeated, or a straight line between the centres of pixels (torch's ``align_corners=False``)."""


def window(layer: Pooling, axes: int) -> Window:
    """Misfit where a size cannot be."""
    kernel = spread(layer.kernel, axes, "kernel")
    stride = kernel if layer.stride is None else spread(layer.stride, axes, "stride")
    padding = spread(layer.padding, axes, "padding", least=0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise Misfit(f"expected at most half of the kernel {words(kernel)}, got {words(padding)}", "padding")
    return Window(kernel, stride, padding, (1,) * axes)


def pool(layer: Pooling, inputs: tuple[Shape, ...]) -> Geometry:
    channels, size = spatial(inputs[0])
    its = window(layer, len(size))
    output = joined(channels, slid(size, *its))
    return Geometry(output, unit_axis=0 if len(size) == 2 else -1, steps=shortened(*its))


def global_pool(layer: GlobalPool, inputs: tuple[Shape, ...]) -> Geometry:
    return Geometry((picture(inputs[0])[0],))


def upsample(layer: Upsample, inputs: tuple[Shape, ...]) -> Geometry:
    channels, size = picture(inputs[0])
    factors = spread(layer.factor, 2, "factor")
    return Geometry((channels, *(n * f for n, f in zip(size, factors, strict=True))), unit_axis=0)
