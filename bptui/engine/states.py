"""What both engines say about themselves: layers, and the names and shapes of a state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.engine.base import LayerInfo
from bptui.spec.experiment import Experiment, Layer, layer_names

OPTIMISER_STEP = "optimizer.step"
#: Activations that give exactly 0 over half of their domain, so that a unit can fall silent for good.
CAN_DIE = frozenset({"relu"})

Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def described(experiment: Experiment, features: int) -> tuple[LayerInfo, ...]:
    """One ``LayerInfo`` a layer."""
    infos, inputs = [], features
    for layer, name in zip(experiment.model, layer_names(experiment.model), strict=True):
        kind = str(layer.__struct_config__.tag)
        parameters = (inputs + 1) * layer.units
        infos.append(LayerInfo(name, kind, inputs, (layer.units,), layer.activation, parameters))
        inputs = layer.units
    return tuple(infos)


def plain_output(model: Sequence[Layer]) -> bool:
    """Whether the outputs are the z of the last layer: no activation, no dropout."""
    last = model[-1]
    return last.activation == "identity" and not last.dropout


def parse_state(
    state: Mapping[str, npt.NDArray[np.generic]], layers: Sequence[LayerInfo], slots: Iterable[str]
) -> tuple[int, dict[str, list[Pair]]]:
    """The optimiser's count, and per vector ("" for the parameters, else the slot) weight and bias of each layer.

    ValueError names the first tensor that is missing or of another shape; nothing has been changed then.
    """
    vectors: dict[str, list[Pair]] = {}
    for slot in ("", *slots):
        prefix = f"optimizer.{slot}." if slot else ""
        vectors[slot] = [
            (
                _tensor(state, f"{prefix}{layer.name}.weight", (layer.inputs, *layer.shape)),
                _tensor(state, f"{prefix}{layer.name}.bias", layer.shape),
            )
            for layer in layers
        ]
    return int(_tensor(state, OPTIMISER_STEP, ())), vectors


def _tensor(state: Mapping[str, npt.NDArray[np.generic]], name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if name not in state:
        raise ValueError(f"state: {name} is missing")
    tensor = np.asarray(state[name])
    if tensor.shape != shape and not (shape == () and tensor.size == 1):
        raise ValueError(f"state: {name} has shape {tensor.shape}, expected {shape}")
    return tensor if shape else tensor.reshape(())
