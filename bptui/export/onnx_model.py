"""A run's network as an ONNX model: scaling first, then the layers, then probabilities where the loss gives them.

Operators are those of opset 17, computed in float32 as runtimes expect; scaling is done in float64, since a time stamp
minus its mean would lose its digits in float32.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bptui.export.errors import ExportError
from bptui.export.onnx_graph import ACTIVATIONS, OnnxGraph
from bptui.export.onnx_kinds import KINDS
from bptui.export.trained import Trained, one_network
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy
from bptui.spec.layers.base import Steps, activation_of, size
from bptui.spec.shapes import BATCH, Placed, ends_of, steps_of

OPSET, IR_VERSION = 17, 8
#: Where a feature's mean is so many σ from 0, it loses its digits in float32, and the input is float64.
FAR_FROM_ZERO = 64.0
#: What one protobuf file may hold.
MOST_BYTES = 2_000_000_000


def _layers(graph: OnnxGraph, trained: Trained, x: str) -> None:
    """From the scaled rows to ``outputs``; of padded sequences all is 0 beyond their ends."""
    given: list[str] = []
    places, padded = trained.places, trained.about.padded
    steps = steps_of(places)
    if padded and steps is not None:
        shape = trained.about.sample
        x = graph.ended(graph.reshape(x, shape, "x.sequences"), "lengths", steps, "x.ended")

    def after(place: Placed, steps: Steps, own: str) -> str:
        return _lengths_after(graph, steps, own, f"{place.name}.lengths")

    for place, ends in zip(places, ends_of(places, "lengths" if padded else None, after), strict=True):
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
        a = f"{place.name}.z"
        KINDS[place.kind](graph, place, sources, tensors, a, ends.read or "")
        if (activation := activation_of(place.layer)) != "identity":
            ACTIVATIONS[activation](graph, a, f"{place.name}.a")
            a = f"{place.name}.a"
        if ends.given:
            a = graph.ended(a, ends.given, place.geometry.output[0], f"{place.name}.ended")
        given.append(a)
    output = places[-1].geometry.output
    if len(output) > 1 and not isinstance(trained.experiment.loss, CrossEntropy):
        graph.reshape(given[-1], (size(output),), "outputs")
    else:
        graph.node("Identity", given[-1], into="outputs")


def _lengths_after(graph: OnnxGraph, steps: Steps, own: str, into: str) -> str:
    """As ``Steps.of``; where the division rounds otherwise, both give at most 0, so that 1 stands."""
    along = graph.node("Mul", own, graph.whole(steps.factor), into=f"{into}.along")
    reached = graph.node("Add", along, graph.whole(steps.reach), into=f"{into}.reached")
    strides = graph.node("Div", reached, graph.whole(steps.stride), into=f"{into}.strides")
    count = graph.node("Add", strides, graph.whole(1), into=f"{into}.count")
    return graph.node("Max", count, graph.whole(1), into=into)


def _formed(graph: OnnxGraph, x: str, shape: tuple[int, ...], into: str) -> str:
    """The batch in the form in which a layer reads it."""
    return x if len(shape) == 1 else graph.reshape(x, shape, into)


def as_onnx(trained: Trained, *, scaler: bool = True) -> bytes:
    """The model: ``x`` (N, features) → ``outputs`` and, for classes, ``probabilities``.

    Both are (N, outputs) or, where each step has a class, (N, T, classes). Tokens are ``x`` (N, T) int64. Where samples
    are padded, ``lengths`` (N,) int64 goes in, too: 1 to T. ``scaler``: rows go in as they stand in the data; else the
    network's own, scaled ones. ExportError: onnx is missing.
    """
    one_network(trained, "onnx")
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError:
        raise ExportError("--format onnx needs the package onnx: pip install 'bptui[onnx]'") from None
    if sum(value.size for value in trained.parameters.values()) * 4 > MOST_BYTES:
        raise ExportError(f"{trained.info.id}: more than 2 GB of parameters do not fit into one ONNX file")
    graph = OnnxGraph(helper, numpy_helper)
    about = trained.about
    scaler = scaler and not about.ids
    double = scaler and _far_from_zero(trained)
    a = _scaling(graph, trained, TensorProto, double=double) if scaler else "x"
    _layers(graph, trained, a)
    last = trained.places[-1].geometry.output
    steps = [last[0]] if len(last) == 2 and isinstance(trained.experiment.loss, CrossEntropy) else []
    shape: list[str | int | None] = ["N", *steps, trained.outputs]
    made = [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, shape)]
    if isinstance(trained.experiment.loss, CrossEntropy | BinaryCrossEntropy):
        if isinstance(trained.experiment.loss, CrossEntropy):
            graph.node("Softmax", "outputs", into="probabilities", axis=-1)
        else:
            graph.node("Sigmoid", "outputs", into="probabilities")
        made.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape))
    kind = TensorProto.INT64 if about.ids else TensorProto.DOUBLE if double else TensorProto.FLOAT
    given = [helper.make_tensor_value_info("x", kind, ["N", about.features])]
    if about.padded:
        given.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, ["N"]))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "bptui", given, made, graph.constants),
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
    for key, value in (
        ("classes", about.classes), ("features", about.feature_names), ("shape", about.shape),
        ("vocabulary", about.vocabulary),
        ("vocabularies", about.vocabularies),
    ):
        if value:
            described[key] = json.dumps(list(value), ensure_ascii=False)
    return described
