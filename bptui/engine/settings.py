"""Settings of an optimiser as plain floats that may change while training runs."""

from __future__ import annotations

import math

from bptui.engine.errors import EngineError, nearest
from bptui.spec.experiment import Optimizer

#: Not settings of the engine: the caller owns the schedule and the batches; the accumulator starts once.
NOT_LIVE = frozenset({"lr", "accumulate", "initial_accumulator"})
#: What is kept of something, so less than all of it.
_SHARES = frozenset({"momentum", "dampening", "alpha", "beta1", "beta2"})


class Settings:
    """The live settings of one optimiser; a limit that is off (``clip_norm``, ``clip_value``) is ``inf``."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.values: dict[str, float] = {}
        for field in optimizer.__struct_fields__:
            if field not in NOT_LIVE:
                value = getattr(optimizer, field)
                self.values[field] = math.inf if value is None else float(value)

    def __getitem__(self, key: str) -> float:
        return self.values[key]

    def change(self, key: str, value: float) -> float:
        """Put ``value`` in place and return the old one. EngineError names an unknown key or an impossible value."""
        if key not in self.values:
            raise EngineError(f"this optimiser has no setting {key!r} to change{nearest(key, self.values)}")
        value = float(value)
        if math.isnan(value) or value < 0.0:
            raise EngineError(f"{key} must not be negative or nan, got {value}")
        if key in _SHARES and value >= 1.0:
            raise EngineError(f"{key} must be below 1, got {value}")
        if key.startswith("clip_") and value == 0.0:
            raise EngineError(f"{key} must be above 0, got {value}")
        old, self.values[key] = self.values[key], value
        return old
