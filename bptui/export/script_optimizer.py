"""The optimiser of an exported script and the learning rate of each update: a row in a table each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bptui.export.errors import ExportError
from bptui.export.script_text import PLATEAU
from bptui.spec.experiment import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    Experiment,
    Exponential,
    Plateau,
    RMSprop,
    StepDecay,
    Warmup,
)


def number(value: float) -> str:
    """A number as it is written in Python; whole ones keep their point, so that they stay floats."""
    return repr(float(value))


#: Optimiser → torch's class, and torch's names of the fields that differ from its defaults.
OPTIMIZERS: dict[str, tuple[str, dict[str, str]]] = {
    "sgd": ("SGD", {"momentum": "momentum", "dampening": "dampening", "nesterov": "nesterov"}),
    "rmsprop": ("RMSprop", {"alpha": "alpha", "eps": "eps", "momentum": "momentum", "centered": "centered"}),
    "adagrad": ("Adagrad", {"lr_decay": "lr_decay", "eps": "eps", "initial_accumulator": "initial_accumulator_value"}),
    "adam": ("Adam", {"eps": "eps"}),
    "adamw": ("AdamW", {"eps": "eps"}),
}


def optimizer_of(experiment: Experiment) -> str:
    """How the optimiser is made. ExportError: torch has no such one."""
    optimizer = experiment.optimizer
    tag = str(optimizer.__struct_config__.tag)
    if tag not in OPTIMIZERS:
        raise ExportError(f"the optimiser {tag} cannot be exported to pytorch")
    name, fields = OPTIMIZERS[tag]
    options = ["model.parameters()", "lr=LEARNING_RATE"]
    if isinstance(optimizer, Adam | AdamW):
        options.append(f"betas=({number(optimizer.beta1)}, {number(optimizer.beta2)})")
    for field, theirs in fields.items():
        value = getattr(optimizer, field)
        if isinstance(value, bool):
            options += [f"{theirs}=True"] * value
        elif value or isinstance(optimizer, RMSprop):
            options.append(f"{theirs}={number(value)}")
    if optimizer.weight_decay or isinstance(optimizer, AdamW):
        options.append(f"weight_decay={number(optimizer.weight_decay)}")
    return f"torch.optim.{name}({', '.join(options)})"


def _place(schedule: Any) -> str:
    return "step" if schedule.per == "step" else "step // STEPS_PER_EPOCH"


def _step(schedule: StepDecay, total: int, per_epoch: int) -> str:
    return f"LEARNING_RATE * {number(schedule.gamma)} ** ({_place(schedule)} // {schedule.every})"


def _exponential(schedule: Exponential, total: int, per_epoch: int) -> str:
    return f"LEARNING_RATE * {number(schedule.gamma)} ** ({_place(schedule)})"


def _cosine(schedule: Cosine, total: int, per_epoch: int) -> str:
    length = schedule.length
    if length is None:
        length = total if schedule.per == "step" else math.ceil(total / per_epoch)
    if not length:
        return "LEARNING_RATE"
    share = f"(1 + math.cos(math.pi * min({_place(schedule)}, {length}) / {length})) / 2"
    if not schedule.min_lr:
        return f"LEARNING_RATE * ({share})"
    low = number(schedule.min_lr)
    return f"LEARNING_RATE * ({share}) + {low} * (1 - ({share}))"


def _warmup(schedule: Warmup, total: int, per_epoch: int) -> str:
    start, length = number(schedule.start), schedule.length
    return f"LEARNING_RATE * ({start} + (1 - {start}) * min({_place(schedule)}, {length}) / {length})"


#: Schedule → the rate at ``step``, by the planned updates and those of an epoch.
SCHEDULES: dict[type, Callable[[Any, int, int], str]] = {
    Constant: lambda schedule, total, per_epoch: "LEARNING_RATE",
    StepDecay: _step,
    Exponential: _exponential,
    Cosine: _cosine,
    Warmup: _warmup,
    Plateau: lambda schedule, total, per_epoch: (
        f"max(LEARNING_RATE * plateau.factor, min({number(schedule.min_lr)}, LEARNING_RATE))"
    ),
}


def schedule_of(experiment: Experiment, per_epoch: int, planned: int | None) -> str:
    """The rate of the update from state ``step``, of ``planned`` updates. ExportError: an unknown schedule."""
    kind = type(experiment.schedule)
    if kind not in SCHEDULES:
        tag = str(experiment.schedule.__struct_config__.tag)
        raise ExportError(f"the schedule {tag} cannot be exported to pytorch")
    return SCHEDULES[kind](experiment.schedule, planned or 1, per_epoch)


def plateau_of(schedule: Any) -> str:
    """The class that cuts the rate on a plateau."""
    values = (schedule.factor, schedule.patience, schedule.threshold, schedule.cooldown, schedule.min_lr)
    factor, patience, threshold, cooldown, min_lr = (repr(value) for value in values)
    return PLATEAU.format(
        factor=factor, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_lr
    )  # fmt: skip
