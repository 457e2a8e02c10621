"""What an environment is: a world that answers actions, many episodes of it side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

States = npt.NDArray[np.float64]


class Moved(NamedTuple):
    """What actions led to: states (N, k), rewards (N,), and which episodes have ended in them (N,)."""

    states: States
    rewards: npt.NDArray[np.float64]
    ended: npt.NDArray[np.bool_]


class Environment(ABC):
    """One world, without a state of its own: what it is in is given and handed back, an episode a row.

    Nothing here is random: a beginning is made of uniform numbers that are given. So an episode is known by them and
    by the actions taken, and can be played again bit for bit.
    """

    name: ClassVar[str]
    features: ClassVar[tuple[str, ...]]
    """What the numbers of an observation are called."""
    actions: ClassVar[tuple[str, ...]]
    """What can be done, at least two things; an action is its number."""
    limit: ClassVar[int]
    """Steps after which an episode customarily ends by itself."""
    drawn: ClassVar[int]
    """Uniform numbers that one beginning takes."""

    @abstractmethod
    def begin(self, uniform: npt.NDArray[np.float64]) -> States:
        """(N, drawn) numbers in [0, 1) → (N, k) states that N episodes begin in."""

    @abstractmethod
    def step(self, states: States, actions: npt.NDArray[np.integer[Any]]) -> Moved:
        """One step of N episodes: (N, k) states, (N,) actions."""

    def observe(self, states: States) -> States:
        """(N, features): what of a state the policy sees; all of it unless an environment says otherwise."""
        return states
