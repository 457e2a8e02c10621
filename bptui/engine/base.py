"""The surface that every engine has: the names and shapes are those of the formulas in DESIGN §3.

    zˡ = aˡ⁻¹Wˡ + bˡ      aˡ = g(zˡ)      δˡ = (δˡ⁺¹Wˡ⁺¹ᵀ) ⊙ g′(zˡ)      ∂L/∂Wˡ = aˡ⁻¹ᵀδˡ

Rows are samples. Layers are counted from 0; ``a`` of layer −1 is the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from bptui.engine import measure
from bptui.engine.dropout import Dropout, checked_rate, dropout_layers
from bptui.engine.errors import EngineError
from bptui.engine.settings import Settings
from bptui.spec.experiment import Experiment
from bptui.spec.layers.base import Parameter, Shape, branches_of, dropout_of, has_activation, size
from bptui.spec.shapes import Placed

Array = npt.NDArray[np.floating]
Phase = Literal["batch", "forward", "loss", "backward", "clip", "update"]
Kind = Literal["a", "z", "delta", "W", "b", "grad_W", "grad_b", "update_W", "upstream", "gate", "x", "y"]
"""What ``Engine.tensor`` can show of a layer.

``a``, ``z``, ``delta``: ``(N, *shape)``, of a dense layer ``(N, units)``. ``W``, ``grad_W``, ``update_W`` (the last ΔW
applied): the layer's first parameter, of a dense layer ``(inputs, units)``; ``b``, ``grad_b``: its ``bias``.
``upstream`` (what the layers above give back: δˡ⁺¹Wˡ⁺¹ᵀ, their sum where several read it) and ``gate`` (g′(zˡ), dropout
mask included): the two factors of δ, shaped like it (the last layer of a fused loss has neither). ``x``, ``y``: the
batch.
"""

#: Kinds that are a tensor of the parameters, its gradient, or its last change.
PARAMETERS = ("W", "b", "grad_W", "grad_b", "update_W")

Quantity = Literal["grad_W", "W", "a", "delta"]
"""What ``Engine.histogram`` counts; the order is that of ``runs.records.QUANTITIES``."""

What = Literal["value", "gradient", "update"]
"""Of one parameter: itself, ∂L/∂W of the last step, or the last change applied to it."""

#: Columns of the per-layer table, float32, in this order; the first of ``runs.records.TABLE_COLUMNS``.
COLUMNS = ("grad_norm", "weight_norm", "update_ratio", "activation_mean", "activation_std", "delta_norm", "silent")
"""``nan`` where a layer has no such thing. ``silent``: units whose activation was 0 for every sample of the
sampled batch, a channel at every place (nan for activations that cannot die). Norms are Euclidean, over the weights
alone; ``update_ratio`` is ‖ΔW‖/‖W‖ of the last update. A layer without weights has no norm of them."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer: its name, kind, output shape (without the batch) and number of parameters."""

    name: str
    kind: str
    inputs: int
    """Features, or channels of a picture, of its (first) input."""
    shape: Shape
    activation: str
    parameters: int
    tensors: tuple[Parameter, ...]
    """Its parameters, in the order of the state."""
    buffers: tuple[Parameter, ...] = ()
    """State that is not trained."""
    sources: tuple[int, ...] = (-1,)
    """Indices of the layers it reads; −1: the batch."""
    taken: tuple[Shape, ...] = ()
    """Shapes of what it reads."""
    unit_axis: int = -1
    """Axis of ``shape`` along which units lie: 0 for pictures, −1 elsewhere."""

    @property
    def units(self) -> int:
        """Channels of a picture, features elsewhere."""
        return self.shape[self.unit_axis]

    @property
    def weights(self) -> tuple[Parameter, ...]:
        """The parameters whose norms are shown: all but biases; empty where there are none."""
        return tuple(each for each in self.tensors if each.begins in ("init", "orthogonal", "ones", "padded"))


@dataclass(frozen=True, slots=True)
class Micro:
    """A place between two micro-steps: the phase that has just been done, and its layer's index."""

    phase: Phase
    layer: int | None = None
    value: float | None = None
    """The loss after ``loss``; the gradient's norm before it was cut after ``clip``."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one step.

    ``x``: (N, features) in the engine's dtype, or ids (N, T) int64. ``y``: class ids (N,), class ids (N, T) with −1
    where there is no target, or floats (N, outputs), nan where there is none. ``lengths``: (N,) steps of each sequence
    that are real; None: all. Beyond them x is 0. ``weights``: (N,) floats, by which each sample's loss counts, below 0
    too; None: all by 1. The mean stays that of N samples: L = (1/N)·Σₙ wₙ·ℓₙ (a return that weighs an action, or how
    often a row stands for itself).
    """

    x: npt.NDArray[np.generic]
    y: npt.NDArray[np.generic]
    lengths: npt.NDArray[np.int64] | None = None
    weights: npt.NDArray[np.floating] | None = None


class Engine(ABC):
    """A network, its loss and its optimiser. The caller owns step count, schedule and data.

    One update from state k is: ``begin(batch, k)``, ``forward(0..L-1)``, ``loss()``, ``backward(L-1..0)``,
    ``clip()``, ``update(lr)``; ``train_step`` is the same without a stop between, with the same bits.
    """

    name: str
    device: str
    dtype: Literal["f32", "f64"]
    layers: Sequence[LayerInfo]
    lengths: npt.NDArray[np.int64] | None = None
    """(N,) steps of each sequence of the present batch that are real; None: all."""
    weights: npt.NDArray[np.floating] | None = None
    """(N,) by which each sample of the present batch counts in the loss; None: all by 1."""

    @abstractmethod
    def __init__(
        self,
        experiment: Experiment,
        layers: Sequence[Placed],
        *,
        dtype: str,
        seed: int,
        device: str = "cpu",
        returning: bool = False,
    ) -> None:
        """``returning``: δ goes through every layer down to the batch, also where nothing learns: ``returned``."""

    # -- one update, piece by piece ---------------------------------------------------------------
    @abstractmethod
    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        """Take a batch; dropout masks come from (seed, layer, step).

        ``part`` of ``parts``: a batch of an update that accumulates. Part 0 forgets every gradient added up before,
        so that a step looked at in advance (begin, forward, loss, backward, but no update) leaves nothing behind.
        """

    @abstractmethod
    def forward(self, layer: int) -> None: ...

    @abstractmethod
    def loss(self) -> float:
        """Mean data loss of the batch; leaves δ of the last layer's outputs ready."""

    @abstractmethod
    def backward(self, layer: int) -> None:
        """δ of ``layer``, then its ∂L/∂W and ∂L/∂b (added up while gradients accumulate)."""

    def receive(self, upstream: Array) -> None:
        """In place of ``loss()``: ∂L/∂outputs (N, outputs) of a loss that is taken elsewhere."""
        raise NotImplementedError

    def returned(self) -> Array:
        """∂L/∂x (N, features) of the batch, after ``backward(0)`` of an engine made with ``returning``."""
        raise NotImplementedError

    @abstractmethod
    def clip(self) -> float:
        """Penalties' gradients, then clipping by value and by norm; returns the norm before (nan if not clipping)."""

    @abstractmethod
    def update(self, lr: float) -> None: ...

    def train_step(self, batch: Batch, step: int, lr: float) -> float:
        """One whole update, fused where an engine can; returns the loss of state ``step``."""
        return self.accumulate((batch,), step, lr)

    def accumulate(self, batches: Sequence[Batch], step: int, lr: float) -> float:
        """One update from several batches (gradient accumulation); returns the mean loss."""
        losses, last = [], len(self.layers)
        for part, batch in enumerate(batches):
            self.begin(batch, step, part, len(batches))
            for layer in range(last):
                self.forward(layer)
            losses.append(self.loss())
            for layer in reversed(range(last)):
                self.backward(layer)
        self.clip()
        self.update(lr)
        return sum(losses) / len(losses)

    # -- looking, which changes nothing ------------------------------------------------------------
    def row_inputs(self, layer: int) -> Array | None:
        """What the network of ``layer`` got for each row of its δ: the batch."""
        return self.tensor("x", 0)

    def row_targets(self, layer: int) -> Array | None:
        """What was wanted for each row of its δ."""
        return self.tensor("y", 0)

    def row_numbers(self, layer: int, numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Of each row of its δ, where the batch has these ``numbers``; −1: no row of the data."""
        return numbers

    def entering(self, x: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """What the first layer reads in ``passes(x)``."""
        return x

    def figures(self) -> dict[str, float]:
        """Further figures of the last step beside its loss, by the names of ``records.SERIES``."""
        return {}

    def objective(self, layer: int, loss: float) -> float:
        """What ``layer`` goes down on: the ``loss`` that ``loss()`` gave, but where a network has one of its own."""
        return loss

    @abstractmethod
    def predict(self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None) -> Array:
        """Outputs (N, outputs), or (N, T, classes) where each step has a class: logits for the fused losses.

        Dropout off. The state of the step is kept.
        """

    @abstractmethod
    def passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """z and a, ``(N, *shape)``, of one layer after the other, dropout off, all rows at once.

        Arrays hold until the next is asked for; the state of the step is kept.
        """

    def data_loss(self, outputs: Array, y: npt.NDArray[np.generic]) -> float:
        """The loss of outputs that ``predict`` gave (without label smoothing and class weights)."""
        return measure.data_loss(self._loss, outputs, y)

    @abstractmethod
    def tensor(self, kind: Kind, layer: int) -> Array | None:
        """A copy, as NumPy, of one tensor of the last step; None where there is none (yet)."""

    @abstractmethod
    def tensor_of(self, name: str, layer: int, what: What = "value") -> Array | None:
        """A copy of a parameter or buffer by its name; KeyError: no such; None: there is none (yet)."""

    def views(self, layer: int, sample: int = 0) -> dict[str, Array]:
        """What this kind shows beyond a, z and δ, of the last step: ``gate.forget`` (N, T, H) … Often empty.

        What would be large of all samples is there of ``sample`` alone: ``attention`` (1, heads, T, T).
        """
        return {}

    def steps_read(self, layer: int) -> npt.NDArray[np.int64] | None:
        """(N,): how long the sequences of the present batch are where this layer reads them; None: all whole."""
        return None

    @abstractmethod
    def watch(self, on: bool) -> None:
        """Whether the next update keeps what ``update_ratio`` and ``update_W`` need (a copy of the weights)."""

    @abstractmethod
    def reduce(self) -> npt.NDArray[np.float32]:
        """``(layers, len(COLUMNS))`` of the last step, computed on the engine's own device."""

    @abstractmethod
    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        """A layer: which units (units,) gave anything but 0 for any sample (at any place); None if they cannot die."""

    @abstractmethod
    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        """``(layers, CELLS)``: counts of floor(log₂|x|) by layer, cells as in ``records``."""

    # -- state -------------------------------------------------------------------------------------
    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """A copy: ``dense1.weight`` (inputs, units), ``dense1.bias`` (units,), ``norm1.running_mean`` (a buffer),
        ``optimizer.<slot>.dense1.weight`` …, ``optimizer.step``. The same names in every engine, so that a state may
        move between them."""

    @abstractmethod
    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Put a state back; ValueError names the first tensor that is missing or of another shape."""

    def _parameter(self, kind: Kind, layer: int) -> Array | None:
        """One of ``PARAMETERS``: W is a layer's first tensor. None where the layer has no such tensor."""
        names = [each.name for each in self.layers[layer].tensors]
        name = names[0] if names and kind not in ("b", "grad_b") else "bias"
        if name not in names:
            return None
        what: What = "update" if kind == "update_W" else "gradient" if kind.startswith("grad") else "value"
        return self.tensor_of(name, layer, what)

    # -- settings, which are the same in every engine ------------------------------------------------
    def _configure(self, experiment: Experiment, seed: int) -> None:
        """Take what may change while training runs, after ``layers``; before anything that reads it."""
        self._seed, self._model, self._loss = seed, experiment.model, experiment.loss
        self._settings = Settings(experiment.optimizer)
        self._dropouts: list[Dropout | None] = [None] * len(self.layers)
        self._inside: list[dict[str, Dropout]] = [{} for _ in self.layers]
        """Of a layer's branches, where dropout acts on them."""
        for index, layer in enumerate(experiment.model):
            self._drop(index, dropout_of(layer))

    def _drop(self, index: int, rate: float) -> None:
        """Dropout of one layer, or of each of its branches."""
        info, branches = self.layers[index], branches_of(self._model[index]) if rate else ()
        seed, units = self._seed, size(info.shape)
        self._inside[index] = {each: Dropout(seed, f"{info.name}.{each}", units, rate) for each in branches}
        self._dropouts[index] = Dropout(seed, info.name, units, rate) if rate and not branches else None

    def set(self, key: str, value: float) -> float:
        """Change a setting live; returns the old value. ValueError: unknown or impossible.

        An optimiser's (``momentum``, ``weight_decay``, ``clip_norm`` …; ``inf``: no limit) holds from the next update;
        ``dropout`` (every layer but the last) and ``dropout.dense1`` hold from the next batch. ``freeze.dense1`` = 1:
        the layer's parameters stay as they are, from the next update on.
        """
        from bptui.engine.freezing import frozen_layer

        frozen = frozen_layer(key, value, self.layers)
        if frozen is not None:
            changed = list(self._model)
            was, changed[frozen] = changed[frozen].freeze, replace(changed[frozen], freeze=bool(value))
            self._model = tuple(changed)
            self._freeze_changed()
            return float(was)
        layers = dropout_layers(key, [info.name for info in self.layers])
        if layers is None:
            old = self._settings.change(key, value)
            self._rule_changed()
            return old
        rate, model = checked_rate(key, value), list(self._model)
        layers = [index for index in layers if has_activation(model[index])]
        if not layers:
            raise EngineError(f"{key}: no such layer has dropout")
        old = dropout_of(model[layers[0]])
        for index in layers:
            model[index] = replace(model[index], dropout=rate)
            self._drop(index, rate)
        self._model = tuple(model)
        self._dropout_changed()
        return old

    def settings(self) -> dict[str, float]:
        """Every setting that ``set`` changes, as it now is, each layer's dropout and freezing by its name."""
        rates = {
            f"dropout.{info.name}": dropout_of(layer)
            for info, layer in zip(self.layers, self._model, strict=True)
            if has_activation(layer)
        }
        frozen = {
            f"freeze.{info.name}": float(layer.freeze)
            for info, layer in zip(self.layers, self._model, strict=True)
            if info.tensors
        }
        return {**self._settings.values, **rates, **frozen}

    @abstractmethod
    def _freeze_changed(self) -> None:
        """``_model`` freezes other layers from the next update on."""

    @abstractmethod
    def _rule_changed(self) -> None:
        """A setting of the optimiser is another from the next update on."""

    @abstractmethod
    def _dropout_changed(self) -> None:
        """``_model``, ``_dropouts`` and ``_inside`` are others from the next batch on."""


def micro_steps(engine: Engine, batches: Batch | Sequence[Batch], step: int, lr: float) -> Iterator[Micro]:
    """One update as a generator: pausing is not calling ``next``. Ends after ``update``.

    Several batches are those of an update that accumulates their mean gradient.
    """
    group = [batches] if isinstance(batches, Batch) else list(batches)
    last = len(engine.layers)
    for part, batch in enumerate(group):
        engine.begin(batch, step, part, len(group))
        yield Micro("batch")
        for layer in range(last):
            engine.forward(layer)
            yield Micro("forward", layer)
        yield Micro("loss", value=engine.loss())
        for layer in reversed(range(last)):
            engine.backward(layer)
            yield Micro("backward", layer)
    yield Micro("clip", value=engine.clip())
    engine.update(lr)
    yield Micro("update")
