"""The torch engine: the same network on the CPU or CUDA, each layer's backward by autograd."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bptui.engine import initialise
from bptui.engine.base import PARAMETERS, Array, Batch, Engine, Kind, LayerInfo, Quantity, What
from bptui.engine.dropout import Dropout
from bptui.engine.freezing import learning
from bptui.engine.progress import Progress
from bptui.engine.states import Held, described, parse_state, plain_output
from bptui.engine.torch import insides, statistics
from bptui.engine.torch.device import checked
from bptui.engine.torch.kinds.base import beyond_of, ended
from bptui.engine.torch.layers import LayerRun
from bptui.engine.torch.losses import FUSED, LOSSES, counts_for_nothing
from bptui.engine.torch.optimisers import Optimiser
from bptui.spec.experiment import CrossEntropy, Experiment
from bptui.spec.layers.base import Parameter, penalties_of
from bptui.spec.shapes import BATCH, Ends, Placed, ends_of, plain_chain, steps_of

DTYPES = {"f32": torch.float32, "f64": torch.float64}
#: Rows, or samples of more than one axis, of one piece of ``predict``.
PREDICT_ROWS, PREDICT_SAMPLES = 8192, 256
#: As in ``torch.nn.utils.clip_grad_norm_``.
EPSILON = 1e-6


class TorchEngine(Engine):
    """See ``base.Engine``. Parameters and gradient are one flat tensor each, in the order of the layers."""

    def __init__(
        self, experiment: Experiment, layers: Sequence[Placed], *, dtype: str, seed: int, device: str = "cpu",
        returning: bool = False,
    ) -> None:
        self.name, self.device, self.dtype = "torch", checked(device), cast(Literal["f32", "f64"], dtype)
        self._kind: dict[str, Any] = {"dtype": DTYPES[dtype], "device": self.device}
        self.layers: Sequence[LayerInfo] = described(layers)
        self._configure(experiment, seed)
        self._flat = torch.empty(sum(info.parameters for info in self.layers), **self._kind)
        self._gradient = torch.zeros_like(self._flat)
        self._flat.grad = self._gradient
        self._runs = [
            LayerRun(place, values, gradients, {each.name: self._begun(place, each) for each in place.geometry.buffers})
            for place, values, gradients in zip(
                layers, self._views(self._flat), self._views(self._gradient), strict=True
            )
        ]
        for run in self._runs:
            for each in run.place.geometry.parameters:
                run.values[each.name].copy_(self._begun(run.place, each))
        self._steps = steps_of(layers)
        tag = str(experiment.loss.__struct_config__.tag)
        self._criterion = LOSSES[tag](experiment.loss, self._flat)
        self._classes = isinstance(experiment.loss, CrossEntropy)
        self._may_fuse = tag in FUSED
        self._fused = self._may_fuse and plain_output(self._model)
        self._optimiser = Optimiser(experiment.optimizer, self._settings, self._flat)
        self._penalised = [
            (index, *penalties_of(layer)) for index, layer in enumerate(experiment.model) if any(penalties_of(layer))
        ]
        self._reached = Progress(len(self.layers), plain_output(self._model))
        self._returning, self._given = returning, list[Tensor]()
        self._freeze_changed()
        self._x: Tensor | None = None
        self._y: Tensor | None = None
        self._ends: list[Ends] = []
        self._upstreams: list[Tensor | None] = []
        self._part, self._parts, self._first, self._step = 0, 1, 0, 0
        self._watching = False
        self._applied: Tensor | None = None

    def _begun(self, place: Placed, each: Parameter) -> Tensor:
        return torch.from_numpy(initialise.values(place.layer, place.name, each, self._seed)).to(**self._kind)

    def _views(self, flat: Tensor) -> list[dict[str, Tensor]]:
        """Detached views of a flat tensor: each layer's parameters by name."""
        views, first = [], 0
        for info in self.layers:
            found = {}
            for each in info.tensors:
                found[each.name] = flat.detach()[first : first + each.size].view(each.shape)
                first += each.size
            views.append(found)
        return views

    # -- one update, piece by piece ---------------------------------------------------------------
    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        self._first = self._first + len(self._x) if part and self._x is not None else 0
        self._part, self._parts, self._step = part, parts, step
        self._x, self._ends = self._taken(batch.x, batch.lengths), self._ends_of(batch.x, batch.lengths)
        self.lengths, self.weights = batch.lengths, batch.weights
        y = torch.tensor(batch.y, device=self.device)
        self._y = y.long() if self._classes else y.to(self._kind["dtype"]).reshape(len(self._x), -1)
        self._upstreams = []
        for run in self._runs:
            run.forget()
            if not part:
                run.pending = {}
        self._reached.begin()

    def _taken(self, x: npt.NDArray[Any], lengths: npt.NDArray[np.int64] | None) -> Tensor:
        """The batch in the engine's type, 0 beyond the ends; ids stay whole numbers."""
        if x.dtype.kind in "iu":
            return torch.tensor(x, device=self.device).long()
        taken = torch.tensor(x, **self._kind)
        if lengths is None or self._steps is None:
            return taken
        beyond = beyond_of(torch.tensor(lengths, device=self.device), self._steps)
        return ended(taken.view(len(taken), self._steps, -1), beyond).view_as(taken)

    def _ends_of(self, x: npt.NDArray[Any], lengths: npt.NDArray[np.int64] | None) -> list[Ends]:
        """Found out here whether any sample is shorter: to ask on the device would wait for it at each layer."""
        counts = None
        if lengths is not None and (lengths < (self._steps or x.shape[1])).any():
            counts = torch.tensor(np.maximum(lengths, 1), device=self.device)
        return ends_of([run.place for run in self._runs], counts)

    def forward(self, layer: int) -> None:
        x, run = self._x, self._runs[layer]
        dropout = self._dropouts[layer]
        if x is None:
            raise RuntimeError("begin() comes first")
        sources = _sources(run.place, x, [each.a for each in self._runs[:layer]])
        mask = None if dropout is None else self._mask(dropout, x, run)
        masks = {name: self._mask(each, x, run) for name, each in self._inside[layer].items()}
        if self._learning[layer]:
            run.forward(sources, mask, self._ends[layer], self._wanted(layer), masks)
        else:
            run.forward_alone(sources, mask, self._ends[layer], masks)
        self._reached.forward = layer + 1

    def _mask(self, dropout: Dropout, x: Tensor, run: LayerRun) -> Tensor:
        drawn = torch.from_numpy(dropout.mask(self._step, len(x), self._first)).to(**self._kind)
        return drawn.view(len(x), *run.place.geometry.output)

    def _wanted(self, layer: int) -> bool:
        """Whether a layer below it, or another network, waits for its ∂L/∂input."""
        sources = self._runs[layer].place.sources
        return any(self._learning[source] if source != BATCH else self._returning for source in sources)

    def loss(self) -> float:
        out = self._runs[-1].a
        if out is None or self._y is None:
            raise RuntimeError("the layers come first")
        out = out.detach().requires_grad_()
        rows, y = _rows(out, self._classes), self._y.flatten() if self._classes else self._y
        weights = self._row_weights(len(rows))
        if self.lengths is not None and not self._classes:  # nan is no target
            there = ~y.isnan()
            weights = None if weights is None else weights[:, None].expand_as(y)[there]
            rows, y = rows[there], y[there]
        loss = self._criterion(rows, y, weights)
        self._upstreams = [None] * len(self._runs)
        (self._upstreams[-1],) = torch.autograd.grad(loss, out)
        self._given = []
        self._reached.loss = True
        value = loss.item()
        if not math.isfinite(value) and counts_for_nothing(self._loss, y):  # a mean of nothing costs nothing
            self._upstreams[-1], value = torch.zeros_like(out), 0.0
        return value

    def _row_weights(self, rows: int) -> Tensor | None:
        """A weight a row of outputs: each step of a sequence has that of its sample."""
        if self.weights is None:
            return None
        given = torch.tensor(self.weights, **self._kind)
        return given.repeat_interleave(rows // max(len(given), 1))

    def receive(self, upstream: Array) -> None:
        out = self._runs[-1].a
        if out is None:
            raise RuntimeError("the layers come first")
        self._upstreams = [None] * len(self._runs)
        self._upstreams[-1] = torch.tensor(upstream, **self._kind).view(out.shape)
        self._reached.loss = True

    def returned(self) -> Array:
        return _home(sum(self._given[1:], self._given[0]))

    def backward(self, layer: int) -> None:
        upstream = self._upstreams[layer] if self._upstreams else None
        if not self._learning[layer]:  # neither it nor anything below it learns
            self._reached.backward = layer
            return
        if upstream is None:
            raise RuntimeError("loss() and the layers above come first")
        place = self._runs[layer].place
        given = self._runs[layer].backward(upstream, self._wanted(layer), self._part, self._parts)
        for source, part in zip(place.sources, given, strict=True):
            if source == BATCH and self._returning and part is not None:
                self._given.append(part.flatten(1))
            elif source != BATCH and self._learning[source] and part is not None:
                total = self._upstreams[source]
                self._upstreams[source] = part if total is None else total + part
        self._reached.backward = layer

    def clip(self) -> float:
        for layer in self._frozen:
            self._part_of(self._gradient, layer).zero_()
        for index, l1, l2 in self._penalised:
            run = self._runs[index]
            if index in self._frozen:
                continue
            for each in self.layers[index].weights:
                weight = run.values[each.name]
                if run.gradients is not None and weight.dim() > 1:
                    run.gradients[each.name].add_(l1 * weight.sign() + 2.0 * l2 * weight)
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
        kept = [(layer, self._part_of(self._flat, layer).clone()) for layer in self._frozen]
        self._optimiser.step(lr)
        for layer, values in kept:
            self._part_of(self._flat, layer).copy_(values)
        self._applied = None if before is None else self._flat - before
        for layer, run in enumerate(self._runs):
            for name, value in run.pending.items():
                if layer not in self._frozen:
                    run.buffers[name].copy_(value)
            run.pending = {}

    # -- looking, which changes nothing ------------------------------------------------------------
    def predict(self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None) -> Array:
        pieces, rows = [], PREDICT_ROWS if plain_chain([run.place for run in self._runs]) else PREDICT_SAMPLES
        with torch.no_grad():
            for first in range(0, max(len(x), 1), rows):
                piece = slice(first, first + rows)
                *_, (_, out) = self._passes(x[piece], None if lengths is None else lengths[piece])
                pieces.append(out if self._classes else _rows(out, False))
            return _home(torch.cat(pieces))

    def passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Array, Array]]:
        with torch.no_grad():
            for z, a in self._passes(x, lengths):
                yield _home(z), _home(a)

    def _passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        taken = self._taken(x, lengths)
        given: list[Tensor | None] = []
        for run, ends in zip(self._runs, self._ends_of(x, lengths), strict=True):
            z, a = run.predict(_sources(run.place, taken, given), ends)
            given.append(a)
            yield z, a

    def tensor(self, kind: Kind, layer: int) -> Array | None:
        if kind in PARAMETERS:
            return self._parameter(kind, layer)
        if self._x is None or not self._reached.has(kind, layer):
            return None
        run, last = self._runs[layer], layer == len(self._runs) - 1
        if kind in ("x", "y"):
            return _home(cast(Tensor, self._x if kind == "x" else self._y))
        if kind in ("upstream", "gate") and last and self._fused:
            return None
        given = last and (kind == "upstream" or self._reached.plain_output)  # by the loss
        if kind in ("upstream", "gate", "delta") and not self._learning[layer] and not given:
            return None
        if kind in ("upstream", "delta") and last and run.delta is None:  # the loss alone has given it
            return _home(cast(Tensor, self._upstreams[-1]))
        if kind == "gate" and run.gate is None:
            return _home(torch.ones_like(cast(Tensor, run.z)))
        value: Tensor | None = getattr(run, kind)
        return None if value is None else _home(value)

    def tensor_of(self, name: str, layer: int, what: What = "value") -> Array | None:
        run = self._runs[layer]
        if what == "value":
            return _home(run.buffers[name] if name in run.buffers else run.values[name])
        if what == "update":
            return None if self._applied is None else _home(self._views(self._applied)[layer][name])
        return None if run.gradients is None else _home(run.gradients[name])

    def views(self, layer: int, sample: int = 0) -> dict[str, Array]:
        run, own = self._runs[layer], self._ends[layer].read if self._ends else None
        return {**{name: _home(view) for name, view in run.views.items()}, **insides.views(run, own, sample)}

    def steps_read(self, layer: int) -> npt.NDArray[np.int64] | None:
        read = self._ends[layer].read if self._ends else None
        return None if read is None else read.cpu().numpy()

    def watch(self, on: bool) -> None:
        self._watching = on

    def reduce(self) -> npt.NDArray[np.float32]:
        applied = None if self._applied is None else self._views(self._applied)
        return statistics.table(self.layers, self._runs, applied)

    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        return statistics.fired(self.layers, self._runs)

    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        found: list[list[Tensor]] = []
        for info, run in zip(self.layers, self._runs, strict=True):
            if kind in ("W", "grad_W"):
                of = run.values if kind == "W" else run.gradients
                found.append([] if of is None else [of[each.name] for each in info.weights])
            else:
                tensor: Tensor | None = getattr(run, kind)
                found.append([] if tensor is None else [run.real(tensor)])
        return statistics.histograms(found)

    # -- state -------------------------------------------------------------------------------------
    def _held(self, slots: Mapping[str, Tensor]) -> Held:
        flats = {"": self._flat, **slots}
        return Held({slot: self._views(flat) for slot, flat in flats.items()}, [run.buffers for run in self._runs])

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        return self._held(self._optimiser.slots()).state(self.layers, self._optimiser.count, _home)

    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        given = parse_state(state, self.layers, self._optimiser.names())
        slots = {name: torch.empty_like(self._flat) for name in self._optimiser.names()}
        self._held(slots).load(self.layers, given, lambda view, values: view.copy_(torch.tensor(values)))
        self._optimiser.load(given.updates, slots)
        self._reached.nothing()
        self._applied = self._x = self._y = None
        self._upstreams = []
        for run in self._runs:
            run.forget()
            run.pending = {}

    def _freeze_changed(self) -> None:
        self._frozen = [index for index, layer in enumerate(self._model) if layer.freeze]
        self._learning = [self._returning or each for each in learning(self._model, self.layers)]

    def _part_of(self, flat: Tensor, layer: int) -> Tensor:
        """All of one layer in a flat tensor."""
        first = sum(info.parameters for info in self.layers[:layer])
        return flat.detach()[first : first + self.layers[layer].parameters]

    def _rule_changed(self) -> None:
        self._optimiser.rebuild()

    def _dropout_changed(self) -> None:
        self._reached.plain_output = plain_output(self._model)
        self._fused = self._may_fuse and self._reached.plain_output


def _sources(place: Placed, x: Tensor, given: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """What a layer reads: outputs of earlier ones, or the batch in the form that it takes."""
    found = []
    for source, shape in zip(place.sources, place.inputs, strict=True):
        taken = x.view(len(x), *shape) if source == BATCH else given[source]
        if taken is None:
            raise RuntimeError("begin() and the layers before come first")
        found.append(taken)
    return tuple(found)


def _rows(out: Tensor, classes: bool) -> Tensor:
    """Outputs as rows: one a class target (each step of a sequence), else one a sample."""
    return out.flatten(0, -2) if classes else out.flatten(1)


def _home(tensor: Tensor) -> Array:
    """A copy as NumPy."""
    return np.array(tensor.detach().cpu().numpy())
