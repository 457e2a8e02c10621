"""What every engine says about itself: layers, and the names and shapes of a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.engine.base import LayerInfo
from bptui.spec.layers import Layer
from bptui.spec.layers.base import Shape, activation_of, branches_of, dropout_of
from bptui.spec.shapes import Placed

OPTIMISER_STEP = "optimizer.step"
#: Activations that give exactly 0 over half of their domain, so that a unit can fall silent for good.
CAN_DIE = frozenset({"relu"})

Tensors = dict[tuple[str, str], npt.NDArray[Any]]
"""(layer, parameter or buffer) → its values."""


class State(NamedTuple):
    """A state, taken apart."""

    updates: int
    """Updates that the optimiser has made."""
    vectors: dict[str, Tensors]
    """Slot → its tensors; ``""`` for the parameters themselves."""
    buffers: Tensors


class Held(NamedTuple):
    """All that an engine holds, as views of its own arrays or tensors, a mapping by name for each layer."""

    vectors: Mapping[str, Sequence[Mapping[str, Any]]]
    """Slot → the layers' parameters; ``""`` for those themselves."""
    buffers: Sequence[Mapping[str, Any]]

    def state(
        self, layers: Sequence[LayerInfo], updates: int, copied: Callable[[Any], npt.NDArray[Any]]
    ) -> dict[str, npt.NDArray[np.generic]]:
        """A state (see ``Engine.state``): ``copied`` gives a copy of a view as an array."""
        state: dict[str, npt.NDArray[np.generic]] = {}
        for slot, vector in self.vectors.items():
            prefix = f"optimizer.{slot}." if slot else ""
            for info, views, buffers in zip(layers, vector, self.buffers, strict=True):
                named = views if slot else {**views, **buffers}
                state |= {f"{prefix}{info.name}.{name}": copied(view) for name, view in named.items()}
        state[OPTIMISER_STEP] = np.array(updates, dtype=np.int64)
        return state

    def load(self, layers: Sequence[LayerInfo], state: State, put: Callable[[Any, npt.NDArray[Any]], Any]) -> None:
        """Fill every view: ``put(view, values)``."""
        for slot, vector in self.vectors.items():
            for info, views, buffers in zip(layers, vector, self.buffers, strict=True):
                for name, view in views.items():
                    put(view, state.vectors[slot][info.name, name])
                for name, buffer in ({} if slot else buffers).items():
                    put(buffer, state.buffers[info.name, name])


def described(placed: Sequence[Placed]) -> tuple[LayerInfo, ...]:
    """One ``LayerInfo`` a layer."""
    infos = []
    for place in placed:
        geometry, taken = place.geometry, place.inputs[0]
        infos.append(
            LayerInfo(
                place.name, place.kind, taken[0] if len(taken) == 3 else taken[-1], geometry.output,
                activation_of(place.layer), place.parameters, geometry.parameters, geometry.buffers, place.sources,
                place.inputs, geometry.unit_axis,
            )
        )  # fmt: skip
    return tuple(infos)


def plain_output(model: Sequence[Layer]) -> bool:
    """Whether the outputs are the z of the last layer: no activation, no dropout of its own."""
    last = model[-1]
    return activation_of(last) == "identity" and (not dropout_of(last) or bool(branches_of(last)))


def parse_state(
    state: Mapping[str, npt.NDArray[np.generic]], layers: Sequence[LayerInfo], slots: Iterable[str]
) -> State:
    """ValueError names the first tensor that is missing or of another shape; nothing has been changed then."""
    vectors: dict[str, Tensors] = {}
    for slot in ("", *slots):
        prefix = f"optimizer.{slot}." if slot else ""
        vectors[slot] = {
            (layer.name, each.name): _tensor(state, f"{prefix}{layer.name}.{each.name}", each.shape)
            for layer in layers
            for each in layer.tensors
        }
    buffers = {
        (layer.name, each.name): _tensor(state, f"{layer.name}.{each.name}", each.shape)
        for layer in layers
        for each in layer.buffers
    }
    return State(int(_tensor(state, OPTIMISER_STEP, ())), vectors, buffers)


def _tensor(state: Mapping[str, npt.NDArray[np.generic]], name: str, shape: Shape) -> npt.NDArray[Any]:
    if name not in state:
        raise ValueError(f"state: {name} is missing")
    tensor = np.asarray(state[name])
    if tensor.shape != shape and not (shape == () and tensor.size == 1):
        raise ValueError(f"state: {name} has shape {tensor.shape}, expected {shape}")
    return tensor if shape else tensor.reshape(())
