"""``non-finite``: the first operation whose output is NaN or Inf though its inputs are finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bptui.diagnose.rule import Finding, Model, Rule, Stage

_FIX = "lower the learning rate or clip the gradient norm; look at the step before it in the inspector"


class NonFinite(Rule):
    """Exact. The trainer names the operation; until it has, the loss alone tells that something is not finite."""

    fault: ClassVar[str] = "non-finite"
    stage: ClassVar[Stage] = Stage.LEARNING_RATE

    def losses(self, step: int, values: npt.NDArray[np.float64], model: Model) -> None:
        if self.findings:
            return
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            first = step + int(bad[0])
            value = str(float(values[bad[0]]))
            self.findings[None] = Finding(
                fault=self.fault, layer=None, severity="error", first_step=first, not_before=first,
                message=f"the loss of step {first:,} is {value}", evidence={"loss": value}, fix=_FIX,
            )  # fmt: skip

    def fact(self, step: int, fact: Mapping[str, Any], model: Model) -> None:
        """``{"fact": "non-finite", "layer", "op", "step"?, "not_before"?, …}``."""
        if fact.get("fact") != self.fault:
            return
        layer = fact.get("layer")
        layer = str(layer) if layer is not None else None
        if layer in self.findings and layer is not None:
            return  # the first is the root
        operation = str(fact.get("op") or "an operation")
        first = _whole(fact.get("step"), step)
        where = f"{operation} of {layer}" if layer is not None else operation
        evidence = {
            str(name): value if isinstance(value, (int, float)) else str(value)
            for name, value in fact.items()
            if name not in ("fact", "layer", "step", "not_before", "units") and value is not None
        }
        self.findings.pop(None, None)
        self.findings[layer] = Finding(
            fault=self.fault, layer=layer, severity="error", first_step=first,
            not_before=_whole(fact.get("not_before"), first),
            message=f"{where} is the first whose output is not finite, in step {first:,}",
            evidence=evidence, fix=_FIX,
        )  # fmt: skip


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
