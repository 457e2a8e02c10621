"""An experiment as plain data: what a TOML file says, frozen and typed.

A new optimiser, schedule, loss or layer is one ``Struct`` here (its ``tag`` is the name users write)
and one row in each engine's table; nothing else changes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Activation = Literal["identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
Initialiser = Literal[
    "uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_normal", "orthogonal", "zeros", "constant",
]  # fmt: skip
Task = Literal["auto", "classification", "binary", "multilabel", "regression"]
Scale = Literal["auto", "standard", "global", "minmax", "none"]
EngineName = Literal["auto", "numpy", "torch"]
Dtype = Literal["f32", "f64"]


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of an experiment: frozen, keyword-only, no unknown keys."""


class Header(Spec, frozen=True, kw_only=True):
    """``[experiment]``."""

    name: str = ""
    seed: int = 0
    dtype: Dtype = "f32"
    description: str = ""


class Data(Spec, frozen=True, kw_only=True):
    """``[data]``: where the rows come from and how they are split, scaled and batched."""

    source: str
    task: Task = "auto"
    batch_size: int = 32
    validation: float = 0.2
    """Fraction of the rows (of the training part, where the source has a test part) held out."""
    test: float = 0.0
    """Fraction held out as a test part where the source brings none of its own."""
    scale: Scale = "auto"
    """``standard`` a feature, ``global`` one mean and σ for all (pictures); learned on the training part."""
    label: str | int | None = None
    delimiter: str | None = None
    header: bool | None = None
    missing: Literal["error", "drop", "mean"] = "error"
    shuffle: bool = True
    samples: int | None = None
    """Rows to generate (generated sources), or to read at the most (files)."""
    noise: float | None = None


class Dense(Spec, frozen=True, tag_field="type", tag="dense", kw_only=True):
    """``z = aW + b``, ``a = g(z)``; W is ``(inputs, units)``."""

    units: int
    name: str = ""
    activation: Activation = "identity"
    init: Initialiser | None = None
    """``None``: ``he_normal`` before relu-like activations, ``glorot_uniform`` elsewhere."""
    low: float = -0.1
    high: float = 0.1
    std: float = 0.01
    gain: float = 1.0
    value: float = 0.0
    bias: float = 0.0
    """Initial value of every bias."""
    dropout: float = 0.0
    """Share of this layer's outputs zeroed in training (inverted dropout)."""
    l1: float = 0.0
    l2: float = 0.0
    """Penalties ``l1·Σ|W|`` and ``l2·ΣW²``: they act on the gradient; the loss shown is the data loss."""


Layer = Dense  # becomes a union when further kinds arrive


class CrossEntropy(Spec, frozen=True, tag_field="name", tag="cross_entropy", kw_only=True):
    """Softmax and negative log-likelihood, fused; logits in, class ids as targets."""

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None


class BinaryCrossEntropy(Spec, frozen=True, tag_field="name", tag="binary_cross_entropy", kw_only=True):
    """Sigmoid and binary cross-entropy, fused; logits in, targets in [0, 1]."""

    label_smoothing: float = 0.0
    pos_weight: float = 1.0


class MeanSquaredError(Spec, frozen=True, tag_field="name", tag="mse", kw_only=True):
    """Mean of squared differences over batch and outputs."""


class MeanAbsoluteError(Spec, frozen=True, tag_field="name", tag="mae", kw_only=True):
    """Mean of absolute differences over batch and outputs."""


class Huber(Spec, frozen=True, tag_field="name", tag="huber", kw_only=True):
    """Quadratic within ``delta`` of the target, linear beyond (torch's ``HuberLoss``)."""

    delta: float = 1.0


Loss = CrossEntropy | BinaryCrossEntropy | MeanSquaredError | MeanAbsoluteError | Huber


class OptimizerBase(Spec, frozen=True, tag_field="name", kw_only=True):
    """Fields every optimiser has."""

    lr: float
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    """Batches whose mean gradient makes one update."""


class SGD(OptimizerBase, frozen=True, tag="sgd", kw_only=True):
    lr: float = 0.1
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False


class RMSprop(OptimizerBase, frozen=True, tag="rmsprop", kw_only=True):
    lr: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False


class Adagrad(OptimizerBase, frozen=True, tag="adagrad", kw_only=True):
    lr: float = 0.01
    lr_decay: float = 0.0
    eps: float = 1e-10
    initial_accumulator: float = 0.0


class Adam(OptimizerBase, frozen=True, tag="adam", kw_only=True):
    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


class AdamW(OptimizerBase, frozen=True, tag="adamw", kw_only=True):
    """Adam with decoupled decay (torch's default decay, 0.01)."""

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01


Optimizer = SGD | RMSprop | Adagrad | Adam | AdamW


class Constant(Spec, frozen=True, tag_field="name", tag="constant", kw_only=True):
    pass


class StepDecay(Spec, frozen=True, tag_field="name", tag="step", kw_only=True):
    """lr × gamma every ``every`` epochs (torch's ``StepLR``)."""

    every: int = 10
    gamma: float = 0.1
    per: Literal["epoch", "step"] = "epoch"


class Exponential(Spec, frozen=True, tag_field="name", tag="exponential", kw_only=True):
    gamma: float = 0.95
    per: Literal["epoch", "step"] = "epoch"


class Cosine(Spec, frozen=True, tag_field="name", tag="cosine", kw_only=True):
    """From lr to ``min_lr`` over ``length`` epochs or steps (default: the whole run)."""

    length: int | None = None
    min_lr: float = 0.0
    per: Literal["epoch", "step"] = "step"


class Warmup(Spec, frozen=True, tag_field="name", tag="warmup", kw_only=True):
    """Linear from ``start``·lr to lr over ``length`` steps, then constant (torch's ``LinearLR``)."""

    length: int = 100
    start: float = 0.01
    per: Literal["epoch", "step"] = "step"


class Plateau(Spec, frozen=True, tag_field="name", tag="plateau", kw_only=True):
    """lr × factor after ``patience`` epochs without a better validation loss (``ReduceLROnPlateau``)."""

    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0


Schedule = Constant | StepDecay | Exponential | Cosine | Warmup | Plateau


class Stop(Spec, frozen=True, kw_only=True):
    """``[stop]``: the first of these that holds ends the run."""

    epochs: int | None = None
    steps: int | None = None
    loss_below: float | None = None
    patience: int | None = None
    """Epochs without a better validation loss (training loss where nothing is held out)."""


class Variant(Spec, frozen=True, kw_only=True):
    """``[[variant]]``: the same experiment with some keys changed (``--variant NAME``)."""

    name: str
    about: str = ""
    set: tuple[str, ...] = ()
    """Overrides as on the command line: ``model.1-5.activation=relu``."""


class Experiment(Spec, frozen=True, kw_only=True):
    """One whole experiment."""

    experiment: Header = Header()
    data: Data
    model: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer = SGD()
    schedule: Schedule = Constant()
    stop: Stop = Stop(epochs=20)
    variant: tuple[Variant, ...] = ()


def layer_names(model: tuple[Layer, ...]) -> tuple[str, ...]:
    """Names of the layers: the given one, or kind and running number (``dense1``, ``dense2`` …)."""
    counts: dict[str, int] = {}
    names = []
    for layer in model:
        kind = str(layer.__struct_config__.tag)
        counts[kind] = counts.get(kind, 0) + 1
        names.append(layer.name or f"{kind}{counts[kind]}")
    return tuple(names)
