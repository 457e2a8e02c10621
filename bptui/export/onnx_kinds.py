"""How each kind of layer is written in ONNX, in operators of opset 17; a new kind is one row of ``KINDS``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bptui.export import onnx_sequences
from bptui.export.onnx_graph import OnnxGraph
from bptui.export.onnx_sequences import Tensors
from bptui.spec.layers.conv import window as sliding
from bptui.spec.layers.pool import window as pooling
from bptui.spec.layers.windows import spread
from bptui.spec.shapes import Placed

#: (graph, layer, names of its inputs, its parameters and buffers, the name of z, that of the lengths of its input).
Write = Callable[[OnnxGraph, Placed, Sequence[str], Tensors, str, str], None]


def _dense(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    weight, bias = (graph.constant(f"{place.name}.{name}", of[name]) for name in ("weight", "bias"))
    if len(place.inputs[0]) == 1:
        graph.node("Gemm", given[0], weight, bias, into=z)
    else:
        graph.node("Add", graph.node("MatMul", given[0], weight, into=f"{z}.product"), bias, into=z)


def _formed(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    graph.reshape(given[0], place.geometry.output, z)


def _add(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    graph.node("Sum", *given, into=z)


def _multiply(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    """Mul takes two inputs."""
    so_far = given[0]
    for at, other in enumerate(given[1:], 1):
        so_far = graph.node("Mul", so_far, other, into=z if at == len(given) - 1 else f"{z}.{at}")


def _dot(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    _multiply(graph, place, given, of, f"{z}.product", ends)
    axis = graph.constant(f"{z}.axis", np.array([-1], np.int64))
    graph.node("ReduceSum", f"{z}.product", axis, into=z, keepdims=1)


def _concat(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    graph.node("Concat", *given, into=z, axis=1 if place.geometry.unit_axis == 0 else -1)


def _channels_first(write: Write) -> Write:
    """``write`` for pictures; of a sequence (N, T, F) the features are its channels."""

    def turned(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
        if len(place.inputs[0]) != 2:
            write(graph, place, given, of, z, ends)
        else:
            write(graph, place, [graph.turned(given[0], f"{z}.channels")], of, f"{z}.steps", ends)
            graph.turned(f"{z}.steps", z)

    return turned


def _slid(kind: str) -> Write:
    def write(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
        layer: Any = place.layer
        its = sliding(layer)
        more = {}
        if kind == "ConvTranspose":
            more["output_padding"] = list(spread(layer.output_padding, 2, "output_padding", 0))
        tensors = [graph.constant(f"{place.name}.{name}", of[name]) for name in ("weight", "bias")]
        graph.node(
            kind, given[0], *tensors, into=z, kernel_shape=list(its.kernel), strides=list(its.stride),
            pads=[*its.padding, *its.padding], dilations=list(its.dilation), group=layer.groups, **more,
        )  # fmt: skip

    return write


def _pooled(kind: str, **attributes: int) -> Write:
    def write(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
        its = pooling(place.layer, len(place.inputs[0]) - 1)  # type: ignore[arg-type]
        graph.node(
            kind, given[0], into=z, kernel_shape=list(its.kernel), strides=list(its.stride),
            pads=[*its.padding, *its.padding], **attributes,
        )  # fmt: skip

    return write


def _largest(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    """What a window reads over the end of a sequence must not be its largest."""
    if ends and any(pooling(place.layer, 1).padding):  # type: ignore[arg-type]
        given = [graph.ended(given[0], ends, place.inputs[0][0], f"{z}.seen", -math.inf)]
    _channels_first(_pooled("MaxPool"))(graph, place, given, of, z, ends)


def _globally(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    kind = "GlobalAveragePool" if layer.mode == "average" else "GlobalMaxPool"
    graph.reshape(graph.node(kind, given[0], into=f"{z}.places"), place.geometry.output, z)


def _upsample(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    scales = graph.constant(f"{z}.scales", np.array([1, 1, *spread(layer.factor, 2, "factor")], np.float32))
    nearest = layer.mode == "nearest"
    graph.node(
        "Resize", given[0], "", scales, into=z, mode="nearest" if nearest else "linear",
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        **({"nearest_mode": "floor"} if nearest else {}),
    )  # fmt: skip


def _batch_norm(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    order = ("weight", "bias", "running_mean", "running_var")
    tensors = [graph.constant(f"{place.name}.{name}", of[name]) for name in order]
    graph.node("BatchNormalization", given[0], *tensors, into=z, epsilon=layer.eps)


KINDS: dict[str, Write] = {
    "dense": _dense,
    "flatten": _formed,
    "reshape": _formed,
    "add": _add,
    "concat": _concat,
    "multiply": _multiply,
    "dot": _dot,
    "conv1d": _channels_first(_slid("Conv")),
    "conv2d": _slid("Conv"),
    "conv_transpose2d": _slid("ConvTranspose"),
    "max_pool": _largest,
    "average_pool": _channels_first(_pooled("AveragePool", count_include_pad=1)),
    "global_pool": _globally,
    "upsample": _upsample,
    "batch_norm": _channels_first(_batch_norm),
    "group_norm": onnx_sequences.group_norm,
    "rnn": onnx_sequences.recurrent,
    "lstm": onnx_sequences.recurrent,
    "gru": onnx_sequences.recurrent,
    "time_pool": onnx_sequences.time_pool,
    "embedding": onnx_sequences.embedding,
    "positional_embedding": onnx_sequences.positional,
    "attention": onnx_sequences.attention,
    "transformer_block": onnx_sequences.transformer_block,
    "layer_norm": onnx_sequences.feature_norm,
    "rms_norm": onnx_sequences.feature_norm,
}
