"""A run's network as an ONNX model: scaling first, then the layers, then probabilities where the loss gives them.

Operators are those of opset 17, computed in float32 as runtimes expect; scaling is done in float64, since a time stamp
minus its mean would lose its digits in float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.export.errors import ExportError
from bptui.export.trained import Trained, dense_layers
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, layer_names

OPSET, IR_VERSION = 17, 8
#: Where a feature's mean is so many σ from 0, it loses its digits in float32, and the input is float64.
FAR_FROM_ZERO = 64.0
#: What one protobuf file may hold.
MOST_BYTES = 2_000_000_000

Values = npt.NDArray[Any]


class _Graph:
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


def _gelu(graph: _Graph, z: str, into: str) -> None:
    """z·Φ(z), by erf: the operator of this name came later than opset 17."""
    root = graph.constant(f"{into}.root", np.array(np.sqrt(0.5), np.float32))
    half, one = (graph.constant(f"{into}.{v}", np.array(v, np.float32)) for v in (0.5, 1.0))
    scaled = graph.node("Mul", z, root, into=f"{into}.scaled")
    phi = graph.node("Add", graph.node("Erf", scaled, into=f"{into}.erf"), one, into=f"{into}.above")
    graph.node("Mul", graph.node("Mul", z, phi, into=f"{into}.double"), half, into=into)


def _silu(graph: _Graph, z: str, into: str) -> None:
    graph.node("Mul", z, graph.node("Sigmoid", z, into=f"{into}.sigmoid"), into=into)


def _one(kind: str, **attributes: float) -> Callable[[_Graph, str, str], None]:
    def add(graph: _Graph, z: str, into: str) -> None:
        graph.node(kind, z, into=into, **attributes)

    return add


ACTIVATIONS: dict[str, Callable[[_Graph, str, str], None]] = {
    "relu": _one("Relu"),
    "leaky_relu": _one("LeakyRelu", alpha=0.01),
    "elu": _one("Elu", alpha=1.0),
    "selu": _one("Selu"),
    "gelu": _gelu,
    "silu": _silu,
    "softplus": _one("Softplus"),
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
}


def as_onnx(trained: Trained, *, scaler: bool = True) -> bytes:
    """The model: ``x`` (N, features) → ``outputs`` and, for classes, ``probabilities`` (N, outputs).

    ``scaler``: rows go in as they stand in the data; else the network's own, scaled ones. ExportError: onnx is missing.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise ExportError("--format onnx needs the package onnx: pip install 'bptui[onnx]'") from None
    if sum(value.size for value in trained.parameters.values()) * 4 > MOST_BYTES:
        raise ExportError(f"{trained.info.id}: more than 2 GB of parameters do not fit into one ONNX file")
    graph = _Graph(helper, numpy_helper)
    double = scaler and _far_from_zero(trained)
    a = _scaling(graph, trained, TensorProto, double=double) if scaler else "x"
    names = layer_names(trained.experiment.model)
    for name, layer in zip(names, dense_layers(trained.experiment, "onnx"), strict=True):
        weight, bias = (
            graph.constant(f"{name}.{kind}", trained.parameters[f"{name}.{kind}"].astype(np.float32))
            for kind in ("weight", "bias")
        )
        last = name == names[-1]
        plain = layer.activation == "identity"
        z = graph.node("Gemm", a, weight, bias, into="outputs" if last and plain else f"{name}.z")
        if not plain and layer.activation not in ACTIVATIONS:
            raise ExportError(f"{name}: the activation {layer.activation} cannot be exported to onnx")
        a = z
        if not plain:
            a = "outputs" if last else f"{name}.a"
            ACTIVATIONS[layer.activation](graph, z, a)
    width = trained.outputs
    made = [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["N", width])]
    if isinstance(trained.experiment.loss, CrossEntropy | BinaryCrossEntropy):
        if isinstance(trained.experiment.loss, CrossEntropy):
            graph.node("Softmax", "outputs", into="probabilities", axis=1)
        else:
            graph.node("Sigmoid", "outputs", into="probabilities")
        made.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", width]))
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", kind, ["N", trained.about.features])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "bptui", [given], made, graph.constants),
        producer_name="bptui", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    helper.set_model_props(model, _described(trained))
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _far_from_zero(trained: Trained) -> bool:
    return bool((np.abs(trained.scaler.mean) > FAR_FROM_ZERO * trained.scaler.scale).any())


def _scaling(graph: _Graph, trained: Trained, types: Any, *, double: bool) -> str:
    x = "x" if double else graph.node("Cast", "x", into="x.double", to=types.DOUBLE)
    scaler = trained.scaler
    if scaler.fill is not None:
        there = graph.node("IsNaN", x, into="x.missing")
        x = graph.node("Where", there, graph.constant("scaler.fill", scaler.fill), x, into="x.filled")
    if scaler.kind != "none":
        x = graph.node("Sub", x, graph.constant("scaler.mean", scaler.mean), into="x.centred")
        x = graph.node("Div", x, graph.constant("scaler.scale", scaler.scale), into="x.divided")
    return graph.node("Cast", x, into="x.scaled", to=types.FLOAT)


def _described(trained: Trained) -> dict[str, str]:
    about = trained.about
    described = {"run": trained.info.id, "step": str(trained.step), "task": about.task}
    for key, value in (("classes", about.classes), ("features", about.feature_names), ("shape", about.shape)):
        if value:
            described[key] = json.dumps(list(value), ensure_ascii=False)
    return described
