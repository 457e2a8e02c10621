"""What a rule is: it watches recorded statistics of one run and keeps the findings that stand."""

from __future__ import annotations

import enum
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from bptui.runs.findings import Finding

__all__ = ["Finding", "Model", "Replayer", "Rule", "Stage", "Table"]


class Stage(enum.IntEnum):
    """The order of blame: where several faults hold, the earliest stage is the root cause."""

    DATA = 0
    WIRING = 1
    INITIALISATION = 2
    LEARNING_RATE = 3
    REGULARISATION = 4


@dataclass(frozen=True, slots=True)
class Model:
    """What rules may know of the network."""

    layers: tuple[str, ...] = ()
    epoch_samples: int = 0
    """Samples of one epoch; 0 where unknown."""
    epoch_steps: int = 0
    """Updates of one epoch; 0 where unknown."""


@dataclass(frozen=True, slots=True)
class Table:
    """One sampled per-layer table of state ``step``; ``before``: the step of the sample before it."""

    step: int
    before: int
    columns: Mapping[str, npt.NDArray[np.float32]]
    """By name of ``records.TABLE_COLUMNS``, each (layers,)."""


@dataclass
class Rule(ABC):
    """Base of all rules. A rule answers what it is fed by changing ``findings``; it uses no names of users' things."""

    fault: ClassVar[str]
    stage: ClassVar[Stage]

    findings: dict[str | None, Finding] = field(default_factory=dict)
    """By layer."""

    def table(self, table: Table, model: Model) -> None:  # noqa: B027  a rule takes what it needs
        """A per-layer table was sampled."""

    def losses(self, step: int, values: npt.NDArray[np.float64], model: Model) -> None:  # noqa: B027
        """Losses of states ``step``, ``step`` + 1 … came."""

    def fact(self, step: int, fact: Mapping[str, Any], model: Model) -> None:  # noqa: B027
        """The trainer saw something exact."""


class Replayer(Protocol):
    """Trains a recorded run again from one of its states, so that a finding can be confirmed or a fix proven."""

    def replay(self, step: int, steps: int, changes: Mapping[str, Any]) -> Sequence[float]:
        """Losses of ``steps`` updates from the state at ``step``, with settings changed."""
        ...
