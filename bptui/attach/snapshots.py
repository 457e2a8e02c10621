"""Kept states of a script: models, buffers and optimisers, to which one can roll back.

A script cannot rewind: its data, its schedule and its own variables go on. Rolled back are parameters, buffers,
optimisers' moments and groups' settings; that is said with each roll back.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bptui.attach.interventions import Impossible

if TYPE_CHECKING:
    from bptui.attach.observer import Observer


class Snapshots:
    """In ``keyframes/`` of the run, one file a step: ``model.<name>``, ``optimizer.<index>.<parameter>.<slot>``."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.steps: list[int] = []

    @property
    def said(self) -> str:
        kept = ", ".join(f"{step:,}" for step in self.steps[-6:])
        return f"kept: {kept}" if kept else "none kept yet (K keeps one)"

    def keep(self) -> None:
        """Write the present state; a temporary name, fsync, rename. Raises OSError."""
        observer = self._observer
        step, run = observer.session.step, observer.session.run
        tensors, words = self._gather()
        folder = run / "keyframes"
        folder.mkdir(exist_ok=True)
        part = folder / f".{step:012d}.part"
        save_file({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, part, words)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        part.rename(folder / f"{step:012d}.safetensors")
        if step not in self.steps:
            self.steps = sorted([*self.steps, step])

    def back(self, step: int) -> None:
        """Put a kept state back, in place. Raises Impossible in one line."""
        observer = self._observer
        if step not in self.steps:
            raise Impossible(
                f"a script cannot rewind to step {step:,}; snapshots that can be rolled back to: {self.said}"
            )
        path = observer.session.run / "keyframes" / f"{step:012d}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                words = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        except (OSError, SafetensorError) as error:
            raise Impossible(f"the snapshot of step {step:,} cannot be read: {error}") from None
        now, _ = self._gather()
        for name, tensor in now.items():
            if name.startswith("model.") and (name not in tensors or tensors[name].shape != tensor.shape):
                raise Impossible(f"the snapshot of step {step:,} does not fit: {name}")
        with torch.no_grad():
            for name, tensor in now.items():
                if name.startswith("model."):
                    tensor.copy_(tensors[name])
        for index, optimizer in enumerate(observer.optimizers):
            self._restore(optimizer, f"optimizer.{index}.", tensors, json.loads(words.get(f"optimizer.{index}", "{}")))

    def _gather(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        observer = self._observer
        tensors: dict[str, Tensor] = {}
        for model in observer.models:
            for kind in (model.root.named_parameters(), model.root.named_buffers()):
                tensors |= {f"model.{model.name}.{name}": t for name, t in kind}
        words = {}
        for index, optimizer in enumerate(observer.optimizers):
            told: dict[str, Any] = {"groups": [], "state": {}}
            for number, parameter in enumerate(_parameters(optimizer)):
                for slot, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        tensors[f"optimizer.{index}.{number}.{slot}"] = value
                    elif isinstance(value, (int, float)):
                        told["state"][f"{number}.{slot}"] = value
            told["groups"] = [
                {key: _plain(value) for key, value in group.items() if key != "params" and _is_setting(value)}
                for group in optimizer.param_groups
            ]
            words[f"optimizer.{index}"] = json.dumps(told)
        return tensors, words

    @staticmethod
    def _restore(
        optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor], told: dict[str, Any]
    ) -> None:
        counted = {
            id(parameter)
            for group in optimizer.param_groups if group.get("capturable") or group.get("fused")
            for parameter in group["params"]
        }  # fmt: skip
        with torch.no_grad():
            for number, parameter in enumerate(_parameters(optimizer)):
                state = optimizer.state.get(parameter, {})
                for slot in list(state):
                    kept = tensors.get(f"{prefix}{number}.{slot}")
                    if isinstance(state[slot], Tensor) and kept is not None and kept.shape == state[slot].shape:
                        state[slot].copy_(kept)
                    elif f"{number}.{slot}" in told.get("state", {}):
                        state[slot] = told["state"][f"{number}.{slot}"]
                    elif kept is None:
                        del state[slot]  # it was not there yet
                begins = f"{prefix}{number}."
                for name in tensors:
                    if name.startswith(begins) and (slot := name.removeprefix(begins)) not in state:
                        # it has been dropped since; torch has the count of updates on the CPU unless told otherwise
                        there = tensors[name].shape == parameter.shape or id(parameter) in counted
                        optimizer.state[parameter][slot] = tensors[name].to(parameter.device if there else "cpu")
                if not optimizer.state.get(parameter, True):
                    del optimizer.state[parameter]
        for group, kept_group in zip(optimizer.param_groups, told.get("groups", []), strict=False):
            for key, value in kept_group.items():
                if isinstance(group.get(key), Tensor):
                    group[key].fill_(value)
                else:
                    group[key] = tuple(value) if isinstance(group.get(key), tuple) else value


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(each, (int, float, str)) for each in value)
    return isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)


def _plain(value: Any) -> Any:
    """A setting as JSON has it: a rate that is a tensor (capturable optimisers) as its number."""
    return value.item() if isinstance(value, Tensor) else value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
