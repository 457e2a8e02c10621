"""What a layer of pictures has inside, as sheets of small pictures: its maps, δ at each place, its kernels.

Here they are found in an engine; ``probe/pictures.py`` has what a sheet is, and its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptui.probe.pictures import Pictures, kernels, maps
from bptui.spec.shapes import BATCH

if TYPE_CHECKING:
    from bptui.engine.base import Engine

Array = npt.NDArray[Any]


def sheets(engine: Engine, layer: int) -> dict[str, Pictures]:
    """Those that there are at this place of the step."""
    info = engine.layers[layer]
    found: dict[str, Pictures] = {}
    if len(info.shape) == 3:
        for name, kind in (("maps", "a"), ("maps.delta", "delta")):
            array = engine.tensor(kind, layer)  # type: ignore[arg-type]
            if array is not None:
                found[name] = maps(array)
    if info.kind.startswith("conv"):
        for name, what in (("kernels", "value"), ("kernels.gradient", "gradient")):
            weight = engine.tensor_of("weight", layer, what)  # type: ignore[arg-type]
            if weight is not None:
                found[name] = kernels(weight, transposed=info.kind == "conv_transpose2d")
    return found


def lines(engine: Engine, layer: int) -> dict[str, Array]:
    """``share.branch`` (N, units) of a layer that adds: ‖branch‖ / (‖stream‖ + ‖branch‖), a channel (feature).

    The branch is what stands before it, the stream what it is added to.
    """
    info = engine.layers[layer]
    if info.kind != "add":
        return {}
    norms = []
    for source in info.sources:
        array = engine.tensor("x", 0) if source == BATCH else engine.tensor("a", source)
        if array is None:
            return {}
        whole = array.reshape(len(array), *info.shape)
        units = whole if info.unit_axis == 0 else np.moveaxis(whole, -1, 1)
        norms.append(np.sqrt(np.square(units.reshape(*units.shape[:2], -1)).sum(axis=2)))
    both = sum(norms)
    return {"share.branch": np.divide(norms[0], both, out=np.zeros_like(norms[0]), where=both != 0)}
