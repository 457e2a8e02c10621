"""A model as rows: names, shapes and parameter counts, from the experiment alone."""

from __future__ import annotations

from typing import NamedTuple

from bptui.spec.experiment import Experiment, layer_names
from bptui.spec.sources import SOURCES


class Row(NamedTuple):
    """One layer. ``inputs`` and ``parameters`` are None where the data's width is not known beforehand."""

    name: str
    kind: str
    inputs: int | None
    shape: tuple[int, ...]
    activation: str
    parameters: int | None


def describe(experiment: Experiment, features: int | None = None) -> tuple[Row, ...]:
    """The layers of an experiment; ``features`` is the width of a sample where the source is a file."""
    if features is None and (source := SOURCES.get(experiment.data.source)):
        features = source.features
    rows = []
    inputs = features
    for layer, name in zip(experiment.model, layer_names(experiment.model), strict=True):
        parameters = None if inputs is None else (inputs + 1) * layer.units
        rows.append(Row(name, str(layer.__struct_config__.tag), inputs, (layer.units,), layer.activation, parameters))
        inputs = layer.units
    return tuple(rows)


def widths(experiment: Experiment) -> tuple[int, ...]:
    """Units of each layer, the data's features first where they are known beforehand."""
    source = SOURCES.get(experiment.data.source)
    return (*((source.features,) if source else ()), *(layer.units for layer in experiment.model))
