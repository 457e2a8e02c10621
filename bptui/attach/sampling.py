"""One sampled update: what is looked at while it runs, and the records that come of it.

Nothing of this is there in other updates. While an update is sampled, torch's *global* module hooks see each call (no
module's own hooks change, which some modules look at to choose a path), and a tensor hook on each output sees its
gradient δ. What is measured is reduced at once, on its device; one transfer at the end brings it home.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from bptui.attach import modes
from bptui.attach.compiled import Compiled, any_compiled, at_work
from bptui.attach.probes import PROBES
from bptui.attach.rows import MORTAL, Row, Rows, first_tensor
from bptui.engine.base import COLUMNS
from bptui.engine.torch.statistics import exponent_cells
from bptui.runs.records import TABLE_COLUMNS

#: Samples after which a unit that never fired is called dead, and counting begins anew.
WINDOW_SAMPLES = 3000
#: The most bytes of weights that are copied to see how far an update moves them.
COPIED_BYTES = 32 << 20
ACTIVATIONS = {
    "relu": "relu", "relu_": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "leaky_relu_": "leaky_relu",
    "elu": "elu", "elu_": "elu", "selu": "selu", "gelu": "gelu", "silu": "silu", "mish": "mish", "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid", "tanh": "tanh", "tanh_": "tanh", "softplus": "softplus", "hardswish": "hardswish",
    "hardtanh": "hardtanh", "threshold": "threshold", "threshold_": "threshold",
}  # fmt: skip


class Sampler:
    """Arms, collects and disarms. ``seconds``: what its probes have taken in the update being sampled."""

    def __init__(self, rows: Rows, failed: Callable[[str, BaseException], None], *, eager: bool = False) -> None:
        """``eager``: calls are made as the modules were written, whatever ``torch.compile`` has made of them."""
        self.rows = rows
        self._eager = eager
        self.off: set[str] = set()
        self.seconds = 0.0
        self.began = 0.0
        """When the root was called (``time.perf_counter``), for the wait for data; 0: not yet."""
        self.armed = False
        self.keep = False
        """Keep copies of every output, δ, gradient and weight of this update: it will be paused in."""
        self._trains = False
        """A model was called in training mode: one in evaluation mode is then not training."""
        self._failed = failed
        self.histograms = False
        self._handles: list[RemovableHandle] = []
        self._stack: list[nn.Module] = []
        self._calls: dict[nn.Module, int] = {}
        self._functional: dict[tuple[nn.Module, str], int] = {}
        self._mode: _Functions | None = None
        """On torch's stack while the innermost module is one whose functions are to be seen."""
        self._learns = True
        """The functions of every module are seen in this update, not only of those that are known to call some."""
        self._callers: set[nn.Module] = set()
        """Modules that were seen to call functional activations."""
        self._last: Row | None = None
        self._weighted: list[tuple[Row, Tensor]] = []
        """The rows that have weights, with these as they were found in this update."""
        self._copied: list[tuple[Row, Tensor]] = []
        """Those of which ``_before`` holds copies."""
        self._before: list[Tensor] = []
        self._room: dict[Row, Tensor] = {}
        """Where copies go, kept from sample to sample: memory that is taken anew has to be paged in each time."""
        self.in_backward: Callable[[], bool] = lambda: False
        self._table: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}

    # -- arming ------------------------------------------------------------------------------------
    def arm(self, *, with_histograms: bool, keep: bool = False) -> None:
        """From now to ``disarm`` calls are seen. May be called again, to see more."""
        self.histograms, self.keep = with_histograms, keep or (self.armed and self.keep)
        self._learns = self.histograms or self.keep or not self.rows.called
        if self.armed:
            return
        self.armed, self.began, self.seconds = True, 0.0, 0.0
        self._stack.clear()
        self.forget()
        self._listen()

    def _listen(self) -> None:
        if not self._eager and any_compiled(self.rows.names):
            if not self.blind:
                self.off.add("activations")
                self._failed("activations", Compiled("inside of what torch.compile has made no a and δ are seen"))
            return
        self._handles = [
            hooks.register_module_forward_pre_hook(self._enter),
            hooks.register_module_forward_hook(self._leave, always_call=True),
        ]

    @property
    def blind(self) -> bool:
        """What the models give is not seen."""
        return "activations" in self.off

    def pause(self) -> None:
        """What is called from now on, until the next ``arm``, belongs to no sample: a closure is called once more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def forget(self) -> None:
        """What was seen since ``arm`` belongs to no update."""
        self._calls.clear()
        self._functional.clear()
        self._last = None
        for row in self.rows.by_name.values():
            row.values = {}

    def disarm(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._close_mode()
        self._weighted, self._copied, self._before = [], [], []
        self.armed = self.keep = False

    def probe(self, name: str, *arguments: Any) -> None:
        """Run a probe; one that fails is switched off, and the script never knows."""
        if name in self.off:
            return
        started = time.perf_counter()
        try:
            PROBES[name](*arguments)
        except Exception as error:
            self.off.add(name)
            self._failed(name, error)
        self.seconds += time.perf_counter() - started

    # -- while the model is called -----------------------------------------------------------------
    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if torch.compiler.is_compiling():  # first: it is all of this that dynamo shall read
            return
        if not torch.is_grad_enabled() or module not in self.rows.names or self.in_backward():
            return
        if not self._stack:
            if module.training:
                self._trains = True
            elif self._trains:
                return  # an evaluation that does without no_grad
            if not self.began:
                self.began = time.perf_counter()
            self._calls.clear()  # of a module's further calls only those within one call of the root are rows
            self._functional.clear()
            self._last = None
        self._stack.append(module)
        self._see_functions()

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if torch.compiler.is_compiling() or not self._stack or self._stack[-1] is not module:
            return
        self._close_mode()  # what is measured now calls functions of torch too
        self._stack.pop()
        if output is not None and module in self.rows.of_module and not self.blind:
            try:
                count = self._calls[module] = self._calls.get(module, 0) + 1
                row = self.rows.call(module, count)
                if row is not None:
                    self._saw(row, output, inputs)
            except Exception as error:
                self.off.add("activations")
                self._failed("activations", error)
        if self._stack:
            self._see_functions()

    def function(self, kind: str, output: Any) -> None:
        """A functional activation was called inside the innermost module."""
        parent = self._stack[-1]
        if parent in self.rows.of_module and not self.rows.of_module[parent].parameters:
            return  # an activation module's own forward
        self._callers.add(parent)
        count = self._functional[parent, kind] = self._functional.get((parent, kind), 0) + 1
        self._saw(self.rows.functional(parent, kind, count), output, ())

    def _saw(self, row: Row, output: Any, inputs: tuple[Any, ...]) -> None:
        tensor = first_tensor(output)
        if tensor is None or not tensor.ndim:
            return
        self.rows.saw(row, tensor, self._last)
        self._last = row
        self.probe("activations", row, tensor)
        if self.histograms:
            self.probe("histograms", row, "a", tensor)
        if self.keep:  # copies at once: what follows may change it in place
            row.values["a"] = tensor.detach().clone()
            given = first_tensor(inputs)
            row.values["x"] = None if given is None else given.detach().clone()
        if tensor.requires_grad:
            tensor.register_hook(lambda delta: self._gradient(row, delta))  # type: ignore[no-untyped-call]

    def _gradient(self, row: Row, delta: Tensor) -> None:
        """The tensor hook; what it returns would replace δ, so it returns nothing."""
        if not self.armed:
            return
        self.probe("deltas", row, delta)
        if self.histograms:
            self.probe("histograms", row, "delta", delta)
        if self.keep:
            row.values["delta"] = delta.detach().clone()

    # -- the functions of torch that a module calls itself -----------------------------------------
    def _see_functions(self) -> None:
        """Under a function mode every call into torch costs several times itself: only where there is one to see."""
        wanted = self._learns or self._stack[-1] in self._callers
        if not wanted:
            self._close_mode()
        elif self._mode is None and (self._eager or not at_work()):
            self._mode = _Functions(self)
            modes.push(self._mode)

    def _close_mode(self) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            modes.take_off(mode)

    # -- around the update -------------------------------------------------------------------------
    def before_update(self) -> None:
        """Gradients are there, the weights are still the old ones."""
        self._weighted = [
            (row, weight) for row in self.rows.of_module.values()
            if (weight := row.weight) is not None and weight.is_floating_point()
        ]  # fmt: skip
        self.probe("weights", self._weighted)
        self._copied.clear()
        room = COPIED_BYTES
        for row, weight in self._weighted:
            if self.histograms:
                self.probe("histograms", row, "W", weight)
                if weight.grad is not None:
                    self.probe("histograms", row, "grad_W", weight.grad)
            room -= weight.numel() * weight.element_size()
            if weight.grad is not None and (room >= 0 or self.keep):
                self._copied.append((row, weight))
        self._before = [self._place_for(row, weight) for row, weight in self._copied]
        if self._copied:
            torch._foreach_copy_(self._before, [weight.detach() for _, weight in self._copied])

    def _place_for(self, row: Row, weight: Tensor) -> Tensor:
        room = self._room.get(row)
        if room is None or room.shape != weight.shape or room.dtype != weight.dtype or room.device != weight.device:
            room = self._room[row] = torch.empty_like(weight, requires_grad=False)
        return room

    def after_update(self) -> None:
        self.probe("updates", self._copied, self._before)
        if self.keep:
            for (row, _), changed in zip(self._copied, self._before, strict=True):
                row.values["update_W"] = changed.neg()
        if self.keep or len(self._room) > len(self._copied):
            self._room.clear()  # only what fits COPIED_BYTES stays

    # -- what came of it ---------------------------------------------------------------------------
    def table(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """``(rows, len(TABLE_COLUMNS))``; what this update did not touch is as it was last known."""
        rows = self.rows.all()
        table = np.full((len(rows), len(TABLE_COLUMNS)), np.nan, np.float32)
        away: list[tuple[int, int, Tensor]] = []
        """Row, column and figure of what lies on another device."""
        for index, row in enumerate(rows):
            known = self._table.get(row.name)
            if known is not None:
                table[index] = known
            for column, name in enumerate(COLUMNS):
                value = row.values.get(name)
                if isinstance(value, Tensor):
                    away.append((index, column, value))
                elif value is not None:
                    table[index, column] = value
        for device in {value.device for _, _, value in away}:
            there = [one for one in away if one[2].device == device]
            home = torch.stack([value.detach().reshape(()).float() for _, _, value in there]).tolist()
            for (index, column, _), figure in zip(there, home, strict=True):
                table[index, column] = figure
        dead, units, seen = map(TABLE_COLUMNS.index, ("dead", "units", "seen"))
        for index, row in enumerate(rows):
            table[index, units] = row.units
            if row.kind in MORTAL:
                self._census(row)
                table[index, seen] = max(row.dead_of, 1)
                table[index, dead] = -1 if row.dead is None else len(row.dead)
            else:
                table[index, dead] = -1
            self._table[row.name] = table[index]
        return table

    def known(self, layer: str, column: str) -> float | None:
        """A column of the table as it was last known; None: not yet, or not of this layer."""
        values = self._table.get(layer)
        found = math.nan if values is None else float(values[TABLE_COLUMNS.index(column)])
        return None if math.isnan(found) else found

    @staticmethod
    def _census(row: Row) -> None:
        """Close the window if it is full; before the first has closed, what is known so far counts."""
        if row.fired is None:
            return
        full = row.seen >= WINDOW_SAMPLES
        if full or row.dead_of < WINDOW_SAMPLES:
            row.dead = tuple(torch.nonzero(~row.fired).reshape(-1).tolist())
            row.dead_of = row.seen
        if full:
            row.fired, row.seen = None, 0

    def counts(self, quantity: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """``(rows, CELLS)``: a row of zeros where nothing was counted."""
        counted = [row.values.get(f"histogram {quantity}") for row in self.rows.all()]
        cells = exponent_cells([one if isinstance(one, Tensor) else None for one in counted])
        for index, one in enumerate(counted):
            if isinstance(one, np.ndarray):
                cells[index] = one
        return cells

    def grad_norm(self) -> float:
        """Euclidean norm over the main parameters of every row."""
        values = [row.values["grad_norm"] for row in self.rows.by_name.values() if "grad_norm" in row.values]
        return math.sqrt(sum(float(value) ** 2 for value in values)) if values else math.nan


class _Functions(TorchFunctionMode):
    """Sees functional activations; changes nothing."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self._sampler = sampler

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        kind = ACTIVATIONS.get(getattr(func, "__name__", ""))
        if kind is not None and self._sampler._stack:
            try:
                self._sampler.function(kind, output)
            except Exception as error:
                self._sampler.off.add("activations")
                self._sampler._failed("activations", error)
        return output
