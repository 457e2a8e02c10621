"""What a layer of the paused update has inside beyond z, a and δ: its maps, δ at each place, its kernels.

Hooks see what a module is given and gives, and its parameters. What lies between (the gates of ``nn.LSTM``, the scores
of an attention) torch's kernels keep to themselves; that is said, not made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from bptui.attach.rows import Row
from bptui.probe.pictures import Pictures, kernels, maps, page_of
from bptui.protocol import messages as m
from bptui.protocol.framing import Body

if TYPE_CHECKING:
    from bptui.attach.capture import Captured

Array = npt.NDArray[Any]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
#: Kinds whose inside torch does not give, and what that is.
_KEPT = {
    "LSTM": "gates and cell", "GRU": "gates", "RNN": "states of lower layers",
    "MultiheadAttention": "scores", "TransformerEncoderLayer": "scores", "TransformerDecoderLayer": "scores",
}  # fmt: skip


def inside(captured: Captured, row: Row, request: m.Inside, note: str) -> tuple[m.Insides, bytes]:
    """Answer one ``Inside``; of another sample or page than there is, the nearest."""
    common: dict[str, Any] = {
        "id": request.id, "step": captured.step, "micro": "clip", "layer": request.layer,
    }  # fmt: skip
    found = pictures(captured, row)
    name = request.name if request.name in found else next(iter(found), "")
    if not name:
        return m.Insides(**common, note=why_nothing(row)), b""
    values, told = page_of(found[name], request.sample, request.page)
    body = Body()
    arrays = {"values": body.add(values)}
    return m.Insides(**common, **told, names=tuple(found), name=name, arrays=arrays, note=note), body.bytes()


def pictures(captured: Captured, row: Row) -> dict[str, Pictures]:
    """By name, as the built-in trainer calls them."""
    found: dict[str, Pictures] = {}
    if len(row.shape) == 3:
        for name, kind in (("maps", "a"), ("maps.delta", "delta")):
            array = captured.array(row.name, kind)
            if array is not None and array.size and array[0].size == int(np.prod(row.shape)):
                found[name] = maps(array.reshape(-1, *row.shape))
    weight = row.weight
    if isinstance(row.module, _CONVOLUTIONS) and weight is not None:
        transposed = isinstance(row.module, (nn.ConvTranspose1d, nn.ConvTranspose2d))
        found["kernels"] = kernels(_home(weight), transposed=transposed)
        if weight.grad is not None:
            found["kernels.gradient"] = kernels(_home(weight.grad), transposed=transposed)
    return found


def why_nothing(row: Row) -> str:
    kept = _KEPT.get(row.kind)
    if kept is not None:
        return f"{row.name} ({row.kind}): torch keeps its {kept} to itself"
    return f"{row.name} ({row.kind}) has nothing inside but z and a"


def _home(tensor: Tensor) -> Array:
    array: Array = tensor.detach().float().cpu().numpy()
    return array
