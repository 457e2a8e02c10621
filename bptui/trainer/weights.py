"""Initial weights from a file of tensors, in place of the drawn ones (``--weights``).

The parameters alone are taken over: the optimiser starts anew, as it does with drawn weights. Names and shapes are
those of ``Engine.state``: ``dense1.weight`` (inputs, units) and ``dense1.bias`` (units,).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bptui.engine.base import Engine

#: What a keyframe holds beside the parameters.
_STATE = ("optimizer.", "batches.", "scaler.")
_KEYFRAME_MARK = "optimizer.step"
_FLOATS = frozenset({"F16", "F32", "F64"})


class WeightsError(ValueError):
    """A file of weights that does not fit; one line that names the tensor."""


def load_weights(engine: Engine, path: Path) -> None:
    """Put the parameters in ``path`` in place; before any of them is, WeightsError where one does not fit."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in engine.layers:
        shapes[f"{layer.name}.weight"] = (layer.inputs, *layer.shape)
        shapes[f"{layer.name}.bias"] = layer.shape
    engine.load_state({**engine.state(), **_read(path, shapes)})


def _read(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors named in ``shapes``, each of its shape, and no others beside a keyframe's own."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            held = set(file.keys())
            for name, shape in shapes.items():
                if name not in held:
                    raise WeightsError(f"{path}: {name} is missing, expected {_size(shape)}{_nearest(name, held)}")
                about = file.get_slice(name)
                if tuple(about.get_shape()) != shape:
                    raise WeightsError(f"{path}: {name} is {_size(about.get_shape())}, expected {_size(shape)}")
                if about.get_dtype() not in _FLOATS:
                    raise WeightsError(f"{path}: {name} is of type {about.get_dtype()}, expected F32 or F64")
            for name in sorted(held - set(shapes)):
                if not (_KEYFRAME_MARK in held and name.startswith(_STATE)):
                    found = _size(file.get_slice(name).get_shape())
                    raise WeightsError(
                        f"{path}: {name} ({found}) is not a tensor of this model{_nearest(name, shapes)}"
                    )
            return {name: np.asarray(file.get_tensor(name)) for name in shapes}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None


def _size(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "a single value"


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    if close:
        return f"; nearest: {close[0]}"
    some = sorted(n for n in names if not n.startswith(_STATE))[:4]
    return f" (there: {', '.join(some)})" if some else ""
