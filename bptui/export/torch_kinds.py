"""How each kind of layer is written in PyTorch: the module that holds its parameters, and the call of it.

A new kind is one row of ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bptui.spec.layers.conv import window as sliding
from bptui.spec.layers.pool import window as pooling
from bptui.spec.layers.windows import spread
from bptui.spec.shapes import Placed

SAME: Mapping[str, str] = {"weight": "weight", "bias": "bias"}


def _own(place: Placed, it: str, given: Sequence[str]) -> str:
    return f"{it}({given[0]})"


class TorchKind(NamedTuple):
    """One kind."""

    module: Callable[[Placed], str] = lambda place: ""
    """The constructor of the module; empty: it needs none."""
    call: Callable[[Placed, str, Sequence[str]], str] = _own
    """(layer, the module, the expressions of its inputs) → the expression of z."""
    tensors: Mapping[str, str] = SAME
    """Parameter or buffer → the attribute of the module, with ``.T`` where torch keeps it the other way round."""


def _dense(place: Placed) -> str:
    return f"nn.Linear({place.inputs[0][-1]}, {place.units})"


def _slid(name: str, place: Placed, outputs: str = "") -> str:
    layer: Any = place.layer
    its, channels = sliding(layer), place.inputs[0][-1] if name == "Conv1d" else place.inputs[0][0]
    return (
        f"nn.{name}({channels}, {layer.units}, {its.kernel}, stride={its.stride}, padding={its.padding}{outputs}, "
        f"groups={layer.groups}, dilation={its.dilation})"
    )


def _transposed(place: Placed) -> str:
    layer: Any = place.layer
    return _slid("ConvTranspose2d", place, f", output_padding={spread(layer.output_padding, 2, 'output_padding', 0)}")


def _pooled(name: str) -> Callable[[Placed], str]:
    def module(place: Placed) -> str:
        its = pooling(place.layer, len(place.inputs[0]) - 1)  # type: ignore[arg-type]
        return f"nn.{name}{len(its.kernel)}d({its.kernel}, stride={its.stride}, padding={its.padding})"

    return module


def _channels_first(place: Placed, it: str, given: Sequence[str]) -> str:
    """Of a sequence (N, T, F) torch's modules want the features before the steps."""
    if len(place.inputs[0]) != 2:
        return f"{it}({given[0]})"
    return f"{it}({given[0]}.transpose(1, 2)).transpose(1, 2)"


def _globally(place: Placed, it: str, given: Sequence[str]) -> str:
    layer: Any = place.layer
    return f"{given[0]}.flatten(2)." + ("mean(2)" if layer.mode == "average" else "amax(2)")


def _upsample(place: Placed) -> str:
    layer: Any = place.layer
    factor = tuple(map(float, spread(layer.factor, 2, "factor")))
    return f"nn.Upsample(scale_factor={factor}, mode={layer.mode!r})"


def _batch_norm(place: Placed) -> str:
    layer: Any = place.layer
    return f"nn.BatchNorm{2 if len(place.inputs[0]) == 3 else 1}d({place.units}, {layer.eps!r}, {layer.momentum!r})"


def _group_norm(place: Placed) -> str:
    layer: Any = place.layer
    return f"nn.GroupNorm({layer.groups}, {place.units}, {layer.eps!r})"


def _reshaped(place: Placed, it: str, given: Sequence[str]) -> str:
    return f"{given[0]}.reshape(-1, {', '.join(map(str, place.geometry.output))})"


def _joined(place: Placed, it: str, given: Sequence[str]) -> str:
    return f"torch.cat([{', '.join(given)}], dim={1 if place.geometry.unit_axis == 0 else -1})"


KINDS: dict[str, TorchKind] = {
    "dense": TorchKind(_dense, tensors={"weight": "weight.T", "bias": "bias"}),
    "flatten": TorchKind(call=_reshaped),
    "reshape": TorchKind(call=_reshaped),
    "add": TorchKind(call=lambda place, it, given: " + ".join(given)),
    "concat": TorchKind(call=_joined),
    "conv1d": TorchKind(lambda place: _slid("Conv1d", place), _channels_first),
    "conv2d": TorchKind(lambda place: _slid("Conv2d", place)),
    "conv_transpose2d": TorchKind(_transposed),
    "max_pool": TorchKind(_pooled("MaxPool"), _channels_first),
    "average_pool": TorchKind(_pooled("AvgPool"), _channels_first),
    "global_pool": TorchKind(call=_globally),
    "upsample": TorchKind(_upsample),
    "batch_norm": TorchKind(
        _batch_norm, _channels_first, {**SAME, "running_mean": "running_mean", "running_var": "running_var"}
    ),
    "group_norm": TorchKind(_group_norm, _channels_first),
}
