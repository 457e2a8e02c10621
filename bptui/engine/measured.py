"""Which engine is the faster on a CPU for which kind of layer, as measured, and what follows for a whole model.

``RATIOS`` is the time of NumPy's forward and backward over torch's, as ``benchmarks/layers.py`` prints it (2
cores, batch 32; above 1 torch is the faster). A layer's share of the time is estimated by its multiply-adds, and by the
numbers that go in and out for layers whose arithmetic is little beside that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bptui.spec.layers.base import size
from bptui.spec.shapes import Placed, plain_chain

RATIOS: dict[str, float] = {
    "dense": 0.25, "conv1d": 0.7, "conv2d": 1.5, "conv_transpose2d": 1.8, "max_pool": 1.2, "average_pool": 0.5,
    "global_pool": 0.5, "upsample": 1.3, "batch_norm": 1.3, "group_norm": 2.7, "rnn": 0.35, "lstm": 1.6, "gru": 0.5,
    "time_pool": 0.6, "embedding": 1.2, "column": 0.3, "positional_embedding": 0.35, "attention": 1.3,
    "transformer_block": 1.4, "layer_norm": 1.7, "rms_norm": 0.4, "multiply": 0.15, "dot": 0.15,
}  # fmt: skip
#: Of a chain of dense layers, which has an engine of its own: 784-256-128-10 in ``benchmarks/engines.py``.
CHAIN = 0.55
#: Of kinds that are not listed.
UNKNOWN = 1.0
#: What one number that a layer reads or writes costs, in multiply-adds of a product.
TOUCH = 16
#: NumPy is left for torch only where it would take this much longer: an estimate is no measurement.
MARGIN = 1.25


class Verdict(NamedTuple):
    """How much longer the NumPy engine is expected to take than torch, and by which kind of layer most."""

    ratio: float
    kind: str
    share: float
    """Of NumPy's time that goes into this kind."""


def verdict(placed: Sequence[Placed]) -> Verdict:
    """For a whole model."""
    if plain_chain(placed):
        return Verdict(CHAIN, "dense", 1.0)
    ours, theirs, kinds = 0.0, 0.0, dict[str, float]()
    for place in placed:
        theirs += (cost := _cost(place))
        time = cost * RATIOS.get(_row(place), UNKNOWN)
        ours += time
        kinds[place.kind] = kinds.get(place.kind, 0.0) + time
    kind = max(kinds, key=lambda name: kinds[name])
    return Verdict(ours / theirs, kind, kinds[kind] / ours)


def _row(place: Placed) -> str:
    """Its row of ``RATIOS``: to read one token of a sample is other work than to read a sequence of them."""
    return "column" if getattr(place.layer, "column", None) is not None else place.kind


def _cost(place: Placed) -> float:
    """Of one sample, in multiply-adds."""
    output = place.geometry.output
    places = size(output) // max(1, place.units)
    products = sum(each.size for each in place.geometry.parameters if len(each.shape) > 1) * places
    if place.kind == "embedding":  # rows of its table are read, not multiplied
        products = 0
    return float(products + TOUCH * (size(output) + sum(map(size, place.inputs))))
