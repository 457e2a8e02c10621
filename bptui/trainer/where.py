"""Where something that is not finite began: the first tensor of the last step, forward then backward."""

from __future__ import annotations

import numpy as np

from bptui.engine.base import Engine, Kind

_FORWARD: tuple[tuple[Kind, str], ...] = (("z", "pre-activation"), ("a", "activation"))
_BACKWARD: tuple[tuple[Kind, str], ...] = (("delta", "delta"), ("grad_W", "gradient"), ("grad_b", "gradient"))


def first_non_finite(engine: Engine) -> dict[str, str | None]:
    """``{"layer", "op"}`` of the first tensor with a NaN or Inf; the layer is None for the batch and the loss."""
    x = engine.tensor("x", 0)
    if x is not None and not np.isfinite(x).all():
        return {"layer": None, "op": "input"}
    for layer, about in enumerate(engine.layers):
        for kind, op in _FORWARD:
            if _broken(engine, kind, layer):
                return {"layer": about.name, "op": op}
    for layer in reversed(range(len(engine.layers))):
        for kind, op in _BACKWARD:
            if _broken(engine, kind, layer):
                return {"layer": engine.layers[layer].name, "op": op}
    return {"layer": None, "op": "loss"}


def _broken(engine: Engine, kind: Kind, layer: int) -> bool:
    tensor = engine.tensor(kind, layer)
    return tensor is not None and not np.isfinite(tensor).all()
