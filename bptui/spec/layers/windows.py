"""Sizes that slide over a picture or a sequence: what convolution and pooling share."""

from __future__ import annotations

from typing import Literal

from bptui.spec.layers.base import Misfit, Shape, Steps, words

#: One number for both axes, or (rows, columns); along a sequence one number.
Sizes = int | tuple[int, int]
#: Zeros put around; ``same``: as many as keep the size at stride 1.
Padding = int | tuple[int, int] | Literal["same"]

#: The largest kernel, stride, padding, dilation and factor.
MOST = 1 << 12


def spread(value: Sizes, axes: int, key: str, least: int = 1) -> tuple[int, ...]:
    """One number an axis. Misfit where one of them cannot be."""
    if not isinstance(value, int) and axes == 1:
        raise Misfit(f"expected one number along a sequence, got {words(value)}", key)
    sizes = (value,) * axes if isinstance(value, int) else value
    if any(not least <= size <= MOST for size in sizes):
        raise Misfit(f"expected at least {least} and at most {MOST:,}, got {words(sizes)}", key)
    return sizes


def padded(padding: Padding, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Zeros at each end of each axis."""
    if padding != "same":
        return spread(padding, len(kernel), "padding", least=0)
    spans = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    if any(span % 2 for span in spans):
        raise Misfit(f"'same' needs an odd kernel (or an even dilation), got {words(kernel)}", "padding")
    return tuple(span // 2 for span in spans)


def slid(
    size: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Shape:
    """Places that the kernel takes along each axis: ⌊(size + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1."""
    placed = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    if any(count < 1 for count in placed):
        span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        around = f" with padding {words(padding)}" if any(padding) else ""
        raise Misfit(f"a window of {words(span)} does not fit into {words(size)}{around}", "kernel")
    return placed


def shortened(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Steps | None:
    """``slid`` for sequences that are shorter than their batch; None where the window slides over pictures."""
    if len(kernel) != 1:
        return None
    return Steps(1, 2 * padding[0] - dilation[0] * (kernel[0] - 1) - 1, stride[0])


def spatial(shape: Shape) -> tuple[int, Shape]:
    """(channels, the axes that a window slides along) of a picture C×H×W or a sequence T×F. Misfit of anything else."""
    if len(shape) == 3:
        return shape[0], shape[1:]
    if len(shape) == 2:
        return shape[1], shape[:1]
    raise Misfit(f"takes pictures C×H×W or sequences T×F, got {words(shape)}{_reshaped(shape)}")


def joined(channels: int, size: Shape) -> Shape:
    """A picture's or a sequence's shape again."""
    return (channels, *size) if len(size) == 2 else (*size, channels)


def picture(shape: Shape) -> tuple[int, Shape]:
    """(channels, (height, width)). Misfit of anything but a picture."""
    if len(shape) != 3:
        raise Misfit(f"takes pictures C×H×W, got {words(shape)}{_reshaped(shape)}")
    return shape[0], shape[1:]


def sequence(shape: Shape) -> tuple[int, Shape]:
    """(features, (steps,)). Misfit of anything but a sequence."""
    if len(shape) != 2:
        raise Misfit(f"takes sequences T×F, got {words(shape)}{_reshaped(shape)}")
    return shape[1], shape[:1]


def _reshaped(shape: Shape) -> str:
    return ": add a reshape before it" if len(shape) == 1 else ""
