"""A small network whose gradients are checked."""

from __future__ import annotations

from typing import NamedTuple

from bptui.engine.base import Batch
from bptui.spec.experiment import CrossEntropy, Data, Experiment, Layer, Loss
from bptui.spec.layers.base import Shape

DATA = Data(source="gradcheck")


class Subject(NamedTuple):
    """What is checked, and on what."""

    name: str
    """``activation tanh``, ``loss mse``, ``layer conv2d strided``."""
    experiment: Experiment
    shape: Shape
    """Of one sample."""
    batch: Batch | None = None
    """None: normal samples and fitting targets."""


def layers(
    name: str, model: tuple[Layer, ...], shape: Shape, *, loss: Loss | None = None, batch: Batch | None = None
) -> Subject:
    """A subject called ``layer NAME``; by default its last layer gives logits of classes."""
    return Subject(f"layer {name}", Experiment(data=DATA, model=model, loss=loss or CrossEntropy()), shape, batch)
