"""What a face may change in a running script: settings of its optimisers, frozen layers, revived units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bptui.attach.rows import Row

if TYPE_CHECKING:
    from bptui.attach.observer import Observer

#: Settings of an optimiser's groups that may change live, where they are numbers.
_KEYS = ("lr", "momentum", "dampening", "weight_decay", "eps", "alpha", "lr_decay")


class Impossible(ValueError):
    """What is asked cannot be done here; one line."""


class Interventions:
    """``settings`` names what ``change`` changes: ``lr``; with several optimisers ``lr#2`` too."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._frozen: dict[str, list[Tensor]] = {}

    def settings(self) -> dict[str, float]:
        """Every setting of every optimiser's first group, as it now is (without the first's lr), and frozen layers."""
        told: dict[str, float] = {}
        for index, optimizer in enumerate(self._observer.optimizers):
            group = optimizer.param_groups[0]
            for key in _KEYS:
                value = group.get(key)
                if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                    told[key if not index else f"{key}#{index + 1}"] = float(value)
        told |= {f"freeze.{name}": 1.0 for name in self._frozen}
        told.pop("lr", None)
        return told

    def change(self, key: str, value: float) -> float:
        """Change a setting; returns the old value. Raises Impossible."""
        what, _, of = key.partition(".")
        if of and what == "freeze":
            return self._freeze(of, value)
        if of and what == "revive":
            return self._revive(of)
        name, _, number = key.partition("#")
        optimizers = self._observer.optimizers
        index = int(number) - 1 if number.isdigit() else 0
        if not optimizers:
            raise Impossible("no optimiser yet: the script has made no update")
        if not 0 <= index < len(optimizers):
            raise Impossible(f"{key}: there are {len(optimizers)} optimisers")
        groups = optimizers[index].param_groups
        if name not in _KEYS or not isinstance(groups[0].get(name), (int, float, Tensor)):
            there = ", ".join(one for one in _KEYS if one in groups[0])
            raise Impossible(f"{key}: this optimiser has {there}")
        if not math.isfinite(value) or value < 0:
            raise Impossible(f"{key}: expected a number of at least 0, got {value!r}")
        before = float(groups[0][name])
        for group in groups:
            old = group[name]
            # groups keep their ratios: a head with ten times the rate keeps it
            new = value * float(old) / before if before else value
            if isinstance(old, Tensor):
                old.fill_(new)
            else:
                group[name] = new
        return before

    # -- freezing ----------------------------------------------------------------------------------
    def _freeze(self, layer: str, value: float) -> float:
        """1: the layer's parameters get no gradient and no update any more; 0: those that we froze get them again."""
        if not value:
            parameters = self._frozen.pop(layer, None)
            for parameter in parameters or ():
                parameter.requires_grad_(True)
            return 0.0 if parameters is None else 1.0
        if layer in self._frozen:
            return 1.0
        parameters = [p for p in self._module(layer).parameters() if p.requires_grad]
        if not parameters:
            raise Impossible(f"{layer}: nothing to freeze")
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None  # an optimiser passes over what has none
        self._frozen[layer] = parameters
        return 0.0

    def _module(self, layer: str) -> torch.nn.Module:
        rows = self._observer.rows
        for module, (name, _) in rows.names.items() if rows is not None else ():
            if name == layer:
                return module
        raise Impossible(f"{layer}: no such layer")

    # -- reviving ----------------------------------------------------------------------------------
    def _revive(self, layer: str) -> float:
        """New incoming weights for the units of an activation that never fired; their moments begin anew.

        As torch draws a new layer's: uniform in ±1/√fan_in, bias 0; from a generator of our own, so that the
        script's random numbers stay what they are. Returns how many units there were.
        """
        rows = self._observer.rows
        row = rows.by_name.get(layer) if rows is not None else None
        if rows is None or row is None or row.dead is None:
            raise Impossible(f"{layer}: no activation whose units can die")
        if not row.dead:
            raise Impossible(f"{layer}: no dead units")
        source = self._source(rows.all(), row)
        weight, own = source.weight, dict(source.module.named_parameters(recurse=False)) if source.module else {}
        if weight is None or len(weight) != row.units:
            raise Impossible(f"{layer}: the layer before it has another number of units")
        units = torch.tensor(row.dead, device=weight.device)
        fan_in = weight[0].numel()
        generator = torch.Generator().manual_seed(0x5EED + self._observer.session.step)
        with torch.no_grad():
            drawn = torch.rand((len(units), *weight.shape[1:]), generator=generator) * 2 - 1
            weight[units] = (drawn / math.sqrt(fan_in)).to(weight.device, weight.dtype)
            bias = own.get("bias")
            if bias is not None:
                bias[units] = 0.0
            for parameter in (weight, bias):
                if parameter is not None:
                    self._reset_moments(parameter, units)
        count = len(row.dead)
        row.fired, row.seen, row.dead, row.dead_of = None, 0, None, 0
        return float(count)

    @staticmethod
    def _source(rows: list[Row], row: Row) -> Row:
        """The last row with weights before an activation; normalisation between them is passed over."""
        for before in reversed(rows[: rows.index(row)]):
            weight = before.weight
            if weight is not None and weight.ndim > 1:
                return before
        raise Impossible(f"{row.name}: no layer with weights before it")

    def _reset_moments(self, parameter: Any, units: Tensor) -> None:
        for optimizer in self._observer.optimizers:
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value[units] = 0.0
