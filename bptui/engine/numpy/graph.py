"""The NumPy engine for graphs: layers of any kind, joined in any way that has no circle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from bptui.engine import initialise
from bptui.engine.base import PARAMETERS, Array, Batch, Engine, Kind, LayerInfo, Quantity, What
from bptui.engine.dropout import Dropout
from bptui.engine.freezing import learning
from bptui.engine.numpy import graph_statistics as statistics
from bptui.engine.numpy.clipping import Clipping, Penalised
from bptui.engine.numpy.criteria import CRITERIA, over_targets
from bptui.engine.numpy.losses import FUSED
from bptui.engine.numpy.nodes import NODES
from bptui.engine.numpy.nodes.base import Context, beyond_of
from bptui.engine.numpy.optimisers import OPTIMISERS
from bptui.engine.numpy.station import Station, contribute
from bptui.engine.numpy.vectors import Vectors
from bptui.engine.progress import Progress
from bptui.engine.states import Held, described, parse_state, plain_output
from bptui.spec.experiment import CrossEntropy, Experiment
from bptui.spec.layers.base import activation_of, penalties_of
from bptui.spec.shapes import BATCH, Ends, Placed, ends_of, steps_of

DTYPES: dict[str, npt.DTypeLike] = {"f32": np.float32, "f64": np.float64}
#: Samples of one piece of ``predict``.
PREDICT_ROWS = 256


class GraphEngine(Engine):
    """See ``base.Engine``. Floating-point warnings are switched off: what is not finite is recorded, not printed."""

    def __init__(
        self, experiment: Experiment, layers: Sequence[Placed], *, dtype: str, seed: int, device: str = "cpu",
        returning: bool = False,
    ) -> None:
        np.seterr(all="ignore")
        self.name, self.device, self.dtype = "numpy", "cpu", cast(Literal["f32", "f64"], dtype)
        self.layers: Sequence[LayerInfo] = described(layers)
        self._configure(experiment, seed)
        self._places, self._steps, self._dtype = tuple(layers), steps_of(layers), np.dtype(DTYPES[dtype])
        self._vectors = Vectors(self.layers, self._dtype)
        self._buffers: list[dict[str, Array]] = []
        for index, place in enumerate(layers):
            views = self._vectors.views(self._vectors.values, index)
            for each in place.geometry.parameters:
                views[each.name][...] = initialise.values(place.layer, place.name, each, seed)
            self._buffers.append({
                each.name: initialise.values(place.layer, place.name, each, seed).astype(self._dtype)
                for each in place.geometry.buffers
            })  # fmt: skip
        self._stations = self._built()
        self._twins: list[Station] = []
        tag = str(experiment.loss.__struct_config__.tag)
        self._criterion, self._may_fuse = CRITERIA[tag], tag in FUSED
        self._classes = isinstance(experiment.loss, CrossEntropy)
        rule = OPTIMISERS[str(experiment.optimizer.__struct_config__.tag)]
        values, gradient = self._vectors.values, self._vectors.gradient
        self._optimiser = rule(experiment.optimizer, self._settings, values, gradient)
        self._returning, self._given = returning, list[Array]()
        self._freeze_changed()
        self._reached = Progress(len(layers), plain_output(self._model))
        self._batch: Batch | None = None
        self._x: Array = np.zeros((0, 0), self._dtype)
        self._ends: list[Ends] = []
        self._upstreams: list[Array | None] = []
        self._owned: list[bool] = []
        self._part, self._parts, self._first, self._step = 0, 1, 0, 0
        self._sum: Array | None = None
        self._watching = False
        self._applied: Array | None = None

    def _built(self) -> list[Station]:
        """A node for each layer over the one set of parameters."""
        vectors = self._vectors
        return [
            Station(
                NODES[place.kind](
                    place, vectors.views(vectors.values, index), vectors.views(vectors.gradient, index),
                    self._buffers[index],
                ),
                activation_of(place.layer),
            )
            for index, place in enumerate(self._places)
        ]  # fmt: skip

    def _penalised(self) -> list[Penalised]:
        vectors, found = self._vectors, []
        for index, place in enumerate(self._places):
            if index in self._frozen:
                continue
            weights = vectors.weights(vectors.values, index)
            gradients = vectors.weights(vectors.gradient, index)
            for weight, gradient in zip(weights, gradients, strict=True):
                if weight.ndim > 1:
                    found.append(Penalised(weight, gradient, *penalties_of(place.layer)))
        return found

    # -- one update, piece by piece ---------------------------------------------------------------
    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        self._first = self._first + len(self._x) if part else 0
        self._part, self._parts, self._step = part, parts, step
        self._batch, self._x = batch, self._taken(batch.x, batch.lengths)
        self.lengths, self.weights = batch.lengths, batch.weights
        self._ends = ends_of(self._places, _counts(batch.lengths))
        for station in self._stations:
            station.forget()
            if not part:
                station.node.pending.clear()
        self._reached.begin()

    def _taken(self, x: npt.NDArray[Any], lengths: npt.NDArray[np.int64] | None) -> Array:
        """The batch in the engine's type, 0 beyond the ends; ids stay whole numbers."""
        taken = np.array(x, np.int64 if x.dtype.kind in "iu" else self._dtype)
        if self._steps is not None and (beyond := beyond_of(lengths, self._steps)) is not None:
            taken.reshape(len(taken), self._steps, -1)[beyond] = 0
        return taken

    def _sources(self, stations: Sequence[Station], x: Array, layer: int) -> tuple[Array, ...]:
        place = self._places[layer]
        return tuple(
            x.reshape(len(x), *shape) if source == BATCH else _there(stations[source].a)
            for source, shape in zip(place.sources, place.inputs, strict=True)
        )

    def forward(self, layer: int) -> None:
        if self._batch is None:
            raise RuntimeError("begin() comes first")
        sources = self._sources(self._stations, self._x, layer)
        masks = {name: self._mask(dropout, layer) for name, dropout in self._inside[layer].items()}
        context, ends = Context(self._learning[layer], self._ends[layer].read, masks), self._ends[layer].given
        dropout = self._dropouts[layer]
        self._stations[layer].forward(sources, context, None if dropout is None else self._mask(dropout, layer), ends)
        self._reached.forward = layer + 1

    def _mask(self, dropout: Dropout, layer: int) -> Array:
        mask = dropout.mask(self._step, len(self._x), self._first)
        return mask.astype(self._dtype).reshape(len(self._x), *self.layers[layer].shape)

    def loss(self) -> float:
        out, batch = self._stations[-1].a, self._batch
        if out is None or batch is None:
            raise RuntimeError("the layers come first")
        rows = self._rows(out)
        y = batch.y.reshape(-1) if self._classes else batch.y.reshape(rows.shape).astype(self._dtype)
        criterion = self._criterion
        if batch.lengths is not None and not self._classes:  # nan is no target
            criterion = partial(over_targets, criterion)
        value, gradient = criterion(self._loss, rows, y, self._row_weights(batch, len(rows)))
        self._upstreams, self._owned = [None] * len(self.layers), [False] * len(self.layers)
        self._upstreams[-1] = gradient.reshape(out.shape)
        self._given = []
        self._reached.loss = True
        return value

    def _row_weights(self, batch: Batch, rows: int) -> Array | None:
        """A weight a row of outputs: each step of a sequence has that of its sample."""
        if batch.weights is None:
            return None
        return np.repeat(batch.weights.astype(self._dtype), rows // max(len(batch.weights), 1))

    def _rows(self, out: Array) -> Array:
        """Outputs as rows: one a class target (each step of a sequence), else one a sample."""
        return out.reshape(-1, out.shape[-1]) if self._classes else out.reshape(len(out), -1)

    def receive(self, upstream: Array) -> None:
        out = _there(self._stations[-1].a)
        self._upstreams, self._owned = [None] * len(self.layers), [False] * len(self.layers)
        self._upstreams[-1] = np.asarray(upstream, self._dtype).reshape(out.shape)
        self._reached.loss = True

    def returned(self) -> Array:
        return sum(self._given[1:], self._given[0]).reshape(len(self._x), -1)

    def backward(self, layer: int) -> None:
        upstream = self._upstreams[layer] if self._upstreams else None
        if not self._learning[layer]:  # neither it nor anything below it learns
            self._reached.backward = layer
            return
        if upstream is None:
            raise RuntimeError("loss() and the layers above come first")
        place = self._places[layer]
        wanted = any(self._learning[source] if source != BATCH else self._returning for source in place.sources)
        given = self._stations[layer].backward(upstream, wanted)
        for source, part in zip(place.sources, given, strict=True):
            if source == BATCH and self._returning and part is not None:
                self._given.append(part.reshape(len(self._x), -1))
            elif source != BATCH and self._learning[source] and part is not None:
                contribute(self._upstreams, self._owned, source, part)
        if self._parts > 1:
            self._add_up(layer)
        self._reached.backward = layer

    def _add_up(self, layer: int) -> None:
        """One part's share of the mean gradient; the first part starts the sum anew."""
        if self._sum is None:
            self._sum = np.zeros_like(self._vectors.gradient)
        total = self._vectors.layer(self._sum, layer)
        fresh = self._vectors.layer(self._vectors.gradient, layer)
        if self._part:
            total += fresh / self._parts
        else:
            np.divide(fresh, self._parts, out=total)

    def clip(self) -> float:
        if self._parts > 1 and self._sum is not None:
            np.copyto(self._vectors.gradient, self._sum)
            self._reached.summed = True
        for layer in self._frozen:
            self._vectors.layer(self._vectors.gradient, layer)[:] = 0.0
        return self._clipping.apply() if self._clipping.active else math.nan

    def update(self, lr: float) -> None:
        before = self._vectors.values.copy() if self._watching else None
        kept = [(layer, self._vectors.layer(self._vectors.values, layer).copy()) for layer in self._frozen]
        self._optimiser.step(lr)
        for layer, values in kept:
            self._vectors.layer(self._vectors.values, layer)[:] = values
        self._applied = None if before is None else self._vectors.values - before
        for layer, (station, buffers) in enumerate(zip(self._stations, self._buffers, strict=True)):
            for name, value in station.node.pending.items():
                if layer not in self._frozen:
                    buffers[name][...] = value
            station.node.pending.clear()

    # -- looking, which changes nothing ------------------------------------------------------------
    def predict(self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None) -> Array:
        pieces = []
        for first in range(0, max(len(x), 1), PREDICT_ROWS):
            piece = slice(first, first + PREDICT_ROWS)
            *_, (_, out) = self.passes(x[piece], None if lengths is None else lengths[piece])
            pieces.append(np.array(out if self._classes else self._rows(out), order="C"))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Array, Array]]:
        self._twins = self._twins or self._built()
        taken, ends = self._taken(x, lengths), ends_of(self._places, _counts(lengths))
        try:
            for layer, station in enumerate(self._twins):
                sources, (read, given) = self._sources(self._twins, taken, layer), ends[layer]
                a = station.forward(sources, Context(False, read), None, given)
                yield _there(station.z), a
        finally:
            for station in self._twins:
                station.forget()

    def tensor(self, kind: Kind, layer: int) -> Array | None:
        if kind in PARAMETERS:
            return self._parameter(kind, layer)
        if self._batch is None or not self._reached.has(kind, layer):
            return None
        if kind in ("x", "y"):
            return np.array(self._x if kind == "x" else self._batch.y)
        station, last = self._stations[layer], layer == len(self.layers) - 1
        if kind in ("upstream", "gate") and last and self._may_fuse and plain_output(self._model):
            return None
        given = last and (kind == "upstream" or self._reached.plain_output)  # by the loss
        if kind in ("upstream", "gate", "delta") and not self._learning[layer] and not given:
            return None
        if kind in ("upstream", "delta") and last and station.delta is None:  # the loss alone has given it
            return np.array(self._upstreams[-1], order="C")
        if kind == "gate" and station.gate is None:
            return np.ones_like(_there(station.z))
        found: Array | None = getattr(station, kind)
        return None if found is None else np.array(found, order="C")

    def tensor_of(self, name: str, layer: int, what: What = "value") -> Array | None:
        if what == "value" and name in self._buffers[layer]:
            return self._buffers[layer][name].copy()
        flat: Array | None = self._vectors.values
        if what == "update":
            flat = self._applied
        elif what == "gradient":
            reached = self._batch is not None and self._reached.has("grad_W", layer)
            flat = self._gradient() if reached and self._learning[layer] else None  # else it is of an earlier step
        if flat is None:
            return None
        return self._vectors.views(flat, layer)[name].copy()

    def views(self, layer: int, sample: int = 0) -> dict[str, Array]:
        if self._batch is None or not self._reached.has("a", layer):
            return {}
        return {name: np.array(array) for name, array in self._stations[layer].node.views(sample).items()}

    def steps_read(self, layer: int) -> npt.NDArray[np.int64] | None:
        return self._ends[layer].read if self._ends else None

    def _gradient(self) -> Array:
        """The flat gradient as it stands: while parts add up, their sum so far."""
        adding = self._parts > 1 and not self._reached.summed and self._sum is not None
        return cast("Array", self._sum) if adding else self._vectors.gradient

    def watch(self, on: bool) -> None:
        self._watching = on

    def reduce(self) -> npt.NDArray[np.float32]:
        return statistics.table(self._vectors, self._gradient(), self._applied, self._stations, self._reached)

    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        return statistics.fired(self.layers, self._stations, self._reached)

    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        return statistics.histograms(kind, self._vectors, self._gradient(), self._stations, self._reached)

    # -- state -------------------------------------------------------------------------------------
    def _held(self) -> Held:
        flats = {"": self._vectors.values, **self._optimiser.slots}
        places = range(len(self.layers))
        return Held(
            {slot: [self._vectors.views(flat, index) for index in places] for slot, flat in flats.items()},
            self._buffers,
        )

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        return self._held().state(self.layers, self._optimiser.count, np.ndarray.copy)

    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        given = parse_state(state, self.layers, self._optimiser.slots)
        self._held().load(self.layers, given, np.copyto)
        self._optimiser.count = given.updates
        self._optimiser.loaded()
        self._reached.nothing()
        self._applied, self._batch = None, None
        for station in self._stations:
            station.forget()
            station.node.pending.clear()

    def _freeze_changed(self) -> None:
        self._frozen = [index for index, layer in enumerate(self._model) if layer.freeze]
        self._learning = [self._returning or each for each in learning(self._model, self.layers)]
        self._clipping = Clipping(self._vectors.gradient, self._penalised(), self._settings)

    def _rule_changed(self) -> None:
        self._optimiser.rebuild()
        self._clipping.rebuild()

    def _dropout_changed(self) -> None:
        self._reached.plain_output = plain_output(self._model)


def _counts(lengths: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64] | None:
    """Of a sequence without steps, the first (it is padding) stands for it."""
    return None if lengths is None else np.maximum(lengths, 1)


def _there(array: Array | None) -> Array:
    if array is None:
        raise RuntimeError("begin() and the layers before come first")
    return array
