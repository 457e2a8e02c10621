"""Convolutions: one kernel slides over a picture or a sequence. Formulas and layouts are torch's."""

from __future__ import annotations

from typing import NamedTuple

from bptui.spec.layers.base import Geometry, Misfit, Parameter, Shape, Weighted, words
from bptui.spec.layers.windows import Padding, Sizes, padded, picture, sequence, shortened, slid, spread


class Conv1d(Weighted, frozen=True, tag="conv1d", kw_only=True):
    """A kernel slides along the steps of a sequence T×F; W is ``(units, F / groups, kernel)``."""

    units: int
    """Features that come out at each step."""
    kernel: int = 3
    """Steps that are seen at once."""
    stride: int = 1
    """Steps from one place of the kernel to the next."""
    padding: Padding = 0
    """Zeros put at each end; ``same``: as many as keep the length at stride 1."""
    dilation: int = 1
    """Steps between two neighbours of the kernel."""
    groups: int = 1
    """Parts into which the features fall, each with units of its own."""


class Conv2d(Weighted, frozen=True, tag="conv2d", kw_only=True):
    """A kernel slides over pictures C×H×W; W is ``(units, C / groups, rows, columns)``."""

    units: int
    """Channels that come out."""
    kernel: Sizes = 3
    """Rows and columns that are seen at once; one number for both."""
    stride: Sizes = 1
    """Pixels from one place of the kernel to the next."""
    padding: Padding = 0
    """Zeros put around a picture; ``same``: as many as keep its size at stride 1."""
    dilation: Sizes = 1
    """Pixels between two neighbours of the kernel."""
    groups: int = 1
    """Parts into which the channels fall, each with units of its own; as many as channels: depthwise."""


class ConvTranspose2d(Weighted, frozen=True, tag="conv_transpose2d", kw_only=True):
    """The backward of a convolution as a layer: larger pictures; W is ``(C, units / groups, rows, columns)``."""

    units: int
    """Channels that come out."""
    kernel: Sizes = 3
    """Rows and columns that one pixel is spread over; one number for both."""
    stride: Sizes = 1
    """Pixels of the output from one pixel of the input to the next."""
    padding: Sizes = 0
    """Pixels cut off around the output."""
    output_padding: Sizes = 0
    """Pixels added at the lower and right end, fewer than stride or dilation."""
    dilation: Sizes = 1
    """Pixels between two neighbours of the kernel."""
    groups: int = 1
    """Parts into which the channels fall, each with units of its own."""


class Window(NamedTuple):
    """How a kernel slides: one number an axis (along a sequence: one row)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


def window(layer: Conv1d | Conv2d | ConvTranspose2d) -> Window:
    """Misfit where a size cannot be."""
    axes = 1 if isinstance(layer, Conv1d) else 2
    kernel, dilation = spread(layer.kernel, axes, "kernel"), spread(layer.dilation, axes, "dilation")
    return Window(kernel, spread(layer.stride, axes, "stride"), padded(layer.padding, kernel, dilation), dilation)


def _grouped(layer: Conv1d | Conv2d | ConvTranspose2d, channels: int) -> None:
    if layer.groups < 1:
        raise Misfit(f"expected at least 1, got {layer.groups}", "groups")
    if channels % layer.groups:
        raise Misfit(f"{channels} channels do not fall into {layer.groups} groups", "groups")
    if layer.units % layer.groups:
        raise Misfit(f"{layer.units} units do not fall into {layer.groups} groups", "groups")


def _parameters(layer: Conv1d | Conv2d, channels: int, kernel: tuple[int, ...]) -> tuple[Parameter, Parameter]:
    area = kernel[0] * kernel[-1] if len(kernel) == 2 else kernel[0]
    inner = channels // layer.groups
    weight = Parameter("weight", (layer.units, inner, *kernel), inner * area, layer.units * area, unit_axis=0)
    return weight, Parameter("bias", (layer.units,), begins="bias")


def conv1d(layer: Conv1d, inputs: tuple[Shape, ...]) -> Geometry:
    features, size = sequence(inputs[0])
    _grouped(layer, features)
    its = window(layer)
    (steps,) = slid(size, *its)
    return Geometry((steps, layer.units), _parameters(layer, features, its.kernel), steps=shortened(*its))


def conv2d(layer: Conv2d, inputs: tuple[Shape, ...]) -> Geometry:
    channels, size = picture(inputs[0])
    _grouped(layer, channels)
    its = window(layer)
    return Geometry((layer.units, *slid(size, *its)), _parameters(layer, channels, its.kernel), unit_axis=0)


def conv_transpose2d(layer: ConvTranspose2d, inputs: tuple[Shape, ...]) -> Geometry:
    channels, size = picture(inputs[0])
    _grouped(layer, channels)
    kernel, stride, padding, dilation = window(layer)
    extra = spread(layer.output_padding, 2, "output_padding", least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise Misfit(f"expected less than stride or dilation, got {words(extra)}", "output_padding")
    output = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, d, e in zip(size, kernel, stride, padding, dilation, extra, strict=True)
    )
    if any(length < 1 for length in output):
        raise Misfit(f"leaves nothing of {words(size)}", "padding")
    outer, area = layer.units // layer.groups, kernel[0] * kernel[1]
    weight = Parameter("weight", (channels, outer, *kernel), outer * area, channels * area, unit_axis=1)
    return Geometry((layer.units, *output), (weight, Parameter("bias", (layer.units,), begins="bias")), unit_axis=0)
