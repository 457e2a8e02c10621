"""An experiment as plain data: what a TOML file says, frozen and typed.

A new optimiser, schedule or loss is one ``Struct`` here (its ``tag`` is the name users write)
and one row in each engine's table; nothing else changes.
"""

from __future__ import annotations

from typing import Literal

from bptui.spec.base import Activation as Activation
from bptui.spec.base import Initialiser as Initialiser
from bptui.spec.base import Spec as Spec
from bptui.spec.layers import Dense as Dense
from bptui.spec.layers import Layer as Layer
from bptui.spec.shapes import layer_names as layer_names

Task = Literal[
    "auto", "classification", "binary", "multilabel", "regression", "sequence_labelling", "next_token", "autoencoder",
    "generate", "policy",
]  # fmt: skip
Baseline = Literal["step", "batch", "none"]
Scale = Literal["auto", "standard", "global", "minmax", "none"]
EngineName = Literal["auto", "numpy", "torch"]
Dtype = Literal["f32", "f64"]


class Header(Spec, frozen=True, kw_only=True):
    """``[experiment]``."""

    name: str = ""
    """What the run is called."""
    seed: int = 0
    """Chooses initial values, split, batch order and dropout masks; the same seed gives the same run."""
    dtype: Dtype = "f32"
    """Precision of all numbers: ``f32`` is fast, ``f64`` is for comparing digits."""
    description: str = ""
    """One line about the experiment, for lists."""
    weights: str = ""
    """Trained weights to begin with, a safetensors file; layers whose name and shapes are in it take them."""


class Data(Spec, frozen=True, kw_only=True):
    """``[data]``: where the rows come from and how they are split, scaled and batched."""

    source: str
    """A built-in name, or the path of a file."""
    task: Task = "auto"
    """What is learned; auto: the labels tell. autoencoder: each sample; generate: more like it; policy: to act."""
    batch_size: int = 32
    """Rows whose mean gradient makes one update; of an environment: episodes that are played for it."""
    validation: float = 0.2
    """Fraction of the rows (of the training part, where the source has a test part) held out."""
    test: float = 0.0
    """Fraction held out as a test part where the source brings none of its own."""
    scale: Scale = "auto"
    """``standard`` a feature, ``global`` one mean and σ for all (pictures); learned on the training part."""
    label: str | int | None = None
    """Columns to predict (files), by name or number, parted by commas; empty: label or target, else the last one."""
    ids: str | int | None = None
    """Columns of ids (files), by name or number, parted by commas: user and item of ratings; they alone are read."""
    delimiter: str | None = None
    """What stands between the columns of a text file; empty: found out."""
    header: bool | None = None
    """Whether the first line of a text file names the columns; empty: found out."""
    missing: Literal["error", "drop", "mean"] = "error"
    """What to do with a row in which a value is missing."""
    shuffle: bool = True
    """Whether each epoch takes the rows in another order."""
    samples: int | None = None
    """Rows to generate (generated sources), or to read at the most (files)."""
    noise: float | None = None
    """How far generated points are scattered; empty: the source's own."""
    window: int | None = None
    """Steps of a sample: rows of a series, tokens of a text, frames of a sound; longer samples are cut."""
    stride: int | None = None
    """Steps from one window of a long text or series to the next; empty: as many as the window (a series: 1)."""
    horizon: int = 1
    """How many of the rows after a window of a series are to be predicted."""
    level: Literal["char", "word"] | None = None
    """What the tokens of a text are; if it is set, a table's column of text becomes tokens too."""
    vocabulary: int | None = None
    """Most tokens that are known, the commonest; others are unknown. Empty: 20,000 words, all characters."""
    encoding: str = "utf-8"
    """How a text is stored."""
    height: int | None = None
    """Height that pictures of a folder are scaled to; empty: the width, or they must all be alike."""
    width: int | None = None
    """Width that pictures of a folder are scaled to; empty: the height, or they must all be alike."""
    grey: bool = False
    """Whether pictures of a folder lose their colours."""
    sample_rate: int | None = None
    """Samples a second that sounds of a folder are converted to; empty: they must all be alike."""
    mels: int = 40
    """Mel bands, the features of a frame of sound."""
    hold_out: str | None = None
    """Parts of file names, parted by commas, whose samples become the test part: a speaker, a day, a place."""
    episodes: int = 100
    """Episodes of an environment that make an epoch; after each epoch the policy is tried in as many others."""
    episode_steps: int | None = None
    """Steps after which an episode ends by itself; empty: the environment's own (cart-pole: 200)."""
    discount: float = 0.99
    """How much a reward counts for an action one step earlier: γ of the returns."""
    baseline: Baseline = "step"
    """What is taken off the returns: their mean at the same ``step`` of all episodes, of the ``batch``, nothing."""


class CrossEntropy(Spec, frozen=True, tag_field="name", tag="cross_entropy", kw_only=True):
    """Softmax and negative log-likelihood, fused; logits in, class ids as targets."""

    label_smoothing: float = 0.0
    """Share of each target spread evenly over all classes."""
    class_weights: tuple[float, ...] | None = None
    """How much each class counts, one number a class; empty: all alike."""


class BinaryCrossEntropy(Spec, frozen=True, tag_field="name", tag="binary_cross_entropy", kw_only=True):
    """Sigmoid and binary cross-entropy, fused; logits in, targets in [0, 1]."""

    label_smoothing: float = 0.0
    """How far targets 0 and 1 are moved towards one half."""
    pos_weight: float = 1.0
    """How much a positive sample counts against a negative one."""


class MeanSquaredError(Spec, frozen=True, tag_field="name", tag="mse", kw_only=True):
    """Mean of squared differences over batch and outputs."""


class MeanAbsoluteError(Spec, frozen=True, tag_field="name", tag="mae", kw_only=True):
    """Mean of absolute differences over batch and outputs."""


class Huber(Spec, frozen=True, tag_field="name", tag="huber", kw_only=True):
    """Quadratic within ``delta`` of the target, linear beyond (torch's ``HuberLoss``)."""

    delta: float = 1.0
    """Distance from the target at which the quadratic becomes linear."""


Loss = CrossEntropy | BinaryCrossEntropy | MeanSquaredError | MeanAbsoluteError | Huber


class OptimizerBase(Spec, frozen=True, tag_field="name", kw_only=True):
    """Fields every optimiser has."""

    lr: float
    """Learning rate η: how far one update goes against the gradient."""
    weight_decay: float = 0.0
    """Share of each weight taken off in each update."""
    clip_norm: float | None = None
    """Longest gradient: a longer one is scaled down to it; empty: no limit."""
    clip_value: float | None = None
    """Largest entry of the gradient: larger ones are cut to it; empty: no limit."""
    accumulate: int = 1
    """Batches whose mean gradient makes one update."""


class SGD(OptimizerBase, frozen=True, tag="sgd", kw_only=True):
    """W ← W − η·∂L/∂W, with momentum if wanted."""

    lr: float = 0.1
    momentum: float = 0.0
    """How much of the last step is kept in the next one; 0.9 is usual."""
    dampening: float = 0.0
    """Share of each new gradient left out of the momentum."""
    nesterov: bool = False
    """Whether the gradient is taken where momentum is about to lead (needs momentum)."""


class RMSprop(OptimizerBase, frozen=True, tag="rmsprop", kw_only=True):
    """Divides each gradient by the root of its recent mean square."""

    lr: float = 0.01
    alpha: float = 0.99
    """How slowly the mean of squared gradients forgets."""
    eps: float = 1e-8
    """Added to the divisor, so that it is never 0."""
    momentum: float = 0.0
    """How much of the last step is kept in the next one."""
    centered: bool = False
    """Whether the gradients' mean is taken off their mean square."""


class Adagrad(OptimizerBase, frozen=True, tag="adagrad", kw_only=True):
    """Divides each gradient by the root of the sum of all its squares."""

    lr: float = 0.01
    lr_decay: float = 0.0
    """How fast the rate falls with the number of updates."""
    eps: float = 1e-10
    """Added to the divisor, so that it is never 0."""
    initial_accumulator: float = 0.0
    """Where the sum of squared gradients begins."""


class Adam(OptimizerBase, frozen=True, tag="adam", kw_only=True):
    """Momentum and a step size of its own for each weight; a good first choice."""

    lr: float = 0.001
    beta1: float = 0.9
    """How slowly the mean of the gradients forgets."""
    beta2: float = 0.999
    """How slowly the mean of their squares forgets."""
    eps: float = 1e-8
    """Added to the divisor, so that it is never 0."""


class AdamW(OptimizerBase, frozen=True, tag="adamw", kw_only=True):
    """Adam with decoupled decay (torch's default decay, 0.01)."""

    lr: float = 0.001
    beta1: float = 0.9
    """How slowly the mean of the gradients forgets."""
    beta2: float = 0.999
    """How slowly the mean of their squares forgets."""
    eps: float = 1e-8
    """Added to the divisor, so that it is never 0."""
    weight_decay: float = 0.01


Optimizer = SGD | RMSprop | Adagrad | Adam | AdamW


class Constant(Spec, frozen=True, tag_field="name", tag="constant", kw_only=True):
    """lr stays as it is."""


class StepDecay(Spec, frozen=True, tag_field="name", tag="step", kw_only=True):
    """lr × gamma every ``every`` epochs (torch's ``StepLR``)."""

    every: int = 10
    """Epochs (or steps) between two cuts."""
    gamma: float = 0.1
    """Factor on lr at each cut."""
    per: Literal["epoch", "step"] = "epoch"
    """Whether it counts epochs or updates."""


class Exponential(Spec, frozen=True, tag_field="name", tag="exponential", kw_only=True):
    """lr × gamma at each epoch (or step)."""

    gamma: float = 0.95
    """Factor on lr at each epoch (or step)."""
    per: Literal["epoch", "step"] = "epoch"
    """Whether it counts epochs or updates."""


class Cosine(Spec, frozen=True, tag_field="name", tag="cosine", kw_only=True):
    """From lr to ``min_lr`` over ``length`` epochs or steps (default: the whole run)."""

    length: int | None = None
    """Epochs (or steps) of the fall; empty: the whole run."""
    min_lr: float = 0.0
    """Where the fall ends."""
    per: Literal["epoch", "step"] = "step"
    """Whether it counts epochs or updates."""


class Warmup(Spec, frozen=True, tag_field="name", tag="warmup", kw_only=True):
    """Linear from ``start``·lr to lr over ``length`` steps, then constant (torch's ``LinearLR``)."""

    length: int = 100
    """Epochs (or steps) of the rise."""
    start: float = 0.01
    """Share of lr with which it begins."""
    per: Literal["epoch", "step"] = "step"
    """Whether it counts epochs or updates."""


class Plateau(Spec, frozen=True, tag_field="name", tag="plateau", kw_only=True):
    """lr × factor after ``patience`` epochs without a better validation loss (``ReduceLROnPlateau``)."""

    factor: float = 0.1
    """Factor on lr at each cut."""
    patience: int = 10
    """Epochs without a better validation loss before a cut."""
    threshold: float = 1e-4
    """Share by which a loss must be lower to count as better."""
    cooldown: int = 0
    """Epochs after a cut that do not count."""
    min_lr: float = 0.0
    """lr is never cut below this."""


Schedule = Constant | StepDecay | Exponential | Cosine | Warmup | Plateau


class Stop(Spec, frozen=True, kw_only=True):
    """``[stop]``: the first of these that holds ends the run."""

    epochs: int | None = None
    """Ends after so many times through the training rows."""
    steps: int | None = None
    """Ends after so many updates."""
    loss_below: float | None = None
    """Ends once the mean training loss of an epoch is below this."""
    patience: int | None = None
    """Epochs without a better validation loss (training loss where nothing is held out)."""


class Adversary(Spec, frozen=True, kw_only=True):
    """``[adversary]``: a second network, the discriminator, that learns to tell true samples from generated ones.

    ``[[model]]`` then turns noise into samples, and goes against what the discriminator makes of them. Goodfellow et
    al. 2014, "Generative Adversarial Nets".
    """

    model: tuple[Layer, ...] = ()
    """``[[adversary.model]]``: layers from a sample to one logit, above 0 for true."""
    optimizer: Optimizer = Adam()
    """``[adversary.optimizer]``: of the discriminator, at a rate that stays; ``[schedule]`` is the generator's."""
    noise: int = 8
    """Width of the noise, standard normal numbers, that the generator makes a sample of."""
    goal: Literal["non_saturating", "minimax"] = "non_saturating"
    """What the generator goes down on: ``non_saturating`` −log p, ``minimax`` log(1 − p), p for true of its samples."""
    updates: int = 1
    """The discriminator takes a step in each update, the generator in every so-many-th."""


class Variant(Spec, frozen=True, kw_only=True):
    """``[[variant]]``: the same experiment with some keys changed (``--variant NAME``)."""

    name: str
    """What ``--variant`` takes."""
    about: str = ""
    """One line about it, for lists."""
    set: tuple[str, ...] = ()
    """Overrides as on the command line: ``model.1-5.activation=relu``."""


class Experiment(Spec, frozen=True, kw_only=True):
    """One whole experiment."""

    experiment: Header = Header()
    data: Data
    model: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer = SGD()
    adversary: Adversary | None = None
    schedule: Schedule = Constant()
    stop: Stop = Stop(epochs=20)
    variant: tuple[Variant, ...] = ()
