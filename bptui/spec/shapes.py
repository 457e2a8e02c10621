"""How the layers of a model are joined, and the shape of everything between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bptui.spec.base import nearest
from bptui.spec.layers import GEOMETRY, TAKES_IDS, UNNAMED, Layer
from bptui.spec.layers.base import Geometry, Joining, Misfit, Shape, Steps, size, words

#: What ``input`` and ``of`` call the batch, and its index among the sources of a layer.
BATCH_NAME, BATCH = "input", -1


class ShapeError(ValueError):
    """A layer that cannot be: the text is one line without the layer's name."""

    def __init__(self, layer: int, key: str, message: str) -> None:
        super().__init__(message)
        self.layer, self.key = layer, key


class Placed(NamedTuple):
    """One layer in its place."""

    name: str
    layer: Layer
    sources: tuple[int, ...]
    """Indices of the layers it reads, in the order of its inputs; −1: the batch."""
    inputs: tuple[Shape, ...]
    """Their shapes."""
    geometry: Geometry

    @property
    def kind(self) -> str:
        return kind_of(self.layer)

    @property
    def units(self) -> int:
        """Channels of a picture, features elsewhere."""
        return self.geometry.output[self.geometry.unit_axis]

    @property
    def wanted(self) -> bool:
        """Whether a layer before it waits for its ∂L/∂input."""
        return any(source != BATCH for source in self.sources)

    @property
    def parameters(self) -> int:
        return sum(parameter.size for parameter in self.geometry.parameters)


def kind_of(layer: Layer) -> str:
    return str(layer.__struct_config__.tag)


def layer_names(model: Sequence[Layer]) -> tuple[str, ...]:
    """Names of the layers: the given one, or kind and running number (``dense1``, ``dense2`` …)."""
    counts: dict[str, int] = {}
    names = []
    for layer in model:
        kind = kind_of(layer)
        counts[kind] = counts.get(kind, 0) + 1
        names.append(layer.name or f"{kind}{counts[kind]}")
    return tuple(names)


def wiring(model: Sequence[Layer]) -> tuple[tuple[int, ...], ...]:
    """The sources of each layer. ShapeError: a name that is no earlier layer's, or a layer that no one reads."""
    names = layer_names(model)
    wired = [_sources(index, layer, names) for index, layer in enumerate(model)]
    read = {source for sources in wired for source in sources}
    for index in range(len(model) - 1):
        if index not in read:
            raise ShapeError(index, "", "no layer reads it: name it as the input of a later one, or take it out")
    return tuple(wired)


def _sources(index: int, layer: Layer, names: Sequence[str]) -> tuple[int, ...]:
    before = [BATCH_NAME, *names[:index]]
    sources = [_find(index, "input", layer.input, before) if layer.input else index - 1]
    if isinstance(layer, Joining):
        sources += [_find(index, "of", name, before) for name in layer.of]
    return tuple(sources)


def _find(index: int, key: str, name: str, before: Sequence[str]) -> int:
    if name not in before:
        raise ShapeError(index, key, f"no earlier layer {name[:64]!r}{nearest(name, before)}")
    return before.index(name) - 1


def infer(model: Sequence[Layer], shape: Shape, ids: bool = False) -> tuple[Placed, ...]:
    """Every layer in its place, for samples of ``shape`` (``ids``: of whole numbers that mean tokens). ShapeError."""
    wiring(model)
    return tuple(places(model, shape, ids))


def places(model: Sequence[Layer], shape: Shape, ids: bool = False) -> Iterator[Placed]:
    """The layers in their places, one after the other, up to the first that does not fit: ShapeError."""
    placed: list[Placed] = []
    names = layer_names(model)
    for index, (layer, name) in enumerate(zip(model, names, strict=True)):
        sources = _sources(index, layer, names)
        inputs = tuple(
            _read(index, layer, shape, ids) if source == BATCH else _given(layer, placed[source]) for source in sources
        )
        try:
            geometry = (UNNAMED.get(kind_of(layer)) or GEOMETRY[kind_of(layer)])(layer, inputs)
        except Misfit as misfit:
            raise ShapeError(index, misfit.key, str(misfit)) from None
        placed.append(Placed(name, layer, sources, inputs, geometry))
        yield placed[-1]


def _read(index: int, layer: Any, shape: Shape, ids: bool) -> Shape:
    """The batch as this layer takes it: a dense layer reads a picture as a row."""
    kind = kind_of(layer)
    if ids and kind not in TAKES_IDS:
        known = f" ({', '.join(sorted(TAKES_IDS))})" if TAKES_IDS else ""
        raise ShapeError(index, "", f"takes numbers, got {words(shape)} ids: begin with a layer that reads ids{known}")
    return (size(shape),) if kind == "dense" and len(shape) == 3 else shape


def steps_of(placed: Sequence[Placed]) -> int | None:
    """Steps of a sample of the batch, where it is a sequence of numbers."""
    read = (
        shape for place in placed for source, shape in zip(place.sources, place.inputs, strict=True) if source == BATCH
    )
    return next((shape[0] for shape in read if len(shape) == 2), None)


def _given(layer: Any, source: Placed) -> Shape:
    """The output of an earlier layer as this one takes it: what mixes two networks' samples gives a batch."""
    output = source.geometry.output
    return (size(output),) if source.kind == "mix" and kind_of(layer) == "dense" and len(output) == 3 else output


class Ends(NamedTuple):
    """How long the sequences of a batch are at one layer: arrays (N,) of either engine. None: every step is real."""

    read: Any
    """Of its input."""
    given: Any
    """Of its output."""


def _computed(place: Placed, steps: Steps, lengths: Any) -> Any:
    return steps.of(lengths)


def ends_of(
    placed: Sequence[Placed], lengths: Any, after: Callable[[Placed, Steps, Any], Any] = _computed
) -> list[Ends]:
    """For each layer, from the lengths of the batch. Several inputs are as long as the first.

    ``after``: the lengths behind a layer that changes them, from those that it reads (an export writes them down).
    """
    found: list[Ends] = []
    for place in placed:
        own = lengths if place.sources[0] == BATCH else found[place.sources[0]].given
        kept, steps = own is not None and len(place.geometry.output) == 2, place.geometry.steps
        found.append(Ends(own, None if not kept else own if steps is None else after(place, steps, own)))
    return found


def outputs_of(placed: Sequence[Placed], classes: bool) -> int:
    """Outputs of the model as the data count them: classes of each target, or numbers of a whole sample."""
    output = placed[-1].geometry.output
    return output[-1] if classes else size(output)


def plain_chain(placed: Sequence[Placed]) -> bool:
    """Whether these are dense layers one after the other, on rows: what the fast engine takes."""
    return all(
        each.kind == "dense" and each.sources == (index - 1,) and len(each.inputs[0]) == 1
        for index, each in enumerate(placed)
    )
