"""A run's network as a keyframe holds it: parameters, scaling and names. Neither its data nor torch are needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.data import Scaler
from bptui.engine import EngineError, create
from bptui.engine.base import Engine
from bptui.export.errors import ExportError
from bptui.runs import keyframes
from bptui.runs.info import RunError, RunInfo, read_info
from bptui.spec import networks
from bptui.spec.check import check
from bptui.spec.experiment import CrossEntropy, Dense, Experiment, layer_names
from bptui.spec.layers.base import Shape
from bptui.spec.load import SpecError, from_dict
from bptui.spec.shapes import Placed, ShapeError, kind_of, outputs_of, wiring

Values = npt.NDArray[Any]
DTYPES: dict[str, npt.DTypeLike] = {"f32": np.float32, "f64": np.float64}


class About(msgspec.Struct, frozen=True):
    """What a keyframe says of the data that the run learned from."""

    name: str = ""
    task: str = "regression"
    features: int = 0
    outputs: int = 0
    shape: tuple[int, ...] | None = None
    """Shape of one picture; None for rows of a table."""
    range: tuple[float, float] | None = None
    """Least and largest value of a picture before scaling."""
    classes: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    label: str = "label"
    vocabulary: tuple[str, ...] | None = None
    """The token of each id, where the run learned from texts."""
    vocabularies: tuple[tuple[str, ...], ...] | None = None
    """The same of each column, where each has ids of its own."""
    sample_rate: int | None = None
    """Samples a second of the sounds, where it learned from those."""
    ids: bool = False
    """Whether samples are whole numbers that mean tokens."""
    padded: bool = False
    """Whether samples are sequences of several lengths, filled up."""

    @property
    def sample(self) -> Shape:
        """Shape of one sample; grey pictures of older runs get their one channel."""
        if self.shape is None:
            return (self.features,)
        return (1, *self.shape) if len(self.shape) == 2 and self.range is not None else self.shape


@dataclass(frozen=True, slots=True)
class Trained:
    """The state of ``step`` of a run."""

    info: RunInfo
    experiment: Experiment
    about: About
    step: int
    parameters: dict[str, Values]
    """``dense1.weight`` (inputs, units), ``dense1.bias`` (units,) …, in the order of the layers."""
    scaler: Scaler

    @property
    def places(self) -> tuple[Placed, ...]:
        """The layers with their shapes."""
        return places_of(self.experiment, self.about)

    @property
    def outputs(self) -> int:
        """Columns of what ``engine().predict`` gives."""
        return outputs_of(self.places, isinstance(self.experiment.loss, CrossEntropy))

    def engine(self) -> Engine:
        """The network with these parameters: its ``predict`` takes scaled rows (N, features)."""
        header = self.experiment.experiment
        try:
            engine = create(
                self.experiment, self.about.features, self.outputs, engine="numpy", dtype=header.dtype,
                seed=header.seed, shape=self.about.sample, ids=self.about.ids,
            )  # fmt: skip
        except EngineError as error:
            raise ExportError(str(error)) from None
        engine.load_state({**engine.state(), **self.parameters})
        return engine


def open_trained(run: Path, *, first: bool = False) -> Trained:
    """The run's last keyframe (``first``: that of step 0). ExportError or RunError in one line."""
    info = read_info(run)
    experiment = experiment_of(info)
    tensors, metadata = _read(run, info, first)
    try:
        about = msgspec.json.decode(metadata.get("data", ""), type=About)
        scaler = Scaler.from_state(_under("scaler.", tensors))
        step = int(metadata["step"])
    except (msgspec.DecodeError, ValueError, KeyError) as error:
        raise ExportError(f"{info.id}: its keyframe does not say what the data were ({error})") from None
    if scaler.mean.shape != (about.features,):
        raise ExportError(f"{info.id}: its keyframe scales {len(scaler.mean)} features, the data had {about.features}")
    return Trained(info, experiment, about, step, _parameters(info, experiment, about, tensors), scaler)


def experiment_of(info: RunInfo) -> Experiment:
    """The experiment of a run of bptui's own trainer, checked again: its file may have come from anywhere."""
    if info.mode != "train":
        raise ExportError(f"{info.id}: a script's run; only runs of 'bptui' and 'bptui train' know their model")
    try:
        experiment = from_dict(info.spec)
    except SpecError as error:
        raise ExportError(f"{info.id}: {error}") from None
    problems = check(experiment)
    if problems:
        raise ExportError(f"{info.id}: {problems[0]}")
    return experiment


def _read(run: Path, info: RunInfo, first: bool) -> tuple[dict[str, Values], dict[str, str]]:
    for again in (True, False):
        frames = keyframes.keyframes(run)
        if not frames:
            raise ExportError(f"{info.id}: this run has kept no weights yet")
        if first and frames[0].step:
            raise ExportError(f"{info.id}: the keyframe of step 0 is missing")
        try:
            return keyframes.read(frames[0 if first else -1].path)
        except RunError:
            # Of a run that goes on, a keyframe may be thinned out between the look at the folder and the reading.
            if not again:
                raise
    raise AssertionError


def _parameters(info: RunInfo, experiment: Experiment, about: About, tensors: dict[str, Values]) -> dict[str, Values]:
    parameters = {}
    for place in places_of(experiment, about):
        for each in (*place.geometry.parameters, *place.geometry.buffers):
            tensor, found = f"{place.name}.{each.name}", tensors.get(f"{place.name}.{each.name}")
            if found is None or found.shape != each.shape:
                what = "is missing" if found is None else f"has shape {found.shape}, expected {each.shape}"
                raise ExportError(f"{info.id}: damaged keyframe: {tensor} {what}")
            parameters[tensor] = found
    return parameters


def places_of(experiment: Experiment, about: About) -> tuple[Placed, ...]:
    """The layers with their shapes, for the data that the run was trained on."""
    try:
        return networks.fitted(experiment, about.sample, about.ids)
    except ShapeError as error:
        raise ExportError(f"{networks.names_of(experiment)[error.layer]}: {error}") from None


def one_network(trained: Trained, what: str) -> None:
    """ExportError where there are two: ``what`` has room for one."""
    if trained.experiment.adversary is not None:
        raise ExportError(
            f"{trained.info.id}: two networks, a generator and its discriminator: {what} takes one; "
            "bptui export --format safetensors holds the weights of both"
        )


def dense_layers(experiment: Experiment, what: str) -> tuple[Dense, ...]:
    """The layers of a chain of dense ones. ExportError where it is none: ``what`` cannot say it."""
    found = []
    for index, (name, layer) in enumerate(zip(layer_names(experiment.model), experiment.model, strict=True)):
        if not isinstance(layer, Dense):
            raise ExportError(f"{name}: a layer of type {kind_of(layer)} cannot be exported to {what}")
        if wiring(experiment.model)[index] != (index - 1,):
            raise ExportError(f"{name}: a layer that reads another than the one before it cannot be exported to {what}")
        found.append(layer)
    return tuple(found)


def _under(prefix: str, tensors: dict[str, Values]) -> dict[str, Values]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
