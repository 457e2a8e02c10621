"""Layers without weights: flatten, reshape, and the joints of branches, add, concat, multiply and dot."""

from __future__ import annotations

from bptui.spec.layers.base import Activated, Geometry, Joining, Misfit, Shape, Steps, size, words


class Flatten(Activated, frozen=True, tag="flatten", kw_only=True):
    """Each sample becomes one row: pictures C×H×W and sequences T×F in that order."""


class Reshape(Activated, frozen=True, tag="reshape", kw_only=True):
    """The same numbers in another shape; the batch is left out."""

    shape: tuple[int, ...]
    """Lengths of the axes, parted by commas: 3 of a picture, 2 of a sequence; one may be -1 and follows."""


class Add(Joining, frozen=True, tag="add", kw_only=True):
    """The sum of its inputs, which have one shape: a residual connection."""


class Concat(Joining, frozen=True, tag="concat", kw_only=True):
    """Its inputs side by side: channels of pictures, features elsewhere: a skip connection."""


class Multiply(Joining, frozen=True, tag="multiply", kw_only=True):
    """The product of its inputs, which have one shape, number by number: a gate."""


class Dot(Joining, frozen=True, tag="dot", kw_only=True):
    """Σ over the features of the product of its inputs, one number: p·q of two vectors, of sequences one a step."""


def axis_of(shape: Shape) -> int:
    """Where units lie: channels come first in pictures, features last elsewhere."""
    return 0 if len(shape) == 3 else -1


def flatten(layer: Flatten, inputs: tuple[Shape, ...]) -> Geometry:
    return Geometry((size(inputs[0]),))


def reshape(layer: Reshape, inputs: tuple[Shape, ...]) -> Geometry:
    (shape,) = inputs
    wanted = list(layer.shape)
    if not 1 <= len(wanted) <= 3:
        raise Misfit(f"expected 1 to 3 axes, got {len(wanted)}", "shape")
    if wanted.count(-1) > 1 or any(length < 1 and length != -1 for length in wanted):
        raise Misfit(f"expected lengths of at least 1, and at most one -1, got {words(layer.shape)}", "shape")
    if -1 in wanted:
        rest = size(tuple(length for length in wanted if length != -1))
        wanted[wanted.index(-1)] = size(shape) // rest
    if size(tuple(wanted)) != size(shape):
        raise Misfit(f"{words(layer.shape)} does not hold the {size(shape):,} numbers of {words(shape)}", "shape")
    # A step of the new sequence is real where any number in it is.
    steps = Steps(shape[1], -1, wanted[1]) if len(shape) == len(wanted) == 2 else None
    return Geometry(tuple(wanted), unit_axis=axis_of(tuple(wanted)), steps=steps)


def add(layer: Add | Multiply, inputs: tuple[Shape, ...]) -> Geometry:
    _alike(layer, inputs, "adds" if isinstance(layer, Add) else "multiplies")
    return Geometry(inputs[0], unit_axis=axis_of(inputs[0]))


def dot(layer: Dot, inputs: tuple[Shape, ...]) -> Geometry:
    _alike(layer, inputs, "multiplies")
    if len(inputs[0]) > 2:
        raise Misfit(f"needs vectors F or sequences T×F, got {words(inputs[0])}")
    return Geometry((*inputs[0][:-1], 1))


def concat(layer: Concat, inputs: tuple[Shape, ...]) -> Geometry:
    _several(layer)
    first = inputs[0]
    axis = axis_of(first) % len(first)
    for other in inputs[1:]:
        if len(other) != len(first) or _but(other, axis) != _but(first, axis):
            raise Misfit(f"joins inputs that differ in one axis alone, got {' and '.join(map(words, inputs))}", "of")
    joined = list(first)
    joined[axis] = sum(shape[axis] for shape in inputs)
    return Geometry(tuple(joined), unit_axis=axis_of(first))


def _alike(layer: Joining, inputs: tuple[Shape, ...], does: str) -> None:
    _several(layer)
    for other in inputs[1:]:
        if other != inputs[0]:
            raise Misfit(f"{does} inputs of one shape, got {' and '.join(map(words, inputs))}", "of")


def _but(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _several(layer: Joining) -> None:
    if not layer.of:
        raise Misfit("expected the name of at least one earlier layer", "of")
