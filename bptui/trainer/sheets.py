"""What a layer of pictures has inside, as sheets of small pictures: its maps, δ at each place, its kernels.

A sheet is an array ``(samples, pages, pictures, rows, columns)``; what belongs to no sample has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.protocol import messages as m
from bptui.protocol.framing import Body
from bptui.spec.shapes import BATCH

if TYPE_CHECKING:
    from bptui.engine.base import Engine
    from bptui.trainer.loop import Trainer

Array = npt.NDArray[Any]
#: Most cells of one sheet that travel; what is more goes to further pages.
MOST_CELLS = 1 << 15


class Sheet(NamedTuple):
    array: Array
    picture: str
    """What one picture is: ``channel``, ``unit``."""
    page: str
    """What one page is."""


def sheets(engine: Engine, layer: int) -> dict[str, Sheet]:
    """Those that there are at this place of the step."""
    info = engine.layers[layer]
    found: dict[str, Sheet] = {}
    if len(info.shape) == 3:
        for name, kind in (("maps", "a"), ("maps.delta", "delta")):
            array = engine.tensor(kind, layer)  # type: ignore[arg-type]
            if array is not None:
                found[name] = Sheet(array[:, None], "channel", "channels")
    if info.kind.startswith("conv"):
        for name, what in (("kernels", "value"), ("kernels.gradient", "gradient")):
            weight = engine.tensor_of("weight", layer, what)  # type: ignore[arg-type]
            if weight is not None:
                found[name] = Sheet(_kernels(weight, info.kind == "conv_transpose2d")[None], "unit", "input")
    return found


def _kernels(weight: Array, transposed: bool) -> Array:
    """``(inputs, units, rows, columns)``; of a sequence ``(1, units, inputs, steps)``: its inputs are the rows."""
    if weight.ndim == 3:
        return weight[None]
    return weight if transposed else weight.swapaxes(0, 1)


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


def answer(
    trainer: Trainer, request: m.Inside, name: str, sheet: Sheet, common: dict[str, Any]
) -> tuple[m.Insides, bytes]:
    """One page of a sheet, its pictures one below the other."""
    from bptui.trainer.inspect import note

    array = sheet.array
    samples, pages, count, rows, columns = array.shape
    fit = max(1, MOST_CELLS // max(1, rows * columns))
    parts = -(-count // fit)
    sample = max(0, min(request.sample, samples - 1))
    page = max(0, min(request.page, pages * parts - 1))
    whole, part = divmod(page, parts)
    first = part * fit
    shown = array[sample, whole, first : first + fit]
    zoom = max(1, -(-max(rows, columns) // 256))
    shown = shown[:, ::zoom, ::zoom]
    body = Body()
    return m.Insides(
        **common, name=name, axes=(sheet.picture, "place"), tile=shown.shape[1], zoom=zoom,
        row_names=tuple(str(first + at) for at in range(len(shown))),
        arrays={"values": body.add(np.ascontiguousarray(shown.reshape(-1, shown.shape[2])))},
        sample=sample, samples=samples, page=page, pages=pages * parts, page_name=sheet.page, note=note(trainer),
    ), body.bytes()  # fmt: skip
