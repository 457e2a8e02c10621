"""Initial weights from a file of tensors, in place of the drawn ones (``--weights``).

The parameters alone are taken over: the optimiser starts anew, as it does with drawn weights. Names and shapes are
those of ``Engine.state``: ``dense1.weight`` (inputs, units), ``dense1.bias`` (units,), ``conv2d1.weight`` …
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bptui.engine.base import Engine

#: What only a keyframe holds. In one, what begins like this is other state of the run.
_KEYFRAME_MARK = "optimizer.step"
_OTHER_STATE = re.compile(r"(optimizer|adversary|scaler|batches|course)\..*")
_FLOATS = frozenset({"F16", "F32", "F64"})


class WeightsError(ValueError):
    """A file of weights that does not fit; one line that names the tensor."""


def found_weights(name: str, folders: Sequence[Path]) -> Path:
    """The file called ``name``: as a path, or in a folder of data or a folder in it named alike. WeightsError."""
    path = Path(name).expanduser()
    if path.suffix != ".safetensors":
        path = path.with_name(f"{path.name}.safetensors")
    places = [path, *(folder / path for folder in folders), *(folder / path.stem / path for folder in folders)]
    for place in places:
        if place.is_file():
            return place
    raise WeightsError(f"[experiment] weights: no file {str(path)!r}; looked in {', '.join(map(str, ['.', *folders]))}")


def load_weights(engine: Engine, path: Path, *, partial: bool = False) -> None:
    """Put the parameters in ``path`` in place; before any of them is, WeightsError where one does not fit.

    ``partial``: of the layers whose name and shapes are those in the file; the others stay as they were drawn.
    """
    layers = [
        {f"{layer.name}.{each.name}": each.shape for each in (*layer.tensors, *layer.buffers)}
        for layer in engine.layers
    ]
    shapes = {name: shape for layer in layers for name, shape in layer.items()}
    engine.load_state({**engine.state(), **(_read_fitting(path, layers) if partial else _read(path, shapes))})


def _read_fitting(path: Path, layers: Sequence[dict[str, tuple[int, ...]]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors of layers that are whole in the file and of the same shapes."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            fitting = [parts for parts in layers if all(held.get(name) == shape for name, shape in parts.items())]
            names = [name for parts in fitting for name in parts]
            return {name: np.asarray(file.get_tensor(name)) for name in names}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None


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
                if _KEYFRAME_MARK not in held or not _OTHER_STATE.fullmatch(name):
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
    parameters = sorted(name for name in names if not _OTHER_STATE.fullmatch(name))
    close = difflib.get_close_matches(name, parameters, n=1)
    if close:
        return f"; nearest: {close[0]}"
    some = parameters[:4]
    return f" (there: {', '.join(some)})" if some else ""
