"""Optimisers: torch's rules, in place on one flat vector of all parameters, a cache-sized piece at a time.

A rule names its slots and gives the operations for one piece; numbers that change from update to update
(learning rate, bias corrections) are arrays without a dimension that ``_prepare`` rewrites.

A rule that is linear in the gradient can do without it: ∂L/∂W = aᵀδ is a product, which BLAS adds to whatever it is
given. Plain SGD is then one product into the weights, with momentum one into the velocity, and the gradient is never
written to memory (a fifth of the time of an update of 784-256-128-10).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from bptui.engine.numpy.blas import BLAS
from bptui.engine.numpy.operations import Array, Operation, constant, run
from bptui.engine.settings import Settings
from bptui.spec.experiment import Adagrad as AdagradSpec
from bptui.spec.experiment import Optimizer

#: Elements of one piece. Smaller ones cost more calls than they save of the cache: on 235,000 float32 parameters Adam
#: takes 250 µs in one piece, as much in pieces of 65,536 and 300 µs in pieces of 8,192.
PIECE = 262144


@dataclass(frozen=True, slots=True, eq=False)
class Direct:
    """An update without a gradient: ``target ← α·aᵀδ + β·target`` for each layer, between two lists of operations."""

    target: Array
    """Flat, like the parameters."""
    alpha: Array
    beta: Array
    before: Sequence[Operation] = ()
    after: Sequence[Operation] = ()


class Optimiser(ABC):
    """One rule over ``values`` and ``gradient`` (flat); ``slots`` are its vectors, named as torch names them."""

    names: ClassVar[tuple[str, ...]] = ()
    coupled_decay: ClassVar[bool] = True
    """Whether ``weight_decay`` is added to the gradient (all but AdamW)."""

    def __init__(self, spec: Optimizer, settings: Settings, values: Array, gradient: Array) -> None:
        self.spec, self.settings = spec, settings
        self.values, self.gradient = values, gradient
        self.count = 0
        self.direct: Direct | None = None
        """How the present settings allow an update without the gradient; None: they do not."""
        self.slots: dict[str, Array] = {}
        self._number: dict[str, Array] = {}
        self._scratch = np.empty((2, min(PIECE, values.size)), values.dtype)
        self._operations: list[Operation] = []
        self.rebuild()

    def rebuild(self) -> None:
        """Prepare the operations again, after a setting has changed."""
        for name in self.needed():
            if name not in self.slots:
                self.slots[name] = np.full_like(self.values, self.initial(name))
        for name in set(self.slots) - set(self.needed()):
            del self.slots[name]
        operations: list[Operation] = []
        for first in range(0, self.values.size, PIECE):
            piece = slice(first, min(first + PIECE, self.values.size))
            p, g = self.values[piece], self.gradient[piece]
            t, decayed = self._scratch[0, : p.size], self._scratch[1, : p.size]
            if self.coupled_decay and self.settings["weight_decay"]:
                decay = self._set("weight_decay", self.settings["weight_decay"])
                operations += [partial(np.multiply, p, decay, decayed), partial(np.add, decayed, g, decayed)]
                g = decayed
            operations += self.rule(p, g, t, {name: slot[piece] for name, slot in self.slots.items()})
        self._operations = operations

    def needed(self) -> tuple[str, ...]:
        """Slots that the present settings need."""
        return self.names

    def initial(self, slot: str) -> float:
        return 0.0

    def step(self, lr: float, products: Sequence[Operation] | None = None) -> None:
        """W ← W − ΔW by the rule, at learning rate ``lr``: from the gradient, or by the ``products`` of ``direct``."""
        self.count += 1
        self._prepare(lr)
        if products is None or self.direct is None:
            run(self._operations)
            return
        run(self.direct.before)
        run(products)
        run(self.direct.after)

    def loaded(self) -> None:  # noqa: B027 — most rules have nothing to do here
        """Slots and count have been put in place from a state."""

    def _set(self, name: str, value: float) -> Array:
        """The number ``name``, rewritten in place (prepared operations hold it)."""
        number = self._number.get(name)
        if number is None:
            number = self._number[name] = constant(value, self.values)
        else:
            number[()] = value
        return number

    @abstractmethod
    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        """Operations of one piece: parameters ``p``, gradient ``g`` (not to be written), scratch ``t``."""

    @abstractmethod
    def _prepare(self, lr: float) -> None:
        """Rewrite the numbers of this update; ``count`` is already that of the update (from 1)."""


class SGD(Optimiser):
    """v ← μv + (1 − dampening)g, at first v = g; W ← W − η·(g + μv if nesterov else v)."""

    def needed(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.settings["momentum"] else ()

    def rebuild(self) -> None:
        super().rebuild()
        self.loaded()
        self.direct = self._way()

    def loaded(self) -> None:
        buffer = self.slots.get("momentum_buffer")
        self._moving = buffer is None or bool(buffer.any())

    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        step = self._set("step", 0.0)
        if "momentum_buffer" not in slot:
            return [BLAS.add(step, g, p)]
        v, momentum = slot["momentum_buffer"], self._set("momentum", self.settings["momentum"])
        operations = [BLAS.blend(self._set("share", 1.0), g, momentum, v)]
        if not self.settings["nesterov"]:
            return [*operations, BLAS.add(step, v, p)]
        return [*operations, partial(np.multiply, v, momentum, t), partial(np.add, t, g, t), BLAS.add(step, t, p)]

    def _way(self) -> Direct | None:
        step, decay = self._set("step", 0.0), self.settings["weight_decay"]
        if not self.settings["momentum"]:  # W ← (1 − η·decay)·W − η·aᵀδ
            return Direct(self.values, step, self._set("keep", 1.0))
        if self.settings["nesterov"]:
            return None  # which takes the gradient twice
        v, momentum = self.slots["momentum_buffer"], self._set("momentum", self.settings["momentum"])
        share, after = self._set("share", 1.0), [BLAS.add(step, v, self.values)]
        if not decay:
            return Direct(v, share, momentum, after=after)
        before = [BLAS.blend(self._set("decayed", 0.0), self.values, momentum, v)]
        return Direct(v, share, self._set("one", 1.0), before, after)

    def _prepare(self, lr: float) -> None:
        decay, share = self.settings["weight_decay"], 1.0
        if self.settings["dampening"] and self._moving:
            share -= self.settings["dampening"]
        self._set("step", -lr)
        self._set("share", share)
        if decay:
            self._set("keep", 1.0 - lr * decay)
            self._set("decayed", share * decay)
        self._moving = True


class RMSprop(Optimiser):
    """s ← αs + (1 − α)g²; step g/(√(s − m²) + ε), m the running mean of g where ``centered``, 0 elsewhere."""

    def needed(self) -> tuple[str, ...]:
        mean = ("grad_avg",) if self.settings["centered"] else ()
        return ("square_avg", *mean, *(("momentum_buffer",) if self.settings["momentum"] else ()))

    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        step, s = self._set("step", 0.0), slot["square_avg"]
        alpha = self._set("alpha", self.settings["alpha"])
        rest, eps = self._set("rest", 1.0 - self.settings["alpha"]), self._set("eps", self.settings["eps"])
        operations: list[Operation] = [partial(np.multiply, g, g, t), BLAS.blend(rest, t, alpha, s)]
        if "grad_avg" in slot:
            m = slot["grad_avg"]
            operations += [
                BLAS.blend(rest, g, alpha, m),
                partial(np.multiply, m, m, t),
                partial(np.subtract, s, t, t),
                partial(np.sqrt, t, t),
            ]
        else:
            operations.append(partial(np.sqrt, s, t))
        operations += [partial(np.add, t, eps, t), partial(np.divide, g, t, t)]
        if "momentum_buffer" in slot:
            v, momentum = slot["momentum_buffer"], self._set("momentum", self.settings["momentum"])
            return [*operations, BLAS.blend(self._set("one", 1.0), t, momentum, v), BLAS.add(step, v, p)]
        return [*operations, BLAS.add(step, t, p)]

    def _prepare(self, lr: float) -> None:
        self._set("step", -lr)


class Adagrad(Optimiser):
    """s ← s + g²; step η/(1 + (t − 1)·lr_decay) · g/(√s + ε)."""

    names = ("sum",)

    def initial(self, slot: str) -> float:
        return self.spec.initial_accumulator if isinstance(self.spec, AdagradSpec) else 0.0

    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        s = slot["sum"]
        return [
            partial(np.multiply, g, g, t),
            partial(np.add, s, t, s),
            partial(np.sqrt, s, t),
            partial(np.add, t, self._set("eps", self.settings["eps"]), t),
            partial(np.divide, g, t, t),
            BLAS.add(self._set("step", 0.0), t, p),
        ]

    def _prepare(self, lr: float) -> None:
        self._set("step", -lr / (1.0 + (self.count - 1) * self.settings["lr_decay"]))


class Adam(Optimiser):
    """m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; step η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    √v̂ + ε is taken as (√v + ε√(1 − β₂ᵗ))/√(1 − β₂ᵗ): the same, with one pass over the vector less.
    """

    names = ("exp_avg", "exp_avg_sq")

    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        m, v = slot["exp_avg"], slot["exp_avg_sq"]
        beta1, beta2 = self._set("beta1", self.settings["beta1"]), self._set("beta2", self.settings["beta2"])
        rest1 = self._set("rest1", 1.0 - self.settings["beta1"])
        rest2 = self._set("rest2", 1.0 - self.settings["beta2"])
        return [
            BLAS.blend(rest1, g, beta1, m),
            partial(np.multiply, g, g, t),
            BLAS.blend(rest2, t, beta2, v),
            partial(np.sqrt, v, t),
            partial(np.add, t, self._set("eps", 0.0), t),
            partial(np.divide, m, t, t),
            BLAS.add(self._set("step", 0.0), t, p),
        ]

    def _prepare(self, lr: float) -> None:
        root = math.sqrt(1.0 - self.settings["beta2"] ** self.count)
        self._set("eps", self.settings["eps"] * root)
        self._set("step", -lr * root / (1.0 - self.settings["beta1"] ** self.count))


class AdamW(Adam):
    """Adam, with W ← (1 − η·decay)·W before the step."""

    coupled_decay = False

    def rule(self, p: Array, g: Array, t: Array, slot: dict[str, Array]) -> list[Operation]:
        return [partial(np.multiply, p, self._set("keep", 1.0), p), *super().rule(p, g, t, slot)]

    def _prepare(self, lr: float) -> None:
        self._set("keep", 1.0 - lr * self.settings["weight_decay"])
        super()._prepare(lr)


OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}
