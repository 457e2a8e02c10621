"""Which models a script trains: the largest modules that own the parameters of its optimisers."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the script. ``prefix`` stands before its modules' names; empty where it is the only model."""

    root: nn.Module
    name: str
    prefix: str

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Qualified name and module, each module once, containers too, in the order of their definition."""
        for name, module in self.root.named_modules():
            own = [part for part in name.split(".") if part != "_orig_mod"]  # of torch.compile
            yield ".".join(filter(None, (self.prefix, *own))) or self.name, module


def parameters_of(optimizers: Iterable[torch.optim.Optimizer]) -> set[int]:
    """The identities of every tensor that the optimisers change."""
    return {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def find_models(optimizers: Iterable[torch.optim.Optimizer]) -> tuple[Model, ...]:
    """The modules that own these optimisers' parameters and are part of no larger module that is alive.

    All objects that the garbage collector knows are looked at, once: a script may hold its model anywhere. Of several
    modules that own the same parameters (a wrapper beside its model, an average of it) the one that owns most of them
    is taken.
    """
    wanted = parameters_of(optimizers)
    owners: dict[int, nn.Module] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), nn.Module):  # not isinstance: it would ask lazy proxies for their class
            owners[id(thing)] = thing
    inside = {id(child) for module in owners.values() for child in module.children()}
    roots = []
    for key, module in owners.items():
        if key in inside:
            continue
        owned = sum(id(p) in wanted for p in module.parameters())
        if owned:
            roots.append((owned, module))
    roots.sort(key=lambda pair: -pair[0])
    chosen, left = [], set(wanted)
    for _, module in roots:
        own = {id(p) for p in module.parameters()} & left
        if own:
            left -= own
            chosen.append(module)
    return _named(chosen)


def models_of(*roots: nn.Module) -> tuple[Model, ...]:
    """Models that were named by the script itself (``bptui.watch``)."""
    return _named(list(roots))


def _named(roots: list[nn.Module]) -> tuple[Model, ...]:
    """In the order of the script's variables, then of discovery; names are made different from each other."""
    variables = {
        id(value): (position, name)
        for position, (name, value) in enumerate(vars(sys.modules["__main__"]).items())
        if issubclass(type(value), nn.Module)
    }
    roots = sorted(roots, key=lambda root: variables.get(id(root), (sys.maxsize, ""))[0])
    names: list[str] = []
    for root in roots:
        name = variables[id(root)][1] if id(root) in variables else type(root).__name__
        count = sum(other.partition("#")[0] == name for other in names)
        names.append(f"{name}#{count + 1}" if count else name)
    single = len(roots) == 1
    return tuple(Model(root, name, "" if single else name) for root, name in zip(roots, names, strict=True))
