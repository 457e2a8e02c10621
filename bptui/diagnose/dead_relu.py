"""``dead-relu``: units that gave 0 for every one of many samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.diagnose.rule import Finding, Model, Rule, Stage, Table

MIN_SAMPLES = 3_000
SHARE = 0.1
MOST = 0.5
FEW_LOSSES = 50
EPOCH_STEPS = 100
"""Where the length of an epoch is unknown."""
LEARNING = 0.9
"""A run is learning while its recent losses are below this share of its first ones."""
_FIX = "lower the learning rate, start from he_normal, or use leaky_relu: a unit that never fires gets no gradient"


@dataclass
class DeadRelu(Rule):
    """More than a tenth of a layer gave 0 for each of the last n samples, n ≥ 3,000 or an epoch.

    A unit silent for n independent samples fires for a share of less than 3/n of the data, with 95 %
    confidence (the rule of three): that bound is reported, and so is n.

    Some units are silent from the start in networks that train well. So the alarm is raised only while
    the run is not learning, or the layer is losing units (for an epoch, a tenth more than when first
    counted: some come back), or most of them are dead. Once raised it stands while the count does.
    """

    fault: ClassVar[str] = "dead-relu"
    stage: ClassVar[Stage] = Stage.LEARNING_RATE

    named: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Dead units by layer, as last named: told only when they change, perhaps before they are a finding."""

    counted: dict[str, float] = field(default_factory=dict)
    """Dead units by layer when first counted."""
    losing: dict[str, int] = field(default_factory=dict)
    """Since which step a layer has had a tenth more dead units than when first counted."""
    first: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=FEW_LOSSES))

    def losses(self, step: int, values: npt.NDArray[np.float64], model: Model) -> None:
        if len(self.first) < FEW_LOSSES:
            self.first += values[: FEW_LOSSES - len(self.first)].tolist()
        self.recent.extend(values[-FEW_LOSSES:].tolist())

    def _learning(self) -> bool:
        # Of a short run its first and its last third are compared.
        size = min(FEW_LOSSES, (len(self.first) + 2) // 3 if len(self.first) < FEW_LOSSES else FEW_LOSSES)
        if not size:
            return False
        begun, now = sum(self.first[:size]) / size, sum(list(self.recent)[-size:]) / size
        return now < LEARNING * begun  # nan: not learning

    def table(self, table: Table, model: Model) -> None:
        needed = min(MIN_SAMPLES, model.epoch_samples or MIN_SAMPLES)
        columns = (table.columns[name].tolist() for name in ("dead", "units", "seen"))
        for index, (dead, units, seen) in enumerate(zip(*columns, strict=True)):
            layer = model.layers[index] if index < len(model.layers) else f"layer {index + 1}"
            if dead >= 0 and seen >= needed:
                self.counted.setdefault(layer, dead)
            # nan compares false: a layer without counters raises nothing
            if dead > SHARE * units > 0:
                if seen >= needed and (layer in self.findings or self._alarming(layer, dead, units, table, model)):
                    self._raise(layer, int(dead), int(units), int(seen), table)
            elif layer in self.findings and dead <= SHARE * units:
                del self.findings[layer]

    def _alarming(self, layer: str, dead: float, units: float, table: Table, model: Model) -> bool:
        if dead > MOST * units or not self._learning():
            return True
        if dead - self.counted[layer] <= SHARE * units:
            self.losing.pop(layer, None)
            return False
        return table.step - self.losing.setdefault(layer, table.step) >= (model.epoch_steps or EPOCH_STEPS)

    def _raise(self, layer: str, dead: int, units: int, seen: int, table: Table) -> None:
        old = self.findings.get(layer)
        message = f"{dead} of {units} units of {layer} gave 0 for each of {seen:,} samples"
        named = self.named.get(layer, old.units if old is not None else ())
        self.findings[layer] = Finding(
            fault=self.fault, layer=layer, units=named if len(named) == dead else (), severity="warning",
            first_step=old.first_step if old is not None else table.step,
            not_before=old.not_before if old is not None else table.before,
            message=message,
            evidence={"dead": dead, "units": units, "share": dead / units, "threshold": SHARE, "samples": seen,
                      "bound": 3 / seen},
            fix=_FIX,
        )  # fmt: skip

    def fact(self, step: int, fact: Mapping[str, Any], model: Model) -> None:
        """``{"fact": "dead-units", "layer", "units": [ids]}`` names them."""
        if fact.get("fact") != "dead-units":
            return
        layer, units = fact.get("layer"), fact.get("units")
        if isinstance(layer, str) and isinstance(units, list) and all(isinstance(unit, int) for unit in units):
            self.named[layer] = tuple(sorted(units))
            if layer in self.findings:
                self.findings[layer] = msgspec.structs.replace(self.findings[layer], units=self.named[layer])
