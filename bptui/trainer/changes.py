"""What may be changed in a state: settings, cells, units, a layer's activation, the optimiser.

A change is a key and a value, so that it can be logged, done again by a replay and begun a branch with. What is drawn
anew comes from the counter-based generator by (seed, layer, step): done again in the same state, it is the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np

from bptui.engine.errors import nearest
from bptui.spec.experiment import Experiment, Optimizer, layer_names
from bptui.spec.layers.base import Activated, Parameter, Weighted, activation_of, has_activation
from bptui.spec.layers.recurrent import Recurrent
from bptui.spec.networks import layers_of, with_layers
from bptui.spec.shapes import kind_of
from bptui.trainer.cell import Cell

if TYPE_CHECKING:
    from bptui.engine.base import LayerInfo
    from bptui.trainer.course import Course

Value = float | str
Rule = Callable[["Course", "re.Match[str]", Value], Value]
_OPTIMISERS = {str(kind.__struct_config__.tag): kind for kind in get_args(Optimizer)}
#: Settings that mean the same to every optimiser.
_COMMON = ("weight_decay", "clip_norm", "clip_value")


def change(course: Course, key: str, value: Value) -> Value:
    """Change one thing of the present state; returns what it was.

    ValueError: unknown or impossible; nothing has been changed then.
    """
    for pattern, rule in RULES:
        if (found := pattern.fullmatch(key)) is not None:
            return rule(course, found, value)
    return course.engine.set(key, _number(key, value))


def _number(key: str, value: Value) -> float:
    try:
        return float(value)  # a word too: inf
    except ValueError:
        raise ValueError(f"{key}: expected a number, got {str(value)[:40]!r}") from None


def _whole(key: str, value: Value) -> int:
    number = _number(key, value)
    if not (math.isfinite(number) and number == int(number) and number >= 1):
        raise ValueError(f"{key}: expected a whole number of at least 1, got {value!r}")
    return int(number)


def _total_steps(course: Course, found: re.Match[str], value: Value) -> Value:
    before, total = float(course.stopping.total_steps or 0), _whole("total_steps", value)
    course.stopping.extend(total)
    course.lr.rescale(course.epochs, course.stopping.total_steps)
    return before


def _batch_size(course: Course, found: re.Match[str], value: Value) -> Value:
    return float(course.want_batch_size(_whole("batch_size", value)))


def _batch_size_now(course: Course, found: re.Match[str], value: Value) -> Value:
    """``batch_size.now``: at once; the epoch under way ends here, and the next one begins."""
    return float(course.take_batch_size(_whole("batch_size", value)))


def _lr(course: Course, found: re.Match[str], value: Value) -> Value:
    rate = _number("lr", value)
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"lr: expected a number above 0, got {value!r}")
    return course.lr.set_now(rate, course.step)


def _cell(course: Course, found: re.Match[str], value: Value) -> Value:
    cell = Cell.named(found.string)
    assert cell is not None
    return cell.change(course.engine, _number(found.string, value))


def _nudge(course: Course, found: re.Match[str], value: Value) -> Value:
    """``dense1.bias+``: this much onto every bias of the layer."""
    by = _number(found.string, value)
    if not math.isfinite(by):
        raise ValueError(f"{found.string}: expected a finite number, got {by!r}")
    layer = course.engine.layers[_layer(course, found)]
    state = course.engine.state()
    if f"{layer.name}.bias" not in state:
        raise ValueError(f"{layer.name} ({layer.kind}) has no bias")
    bias = np.asarray(state[f"{layer.name}.bias"])
    before = float(bias.mean())
    state[f"{layer.name}.bias"] = (bias + by).astype(bias.dtype)
    course.engine.load_state(state)
    return before


def _units(course: Course, found: re.Match[str], value: Value) -> Value:
    """``dense1.units[3,7]``: these units begin again: weights into them drawn anew, bias as at first, moments 0."""
    index = _layer(course, found)
    units = sorted({int(word) for word in found["units"].split(",")})
    size = course.engine.layers[index].units
    if units[-1] >= size:
        raise ValueError(f"{found['layer']} has {size} units: there is no unit {units[-1]}")
    _draw_again(course, index, str(value), units)
    return ""


def _init(course: Course, found: re.Match[str], value: Value) -> Value:
    """``dense1.init``: the whole layer begins again."""
    _draw_again(course, _layer(course, found), str(value))
    return ""


def _draw_again(course: Course, index: int, initialiser: str, units: list[int] | None = None) -> None:
    """These units of a layer, or all of it."""
    from bptui.engine.initialise import RULES as INITIALISERS
    from bptui.engine.initialise import values as initial

    if initialiser not in INITIALISERS:
        hint = nearest(initialiser, map(str, INITIALISERS))
        raise ValueError(f"{initialiser[:40]!r} is no initialiser{hint}")
    experiment, info = course.setup.experiment, course.engine.layers[index]
    layer = layers_of(experiment)[index]
    if not isinstance(layer, Weighted) or not info.tensors:
        raise ValueError(f"{info.name} ({info.kind}) has no weights to draw again")
    layer = msgspec.structs.replace(layer, init=initialiser)
    state: dict[str, Any] = course.engine.state()
    for each in info.tensors:
        axis = each.unit_axis % len(each.shape)
        values = initial(layer, info.name, each, experiment.experiment.seed, f".again.{course.step}")
        places = slice(None) if units is None else _places(layer, info, each, units)
        of_units = (slice(None),) * axis + (places,)
        array = state[f"{info.name}.{each.name}"]
        array[of_units] = values[of_units].astype(array.dtype)
        for moment in state:
            if "optimizer." in moment and moment.endswith(f".{info.name}.{each.name}"):
                state[moment][of_units] = 0
    course.engine.load_state(state)


def _places(layer: Weighted, info: LayerInfo, each: Parameter, units: list[int]) -> list[int]:
    """Where these units lie along a tensor's axis of units: of a recurrent layer, in each gate's block of columns."""
    length = each.shape[each.unit_axis]
    if isinstance(layer, Recurrent) and layer.layers == 1:
        first = layer.units if each.name.endswith("_reverse") else 0
        mine = [unit - first for unit in units if first <= unit < first + layer.units]
        return [gate + unit for gate in range(0, length, layer.units) for unit in mine]
    if length != info.units or isinstance(layer, Recurrent):
        name = info.name
        raise ValueError(f"{name} ({info.kind}): no single unit can begin again, only the layer ({name}.init)")
    return units


def _activation(course: Course, found: re.Match[str], value: Value) -> Value:
    """``dense1.activation``: another g from here on."""
    index = _layer(course, found)
    before = activation_of(layers_of(course.setup.experiment)[index])
    course.rebuild(with_structure(course.setup.experiment, {"activation": {str(index): str(value)}}))
    return str(before)


def _optimizer(course: Course, found: re.Match[str], value: Value) -> Value:
    """Another rule of update: decay and clipping and the rate stay, everything else begins as it does in a new run."""
    before = str(course.setup.experiment.optimizer.__struct_config__.tag)
    if value == before:
        return before
    experiment = with_structure(course.setup.experiment, {"optimizer": str(value)})
    settings = course.engine.settings()
    course.rebuild(experiment)
    for key in _COMMON:
        course.engine.set(key, settings[key])
    return before


def _layer(course: Course, found: re.Match[str]) -> int:
    names = [layer.name for layer in course.engine.layers]
    if found["layer"] not in names:
        raise ValueError(f"no layer {found['layer'][:40]!r}{nearest(found['layer'], names)}")
    return names.index(found["layer"])


# -- structure: what makes it another engine ---------------------------------------------------------------
def structure(experiment: Experiment) -> dict[str, Any]:
    """What ``with_structure`` puts in place."""
    return {
        "activation": {
            str(index): activation_of(layer)
            for index, layer in enumerate(layers_of(experiment)) if has_activation(layer)
        },
        "optimizer": str(experiment.optimizer.__struct_config__.tag),
    }  # fmt: skip


def with_structure(experiment: Experiment, wanted: dict[str, Any]) -> Experiment:
    """The experiment with these activations (by index) and this optimiser. ValueError names what there is not."""
    from bptui.spec.experiment import Activation

    known = get_args(Activation)
    layers = list(layers_of(experiment))
    names = layer_names(layers)
    for place, activation in wanted.get("activation", {}).items():
        if activation not in known:
            hint = nearest(activation, known)
            raise ValueError(f"{names[int(place)]}: no activation {activation[:40]!r}{hint}")
        layer = layers[int(place)]
        if not isinstance(layer, Activated):
            raise ValueError(f"{names[int(place)]} ({kind_of(layer)}) has no activation of its own")
        layers[int(place)] = msgspec.structs.replace(layer, activation=activation)
    optimizer = experiment.optimizer
    tag = wanted.get("optimizer", str(optimizer.__struct_config__.tag))
    if tag not in _OPTIMISERS:
        raise ValueError(f"no optimiser {tag[:40]!r}{nearest(tag, _OPTIMISERS)}")
    if tag != optimizer.__struct_config__.tag:
        optimizer = _OPTIMISERS[tag](lr=optimizer.lr, accumulate=optimizer.accumulate)
    return msgspec.structs.replace(with_layers(experiment, layers), optimizer=optimizer)


RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (re.compile(r"total_steps"), _total_steps),
    (re.compile(r"batch_size"), _batch_size),
    (re.compile(r"batch_size\.now"), _batch_size_now),
    (re.compile(r"lr"), _lr),
    (re.compile(r"optimizer"), _optimizer),
    (re.compile(r"(?P<layer>.+)\.activation"), _activation),
    (re.compile(r"(?P<layer>.+)\.init"), _init),
    (re.compile(r"(?P<layer>.+)\.units\[(?P<units>\d+(?:,\s*\d+)*)\]"), _units),
    (re.compile(r"(?P<layer>.+)\.bias\+"), _nudge),
    (re.compile(r".+\.[\w.]+\[.*\]"), _cell),
)
"""Kinds of change by the form of their key; any other key is a setting of the engine."""
