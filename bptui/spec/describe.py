"""A model as rows: names, shapes and parameter counts, from the experiment alone."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from bptui.spec import networks
from bptui.spec.experiment import Experiment, Layer, layer_names
from bptui.spec.layers.base import Shape, activation_of
from bptui.spec.receptive import fields
from bptui.spec.shapes import Placed, ShapeError, kind_of
from bptui.spec.sources import source_of


class Row(NamedTuple):
    """One layer. ``inputs`` and ``parameters`` are None, and ``shape`` empty, where only the data can tell."""

    name: str
    kind: str
    inputs: int | None
    """Features, or channels of pictures, of its (first) input."""
    shape: Shape
    activation: str
    parameters: int | None
    sources: tuple[int, ...] = ()
    """Indices of the layers it reads; −1: the batch. Empty where the layers do not fit together."""
    unit_axis: int = -1
    field: tuple[int, ...] = ()
    """Its receptive field on the sample, along the axes of places; empty: all of it, or not known."""

    @property
    def units(self) -> int:
        """Channels of a picture, features elsewhere; 0 where it is not known."""
        return self.shape[self.unit_axis] if self.shape else 0


def describe(experiment: Experiment, features: int | None = None, shape: Shape | None = None) -> tuple[Row, ...]:
    """The layers of an experiment; ``features`` or ``shape`` of a sample where the source is a file.

    Of the first layer that does not fit, and of those behind it, nothing is known but name, kind and activation.
    """
    ids = False
    if source := source_of(experiment.data):
        shape, ids = source.shape or (source.features,), source.ids
    elif not shape and features is not None:
        shape = (features,)
    placed = () if shape is None else _fitting(experiment, shape, ids)
    read = () if shape is None else networks.read(experiment, shape)
    rows = [row(place)._replace(field=field) for place, field in zip(placed, fields(placed, read), strict=True)]
    layers = networks.layers_of(experiment)
    names = layer_names(layers)
    for index in range(len(rows), len(names)):
        layer = layers[index]
        if shape is None:
            rows.append(_unknown(layers, names, index))
        else:
            rows.append(Row(names[index], kind_of(layer), None, (), activation_of(layer), None))
    return tuple(rows)


def receptive(experiment: Experiment, sample: Shape) -> dict[str, tuple[int, ...]]:
    """Layer → its receptive field on samples of this shape, where it is not all of the sample."""
    if len(sample) < 2 or experiment.adversary is not None:
        return {}
    placed = _fitting(experiment, sample, False)
    return {place.name: field for place, field in zip(placed, fields(placed, sample), strict=True) if field}


def row(place: Placed) -> Row:
    """A layer in its place as a row."""
    taken = place.inputs[0]
    inputs = taken[0] if len(taken) == 3 else taken[-1]
    return Row(
        place.name, place.kind, inputs, place.geometry.output, activation_of(place.layer), place.parameters,
        place.sources, place.geometry.unit_axis,
    )  # fmt: skip


def _fitting(experiment: Experiment, shape: Shape, ids: bool) -> tuple[Placed, ...]:
    """The layers before the first that does not fit."""
    found: list[Placed] = []
    with suppress(ShapeError):
        found.extend(networks.fitting(experiment, shape, ids))
    return tuple(found)


def _unknown(model: tuple[Layer, ...], names: tuple[str, ...], index: int) -> Row:
    layer = model[index]
    units, before = getattr(layer, "units", 0), model[index - 1] if index else None
    inputs = getattr(before, "units", None) if kind_of(layer) == "dense" and not layer.input else None
    parameters = (inputs + 1) * units if inputs and units else None
    return Row(names[index], kind_of(layer), inputs, (units,) if units else (), activation_of(layer), parameters)


def widths(experiment: Experiment) -> tuple[int, ...]:
    """Units of each layer, the data's features first where they are known beforehand (of a generator the noise)."""
    source, adversary = source_of(experiment.data), experiment.adversary
    first = (adversary.noise,) if adversary is not None else (source.features,) if source else ()
    return (*first, *(each.units for each in describe(experiment)))
