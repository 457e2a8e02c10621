"""A graph of ONNX operators (opset 17) as it is written down: nodes and constants that follow one another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]


class OnnxGraph:
    """Every name is that of a tensor, and of the node that gives it."""

    def __init__(self, helper: Any, numpy_helper: Any) -> None:
        self._helper, self._numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: set[str] = set()

    def node(self, kind: str, *inputs: str, into: str, **attributes: Any) -> str:
        return self.nodes_of(kind, inputs, [into], **attributes)[0]

    def nodes_of(self, kind: str, inputs: Sequence[str], into: Sequence[str], **attributes: Any) -> Sequence[str]:
        """An operator with several results; empty names: an input or result that is left out."""
        self.nodes.append(
            self._helper.make_node(kind, list(inputs), list(into), name=next(filter(None, into)), **attributes)
        )
        return into

    def constant(self, name: str, values: Values) -> str:
        if name not in self._known:
            self.constants.append(self._numpy_helper.from_array(np.ascontiguousarray(values), name))
        self._known.add(name)
        return name

    def number(self, value: float) -> str:
        """A constant in float32."""
        return self.constant(f"number.{value!r}", np.array(value, np.float32))

    def whole(self, *values: int) -> str:
        """Whole numbers (n,): axes, sizes."""
        return self.constant(f"whole.{'.'.join(map(str, values))}", np.array(values, np.int64))

    def reshape(self, x: str, shape: Sequence[int], into: str) -> str:
        """Each sample in another shape."""
        return self.node("Reshape", x, self.whole(-1, *shape), into=into)

    def turned(self, x: str, into: str) -> str:
        """(N, T, F) as (N, F, T), and back."""
        return self.node("Transpose", x, into=into, perm=[0, 2, 1])

    # -- sequences of several lengths ------------------------------------------------------------------
    def real(self, lengths: str, steps: int) -> str:
        """(N, steps) bool: the places before each sequence's end."""
        into = f"{lengths}.real.{steps}"
        if into not in self._known:
            self._known.add(into)
            places = self.constant(f"places.{steps}", np.arange(steps, dtype=np.int64)[None])
            self.node("Less", places, self.node("Unsqueeze", lengths, self.whole(1), into=f"{into}.column"), into=into)
        return into

    def ended(self, x: str, lengths: str, steps: int, into: str, nothing: float = 0.0) -> str:
        """x (N, steps, F) with ``nothing`` beyond the end of each sequence."""
        real = self.node("Unsqueeze", self.real(lengths, steps), self.whole(2), into=f"{into}.real")
        return self.node("Where", real, x, self.number(nothing), into=into)


def _gelu(graph: OnnxGraph, z: str, into: str) -> None:
    """z·Φ(z), by erf: the operator of this name came later than opset 17."""
    scaled = graph.node("Mul", z, graph.number(math.sqrt(0.5)), into=f"{into}.scaled")
    phi = graph.node("Add", graph.node("Erf", scaled, into=f"{into}.erf"), graph.number(1.0), into=f"{into}.above")
    graph.node("Mul", graph.node("Mul", z, phi, into=f"{into}.double"), graph.number(0.5), into=into)


def _silu(graph: OnnxGraph, z: str, into: str) -> None:
    graph.node("Mul", z, graph.node("Sigmoid", z, into=f"{into}.sigmoid"), into=into)


def _one(kind: str, **attributes: float) -> Callable[[OnnxGraph, str, str], None]:
    def add(graph: OnnxGraph, z: str, into: str) -> None:
        graph.node(kind, z, into=into, **attributes)

    return add


#: (graph, z, the name of g(z)).
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
