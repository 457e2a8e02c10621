"""The rows of a script's layer table: leaf modules, modules with parameters of their own, functional activations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from bptui.attach.discover import Model

#: Kinds whose units can die: they give exactly 0 for a whole half of their inputs.
MORTAL = frozenset({"ReLU", "ReLU6", "relu", "relu6"})
_CHANNELS_FIRST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(slots=True, eq=False)
class Row:
    """One layer as the script calls it. What is measured of it lies in ``values`` (see ``sampling``)."""

    name: str
    kind: str
    model: str
    module: nn.Module | None
    """None: a functional activation, or a further call of a module (its parameters stand in the first call's row)."""
    parameters: int = 0
    shape: tuple[int, ...] = ()
    """Of its output, without the batch; known once it was called in a sampled step."""
    inputs: int = 0
    unit_axis: int = -1
    """The axis of its output along which its units lie."""
    values: dict[str, Any] = field(default_factory=dict)
    fired: Tensor | None = None
    """(units,) bool: which units gave anything but 0 in the present window."""
    seen: int = 0
    dead: tuple[int, ...] | None = None
    """Ids of the units that never fired in the last whole window, or in the present one where that is the first."""
    dead_of: int = 0
    """Samples behind ``dead``."""

    @property
    def units(self) -> int:
        return self.shape[self.unit_axis - 1 if self.unit_axis > 0 else self.unit_axis] if self.shape else 0

    @property
    def weight(self) -> Tensor | None:
        """The module's main parameter."""
        if self.module is None:
            return None
        own = self.module._parameters
        weight = own.get("weight")
        return weight if weight is not None else next((p for p in own.values() if p is not None), None)

    def own(self) -> list[Tensor]:
        return [] if self.module is None else list(self.module.parameters(recurse=False))


class Rows:
    """All rows, in the order in which they were first called; those not called yet are at the end."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.models = models
        self.by_name: dict[str, Row] = {}
        self.of_module: dict[nn.Module, Row] = {}
        self.names: dict[nn.Module, tuple[str, str]] = {}
        """Qualified name and model of every module, containers too."""
        self.changed = False
        """A row is new, or its shape is."""
        for model in models:
            for name, module in model.modules():
                if module in self.names:
                    continue
                self.names[module] = (name, model.name)
                own = list(module.parameters(recurse=False))
                if own or next(module.children(), None) is None:
                    row = Row(name, type(module).__name__, model.name, module, sum(p.numel() for p in own))
                    weight = row.weight
                    row.inputs = int(weight.shape[1]) if weight is not None and weight.ndim > 1 else 0
                    self.by_name[name] = self.of_module[module] = row
        self._called: dict[Row, None] = {}
        """In the order of their first call."""
        self._all: list[Row] = []
        """What ``all`` gave; empty: not made since a row came or was called."""
        self._kinds = _kinds(models)

    @property
    def stale(self) -> bool:
        """The models' trees are others now: a module was put in, taken out or made of another class."""
        return _kinds(self.models) != self._kinds

    @property
    def called(self) -> bool:
        """A row was called."""
        return bool(self._called)

    def all(self) -> list[Row]:
        """Called rows in the order of their first call, then the others as they are defined."""
        if not self._all:
            self._all = [*self._called, *(row for row in self.by_name.values() if row not in self._called)]
        return self._all

    def call(self, module: nn.Module, count: int) -> Row | None:
        """The row of the ``count``-th call (from 1) of a module within an update."""
        row = self.of_module.get(module)
        if row is None or count == 1:
            return row
        return self._further(f"{row.name}#{count}", row.kind, row.model)

    def functional(self, parent: nn.Module, kind: str, count: int) -> Row:
        """The row of the ``count``-th functional activation of a kind inside a module's forward."""
        name, model = self.names[parent]
        inside = "" if any(parent is known.root and not known.prefix for known in self.models) else f"{name}."
        return self._further(f"{inside}{kind}#{count}", kind, model)

    def _further(self, name: str, kind: str, model: str) -> Row:
        if name not in self.by_name:
            self.by_name[name] = Row(name, kind, model, None)
            self._changed()
        return self.by_name[name]

    def _changed(self) -> None:
        self.changed = True
        self._all = []

    def saw(self, row: Row, output: Tensor, before: Row | None) -> None:
        """A row gave this output, right after the row ``before``: its place in the order, shape and axis of units."""
        if row not in self._called:
            self._called[row] = None
            self._changed()
        shape = tuple(output.shape[1:])
        if shape != row.shape:
            self.changed = self.changed or not row.shape
            row.shape = shape
            row.unit_axis = self._unit_axis(row, output, before)

    @staticmethod
    def _unit_axis(row: Row, output: Tensor, before: Row | None) -> int:
        if isinstance(row.module, _CHANNELS_FIRST) and output.ndim > 2:
            return 1
        if row.module is not None and row.parameters:
            return output.ndim - 1 if output.ndim > 1 else 0
        if before is not None and before.unit_axis > 0 and len(before.shape) + 1 == output.ndim:
            return before.unit_axis
        return 1 if output.ndim in (4, 5) else max(output.ndim - 1, 0)

    def describe(self) -> list[dict[str, Any]]:
        """For the META record."""
        return [
            {
                "name": row.name, "kind": row.kind, "inputs": row.inputs, "shape": list(row.shape),
                "activation": "", "parameters": row.parameters, "model": row.model,
            }
            for row in self.all()
        ]  # fmt: skip

    def tree(self) -> list[dict[str, Any]]:
        """Every module, containers too, with the number of its own parameters."""
        return [
            {
                "name": name, "kind": type(module).__name__, "model": model,
                "parameters": sum(p.numel() for p in module.parameters(recurse=False)),
            }
            for module, (name, model) in self.names.items()
        ]  # fmt: skip


def _kinds(models: tuple[Model, ...]) -> list[tuple[int, type]]:
    return [(id(module), type(module)) for model in models for module in model.root.modules()]


def first_tensor(output: object) -> Tensor | None:
    """The first floating-point tensor in nested tuples, lists, mappings and dataclass-like outputs."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() and output.ndim > 0 else None
    if isinstance(output, dict):
        output = tuple(output.values())
    elif not isinstance(output, (tuple, list)):
        output = tuple(vars(output).values()) if hasattr(output, "__dict__") else ()
    for part in output:
        found = first_tensor(part) if isinstance(part, (Tensor, tuple, list, dict)) else None
        if found is not None:
            return found
    return None


def rows_of(tensor: Tensor) -> int:
    """Samples in a batch: the first axis."""
    return int(tensor.shape[0]) if tensor.ndim else 1


def unit_any(tensor: Tensor, axis: int) -> Tensor:
    """(units,) bool: which units are not 0 anywhere, of an output that is nowhere negative.

    Their largest value tells, at a fiftieth of what ``any`` takes on a processor; that of a unit with nan is nan.
    """
    others = [dim for dim in range(tensor.ndim) if dim != axis % tensor.ndim]
    if not tensor.numel():
        return (tensor != 0).any(dim=others)
    return (tensor.amax(dim=others) if others else tensor) != 0


def matrix(tensor: Tensor) -> Tensor:
    """A batch of outputs as (samples, everything else)."""
    return tensor.detach().reshape(tensor.shape[0], -1) if tensor.ndim != 1 else tensor.detach().reshape(-1, 1)


def weight_matrix(weight: Tensor) -> Tensor:
    """A weight (out, in, …) as the (inputs, units) of the formulas."""
    return weight.detach().reshape(weight.shape[0], -1).T if weight.ndim > 1 else weight.detach().reshape(1, -1)


__all__ = ["MORTAL", "Row", "Rows", "first_tensor", "matrix", "rows_of", "unit_any", "weight_matrix"]
