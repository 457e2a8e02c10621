"""What there is to see in a script, found by plain torch alone: the truth that bptui's record is held against.

Hooks that torch calls for every module and every optimiser are enough for that; nothing of bptui is used.
"""

from __future__ import annotations

import atexit
import collections
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook


class Oracle:
    """Counts updates and units that never fire, and writes them with the module trees when the script ends.

    ``variables``: the names under which the script keeps its models, in ``__main__`` or where it makes its updates.
    """

    def __init__(self, facts: Path, variables: list[str]) -> None:
        self.facts, self.variables = facts, variables
        self.updates: dict[int, list[Any]] = {}
        self.fired: dict[tuple[int, str], torch.Tensor] = {}
        """For each (module, "") or (parent, "relu#1"): which units gave anything but 0 in training, so far."""
        self.samples: collections.Counter[tuple[int, str]] = collections.Counter()
        self.kept: list[Any] = []
        """Whatever an id above belongs to: it must not be given to another object."""
        self.trees: list[dict[str, list[list[Any]]]] = []
        """Qualified name, kind and own parameters of each module, when an optimiser joined and at the end."""
        self.inside: list[tuple[nn.Module, collections.Counter[str]]] = []

    def watch(self) -> None:
        register_optimizer_step_post_hook(self.updated)
        register_module_forward_pre_hook(self.enter)
        register_module_forward_hook(self.leave, always_call=True)
        self.functional_relu = nn.functional.relu
        nn.functional.relu = self.relu
        atexit.register(self.write)

    def updated(self, optimizer: Optimizer, *_: Any) -> None:
        if id(optimizer) not in self.updates:
            self.kept.append(optimizer)
            self.updates[id(optimizer)] = [type(optimizer).__name__, 0]
            self.write()  # it may end without a last word
        self.updates[id(optimizer)][1] += 1

    def names(self) -> dict[str, Any]:
        """The script's variables: the global ones, or of the innermost function that has them all."""
        names, frame = vars(sys.modules["__main__"]), inspect.currentframe()
        while frame is not None and not all(variable in names for variable in self.variables):
            names, frame = frame.f_locals, frame.f_back
        return names if all(variable in names for variable in self.variables) else {}

    def look_at_trees(self) -> None:
        names = self.names()
        if names and self.variables:
            self.trees.append({
                variable: [
                    [name, type(module).__name__, sum(p.numel() for p in module.parameters(recurse=False))]
                    for name, module in names[variable].named_modules()
                ]
                for variable in self.variables
            })  # fmt: skip

    def enter(self, module: nn.Module, _: Any) -> None:
        self.inside.append((module, collections.Counter()))

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        self.inside.pop()
        if isinstance(module, nn.ReLU):
            self.look(module, "", output)

    def relu(self, input: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        output = self.functional_relu(input, inplace=inplace)
        if self.inside and not isinstance(self.inside[-1][0], nn.ReLU):
            parent, calls = self.inside[-1]
            calls["relu"] += 1
            self.look(parent, f"relu#{calls['relu']}", output)
        return output

    def look(self, module: nn.Module, call: str, output: torch.Tensor) -> None:
        if not (torch.is_grad_enabled() and module.training):
            return
        output = output.detach().reshape(1, -1) if output.dim() < 2 else output.detach()
        others = [axis for axis in range(output.dim()) if axis != (1 if output.dim() == 4 else output.dim() - 1)]
        fires = (output != 0).sum(others) > 0
        key = id(module), call
        self.kept.append(module)
        self.fired[key] = self.fired.get(key, torch.zeros_like(fires)) | fires
        self.samples[key] += output.shape[0]

    def write(self) -> None:
        self.look_at_trees()
        names = self.names()
        self.facts.write_text(json.dumps({
            "updates": list(self.updates.values()),
            "trees": self.trees,
            "dead": {
                variable: {
                    ".".join(filter(None, (inner, call))): [int((~fired).sum()), len(fired), self.samples[key]]
                    for inner, module in names[variable].named_modules()
                    for key, fired in self.fired.items()
                    for call in [key[1]]
                    if key[0] == id(module)
                }
                for variable in self.variables
                if variable in names
            },
        }))  # fmt: skip
