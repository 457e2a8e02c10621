"""The torch engine: the same network on the CPU or CUDA, each layer's backward by autograd."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bptui.engine import initialise, measure
from bptui.engine.base import Array, Batch, Engine, Kind, LayerInfo, Quantity
from bptui.engine.progress import Progress
from bptui.engine.states import OPTIMISER_STEP, described, parse_state, plain_output
from bptui.engine.torch import statistics
from bptui.engine.torch.activations import ACTIVATIONS
from bptui.engine.torch.device import checked
from bptui.engine.torch.layers import FORWARD, LayerRun
from bptui.engine.torch.losses import FUSED, LOSSES
from bptui.engine.torch.optimisers import Optimiser
from bptui.spec.experiment import Experiment, layer_names

DTYPES = {"f32": torch.float32, "f64": torch.float64}
PREDICT_ROWS = 8192
#: As in ``torch.nn.utils.clip_grad_norm_``.
EPSILON = 1e-6


class TorchEngine(Engine):
    """See ``base.Engine``. Parameters and gradient are one flat tensor each, W then b of each layer."""

    def __init__(
        self, experiment: Experiment, features: int, outputs: int, *, dtype: str, seed: int, device: str = "cpu"
    ) -> None:
        self.name, self.device, self.dtype = "torch", checked(device), cast(Literal["f32", "f64"], dtype)
        self._kind: dict[str, Any] = {"dtype": DTYPES[dtype], "device": self.device}
        names = layer_names(experiment.model)
        self._configure(experiment, seed)
        self._loss = experiment.loss
        self.layers: Sequence[LayerInfo] = described(experiment, features)
        self._flat = torch.empty(sum(info.parameters for info in self.layers), **self._kind)
        self._gradient = torch.zeros_like(self._flat)
        self._flat.grad = self._gradient
        self._runs = [
            LayerRun(layer, values, gradients)
            for layer, values, gradients in zip(
                experiment.model, self._views(self._flat), self._views(self._gradient), strict=True
            )
        ]
        for layer, info, run in zip(experiment.model, self.layers, self._runs, strict=True):
            run.weight.copy_(torch.from_numpy(initialise.weight(layer, info.name, info.inputs, seed)))
            run.bias.copy_(torch.from_numpy(initialise.bias(layer)))
        tag = str(experiment.loss.__struct_config__.tag)
        self._criterion = LOSSES[tag](experiment.loss, self._flat)
        self._may_fuse = tag in FUSED
        self._fused = self._may_fuse and plain_output(self._model)
        self._optimiser = Optimiser(experiment.optimizer, self._settings, self._flat)
        self._penalised = [
            (index, layer.l1, layer.l2) for index, layer in enumerate(experiment.model) if layer.l1 or layer.l2
        ]
        self._reached = Progress(len(names), plain_output(self._model))
        self._x: Tensor | None = None
        self._y: Tensor | None = None
        self._upstream: Tensor | None = None
        self._part, self._parts, self._first, self._step = 0, 1, 0, 0
        self._watching = False
        self._applied: Tensor | None = None

    def _views(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Detached views of a flat tensor: W (inputs, units) and b (units,) of each layer."""
        views, first = [], 0
        for info in self.layers:
            (units,) = info.shape
            middle, last = first + info.inputs * units, first + info.parameters
            views.append((flat.detach()[first:middle].view(info.inputs, units), flat.detach()[middle:last]))
            first = last
        return views

    # -- one update, piece by piece ---------------------------------------------------------------
    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        self._first = self._first + len(self._x) if part and self._x is not None else 0
        self._part, self._parts, self._step = part, parts, step
        self._x = torch.tensor(batch.x, **self._kind)
        y = torch.tensor(batch.y, device=self.device)
        if y.is_floating_point():
            y = y.to(self._kind["dtype"])
            self._y = y if y.dim() == 2 else y.reshape(len(self._x), -1)
        else:
            self._y = y.long() if y.dim() == 1 else y.to(self._kind["dtype"])
        for run in self._runs:
            run.forget()
        self._reached.begin()

    def forward(self, layer: int) -> None:
        source = self._runs[layer - 1].a if layer else self._x
        dropout, mask = self._dropouts[layer], None
        if source is None:
            raise RuntimeError("begin() and the layers before come first")
        if dropout is not None:
            mask = torch.from_numpy(dropout.mask(self._step, len(source), self._first)).to(**self._kind)
        self._runs[layer].forward(source, mask, layer > 0)
        self._reached.forward = layer + 1

    def loss(self) -> float:
        out = self._runs[-1].a
        if out is None or self._y is None:
            raise RuntimeError("the layers come first")
        out = out.detach().requires_grad_()
        loss = self._criterion(out, self._y)
        (self._upstream,) = torch.autograd.grad(loss, out)
        self._reached.loss = True
        return loss.item()

    def backward(self, layer: int) -> None:
        if self._upstream is None:
            raise RuntimeError("loss() and the layers above come first")
        self._upstream = self._runs[layer].backward(self._upstream, layer > 0, self._part, self._parts)
        self._reached.backward = layer

    def clip(self) -> float:
        if self._penalised:
            for index, l1, l2 in self._penalised:
                weight, gradient = self._runs[index].weight, self._runs[index].weight_gradient
                if gradient is not None:
                    gradient += l1 * weight.sign() + 2.0 * l2 * weight
        by_value, by_norm = self._settings["clip_value"], self._settings["clip_norm"]
        if by_value == by_norm == math.inf:
            return math.nan
        norm = whole = self._gradient.norm()
        if by_value < math.inf:
            self._gradient.clamp_(-by_value, by_value)
            norm = self._gradient.norm()
        if by_norm < math.inf:
            self._gradient.mul_((by_norm / (norm + EPSILON)).clamp_(max=1.0))
        return float(whole)

    def update(self, lr: float) -> None:
        before = self._flat.clone() if self._watching else None
        self._optimiser.step(lr)
        self._applied = None if before is None else self._flat - before

    def train_step(self, batch: Batch, step: int, lr: float) -> float:
        return self.accumulate((batch,), step, lr)

    def accumulate(self, batches: Sequence[Batch], step: int, lr: float) -> float:
        losses, last = [], len(self._runs)
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
    def predict(self, x: npt.NDArray[np.generic]) -> Array:
        pieces = []
        with torch.no_grad():
            for first in range(0, max(len(x), 1), PREDICT_ROWS):
                a = torch.tensor(x[first : first + PREDICT_ROWS], **self._kind)
                for layer, run in zip(self._model, self._runs, strict=True):
                    a = FORWARD[str(layer.__struct_config__.tag)](a, run.weight, run.bias)
                    if layer.activation != "identity":
                        a = ACTIVATIONS[layer.activation](a)
                pieces.append(a)
            return _home(torch.cat(pieces))

    def data_loss(self, outputs: Array, y: npt.NDArray[np.generic]) -> float:
        return measure.data_loss(self._loss, outputs, y)

    def tensor(self, kind: Kind, layer: int) -> Array | None:
        if kind in ("update_W", "W", "b"):
            source = self._applied if kind == "update_W" else self._flat
            return None if source is None else _home(self._views(source)[layer][kind == "b"])
        if self._x is None or not self._reached.has(kind, layer):
            return None
        run, last = self._runs[layer], layer == len(self._runs) - 1
        if kind in ("x", "y"):
            return _home(cast(Tensor, self._x if kind == "x" else self._y))
        if kind in ("upstream", "gate") and last and self._fused:
            return None
        if kind in ("upstream", "delta") and last and run.delta is None:  # the loss alone has given it
            return _home(cast(Tensor, self._upstream))
        if kind == "gate" and run.gate is None:
            return _home(torch.ones_like(cast(Tensor, run.delta)))
        name = {"grad_W": "weight_gradient", "grad_b": "bias_gradient"}.get(kind, kind)
        value: Tensor | None = getattr(run, name)
        return None if value is None else _home(value)

    def watch(self, on: bool) -> None:
        self._watching = on

    def reduce(self) -> npt.NDArray[np.float32]:
        applied = [None] * len(self._runs) if self._applied is None else [w for w, _ in self._views(self._applied)]
        return statistics.table(self.layers, self._runs, [run.weight_gradient for run in self._runs], applied)

    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        return statistics.fired(self.layers, self._runs)

    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        name = {"grad_W": "weight_gradient", "W": "weight"}.get(kind, kind)
        return statistics.histograms([getattr(run, name) for run in self._runs])

    # -- state -------------------------------------------------------------------------------------
    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        state: dict[str, npt.NDArray[np.generic]] = {}
        vectors = {"": self._flat}
        vectors |= {f"optimizer.{name}.": slot for name, slot in self._optimiser.slots().items()}
        for prefix, flat in vectors.items():
            for info, (weight, bias) in zip(self.layers, self._views(flat), strict=True):
                state[f"{prefix}{info.name}.weight"] = _home(weight)
                state[f"{prefix}{info.name}.bias"] = _home(bias)
        state[OPTIMISER_STEP] = np.array(self._optimiser.count, dtype=np.int64)
        return state

    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        count, vectors = parse_state(state, self.layers, self._optimiser.names())
        slots: dict[str, Tensor] = {}
        for name, tensors in vectors.items():
            flat = self._flat if name == "" else torch.empty_like(self._flat)
            for (weight, bias), (new_weight, new_bias) in zip(self._views(flat), tensors, strict=True):
                weight.copy_(torch.tensor(new_weight))
                bias.copy_(torch.tensor(new_bias))
            if name:
                slots[name] = flat
        self._optimiser.load(count, slots)
        self._reached.nothing()
        self._applied = self._x = self._y = self._upstream = None
        for run in self._runs:
            run.forget()

    def _rule_changed(self) -> None:
        self._optimiser.rebuild()

    def _dropout_changed(self) -> None:
        self._reached.plain_output = plain_output(self._model)
        self._fused = self._may_fuse and self._reached.plain_output


def _home(tensor: Tensor) -> Array:
    """A copy as NumPy."""
    return np.array(tensor.detach().cpu().numpy())
