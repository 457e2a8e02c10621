"""The optimisers of a script, as they come and go."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from bptui.attach.discover import Model
from bptui.attach.hooks import Optimizer


class Followed:
    """One optimiser of the script; a weak reference: a script that drops it, and its model, shall be rid of them."""

    def __init__(self, optimizer: Optimizer, number: int) -> None:
        self.ref = weakref.ref(optimizer)
        self.number = number
        self.steps = 0
        self.told = {
            "name": f"{type(optimizer).__name__}#{number}", "groups": len(optimizer.param_groups),
            "parameters": sum(p.numel() for group in optimizer.param_groups for p in group["params"]),
        }  # fmt: skip


class Optimizers:
    """All that have made an update, in the order of their first one."""

    def __init__(self, known: Sequence[Optimizer]) -> None:
        self._followed = [Followed(one, number) for number, one in enumerate(known, 1)]
        self._counted = 0
        """Updates of the script that are counted."""

    def __len__(self) -> int:
        return len(self._followed)

    @property
    def alive(self) -> list[Optimizer]:
        return [alive for one in self._followed if (alive := one.ref()) is not None]

    def follow(self, optimizer: Optimizer) -> tuple[Followed, bool]:
        """The optimiser among those followed, and whether it is new."""
        for one in self._followed:
            if one.ref() is optimizer:
                return one, False
        self._followed.append(Followed(optimizer, len(self._followed) + 1))
        return self._followed[-1], True

    def count(self, optimizer: Optimizer, done: int) -> tuple[Followed, bool]:
        """It has made the last of ``done`` updates; as ``follow``."""
        self.count_silent(done - 1)
        self._counted = done
        one, new = self.follow(optimizer)
        one.steps += 1
        return one, new

    def count_silent(self, done: int) -> None:
        """Up to ``done`` updates that nobody asked about: all of the only optimiser."""
        if done > self._counted and len(self._followed) == 1:
            self._followed[0].steps += done - self._counted
            self._counted = done

    @property
    def lr(self) -> float | None:
        """The first one's rate: a tensor (capturable optimisers) too."""
        try:
            return float(self.alive[0].param_groups[0]["lr"])
        except (IndexError, KeyError, TypeError, ValueError):
            return None

    def of(self, model: Model) -> list[int]:
        """Which of those alive change something of a model."""
        own = {id(p) for p in model.root.parameters()}
        return [
            index for index, one in enumerate(self.alive)
            if any(id(p) in own for group in one.param_groups for p in group["params"])
        ]  # fmt: skip

    def told(self) -> list[dict[str, Any]]:
        """For the META record."""
        return [{**one.told, "steps": one.steps} for one in self._followed]
