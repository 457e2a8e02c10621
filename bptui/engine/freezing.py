"""Layers that are frozen: their parameters stay, and what only they would need is not computed on the way back."""

from __future__ import annotations

from collections.abc import Sequence

from bptui.engine.base import LayerInfo
from bptui.engine.errors import EngineError, nearest
from bptui.spec.layers import Layer


def frozen_layer(key: str, value: float, layers: Sequence[LayerInfo]) -> int | None:
    """The layer that ``freeze.dense1`` means; None: another setting. EngineError: no such layer, or not 0 or 1."""
    head, dot, name = key.partition(".")
    if head != "freeze" or not dot:
        return None
    names = [info.name for info in layers]
    if name not in names:
        raise EngineError(f"{key}: no layer {name!r}{nearest(name, names)}")
    if not layers[names.index(name)].tensors:
        raise EngineError(f"{key}: {name} has no parameters to freeze")
    if value not in (0.0, 1.0):
        raise EngineError(f"{key}: expected 1 (frozen) or 0, got {value!r}")
    return names.index(name)


def learning(model: Sequence[Layer], layers: Sequence[LayerInfo]) -> list[bool]:
    """Whether δ of each layer is of use: it, or a layer below it, learns."""
    found: list[bool] = []
    for layer, info in zip(model, layers, strict=True):
        below = any(source >= 0 and found[source] for source in info.sources)
        found.append(below or (bool(info.tensors) and not layer.freeze))
    return found
