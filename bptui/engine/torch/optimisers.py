"""torch's own optimisers over the flat parameters: one tensor, so an update costs the same calls whatever the depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bptui.engine.settings import Settings
from bptui.spec.experiment import Adagrad as AdagradSpec
from bptui.spec.experiment import Optimizer

Make = Callable[[Tensor, Settings, Optimizer], torch.optim.Optimizer]


def sgd(flat: Tensor, s: Settings, spec: Optimizer) -> torch.optim.Optimizer:
    # torch's constructor refuses nesterov without momentum; its step does not look, so the group takes the flag after
    optimiser = torch.optim.SGD([flat], lr=spec.lr, foreach=False)
    optimiser.param_groups[0].update(group_values(s))
    return optimiser


def rmsprop(flat: Tensor, s: Settings, spec: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.RMSprop([flat], foreach=False, lr=spec.lr, **group_values(s))


def adagrad(flat: Tensor, s: Settings, spec: Optimizer) -> torch.optim.Optimizer:
    start = spec.initial_accumulator if isinstance(spec, AdagradSpec) else 0.0
    return torch.optim.Adagrad([flat], foreach=False, lr=spec.lr, initial_accumulator_value=start, **group_values(s))


def adam(flat: Tensor, s: Settings, spec: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.Adam([flat], fused=True, lr=spec.lr, **group_values(s))


def adamw(flat: Tensor, s: Settings, spec: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.AdamW([flat], fused=True, lr=spec.lr, **group_values(s))


OPTIMISERS: dict[str, Make] = {"sgd": sgd, "rmsprop": rmsprop, "adagrad": adagrad, "adam": adam, "adamw": adamw}


def group_values(settings: Settings) -> dict[str, Any]:
    """The settings as torch's parameter group names them."""
    values: dict[str, Any] = {k: v for k, v in settings.values.items() if not k.startswith("clip_")}
    if "beta1" in values:
        values["betas"] = (values.pop("beta1"), values.pop("beta2"))
    for flag in ("nesterov", "centered"):
        if flag in values:
            values[flag] = bool(values[flag])
    return values


class Optimiser:
    """Count, slots and settings of one torch optimiser, with the names that the other engine uses too."""

    def __init__(self, spec: Optimizer, settings: Settings, flat: Tensor) -> None:
        self._settings, self._spec, self._flat = settings, spec, flat
        self._kind = str(spec.__struct_config__.tag)
        self._torch = OPTIMISERS[self._kind](flat, settings, spec)
        self._group = self._torch.param_groups[0]
        self.count = 0

    def step(self, lr: float) -> None:
        self._group["lr"] = lr
        self._torch.step()
        self.count += 1

    def rebuild(self) -> None:
        """Take the settings as they now are; a slot that is no longer needed is dropped, a new one starts empty."""
        self._group.update(group_values(self._settings))
        state = self._torch.state.get(self._flat)
        if state:
            for name in set(state) - set(self.names()) - {"step"}:
                del state[name]
            for name in self.names():
                if self._kind != "sgd" and name not in state:
                    state[name] = torch.zeros_like(self._flat)

    def names(self) -> tuple[str, ...]:
        """Slots that the present settings need, as torch names them."""
        momentum = ("momentum_buffer",) if self._settings.values.get("momentum") else ()
        if self._kind == "rmsprop":
            return ("square_avg", *(("grad_avg",) if self._settings["centered"] else ()), *momentum)
        return {"sgd": momentum, "adagrad": ("sum",)}.get(self._kind, ("exp_avg", "exp_avg_sq"))

    def slots(self) -> dict[str, Tensor]:
        """Each slot, flat; what torch has not made yet has its starting value."""
        state = self._torch.state.get(self._flat, {})
        start = self._spec.initial_accumulator if isinstance(self._spec, AdagradSpec) else 0.0
        slots = {}
        for name in self.names():
            slot = state.get(name)
            slots[name] = torch.full_like(self._flat, start) if slot is None else slot
        return slots

    def load(self, count: int, slots: Mapping[str, Tensor]) -> None:
        """Put slots and count in place."""
        self.count = count
        state: dict[str, Any] = dict(slots)
        if self._kind == "sgd":
            buffer = state.get("momentum_buffer")
            if buffer is not None and not bool(buffer.any()):
                state = {}  # not moving yet: torch starts the buffer with the next gradient itself
        else:
            state["step"] = torch.tensor(
                float(count), device=self._flat.device if self._kind.startswith("adam") else "cpu"
            )
            if count == 0 and self._kind != "adagrad":
                state = {}
        if state:
            self._torch.state[self._flat] = state
        else:
            self._torch.state.pop(self._flat, None)
