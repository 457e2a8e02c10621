"""The gradient of a script's paused update: raw → clipped → applied Δ, and where each of them is known from.

raw       as ``backward`` left it: what it is now, if nothing has touched it since; else from a copy that was kept
          when the script clipped it, or from the step done again
clipped   as it is now: what the optimiser gets
applied   the change that the optimiser makes of that, by its own rule on copies of parameters and state
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bptui.attach.hooks import Optimizer
from bptui.attach.interventions import Impossible
from bptui.attach.onebatch import OneBatch, parameters_of, take_step, whole
from bptui.attach.tape import Backward, Clip, FunctionCall

STAGES = ("raw", "clipped", "applied")


@dataclass(frozen=True, slots=True)
class Stages:
    """By the parameters' identities; a stage that is not known is empty, and ``notes`` says why."""

    raw: dict[int, Tensor]
    clipped: dict[int, Tensor]
    applied: dict[int, Tensor]
    limits: dict[str, float]
    """Of the script's clipping."""
    notes: tuple[str, ...]

    def of(self, stage: str, parameter: Tensor) -> Tensor | None:
        found: dict[int, Tensor] = getattr(self, stage)
        return found.get(id(parameter))


def stages(one: OneBatch, optimizer: Optimizer) -> Stages:
    """Of the update that is paused in; computed without touching anything of the script's."""
    clipped = {id(p): p.grad for p in parameters_of(optimizer) if p.grad is not None}
    notes = []
    raw, note = _raw(one, clipped)
    if note:
        notes.append(note)
    try:
        applied = one.applied() if one.closure else _applied(optimizer)
    except Impossible as error:
        applied = {}
        notes.append(str(error))
    return Stages(raw, clipped, applied, _limits(one), tuple(notes))


def _raw(one: OneBatch, now: dict[int, Tensor]) -> tuple[dict[int, Tensor], str]:
    entries = one.tape.entries
    last = max((at for at, entry in enumerate(entries) if isinstance(entry, Backward)), default=None)
    if last is None:
        return {}, "raw: backward was not called since the last update"
    touched = any(isinstance(entry, (Clip, FunctionCall)) for entry in entries[last + 1 :])
    if not touched:
        return now, ""
    if one.tape.raw is not None:
        return {**now, **one.tape.raw}, ""
    why = one.reproduced()
    return (one.raw, "") if not why else ({}, f"raw: {why}")


def _applied(optimizer: Optimizer) -> dict[int, Tensor]:
    """Δ of every parameter: the step of a copy of the optimiser on copies of its parameters, with their gradients."""
    owned = parameters_of(optimizer)
    memo: dict[int, Any] = {}
    for parameter in owned:
        twin = parameter.detach().clone().requires_grad_(parameter.requires_grad)
        twin.grad = None if parameter.grad is None else parameter.grad.detach().clone()
        memo[id(parameter)] = twin
    try:
        made = whole(optimizer, copy.deepcopy(optimizer, memo), memo)
        take_step(made)
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise Impossible(f"applied: the optimiser's step cannot be taken by a copy of it: {text}") from None
    with torch.no_grad():
        return {id(p): memo[id(p)].detach() - p.detach() for p in owned}


def _limits(one: OneBatch) -> dict[str, float]:
    limits: dict[str, float] = {}
    for entry in one.tape.entries:
        if isinstance(entry, Clip):
            name = {"clip_grad_norm_": "clip_norm", "clip_grad_value_": "clip_value"}.get(entry.real.__name__, "clip")
            key = "max_norm" if name == "clip_norm" else "clip_value"
            value = entry.arguments[0] if entry.arguments else entry.options.get(key)
            if isinstance(value, (int, float)):
                limits[name] = float(value)
    return limits
