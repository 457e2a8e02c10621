"""The NumPy engine: dense networks on the CPU, fastest where Python's cost a call weighs most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from bptui.engine import initialise
from bptui.engine.base import Array, Batch, Engine, Kind, LayerInfo, Quantity, What
from bptui.engine.numpy import statistics
from bptui.engine.numpy.clipping import Clipping, Penalised
from bptui.engine.numpy.operations import run
from bptui.engine.numpy.optimisers import OPTIMISERS, Direct
from bptui.engine.numpy.parameters import Block, Parameters
from bptui.engine.numpy.tape import Tape, outputs, passes
from bptui.engine.progress import Progress
from bptui.engine.states import Held, described, parse_state, plain_output
from bptui.spec.experiment import Experiment
from bptui.spec.layers.base import penalties_of
from bptui.spec.shapes import Placed

DTYPES: dict[str, npt.DTypeLike] = {"f32": np.float32, "f64": np.float64}
#: Rows of one piece of ``predict``, and tapes kept: the whole batch, the short last one, accumulated ones.
PREDICT_ROWS, TAPES = 1024, 8


class NumpyEngine(Engine):
    """See ``base.Engine``. Floating-point warnings are switched off: what is not finite is recorded, not printed."""

    def __init__(
        self, experiment: Experiment, layers: Sequence[Placed], *, dtype: str, seed: int, device: str = "cpu",
        returning: bool = False,
    ) -> None:
        np.seterr(all="ignore")
        self.name, self.device, self.dtype = "numpy", "cpu", cast(Literal["f32", "f64"], dtype)
        self.layers: Sequence[LayerInfo] = described(layers)
        self._configure(experiment, seed)
        names = [info.name for info in self.layers]
        widths = [self.layers[0].inputs, *(info.units for info in self.layers)]
        self._parameters = Parameters(names, widths, DTYPES[dtype])
        for place, block in zip(layers, self._parameters.blocks, strict=True):
            weight, bias = (
                initialise.values(place.layer, place.name, each, seed) for each in place.geometry.parameters
            )
            block.weight(self._parameters.values)[:] = weight
            block.bias(self._parameters.values)[:] = bias
        rule = OPTIMISERS[str(experiment.optimizer.__struct_config__.tag)]
        self._optimiser = rule(experiment.optimizer, self._settings, self._parameters.values, self._parameters.gradient)
        self._freeze_changed()
        self._tapes: dict[tuple[int, bool], Tape] = {}
        self._tape: Tape | None = None
        self._reached = Progress(len(names), plain_output(self._model))
        self._part, self._parts, self._first = 0, 1, 0
        self._sum: npt.NDArray[Any] | None = None
        self._formed = True
        self._watching = False
        self._before: npt.NDArray[Any] | None = None
        self._applied: npt.NDArray[Any] | None = None

    # -- one update, piece by piece ---------------------------------------------------------------
    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        self._load(batch, step, part, parts)
        self._reached.begin()

    def forward(self, layer: int) -> None:
        run(self._now().forward[layer])
        self._reached.forward = layer + 1

    def loss(self) -> float:
        tape = self._now()
        run(tape.loss.operations)
        self._reached.loss = True
        return tape.loss.value()

    def backward(self, layer: int) -> None:
        tape = self._now()
        run(tape.backward[layer])
        self._reached.backward = layer
        self._formed = self._way() is None
        if self._formed:
            tape.gradients[layer]()
            if self._parts > 1:
                self._add_up(layer)

    def receive(self, upstream: Array) -> None:
        last = self._now().layers[-1]
        np.copyto(last.upstream, upstream.T)
        self._reached.loss = True

    def returned(self) -> Array:
        first = self._now().layers[0]
        return np.array(np.dot(first.weight, first.delta).T, order="C")  # (inputs, units)·(units, N)

    def clip(self) -> float:
        if self._parts > 1 and self._sum is not None:
            np.copyto(self._parameters.gradient, self._sum)
            self._reached.summed = True
        if self._frozen:
            self._gradient()
            self._still()
        if not self._clipping.active:
            return math.nan
        self._gradient()
        return self._clipping.apply()

    def update(self, lr: float) -> None:
        if self._watching:
            self._before = np.array(self._parameters.values)
        self._applied = None
        way = self._way()
        if way is None:
            self._gradient()
        kept = [(block, block.of(self._parameters.values).copy()) for block in self._frozen]
        self._optimiser.step(lr, None if way is None else self._now().products(way))
        for block, values in kept:
            block.of(self._parameters.values)[:] = values
        if self._watching:
            self._applied = self._parameters.values - self._before

    def train_step(self, batch: Batch, step: int, lr: float) -> float:
        tape = self._load(batch, step, 0, 1)
        for operation in tape.to_loss:
            operation()
        loss = tape.loss.value()
        for operation in tape.to_deltas:
            operation()
        self._formed = self._way() is None
        if self._formed:
            run(tape.gradients)
            self._still()
            if self._clipping.active:
                self._clipping.apply()
        self.update(lr)
        self._reached.all()
        return loss

    def _load(self, batch: Batch, step: int, part: int, parts: int) -> Tape:
        rows, self.weights = len(batch.x), batch.weights
        kind = rows, batch.weights is not None
        self._first = self._first + self._tape.rows if part and self._tape is not None else 0
        self._part, self._parts = part, parts
        tape = self._tapes.get(kind)
        if tape is None:
            while len(self._tapes) >= TAPES:
                del self._tapes[next(iter(self._tapes))]
            tape = self._tapes[kind] = Tape(self._model, self._loss, self._parameters, self._dropouts, *kind)
        self._tape = tape
        tape.load(batch, step, self._first)
        return tape

    def _way(self) -> Direct | None:
        """How this update goes without the gradient; None: something between backward and update wants it."""
        return None if self._parts > 1 or self._clipping.active or self._frozen else self._optimiser.direct

    def _still(self) -> None:
        """What is frozen has no gradient: neither clipping nor the optimiser's moments see one."""
        for block in self._frozen:
            block.of(self._parameters.gradient)[:] = 0.0

    def _add_up(self, layer: int) -> None:
        """One part's share of the mean gradient; the first part starts the sum anew."""
        if self._sum is None:
            self._sum = np.zeros_like(self._parameters.gradient)
        block = self._parameters.blocks[layer]
        total, fresh = block.of(self._sum), block.of(self._parameters.gradient)
        if self._part:
            total += fresh / self._parts
        else:
            np.divide(fresh, self._parts, out=total)

    def _now(self) -> Tape:
        if self._tape is None:
            raise RuntimeError("begin() comes first")
        return self._tape

    # -- looking, which changes nothing ------------------------------------------------------------
    def predict(self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None) -> Array:
        pieces = [
            outputs(self._model, self._parameters, x[first : first + PREDICT_ROWS])
            for first in range(0, max(len(x), 1), PREDICT_ROWS)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Array, Array]]:
        return passes(self._model, self._parameters, x)

    def tensor(self, kind: Kind, layer: int) -> Array | None:
        block = self._parameters.blocks[layer]
        if kind == "W":
            return block.weight(self._parameters.values).copy()
        if kind == "b":
            return block.bias(self._parameters.values).copy()
        if kind == "update_W":
            return None if self._applied is None else block.weight(self._applied).copy()
        if self._tape is None or not self._reached.has(kind, layer):
            return None
        if kind in ("grad_W", "grad_b"):
            source = self._gradient()
            return (block.weight(source) if kind == "grad_W" else block.bias(source)).copy()
        return statistics.tensor(self._tape, kind, layer)

    def tensor_of(self, name: str, layer: int, what: What = "value") -> Array | None:
        kinds: dict[str, tuple[Kind, Kind]] = {"weight": ("W", "grad_W"), "bias": ("b", "grad_b")}
        if what != "update":
            return self.tensor(kinds[name][what == "gradient"], layer)
        block = self._parameters.blocks[layer]
        part = block.weight if name == "weight" else block.bias
        return None if self._applied is None else part(self._applied).copy()

    def _gradient(self) -> npt.NDArray[Any]:
        """The flat gradient as it stands: while parts add up, their sum so far.

        What an update did without is made now, of the a and δ that the step has left: who looks changes no bit of it.
        """
        if not self._formed and self._tape is not None:
            run(self._tape.gradients[self._reached.backward :])
            self._formed = self._reached.backward == 0
        adding = self._parts > 1 and not self._reached.summed and self._sum is not None
        return cast("npt.NDArray[Any]", self._sum) if adding else self._parameters.gradient

    def watch(self, on: bool) -> None:
        self._watching = on

    def reduce(self) -> npt.NDArray[np.float32]:
        return statistics.table(
            self.layers, self._parameters, self._gradient(), self._applied, self._tape, self._reached
        )

    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        return statistics.fired(self.layers, self._tape, self._reached)

    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        return statistics.histograms(kind, self._parameters, self._gradient(), self._tape, self._reached)

    # -- state -------------------------------------------------------------------------------------
    def _held(self) -> Held:
        flats, blocks = {"": self._parameters.values, **self._optimiser.slots}, self._parameters.blocks
        vectors = {
            slot: [{"weight": block.weight(flat), "bias": block.bias(flat)} for block in blocks]
            for slot, flat in flats.items()
        }
        return Held(vectors, [{}] * len(blocks))

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        return self._held().state(self.layers, self._optimiser.count, np.ndarray.copy)

    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        given = parse_state(state, self.layers, self._optimiser.slots)
        self._held().load(self.layers, given, np.copyto)
        self._optimiser.count = given.updates
        self._optimiser.loaded()
        self._reached.nothing()
        self._applied, self._tape = None, None

    def _freeze_changed(self) -> None:
        pairs = list(zip(self._model, self._parameters.blocks, strict=True))
        self._frozen: list[Block] = [block for layer, block in pairs if layer.freeze]
        values, gradient = self._parameters.values, self._parameters.gradient
        penalised = [
            Penalised(block.weight(values), block.weight(gradient), *penalties_of(layer))
            for layer, block in pairs
            if not layer.freeze
        ]
        self._clipping = Clipping(gradient, penalised, self._settings)

    def _rule_changed(self) -> None:
        self._optimiser.rebuild()
        self._clipping.rebuild()

    def _dropout_changed(self) -> None:
        self._tapes.clear()  # the tape of the last step stays: what it shows still holds
        self._reached.plain_output = plain_output(self._model)
