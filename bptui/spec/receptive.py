"""Receptive fields: how much of a picture, or of a sequence, one place of a layer's output sees.

With k the kernel, d its dilation and s its stride, r the field and j the distance on the sample of two neighbours:

    r ← r + (k − 1)·d·j      j ← j·s      (a layer that enlarges divides j by its factor)

Boundaries are left out. Sizes after Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from bptui.spec.layers.base import Shape
from bptui.spec.shapes import BATCH, Placed

#: Kinds whose every place sees that place of its input alone.
PLACEWISE = frozenset({
    "dense", "add", "concat", "multiply", "dot", "batch_norm", "group_norm", "layer_norm", "rms_norm"
})  # fmt: skip
#: Kinds with a kernel that enlarge, and those that only repeat.
ENLARGING, REPEATING = frozenset({"conv_transpose2d"}), frozenset({"upsample"})

Field = tuple[tuple[int, Fraction], ...]
"""(r, j) of each axis of places; empty: the whole sample."""


def fields(placed: Sequence[Placed], sample: Shape) -> list[tuple[int, ...]]:
    """r along each axis of places, of each layer; empty where it sees all of the sample."""
    axes = {2: 1, 3: 2}.get(len(sample), 0)
    found: list[Field] = []
    for place in placed:
        seen = [tuple((1, Fraction(1)) for _ in range(axes)) if s == BATCH else found[s] for s in place.sources]
        found.append(_after(place, seen))
    return [tuple(r for r, _ in field) for field in found]


def _after(place: Placed, seen: Sequence[Field]) -> Field:
    layer: Any = place.layer
    if not all(seen) or len(place.geometry.output) != len(place.inputs[0]):
        return ()
    widest = tuple(max(axis) for axis in zip(*seen, strict=True))
    if len(place.inputs[0]) != len(widest) + 1:  # a picture that is read as a row
        return ()
    if place.kind in PLACEWISE:
        return widest
    kernel = getattr(layer, "kernel", None)
    if kernel is None and place.kind not in REPEATING:
        return ()
    stride = getattr(layer, "factor" if place.kind in REPEATING else "stride", None) or kernel
    after = []
    for axis, (r, j) in enumerate(widest):
        k, d, s = (_at(n, axis) for n in (1 if kernel is None else kernel, getattr(layer, "dilation", 1), stride))
        if place.kind in ENLARGING or place.kind in REPEATING:
            j /= s
            after.append((r + int((k - 1) * d * j), j))
        else:
            after.append((r + int((k - 1) * d * j), j * s))
    return tuple(after)


def _at(value: Any, axis: int) -> int:
    return int(value[min(axis, len(value) - 1)]) if isinstance(value, tuple) else int(value or 1)
