"""What is wrong with an experiment that is well-formed: shapes, ranges, and things that do not fit together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bptui.spec import networks
from bptui.spec.base import nearest as nearest
from bptui.spec.experiment import (
    SGD,
    BinaryCrossEntropy,
    CrossEntropy,
    Experiment,
    Layer,
    Optimizer,
    layer_names,
)
from bptui.spec.layers.base import Activated, Shape, Weighted, activation_of, size
from bptui.spec.layers.norm import BatchNorm
from bptui.spec.shapes import BATCH_NAME, Placed, ShapeError, outputs_of, wiring
from bptui.spec.sources import SOURCES, source_of

MAX_UNITS = 1 << 20
#: The most of what a layer may be made of, by its key.
MOST = {"units": MAX_UNITS, "feed": MAX_UNITS, "layers": 256, "vocabulary": 1 << 24}
LOGITS_LOSSES = (CrossEntropy, BinaryCrossEntropy)
_NAME = re.compile(r"[^\W\d][\w\-]{0,63}")


class SpecError(ValueError):
    """An experiment that cannot be used; the text is one line for the user."""


class Problem(NamedTuple):
    """One reason why an experiment cannot be trained."""

    table: str
    """``data``, ``model.dense2`` …"""
    key: str
    message: str
    """What was expected, and what is there."""

    def __str__(self) -> str:
        return f"[{self.table}] {self.key}: {self.message}" if self.key else f"[{self.table}]: {self.message}"


def check(experiment: Experiment, sample: Shape | None = None) -> list[Problem]:
    """Every problem, in the order of the tables; empty if the experiment can be trained.

    ``sample``: the shape of one sample of a file that has been read; None: only what is known beforehand counts.
    """
    adversary = experiment.adversary
    model = list(_model("model", experiment.model))
    model += _model("adversary.model", adversary.model) if adversary is not None else ()
    model = model or list(_shapes(experiment, sample))
    head = _head if adversary is None else _adversary
    return [
        *_data(experiment), *model, *(() if model else head(experiment)),
        *_loss(experiment, 0 if model else given_units(experiment, sample)),
        *_optimizer("optimizer", experiment.optimizer),
        *(_optimizer("adversary.optimizer", adversary.optimizer) if adversary is not None else ()),
        *_schedule(experiment), *_stop(experiment),
    ]  # fmt: skip


def _positive(table: str, **values: float | None) -> Iterator[Problem]:
    for key, value in values.items():
        if value is not None and not 0 < value < math.inf:
            yield Problem(table, key, f"expected a number above 0, got {value!r}")


def _not_negative(table: str, **values: float | None) -> Iterator[Problem]:
    for key, value in values.items():
        if value is not None and not 0 <= value < math.inf:
            yield Problem(table, key, f"expected a number of at least 0, got {value!r}")


def _within(table: str, low: float, high: float, **values: float) -> Iterator[Problem]:
    for key, value in values.items():
        if not low <= value < high:
            yield Problem(table, key, f"expected at least {low:g} and below {high:g}, got {value!r}")


def _data(experiment: Experiment) -> Iterator[Problem]:
    data = experiment.data
    if not data.source:
        yield Problem("data", "source", f"expected a name or a path{nearest('', SOURCES)}")
    yield from _positive(
        "data", batch_size=data.batch_size, samples=data.samples, window=data.window, stride=data.stride,
        horizon=data.horizon, vocabulary=data.vocabulary, height=data.height, width=data.width,
        sample_rate=data.sample_rate, mels=data.mels,
    )  # fmt: skip
    yield from _within("data", 0, 1, validation=data.validation, test=data.test)
    if data.validation + data.test >= 1:
        yield Problem("data", "test", "validation and test leave no rows to train on")
    yield from _not_negative("data", noise=data.noise)
    yield from _positive("data", episodes=data.episodes, episode_steps=data.episode_steps)
    if not 0 <= data.discount <= 1:
        yield Problem("data", "discount", f"expected a number from 0 to 1, got {data.discount!r}")


def _model(tables: str, model: Sequence[Layer]) -> Iterator[Problem]:
    if not model:
        yield Problem(tables, "", f"expected at least one layer ([[{tables}]] with type and units)")
        return
    seen: set[str] = set()
    for layer, name in zip(model, layer_names(model), strict=True):
        table = f"{tables}.{name}"
        if layer.name and not _NAME.fullmatch(layer.name):
            yield Problem(tables, "name", f"{layer.name[:64]!r}: a letter, then letters, digits, _ or -, at most 64")
        if name in seen:
            yield Problem(table, "name", f"two layers are called {name!r}")
        seen.add(name)
        if name == BATCH_NAME:
            yield Problem(table, "name", f"{BATCH_NAME!r} is what the batch is called")
        for key, most in MOST.items():
            value = getattr(layer, key, None)
            if value is not None and not 1 <= value <= most:
                yield Problem(table, key, f"expected a whole number from 1 to {most:,}, got {value}")
        if isinstance(layer, Activated):
            yield from _within(table, 0, 1, dropout=layer.dropout)
        if isinstance(layer, Weighted):
            yield from _weights(table, layer)


def _weights(table: str, layer: Weighted) -> Iterator[Problem]:
    for key in ("low", "high", "std", "gain", "value", "bias", "l1", "l2"):
        value = getattr(layer, key)
        if not math.isfinite(value) or (key in ("std", "l1", "l2") and value < 0):
            yield Problem(
                table, key, f"expected a finite number{' of at least 0' * (key in ('std', 'l1', 'l2'))}, got {value!r}"
            )
    if layer.init == "uniform" and layer.low > layer.high:
        yield Problem(table, "low", f"{layer.low:g} is above high = {layer.high:g}")


def _shapes(experiment: Experiment, sample: Shape | None) -> Iterator[Problem]:
    """How the layers are joined, and where the data's shape is known beforehand, whether each fits."""
    try:
        wiring(networks.layers_of(experiment))
        placed(experiment, sample)
    except ShapeError as error:
        yield Problem(networks.table_of(experiment, error), error.key, str(error))


def placed(experiment: Experiment, sample: Shape | None = None) -> tuple[Placed, ...] | None:
    """The layers in their places; None where only the data can tell. Raises ShapeError."""
    source = source_of(experiment.data)
    if source is None:
        return networks.fitted(experiment, sample) if sample else None
    return networks.fitted(experiment, source.shape or (source.features,), source.ids)


def _head(experiment: Experiment) -> Iterator[Problem]:
    """The last layer against the loss and the data."""
    last, name = experiment.model[-1], layer_names(experiment.model)[-1]
    loss = experiment.loss
    loss_name = str(loss.__struct_config__.tag)
    if isinstance(loss, LOGITS_LOSSES) and activation_of(last) != "identity":
        yield Problem(f"model.{name}", "activation", f"{loss_name} takes logits: leave the last layer's activation out")
    source, outputs = source_of(experiment.data), given_units(experiment)
    if source is None:
        return
    if source.task == "policy":
        yield from _policy(experiment)
    key = "units" if hasattr(last, "units") else ""
    if source.task == "generate":
        yield Problem("data", "task", "to generate samples needs a second network: add a table [adversary]")
    elif isinstance(loss, CrossEntropy) and source.task in ("classification", "binary") and outputs < 2:
        yield Problem(
            f"model.{name}", key, "cross_entropy needs one logit a class; one unit goes with binary_cross_entropy"
        )
    elif source.task == "regression" and isinstance(loss, LOGITS_LOSSES):
        yield Problem(
            "loss", "name", f"{experiment.data.source} is regression: expected mse, mae or huber, got {loss_name}"
        )
    elif source.task == "classification" and isinstance(loss, BinaryCrossEntropy) and source.outputs > 2:
        yield Problem(
            "loss",
            "name",
            f"{experiment.data.source} has {source.outputs} classes: expected cross_entropy, got {loss_name}",
        )
    elif outputs != (expected := _expected_units(experiment, source.task, source.outputs)):
        yield Problem(
            f"model.{name}",
            key,
            f"{experiment.data.source} needs {expected} outputs with {loss_name}, got {outputs}",
        )


def _adversary(experiment: Experiment) -> Iterator[Problem]:
    """A generator and its discriminator against the loss and the data."""
    adversary, loss, source = experiment.adversary, experiment.loss, source_of(experiment.data)
    assert adversary is not None
    yield from _positive("adversary", noise=adversary.noise, updates=adversary.updates)
    if (experiment.data.task if source is None else source.task) != "generate":
        yield Problem("data", "task", 'with a table [adversary] the task is to generate: expected "generate"')
    elif source is not None and source.ids:
        yield Problem("data", "source", f"{experiment.data.source} holds tokens; a generator makes numbers")
    if not isinstance(loss, BinaryCrossEntropy):
        name = loss.__struct_config__.tag
        yield Problem("loss", "name", f"true or generated is asked: expected binary_cross_entropy, got {name}")
    elif loss.label_smoothing:
        yield Problem("loss", "label_smoothing", "expected 0 with a table [adversary]")
    if adversary.optimizer.accumulate != 1:
        yield Problem("adversary.optimizer", "accumulate", "both networks follow that of [optimizer]")
    names, last = layer_names(adversary.model), adversary.model[-1]
    table = f"adversary.model.{names[-1]}"
    if activation_of(last) != "identity":
        yield Problem(table, "activation", "the last layer gives a logit: leave its activation out")
    places = placed(experiment)
    given = size(places[-1].geometry.output) if places is not None else getattr(last, "units", 1)
    if given != 1:
        key = "units" if hasattr(last, "units") else ""
        yield Problem(table, key, f"true or generated is told by one logit, got {given} outputs")
    for layer, name in zip(adversary.model, names, strict=True):
        if isinstance(layer, BatchNorm):
            message = "what it makes of a sample hangs on the others of a batch: take layer_norm or group_norm"
            yield Problem(f"adversary.model.{name}", "type", message)


def _policy(experiment: Experiment) -> Iterator[Problem]:
    """What a policy's gradient needs of loss and data."""
    data, loss_name = experiment.data, str(experiment.loss.__struct_config__.tag)
    if not isinstance(experiment.loss, CrossEntropy):
        yield Problem("loss", "name", f"{data.source} is played by a policy: expected cross_entropy, got {loss_name}")
    if data.baseline == "step" and min(data.batch_size, data.episodes) < 2:
        yield Problem("data", "baseline", "'step' compares an update's episodes: expected a batch_size of 2 or more")


def given_units(experiment: Experiment, sample: Shape | None = None) -> int:
    """Outputs of the model as the data count them; 0 where only the data can tell. Raises ShapeError."""
    places = placed(experiment, sample)
    if places is None:
        last = experiment.model[-1]
        return int(getattr(last, "units", 0)) * (2 if getattr(last, "bidirectional", False) else 1)
    return outputs_of(places, isinstance(experiment.loss, CrossEntropy))


def needed_units(experiment: Experiment) -> int:
    """Outputs that the last layer must have; 0 where only the data can tell."""
    source = source_of(experiment.data)
    return _expected_units(experiment, source.task, source.outputs) if source else 0


def _expected_units(experiment: Experiment, task: str, outputs: int) -> int:
    if isinstance(experiment.loss, CrossEntropy):
        return max(outputs, 2)
    if isinstance(experiment.loss, BinaryCrossEntropy) and task not in ("autoencoder", "generate"):
        return 1
    return 1 if task == "binary" else outputs


def _loss(experiment: Experiment, outputs: int) -> Iterator[Problem]:
    """``outputs``: of the model; 0 where they are not known."""
    loss = experiment.loss
    if isinstance(loss, LOGITS_LOSSES):
        yield from _within("loss", 0, 1, label_smoothing=loss.label_smoothing)
    if isinstance(loss, CrossEntropy) and loss.class_weights is not None:
        classes = outputs or len(loss.class_weights)
        if len(loss.class_weights) != classes:
            yield Problem("loss", "class_weights", f"expected {classes} weights, got {len(loss.class_weights)}")
        elif min(loss.class_weights) < 0 or not all(map(math.isfinite, loss.class_weights)):
            yield Problem("loss", "class_weights", "expected finite weights of at least 0")
    yield from _positive("loss", pos_weight=getattr(loss, "pos_weight", None), delta=getattr(loss, "delta", None))


def _optimizer(table: str, optimizer: Optimizer) -> Iterator[Problem]:
    yield from _positive(
        table, lr=optimizer.lr, clip_norm=optimizer.clip_norm, clip_value=optimizer.clip_value,
        accumulate=optimizer.accumulate, eps=getattr(optimizer, "eps", None),
    )  # fmt: skip
    rates = {key: getattr(optimizer, key) for key in ("momentum", "beta1", "beta2", "alpha") if hasattr(optimizer, key)}
    yield from _within(table, 0, 1, **rates)
    yield from _not_negative(table, weight_decay=optimizer.weight_decay)
    for key in ("lr_decay", "initial_accumulator"):
        yield from _not_negative(table, **{key: getattr(optimizer, key, None)})
    if isinstance(optimizer, SGD) and optimizer.nesterov and (optimizer.momentum == 0 or optimizer.dampening != 0):
        yield Problem(table, "nesterov", "needs momentum above 0 and dampening 0")


def _schedule(experiment: Experiment) -> Iterator[Problem]:
    schedule = experiment.schedule
    for key in ("every", "length", "gamma", "factor"):
        yield from _positive("schedule", **{key: getattr(schedule, key, None)})
    for key in ("start", "min_lr", "patience", "threshold", "cooldown"):
        yield from _not_negative("schedule", **{key: getattr(schedule, key, None)})


def _stop(experiment: Experiment) -> Iterator[Problem]:
    stop = experiment.stop
    if stop.epochs is None and stop.steps is None:
        yield Problem("stop", "epochs", "expected epochs or steps, so that the run has an end")
    for key in ("epochs", "steps", "patience"):
        value = getattr(stop, key)
        if value is not None and value < 0:
            yield Problem("stop", key, f"expected a whole number of at least 0, got {value}")
    if stop.loss_below is not None and not math.isfinite(stop.loss_below):
        yield Problem("stop", "loss_below", f"expected a finite number, got {stop.loss_below!r}")
