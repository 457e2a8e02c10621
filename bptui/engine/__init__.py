"""Engines: the same network, loss and optimiser in NumPy and in torch, behind ``base.Engine``."""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from bptui.engine.errors import EngineError, nearest
from bptui.spec import networks
from bptui.spec.shapes import ShapeError, infer, kind_of, outputs_of, plain_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bptui.engine.base import Engine
    from bptui.spec.experiment import Experiment
    from bptui.spec.layers.base import Shape
    from bptui.spec.shapes import Placed

__all__ = ["EngineError", "choose", "create", "cuda_seen", "torch_installed"]

#: Kinds of layer (``type`` in a spec) that the NumPy engine cannot run.
TORCH_ALONE: frozenset[str] = frozenset()


def create(
    experiment: Experiment,
    features: int,
    outputs: int,
    *,
    engine: Literal["numpy", "torch"],
    device: str = "cpu",
    dtype: Literal["f32", "f64"] = "f32",
    seed: int = 0,
    shape: Shape | None = None,
    ids: bool = False,
) -> Engine:
    """An engine with its initial values; imports torch only for ``engine="torch"``.

    ``features`` and ``outputs`` are the columns of the batches and of the targets (classes for class ids); ``shape`` is
    that of one sample where it is more than a row, ``ids`` says that it is of whole numbers that mean tokens.
    EngineError: torch or the device is not there, or a layer, the last one or the class weights do not fit.
    """
    from bptui.spec.experiment import CrossEntropy

    if not experiment.model:
        raise EngineError("model: there is no layer")
    try:
        placed = networks.fitted(experiment, shape or (features,), ids)
    except ShapeError as error:
        key = f" {error.key}" if error.key else ""
        raise EngineError(f"[{networks.table_of(experiment, error)}]{key}: {error}") from None
    if experiment.adversary is not None:
        return _two(experiment, placed, engine, device, dtype, seed)
    given = outputs_of(placed, isinstance(experiment.loss, CrossEntropy))
    if given != outputs:
        raise EngineError(f"the last layer has {given} units, the data needs {outputs}")
    weights = getattr(experiment.loss, "class_weights", None)
    if weights is not None and len(weights) != outputs:
        raise EngineError(f"loss.class_weights: {len(weights)} weights for {outputs} classes")
    return _one(experiment, placed, engine, device, dtype, seed)


def _two(
    experiment: Experiment, placed: Sequence[Placed], engine: str, device: str, dtype: str, seed: int
) -> Engine:  # fmt: skip
    """A generator and its discriminator as one engine."""
    from msgspec.structs import replace

    from bptui.engine.adversarial import Adversarial
    from bptui.engine.elsewhere import Elsewhere

    adversary, first = experiment.adversary, len(experiment.model)
    assert adversary is not None
    made = networks.renamed(experiment.model, networks.GENERATOR)
    judged = networks.renamed(adversary.model, networks.DISCRIMINATOR)
    generator = replace(experiment, model=made, loss=Elsewhere(), adversary=None)
    discriminator = replace(experiment, model=judged, optimizer=adversary.optimizer, adversary=None)
    return Adversarial(
        experiment, placed, dtype=dtype, seed=seed,
        networks=(
            _one(generator, infer(made, placed[0].inputs[0]), engine, device, dtype, seed),
            _one(discriminator, infer(judged, placed[first].geometry.output), engine, device, dtype, seed, True),
        ),
    )  # fmt: skip


def _one(
    experiment: Experiment, placed: Sequence[Placed], engine: str, device: str, dtype: str, seed: int,
    returning: bool = False,
) -> Engine:  # fmt: skip
    """One network. EngineError: the engine or the device is not there."""
    if engine == "numpy":
        unknown = _unknown_layer(experiment)
        if unknown is not None:
            raise EngineError(f"the numpy engine cannot run a layer of type {unknown!r}; use --engine torch")
        if device not in ("cpu", "auto", ""):
            raise EngineError(f"the numpy engine runs on the cpu, not on {device!r}; use --engine torch")
        if plain_chain(placed):
            from bptui.engine.numpy.network import NumpyEngine

            return NumpyEngine(experiment, placed, dtype=dtype, seed=seed, returning=returning)
        from bptui.engine.numpy.graph import GraphEngine

        return GraphEngine(experiment, placed, dtype=dtype, seed=seed, returning=returning)
    if engine == "torch":
        if not torch_installed():
            raise EngineError("torch is not installed: pip install 'bptui[torch]', or use --engine numpy")
        from bptui.engine.torch.network import TorchEngine

        return TorchEngine(experiment, placed, dtype=dtype, seed=seed, device=device, returning=returning)
    raise EngineError(f"unknown engine {engine!r}{nearest(engine, ('numpy', 'torch'))}")


def choose(
    experiment: Experiment, requested: str = "auto", device: str | None = None, placed: Sequence[Placed] | None = None
) -> tuple[Literal["numpy", "torch"], str, str]:
    """(engine, device, why). ``auto``: torch with CUDA where there is one, else the one that is measured to be faster.

    ``placed``: the layers with their shapes; without them NumPy counts as the faster wherever it can run the model.
    Torch is imported only where the machine seems to have CUDA, or where torch is what was asked for with a device.
    EngineError: what was asked for is not there.
    """
    if requested not in ("auto", "numpy", "torch"):
        raise EngineError(f"unknown engine {requested!r}{nearest(requested, ('auto', 'numpy', 'torch'))}")
    wanted = None if device in (None, "", "auto") else device
    unknown = _unknown_layer(experiment)
    if requested == "numpy":
        if wanted not in (None, "cpu"):
            raise EngineError(f"the numpy engine runs on the cpu, not on {wanted!r}; use --engine torch")
        if unknown is not None:
            raise EngineError(f"the numpy engine cannot run a layer of type {unknown!r}; use --engine torch")
        return "numpy", "cpu", "asked for"
    if requested == "torch":
        if not torch_installed():
            raise EngineError("torch is not installed: pip install 'bptui[torch]', or use --engine numpy")
        if wanted is not None:
            return "torch", _torch_device(wanted), "asked for"
        if _cuda_ready():
            return "torch", "cuda", "asked for; CUDA is there"
        return "torch", "cpu", "asked for; no CUDA device"
    if wanted is not None and wanted != "cpu":
        if not torch_installed():
            raise EngineError(f"device {wanted!r} needs torch, which is not installed: pip install 'bptui[torch]'")
        return "torch", _torch_device(wanted), f"device {wanted} was asked for"
    if wanted is None and _cuda_ready():
        return "torch", "cuda", "CUDA is there"
    if unknown is None:
        there = "the cpu was asked for" if wanted else "no CUDA device"
        why = there if torch_installed() else "torch is not installed"
        if placed is None or not torch_installed():
            return "numpy", "cpu", f"{why}; NumPy can run this model"
        return _faster(placed, why)
    if torch_installed():
        return "torch", "cpu", f"NumPy cannot run a layer of type {unknown!r}"
    raise EngineError(f"a layer of type {unknown!r} needs torch, which is not installed: pip install 'bptui[torch]'")


def _faster(placed: Sequence[Placed], why: str) -> tuple[Literal["numpy", "torch"], str, str]:
    """The engine that is expected to take less time on the CPU."""
    from bptui.engine.measured import MARGIN, verdict

    found = verdict(placed)
    most = f"{found.share:.0%} of its time is in {found.kind} layers"
    if found.ratio > MARGIN:
        return "torch", "cpu", f"{why}; NumPy would take ×{found.ratio:.1f} as long: {most}, measured on a cpu"
    if found.ratio < 1:
        return "numpy", "cpu", f"{why}; torch would take ×{1 / found.ratio:.1f} as long: {most}, measured on a cpu"
    return "numpy", "cpu", f"{why}; NumPy is about as fast as torch here: {most}, measured on a cpu"


def torch_installed() -> bool:
    """Whether torch could be imported; does not import it."""
    try:
        return find_spec("torch") is not None
    except (ImportError, ValueError):  # a half-initialised or blocked module
        return False


def cuda_seen() -> bool:
    """Whether the machine seems to have a CUDA device; cheap, and imports nothing."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    if os.path.exists("/dev/nvidia0") or os.path.exists("/dev/dxg"):  # the second is Windows' subsystem for Linux
        return True
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _unknown_layer(experiment: Experiment) -> str | None:
    """The type of the first layer that the NumPy engine does not have."""
    for layer in networks.layers_of(experiment):
        if kind_of(layer) in TORCH_ALONE:
            return kind_of(layer)
    return None


def _cuda_ready() -> bool:
    if not (torch_installed() and cuda_seen()):
        return False
    from bptui.engine.torch.device import cuda_available

    return cuda_available()


def _torch_device(name: str) -> str:
    from bptui.engine.torch.device import checked

    return checked(name)
