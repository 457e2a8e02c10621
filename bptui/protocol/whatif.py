"""What if: one run from one step on, changed and unchanged, over the same batches. What goes to a child and comes back.

A child gets a ``Job`` as one line of JSON on stdin and says ``Going``, at its end ``Gone`` or ``Failed``, a line each.
"""

from __future__ import annotations

import math

import msgspec

from bptui.protocol.certificate import Certificate
from bptui.protocol.lens import LensView


class Change(msgspec.Struct, frozen=True, array_like=True):
    """As ``messages.Wanted``: what is changed before the first update."""

    key: str
    value: float | str


class Continue(msgspec.Struct, frozen=True, tag="continue"):
    """``steps`` updates from state ``step`` of the run, with ``wanted`` changed in it; nothing wanted: unchanged.

    Of ``wanted``, a value may be relative (``/10``, ``*2``), and a key short for several (``revive``, ``activation``,
    ``bias+``: of every hidden layer that has one; ``init``: of every layer whose weights are drawn).
    """

    step: int
    steps: int
    wanted: tuple[Change, ...] = ()


class Die(msgspec.Struct, frozen=True, tag="die"):
    """The death certificate of a unit that is dead in state ``at``."""

    layer: str
    unit: int
    at: int


class View(msgspec.Struct, frozen=True, tag="view"):
    """The lens over state ``at``."""

    at: int


Job = Continue | Die | View


class Going(msgspec.Struct, frozen=True, tag="going"):
    """How far it is: ``done`` of ``total``, and the losses since the last time (None: not finite)."""

    done: int
    total: int
    losses: tuple[float | None, ...] = ()


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """The end of a ``Continue``. Numbers are None where they are not finite or there is no such thing."""

    step: int
    """The state it came to."""
    changes: tuple[Change, ...]
    """What was really changed, each with its value: a branch with these is this future."""
    losses: tuple[float | None, ...]
    loss: float | None
    """The mean of the last tenth of the losses."""
    val_loss: float | None
    val_accuracy: float | None
    dead: int
    """Units of layers that can die or saturate that do, in the last state; of ``units``."""
    units: int
    gradient_ratio: float | None
    """‖∂L/∂W‖ of the first layer by that of the last one, in the last update."""
    val_return: float | None = None
    """Of a policy, which has neither of the two before."""
    held: int = 0
    """Losses that were held against the record; unchanged continuations only."""
    differs: str = ""
    """The first that was not the same."""
    not_comparable: str = ""

    @property
    def alive(self) -> float:
        """The share of units that is neither dead nor saturated."""
        return 1 - self.dead / self.units if self.units else 1.0


class Found(msgspec.Struct, frozen=True, tag="found"):
    """The end of a ``Die``."""

    certificate: Certificate


class Viewed(msgspec.Struct, frozen=True, tag="viewed"):
    """The end of a ``View``."""

    view: LensView


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why it could not be done; one line."""

    error: str


Word = Going | Outcome | Found | Viewed | Failed


def parse_change(text: str) -> Change:
    """``lr=0.01``, ``optimizer.lr=/10``, ``dense1.activation=tanh``; ValueError in one line."""
    key, sign, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not (sign and key and value):
        raise WhatIfError(f"{text[:60]!r}: expected KEY=VALUE, such as lr=/10 or dense1.activation=tanh")
    key = ALIASES.get(key, key.removeprefix("optimizer.").removeprefix("model."))
    try:
        number = float(value)
    except ValueError:
        return Change(key, value)
    return Change(key, number if math.isfinite(number) else value)  # JSON has no inf: it stays a word


class WhatIfError(ValueError):
    """A change that cannot be read, or made; one line."""


#: Keys of an experiment file, and what they are called where a run is changed.
ALIASES = {"optimizer.name": "optimizer", "data.batch_size": "batch_size"}


def words(change: Change) -> str:
    """As it is read: ``lr=/10``."""
    return f"{change.key}={change.value:g}" if isinstance(change.value, float) else f"{change.key}={change.value}"
