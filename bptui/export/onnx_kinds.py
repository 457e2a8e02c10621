"""How each kind of layer is written in ONNX, in operators of opset 17; a new kind is one row of ``KINDS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.spec.layers.conv import window as sliding
from bptui.spec.layers.pool import window as pooling
from bptui.spec.layers.windows import spread
from bptui.spec.shapes import Placed

Values = npt.NDArray[Any]


class OnnxGraph:
    """Nodes and constants that follow one another."""

    def __init__(self, helper: Any, numpy_helper: Any) -> None:
        self._helper, self._numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, into: str, **attributes: Any) -> str:
        self.nodes.append(self._helper.make_node(kind, list(inputs), [into], name=into, **attributes))
        return into

    def constant(self, name: str, values: Values) -> str:
        self.constants.append(self._numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def reshape(self, x: str, shape: Sequence[int], into: str) -> str:
        """Each sample in another shape."""
        lengths = self.constant(f"{into}.shape", np.array([-1, *shape], np.int64))
        return self.node("Reshape", x, lengths, into=into)

    def turned(self, x: str, into: str) -> str:
        """(N, T, F) as (N, F, T), and back."""
        return self.node("Transpose", x, into=into, perm=[0, 2, 1])


#: (graph, layer, names of its inputs, its parameters and buffers, the name of z).
Write = Callable[[OnnxGraph, Placed, Sequence[str], Mapping[str, Values], str], None]


def _dense(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    weight, bias = (graph.constant(f"{place.name}.{name}", of[name]) for name in ("weight", "bias"))
    if len(place.inputs[0]) == 1:
        graph.node("Gemm", given[0], weight, bias, into=z)
    else:
        graph.node("Add", graph.node("MatMul", given[0], weight, into=f"{z}.product"), bias, into=z)


def _formed(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    graph.reshape(given[0], place.geometry.output, z)


def _add(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    graph.node("Sum", *given, into=z)


def _concat(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    graph.node("Concat", *given, into=z, axis=1 if place.geometry.unit_axis == 0 else -1)


def _channels_first(write: Write) -> Write:
    """``write`` for pictures; of a sequence (N, T, F) the features are its channels."""

    def turned(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
        if len(place.inputs[0]) != 2:
            write(graph, place, given, of, z)
        else:
            write(graph, place, [graph.turned(given[0], f"{z}.channels")], of, f"{z}.steps")
            graph.turned(f"{z}.steps", z)

    return turned


def _slid(kind: str) -> Write:
    def write(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
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
    def write(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
        its = pooling(place.layer, len(place.inputs[0]) - 1)  # type: ignore[arg-type]
        graph.node(
            kind, given[0], into=z, kernel_shape=list(its.kernel), strides=list(its.stride),
            pads=[*its.padding, *its.padding], **attributes,
        )  # fmt: skip

    return write


def _globally(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    layer: Any = place.layer
    kind = "GlobalAveragePool" if layer.mode == "average" else "GlobalMaxPool"
    graph.reshape(graph.node(kind, given[0], into=f"{z}.places"), place.geometry.output, z)


def _upsample(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
    layer: Any = place.layer
    scales = graph.constant(f"{z}.scales", np.array([1, 1, *spread(layer.factor, 2, "factor")], np.float32))
    nearest = layer.mode == "nearest"
    graph.node(
        "Resize", given[0], "", scales, into=z, mode="nearest" if nearest else "linear",
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        **({"nearest_mode": "floor"} if nearest else {}),
    )  # fmt: skip


def _batch_norm(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Mapping[str, Values], z: str) -> None:
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
    "conv1d": _channels_first(_slid("Conv")),
    "conv2d": _slid("Conv"),
    "conv_transpose2d": _slid("ConvTranspose"),
    "max_pool": _channels_first(_pooled("MaxPool")),
    "average_pool": _channels_first(_pooled("AveragePool", count_include_pad=1)),
    "global_pool": _globally,
    "upsample": _upsample,
    "batch_norm": _channels_first(_batch_norm),
}
