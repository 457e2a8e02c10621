"""How the layers of sequences are written in ONNX: recurrence, attention, embeddings, norms over features.

``ends`` names the lengths (N,) of what a layer reads, where samples are padded; else it is empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptui.engine.positions import sinusoids
from bptui.export.onnx_graph import ACTIVATIONS, OnnxGraph, Values
from bptui.spec.layers.attention import NORM_EPS
from bptui.spec.layers.base import Shape, size
from bptui.spec.shapes import Placed

Tensors = Mapping[str, Values]

#: Types of ``TensorProto``.
FLOAT, INT32 = 1, 6
#: Gates as ONNX orders them, by their places in torch's order, which is a run's: i o f c of i f c o, z r h of r z h.
GATES = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}


def recurrent(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    """One operator a level; inside, the steps come first."""
    layer: Any = place.layer
    sides = ("", "_reverse") if layer.bidirectional else ("",)
    more: dict[str, Any] = {"hidden_size": layer.units, "direction": "bidirectional" if len(sides) == 2 else "forward"}
    if place.kind == "gru":
        more["linear_before_reset"] = 1  # as torch: r⊙(h·U + c)
    if getattr(layer, "nonlinearity", "tanh") == "relu":
        more["activations"] = ["Relu"] * len(sides)
    steps = graph.node("Cast", ends, into=f"{z}.steps", to=INT32) if ends else ""
    x, width = graph.node("Transpose", given[0], into=f"{z}.times", perm=[1, 0, 2]), layer.units * len(sides)
    last = ""
    for level in range(layer.layers):
        names = [f"l{level}{side}" for side in sides]
        tensors = [
            graph.constant(f"{place.name}.{kind}_l{level}", np.stack([_ordered(place, of, kind, end) for end in names]))
            for kind in ("weight_ih", "weight_hh", "bias")
        ]
        states, last = graph.nodes_of(
            place.kind.upper(), [x, *tensors, steps], [f"{z}.l{level}", f"{z}.l{level}.last"], **more
        )
        sided = graph.node("Transpose", states, into=f"{z}.l{level}.sided", perm=[0, 2, 1, 3])  # (T, N, sides, H)
        x = graph.node("Reshape", sided, graph.whole(0, 0, width), into=f"{z}.l{level}.joined")
    if layer.returns == "last":
        graph.reshape(graph.node("Transpose", last, into=f"{z}.ends", perm=[1, 0, 2]), (width,), z)
    else:
        graph.node("Transpose", x, into=z, perm=[1, 0, 2])


def _ordered(place: Placed, of: Tensors, kind: str, end: str) -> Values:
    """(gates·H, ·) with the gates as ONNX has them; of the biases both, one after the other."""
    if kind == "bias":
        return np.concatenate([_ordered(place, of, f"bias_{which}", end) for which in ("ih", "hh")])
    order = GATES[place.kind]
    gates = np.split(of[f"{kind}_{end}"].T, len(order))
    return np.concatenate([gates[at] for at in order])


def time_pool(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    (x,), steps = given, place.inputs[0][0]
    if layer.how == "max":
        seen = graph.ended(x, ends, steps, f"{z}.seen", -math.inf) if ends else x
        graph.node("ReduceMax", seen, into=z, axes=[1], keepdims=0)
    elif layer.how == "mean" and not ends:
        graph.node("ReduceMean", x, into=z, axes=[1], keepdims=0)
    elif layer.how == "mean":
        total = graph.node("ReduceSum", x, graph.whole(1), into=f"{z}.total", keepdims=0)
        graph.node("Div", total, _counts(graph, ends, f"{z}.counts", 1), into=z)
    elif not ends:
        graph.node("Gather", x, graph.constant(f"{z}.last", np.array(steps - 1, np.int64)), into=z, axis=1)
    else:
        one = graph.node("Sub", ends, graph.whole(1), into=f"{z}.at")
        graph.node(
            "GatherND", x, graph.node("Unsqueeze", one, graph.whole(1), into=f"{z}.places"), into=z, batch_dims=1
        )


def _counts(graph: OnnxGraph, ends: str, into: str, *axes: int) -> str:
    """Lengths as float32 with more axes of 1: (N, 1 …)."""
    floats = graph.node("Cast", ends, into=f"{into}.floats", to=FLOAT)
    return graph.node("Unsqueeze", floats, graph.whole(*axes), into=into)


def embedding(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    tokens = given[0]
    if layer.column is not None:
        column = graph.constant(f"{z}.column", np.array([layer.column], np.int64))
        tokens = graph.reshape(graph.node("Gather", tokens, column, into=f"{z}.one", axis=1), (), f"{z}.tokens")
    graph.node("Gather", graph.constant(f"{place.name}.weight", of["weight"]), tokens, into=z, axis=0)


def positional(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    table = of.get("weight", sinusoids(*place.geometry.output[:2]).astype(np.float32))
    graph.node("Add", given[0], graph.constant(f"{place.name}.table", table), into=z)


def feature_norm(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    _norm(graph, given[0], f"{place.name}.", of, "", layer.eps, z)


def _norm(graph: OnnxGraph, x: str, name: str, of: Tensors, prefix: str, eps: float, into: str) -> str:
    """Layer norm where there is a bias, else RMS norm, over the last axis."""
    weight = graph.constant(f"{name}{prefix}weight", of[f"{prefix}weight"])
    if f"{prefix}bias" in of:
        bias = graph.constant(f"{name}{prefix}bias", of[f"{prefix}bias"])
        return graph.node("LayerNormalization", x, weight, bias, into=into, axis=-1, epsilon=eps)
    square = graph.node("Mul", x, x, into=f"{into}.square")
    mean = graph.node("ReduceMean", square, into=f"{into}.mean", axes=[-1], keepdims=1)
    root = graph.node("Sqrt", graph.node("Add", mean, graph.number(eps), into=f"{into}.above"), into=f"{into}.root")
    return graph.node("Mul", graph.node("Div", x, root, into=f"{into}.normal"), weight, into=into)


def attention(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    _attention(graph, place, given[0], of, "", z, ends)


def _attention(graph: OnnxGraph, place: Placed, x: str, of: Tensors, prefix: str, into: str, ends: str) -> str:
    """softmax(QKᵀ/√d)·V of each head; −∞ where a step may not look."""
    layer: Any = place.layer
    (steps, features), heads = place.inputs[0], layer.heads
    projected = _product(graph, place, x, of, f"{prefix}qkv", f"{into}.projected")
    parts = graph.nodes_of("Split", [projected], [f"{into}.{part}" for part in "qkv"], axis=-1)
    sided = [
        graph.reshape(part, (steps, heads, features // heads), f"{part}.heads") for part in parts
    ]  # (N, T, heads, d)
    perms = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    query, key, value = (
        graph.node("Transpose", part, into=f"{part}.turned", perm=perm) for part, perm in zip(sided, perms, strict=True)
    )
    scores = graph.node("MatMul", query, key, into=f"{into}.products")
    scores = graph.node("Div", scores, graph.number(math.sqrt(features // heads)), into=f"{into}.scores")
    for looked in _looked(graph, layer.causal, ends, steps, into):
        scores = graph.node("Where", looked, scores, graph.number(-math.inf), into=f"{looked}.scores")
    chance = graph.node("Softmax", scores, into=f"{into}.chance", axis=-1)
    heard = graph.node("MatMul", chance, value, into=f"{into}.heard")
    back = graph.node("Transpose", heard, into=f"{into}.back", perm=[0, 2, 1, 3])
    return _product(graph, place, graph.reshape(back, (steps, features), f"{into}.joined"), of, f"{prefix}out", into)


def _looked(graph: OnnxGraph, causal: bool, ends: str, steps: int, into: str) -> list[str]:
    """What each step may look at, (…, T, T) and (N, 1, 1, T)."""
    found = []
    if causal:
        found.append(graph.node("Identity", _causal(graph, steps), into=f"{into}.before"))
    if ends:
        found.append(graph.node("Unsqueeze", graph.real(ends, steps), graph.whole(1, 2), into=f"{into}.keys"))
    return found


def _causal(graph: OnnxGraph, steps: int) -> str:
    return graph.constant(f"causal.{steps}", np.tri(steps, dtype=np.bool_))


def _product(graph: OnnxGraph, place: Placed, x: str, of: Tensors, name: str, into: str) -> str:
    weight, bias = (graph.constant(f"{place.name}.{each}", of[each]) for each in (name, f"{name}_bias"))
    return graph.node("Add", graph.node("MatMul", x, weight, into=f"{into}.product"), bias, into=into)


def transformer_block(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    layer: Any = place.layer
    (x,), eps = given, NORM_EPS[layer.norm]

    def norm(x: str, which: int, into: str) -> str:
        return _norm(graph, x, f"{place.name}.", of, f"norm{which}.", eps, into)

    def feed(x: str) -> str:
        hidden = _product(graph, place, x, of, "feed.up", f"{z}.up")
        if layer.feed_activation != "identity":
            ACTIVATIONS[layer.feed_activation](graph, hidden, f"{z}.hidden")
            hidden = f"{z}.hidden"
        return _product(graph, place, hidden, of, "feed.down", f"{z}.down")

    if layer.order == "pre":
        heard = _attention(graph, place, norm(x, 1, f"{z}.norm1"), of, "attention.", f"{z}.attention", ends)
        middle = graph.node("Add", x, heard, into=f"{z}.middle")
        graph.node("Add", middle, feed(norm(middle, 2, f"{z}.norm2")), into=z)
    else:
        heard = _attention(graph, place, x, of, "attention.", f"{z}.attention", ends)
        middle = norm(graph.node("Add", x, heard, into=f"{z}.sum1"), 1, f"{z}.norm1")
        norm(graph.node("Add", middle, feed(middle), into=f"{z}.sum2"), 2, z)


def group_norm(graph: OnnxGraph, place: Placed, given: Sequence[str], of: Tensors, z: str, ends: str) -> None:
    """Pictures, rows and sequences; of those over the real steps alone."""
    layer: Any = place.layer
    (x,), shape, groups, normal = given, place.inputs[0], layer.groups, f"{z}.normal"
    if ends:
        _groups_of_steps(graph, x, shape[0], groups, place.units // groups, layer.eps, normal, ends)
    elif len(shape) == 2:
        channels = graph.turned(x, f"{z}.channels")
        _groups(graph, channels, shape[::-1], groups, layer.eps, f"{z}.channelled")
        graph.turned(f"{z}.channelled", normal)
    else:
        _groups(graph, x, shape, groups, layer.eps, normal)
    form = (-1, 1, 1) if len(shape) == 3 else (-1,)
    weight, bias = (graph.constant(f"{place.name}.{name}", of[name].reshape(form)) for name in ("weight", "bias"))
    graph.node("Add", graph.node("Mul", normal, weight, into=f"{z}.scaled"), bias, into=z)


def _groups(graph: OnnxGraph, x: str, shape: Shape, groups: int, eps: float, into: str) -> None:
    """x̂ of samples with their channels first: each group is one instance."""
    whole = graph.reshape(x, (groups, size(shape) // groups), f"{into}.groups")
    ones, zeros = (graph.constant(f"{into}.{v}", np.full(groups, v, np.float32)) for v in (1, 0))
    normal = graph.node("InstanceNormalization", whole, ones, zeros, into=f"{into}.instances", epsilon=eps)
    graph.reshape(normal, shape, into)


def _groups_of_steps(
    graph: OnnxGraph, x: str, steps: int, groups: int, members: int, eps: float, into: str, ends: str
) -> None:
    """x̂ over the real steps of (N, T, F), which is 0 beyond them."""
    axes, width = graph.whole(1, 3), groups * members
    counts = graph.node(
        "Mul", _counts(graph, ends, f"{into}.steps", 1, 2, 3), graph.number(members), into=f"{into}.counts"
    )

    def mean(of: str, name: str) -> str:
        total = graph.node("ReduceSum", of, axes, into=f"{into}.{name}.total", keepdims=1)
        return graph.node("Div", total, counts, into=f"{into}.{name}")  # (N, 1, groups, 1)

    whole = graph.reshape(x, (steps, groups, members), f"{into}.groups")
    off = graph.node("Sub", whole, mean(whole, "mean"), into=f"{into}.off")
    off = graph.ended(graph.reshape(off, (steps, width), f"{into}.flat"), ends, steps, f"{into}.real")
    off = graph.reshape(off, (steps, groups, members), f"{into}.offsets")
    variance = mean(graph.node("Mul", off, off, into=f"{into}.squares"), "variance")
    root = graph.node("Sqrt", graph.node("Add", variance, graph.number(eps), into=f"{into}.above"), into=f"{into}.root")
    graph.reshape(graph.node("Div", off, root, into=f"{into}.divided"), (steps, width), into)
