"""The layers of an experiment as one row, of one network or of two: generator, mix, discriminator.

Layers of two networks are called ``generator.dense1`` and ``discriminator.dense1``; between them stands ``mix``, whose
output is the discriminator's batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from msgspec.structs import replace

from bptui.spec.experiment import Experiment
from bptui.spec.layers import Layer, Mix
from bptui.spec.layers.base import Joining, Shape
from bptui.spec.shapes import BATCH_NAME, Placed, ShapeError, infer, layer_names, places

GENERATOR, DISCRIMINATOR, MIX = "generator", "discriminator", "mix"


def renamed(model: Sequence[Layer], network: str, batch: str = BATCH_NAME) -> tuple[Layer, ...]:
    """The layers of one of two networks by their whole names; ``batch``: what their input is called."""

    def whole(name: str) -> str:
        return batch if name == BATCH_NAME else f"{network}.{name}" if name else ""

    found: list[Any] = []
    for layer, name in zip(model, layer_names(model), strict=True):
        changed = {"name": f"{network}.{name}", "input": whole(layer.input)}
        if isinstance(layer, Joining):
            changed["of"] = tuple(map(whole, layer.of))  # type: ignore[assignment]
        found.append(replace(layer, **changed))
    return tuple(found)


def layers_of(experiment: Experiment, sample: Shape = ()) -> tuple[Layer, ...]:
    """Every layer, in the order of an engine's; ``sample``: the shape of one true sample, where shapes matter."""
    adversary = experiment.adversary
    if adversary is None:
        return experiment.model
    between = cast(Layer, Mix(name=MIX, shape=sample))
    return (
        *renamed(experiment.model, GENERATOR), between, *renamed(adversary.model, DISCRIMINATOR, MIX)
    )  # fmt: skip


def with_layers(experiment: Experiment, layers: Sequence[Layer]) -> Experiment:
    """The experiment with what ``layers_of`` gave, changed in all but names and joints."""
    adversary = experiment.adversary
    if adversary is None:
        return replace(experiment, model=tuple(layers))

    def back(new: Sequence[Any], old: Sequence[Any]) -> tuple[Layer, ...]:
        kept = []
        for one, was in zip(new, old, strict=True):
            joints = {key: getattr(was, key) for key in ("name", "input", "of") if hasattr(was, key)}
            kept.append(replace(one, **joints))
        return tuple(kept)

    first = len(experiment.model)
    return replace(
        experiment, model=back(layers[:first], experiment.model),
        adversary=replace(adversary, model=back(layers[first + 1 :], adversary.model)),
    )  # fmt: skip


def names_of(experiment: Experiment) -> tuple[str, ...]:
    """Names of all layers, in the order of an engine's."""
    return layer_names(layers_of(experiment))


def read(experiment: Experiment, sample: Shape) -> Shape:
    """What the first layer reads: a sample, or noise."""
    return sample if experiment.adversary is None else (experiment.adversary.noise,)


def fitted(experiment: Experiment, sample: Shape, ids: bool = False) -> tuple[Placed, ...]:
    """Every layer in its place, for samples of this shape. ShapeError, whose layer is one of ``names_of``."""
    return infer(layers_of(experiment, sample), read(experiment, sample), ids and experiment.adversary is None)


def fitting(experiment: Experiment, sample: Shape, ids: bool = False) -> Iterator[Placed]:
    """The layers in their places, one after the other, up to the first that does not fit: ShapeError."""
    return places(layers_of(experiment, sample), read(experiment, sample), ids and experiment.adversary is None)


def table_of(experiment: Experiment, error: ShapeError) -> str:
    """The table of a file to which a misfit belongs: ``model.dense2``, ``adversary.model.dense1``."""
    first = len(experiment.model)
    if experiment.adversary is None or error.layer < first:
        return f"model.{layer_names(experiment.model)[error.layer]}"
    if error.layer == first:  # where they meet: the generator's last layer is to blame
        return f"model.{layer_names(experiment.model)[-1]}"
    return f"adversary.model.{layer_names(experiment.adversary.model)[error.layer - first - 1]}"

