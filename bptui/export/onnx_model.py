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
from bptui.export.onnx_kinds import KINDS, OnnxGraph
from bptui.export.trained import Trained
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy
from bptui.spec.layers.base import activation_of, size
from bptui.spec.shapes import BATCH

OPSET, IR_VERSION = 17, 8
#: Where a feature's mean is so many σ from 0, it loses its digits in float32, and the input is float64.
FAR_FROM_ZERO = 64.0
#: What one protobuf file may hold.
MOST_BYTES = 2_000_000_000

Values = npt.NDArray[Any]


def _gelu(graph: OnnxGraph, z: str, into: str) -> None:
    """z·Φ(z), by erf: the operator of this name came later than opset 17."""
    root = graph.constant(f"{into}.root", np.array(np.sqrt(0.5), np.float32))
    half, one = (graph.constant(f"{into}.{v}", np.array(v, np.float32)) for v in (0.5, 1.0))
    scaled = graph.node("Mul", z, root, into=f"{into}.scaled")
    phi = graph.node("Add", graph.node("Erf", scaled, into=f"{into}.erf"), one, into=f"{into}.above")
    graph.node("Mul", graph.node("Mul", z, phi, into=f"{into}.double"), half, into=into)


def _silu(graph: OnnxGraph, z: str, into: str) -> None:
    graph.node("Mul", z, graph.node("Sigmoid", z, into=f"{into}.sigmoid"), into=into)


def _one(kind: str, **attributes: float) -> Callable[[OnnxGraph, str, str], None]:
    def add(graph: OnnxGraph, z: str, into: str) -> None:
        graph.node(kind, z, into=into, **attributes)

    return add


ACTIVATIONS: dict[str, Callable[[OnnxGraph, str, str], None]] = {
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


def _layers(graph: OnnxGraph, trained: Trained, x: str) -> None:
    """From the scaled rows to ``outputs``."""
    given: list[str] = []
    places = trained.places
    for index, place in enumerate(places):
        if place.kind not in KINDS:
            raise ExportError(f"{place.name}: a layer of type {place.kind} cannot be exported to onnx")
        sources = [
            given[source] if source != BATCH else _formed(graph, x, shape, f"{place.name}.x{number}")
            for number, (source, shape) in enumerate(zip(place.sources, place.inputs, strict=True))
        ]
        tensors = {
            each.name: trained.parameters[f"{place.name}.{each.name}"].astype(np.float32)
            for each in (*place.geometry.parameters, *place.geometry.buffers)
        }
        last = index == len(places) - 1 and len(place.geometry.output) == 1
        activation = activation_of(place.layer)
        plain = activation == "identity"
        z = "outputs" if last and plain else f"{place.name}.z"
        KINDS[place.kind](graph, place, sources, tensors, z)
        a = z
        if not plain:
            a = "outputs" if last else f"{place.name}.a"
            ACTIVATIONS[activation](graph, z, a)
        given.append(a)
    output = places[-1].geometry.output
    if len(output) > 1:
        if isinstance(trained.experiment.loss, CrossEntropy):
            raise ExportError(f"{places[-1].name}: a class for each step of a sequence cannot be exported to onnx")
        graph.reshape(given[-1], (size(output),), "outputs")


def _formed(graph: OnnxGraph, x: str, shape: tuple[int, ...], into: str) -> str:
    """The batch in the form in which a layer reads it."""
    return x if len(shape) == 1 else graph.reshape(x, shape, into)


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
    graph = OnnxGraph(helper, numpy_helper)
    double = scaler and _far_from_zero(trained)
    a = _scaling(graph, trained, TensorProto, double=double) if scaler else "x"
    _layers(graph, trained, a)
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


def _scaling(graph: OnnxGraph, trained: Trained, types: Any, *, double: bool) -> str:
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
