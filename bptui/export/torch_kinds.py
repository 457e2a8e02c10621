"""How each kind of layer is written in PyTorch: the module that holds its parameters, and the call of it.

A new kind is one row of ``KINDS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bptui.spec.layers.attention import NORM_EPS
from bptui.spec.layers.base import Parameter
from bptui.spec.layers.conv import window as sliding
from bptui.spec.layers.pool import window as pooling
from bptui.spec.layers.windows import spread
from bptui.spec.shapes import Placed

#: How activations are written.
ACTIVATIONS = {
    name: f"nn.functional.{name}" for name in ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")
} | {"sigmoid": "torch.sigmoid", "tanh": "torch.tanh"}


def _own(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    return f"{it}({given[0]})"


def _to_its_end(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    return _called(it, given[0], ends)


def _called(function: str, *arguments: str) -> str:
    """A call; arguments that are empty are left out."""
    return f"{function}({', '.join(filter(None, arguments))})"


def _same(each: Parameter) -> str:
    return each.name


def _turned(each: Parameter) -> str:
    return each.name + ".T" * (len(each.shape) == 2)


class TorchKind(NamedTuple):
    """One kind. ``ends``: how the lengths of what it reads are called, where samples are padded; else empty."""

    module: Callable[[Placed, str], str] = lambda place, ends: ""
    """(layer, ends) → the constructor of the module; empty: it needs none."""
    call: Callable[[Placed, str, Sequence[str], str], str] = _own
    """(layer, the module, the expressions of its inputs, ends) → the expression of z."""
    where: Callable[[Parameter], str] = _same
    """A parameter or buffer as an attribute of the module, with ``.T`` where torch keeps it the other way round;
    empty: the module itself."""


def _dense(place: Placed, ends: str) -> str:
    return f"nn.Linear({place.inputs[0][-1]}, {place.units})"


def _slid(name: str, place: Placed, outputs: str = "") -> str:
    layer: Any = place.layer
    its, channels = sliding(layer), place.inputs[0][-1] if name == "Conv1d" else place.inputs[0][0]
    return (
        f"nn.{name}({channels}, {layer.units}, {its.kernel}, stride={its.stride}, padding={its.padding}{outputs}, "
        f"groups={layer.groups}, dilation={its.dilation})"
    )


def _transposed(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    return _slid("ConvTranspose2d", place, f", output_padding={spread(layer.output_padding, 2, 'output_padding', 0)}")


def _pooled(name: str) -> Callable[[Placed, str], str]:
    def module(place: Placed, ends: str) -> str:
        its = pooling(place.layer, len(place.inputs[0]) - 1)  # type: ignore[arg-type]
        return f"nn.{name}{len(its.kernel)}d({its.kernel}, stride={its.stride}, padding={its.padding})"

    return module


def _channels_first(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    """Of a sequence (N, T, F) torch's modules want the features before the steps."""
    if len(place.inputs[0]) != 2:
        return f"{it}({given[0]})"
    return f"{it}({given[0]}.transpose(1, 2)).transpose(1, 2)"


def _largest(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    """What a window reads over the end of a sequence must not be its largest."""
    over = bool(ends) and any(pooling(place.layer, len(place.inputs[0]) - 1).padding)  # type: ignore[arg-type]
    return _channels_first(place, it, [f"ended({given[0]}, {ends}, -math.inf)"] if over else given, ends)


def _globally(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    layer: Any = place.layer
    return f"{given[0]}.flatten(2)." + ("mean(2)" if layer.mode == "average" else "max(2).values")


def _upsample(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    factor = tuple(map(float, spread(layer.factor, 2, "factor")))
    return f"nn.Upsample(scale_factor={factor}, mode={layer.mode!r})"


def _batch_norm(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    name = "BatchNormOfSteps" if ends else f"nn.BatchNorm{2 if len(place.inputs[0]) == 3 else 1}d"
    return f"{name}({place.units}, {layer.eps!r}, {layer.momentum!r})"


def _group_norm(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    return f"{'GroupNormOfSteps' if ends else 'nn.GroupNorm'}({layer.groups}, {place.units}, {layer.eps!r})"


def _normed(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    return f"{it}({given[0]}, {ends})" if ends else _channels_first(place, it, given, ends)


def _feature_norm(name: str) -> Callable[[Placed, str], str]:
    return lambda place, ends: f"nn.{name}({place.units}, {place.layer.eps!r})"  # type: ignore[union-attr]


def _reshaped(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    return f"{given[0]}.reshape(-1, {', '.join(map(str, place.geometry.output))})"


def _joined(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    return f"torch.cat([{', '.join(given)}], dim={1 if place.geometry.unit_axis == 0 else -1})"


def _recurrent(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    options = [f"num_layers={layer.layers}"] * (layer.layers > 1) + ["bidirectional=True"] * layer.bidirectional
    if getattr(layer, "nonlinearity", "tanh") != "tanh":
        options.append(f"nonlinearity={layer.nonlinearity!r}")
    arguments = [str(place.inputs[0][-1]), str(layer.units), *options, "batch_first=True"]
    return f"nn.{place.kind.upper()}({', '.join(arguments)})"


def _states(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    layer: Any = place.layer
    return _called("states" if layer.returns == "sequence" else "last_state", it, given[0], ends)


def _over_time(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    layer: Any = place.layer
    names = {"mean": "mean_over_time", "max": "largest_over_time", "last": "last_in_time"}
    return _called(names[layer.how], given[0], ends)


def _embedding(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    padding = "" if layer.padding is None else f", padding_idx={layer.padding}"
    return f"nn.Embedding({layer.vocabulary}, {layer.units}{padding})"


def _looked_up(place: Placed, it: str, given: Sequence[str], ends: str) -> str:
    layer: Any = place.layer
    return f"{it}({given[0]})" if layer.column is None else f"{it}({given[0]}[:, {layer.column}])"


def _places(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    size = ", ".join(map(str, place.geometry.output))
    return f"nn.Parameter(torch.zeros({size}))" if layer.table == "learned" else f"sinusoids({size})"


def _attention(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    return f"Attention({place.units}, heads={layer.heads}, causal={layer.causal})"


def _block(place: Placed, ends: str) -> str:
    layer: Any = place.layer
    (hidden,) = (each.shape[0] for each in place.geometry.parameters if each.name == "feed.up_bias")
    activation = ACTIVATIONS.get(layer.feed_activation, "nn.Identity()")
    name, features = "LayerNorm" if layer.norm == "layer" else "RMSNorm", place.units
    norm = f"nn.{name}({features}, {NORM_EPS[layer.norm]!r})"
    elements, branches = math.prod(place.geometry.output), layer.branches if layer.dropout else ()
    drops = [f'Dropout("{place.name}.{branch}", {elements}, {layer.dropout!r})' for branch in branches]
    return (
        f"TransformerBlock({features}, {hidden}, {activation}, {_attention(place, ends)}, ({norm}, {norm}), "
        f"pre={layer.order == 'pre'}" + f", drops=({', '.join(drops)})" * bool(drops) + ")"
    )


#: Of attention and what is around it in a block → the attribute.
ATTENDING = {
    "qkv": "qkv.weight.T", "qkv_bias": "qkv.bias", "out": "out.weight.T", "out_bias": "out.bias",
    "feed.up": "up.weight.T", "feed.up_bias": "up.bias", "feed.down": "down.weight.T", "feed.down_bias": "down.bias",
}  # fmt: skip


def _attending(each: Parameter) -> str:
    within = each.name.removeprefix("attention.")
    prefix = each.name[: len(each.name) - len(within)]
    return prefix + ATTENDING.get(within, within)


KINDS: dict[str, TorchKind] = {
    "dense": TorchKind(_dense, where=_turned),
    "flatten": TorchKind(call=_reshaped),
    "reshape": TorchKind(call=_reshaped),
    "add": TorchKind(call=lambda place, it, given, ends: " + ".join(given)),
    "concat": TorchKind(call=_joined),
    "multiply": TorchKind(call=lambda place, it, given, ends: " * ".join(given)),
    "dot": TorchKind(call=lambda place, it, given, ends: f"({' * '.join(given)}).sum(-1, keepdim=True)"),
    "conv1d": TorchKind(lambda place, ends: _slid("Conv1d", place), _channels_first),
    "conv2d": TorchKind(lambda place, ends: _slid("Conv2d", place)),
    "conv_transpose2d": TorchKind(_transposed),
    "max_pool": TorchKind(_pooled("MaxPool"), _largest),
    "average_pool": TorchKind(_pooled("AvgPool"), _channels_first),
    "global_pool": TorchKind(call=_globally),
    "upsample": TorchKind(_upsample),
    "batch_norm": TorchKind(_batch_norm, _normed),
    "group_norm": TorchKind(_group_norm, _normed),
    "rnn": TorchKind(_recurrent, _states, _turned),
    "lstm": TorchKind(_recurrent, _states, _turned),
    "gru": TorchKind(_recurrent, _states, _turned),
    "time_pool": TorchKind(call=_over_time),
    "embedding": TorchKind(_embedding, _looked_up),
    "positional_embedding": TorchKind(
        _places, lambda place, it, given, ends: f"{given[0]} + {it}.to({given[0]})", lambda each: ""
    ),
    "attention": TorchKind(_attention, _to_its_end, _attending),
    "transformer_block": TorchKind(_block, _to_its_end, _attending),
    "layer_norm": TorchKind(_feature_norm("LayerNorm")),
    "rms_norm": TorchKind(_feature_norm("RMSNorm")),
}
