"""Batches that the present policy plays: whole episodes of an environment, weighed by what came of each action.

REINFORCE (Williams 1992) with returns-to-go: of the steps t of all episodes of an update,

    G_t = r_t + γ·r_{t+1} + γ²·r_{t+2} + …      A_t = (G_t − b) / σ      L = −(1/N)·Σ A_t·log π(a_t | s_t)

which is the cross-entropy of the actions taken, each weighed by its advantage A: its return less a baseline b, by the
standard deviation σ of the batch.

Beginnings and actions come from ``Stream(seed, "rollouts")`` at (epoch, offset): the same policy at the same place
plays the same episodes again, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.environments import Environment
from bptui.data.raw import Indices
from bptui.data.scaling import Scaler
from bptui.engine.base import Batch
from bptui.philox import Stream
from bptui.spec.experiment import Baseline, Data

Floats = npt.NDArray[np.float64]
Policy = Callable[[npt.NDArray[Any]], npt.NDArray[np.floating]]
"""Scaled observations (N, features) → the logits of the actions (N, actions)."""
#: Of the standard deviation of returns-to-go that is divided by; where all are alike nothing is learned.
_LEAST = 1e-8


@dataclass(frozen=True, slots=True)
class Played:
    """Episodes side by side, (T, E): row t holds the t-th step of each; ``there`` says which have one."""

    x: npt.NDArray[Any]
    """(T, E, features), scaled."""
    actions: npt.NDArray[np.int64]
    rewards: Floats
    """0 where there is no step."""
    there: npt.NDArray[np.bool_]

    def rows(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``values`` (T, E, …) of the steps that there are, (N, …): one episode after the other."""
        return np.asarray(np.swapaxes(values, 0, 1)[self.there.T])

    @property
    def returns(self) -> Floats:
        """(E,): the sum of each episode's rewards."""
        return np.asarray(self.rewards.sum(axis=0))


def play(
    environment: Environment,
    policy: Policy,
    scaler: Scaler,
    dtype: npt.DTypeLike,
    uniform: Floats,
    *,
    episodes: int,
    limit: int,
    greedy: bool = False,
) -> Played:
    """``episodes`` whole episodes of at most ``limit`` steps.

    ``uniform``: ``draws(…)`` numbers in [0, 1), of which beginnings and actions are made; ``greedy``: the action of the
    largest logit is taken (the first of equal ones), and only the beginnings take numbers.
    """
    width = len(environment.features)
    states = environment.begin(uniform[: episodes * environment.drawn].reshape(episodes, environment.drawn))
    chances = uniform[episodes * environment.drawn :]
    x = np.zeros((limit, episodes, width), dtype)
    actions, rewards = np.zeros((limit, episodes), np.int64), np.zeros((limit, episodes))
    there, going = np.zeros((limit, episodes), bool), np.ones(episodes, bool)
    lasted = limit
    for t in range(limit):
        x[t] = scaler.apply(environment.observe(states), dtype)
        logits = policy(x[t])
        actions[t] = logits.argmax(axis=1) if greedy else drawn(logits, chances[t * episodes : (t + 1) * episodes])
        moved = environment.step(states, actions[t])
        there[t], rewards[t] = going, np.where(going, moved.rewards, 0.0)
        states = np.where(going[:, None], moved.states, states)
        going &= ~moved.ended
        if not going.any():
            lasted = t + 1
            break
    return Played(x[:lasted], actions[:lasted], rewards[:lasted], there[:lasted])


def draws(environment: Environment, episodes: int, limit: int) -> int:
    """How many uniform numbers ``episodes`` take."""
    return episodes * (environment.drawn + limit)


def drawn(logits: npt.NDArray[np.floating], chances: Floats) -> npt.NDArray[np.int64]:
    """An action (N,) a row, by its softmax: the first whose chances, added up, exceed the uniform number."""
    z = np.asarray(logits, np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    reached = np.cumsum(p, axis=1)
    passed = chances[:, None] * reached[:, -1:] >= reached[:, :-1]
    return np.asarray(passed.sum(axis=1), np.int64)


def returns_to_go(rewards: Floats, discount: float) -> Floats:
    """G_t (T, E) of rewards (T, E)."""
    found, ahead = np.empty_like(rewards), np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + discount * ahead
        found[t] = ahead
    return found


def advantages(played: Played, discount: float, baseline: Baseline) -> Floats:
    """A_t (T, E): returns-to-go less the baseline, by the standard deviation of what is left.

    ``step``: the baseline is the mean of the episodes that are still played at step t, so that what the limit of an
    episode cuts off is no fault of its last actions; ``batch``: one mean of all steps; ``none``: 0.
    """
    there = played.there
    found = returns_to_go(played.rewards, discount)
    if baseline == "step":
        found -= (found * there).sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True)
    elif baseline == "batch":
        found -= found[there].mean()
    return np.asarray(found / (found[there].std() + _LEAST))


class Rollouts:
    """Endless batches of episodes that ``policy`` plays when they are asked for; the surface is that of ``Batches``.

    An epoch is ``data.episodes`` episodes, ``data.batch_size`` of them a batch, the last batch what is left. Nothing is
    kept of a batch: ``peek`` plays the coming episodes, and so does ``next``, with the policy as it then is.
    """

    def __init__(
        self, environment: Environment, policy: Policy, scaler: Scaler, dtype: npt.DTypeLike, data: Data, seed: int
    ) -> None:
        self._environment, self._policy, self._scaler, self._dtype = environment, policy, scaler, dtype
        self._limit = data.episode_steps or environment.limit
        self._discount, self._baseline = data.discount, data.baseline
        self.samples = data.episodes
        self.batch_size = min(data.batch_size, self.samples)
        self.steps_per_epoch = -(-self.samples // self.batch_size)
        self._stream = Stream(seed, "rollouts")
        self.epoch = 0
        """The epoch, from 0, of the coming batch."""
        self.offset = 0
        """How many batches of that epoch have been given."""
        self._returns: list[Floats] = []

    def next(self) -> Batch:
        """The episodes of the present policy at this place, which moves on by one."""
        played = self._play()
        self._returns.append(played.returns)
        self.offset += 1
        if self.offset == self.steps_per_epoch:
            self.epoch, self.offset = self.epoch + 1, 0
        return self._batch(played)

    def peek(self) -> Batch:
        """What ``next`` will give if the policy stays as it is; nothing moves."""
        return self._batch(self._play())

    def rows(self, given: bool = False) -> Indices:
        """No rows of any part are in these batches."""
        return np.zeros(0, np.intp)

    def figures(self) -> dict[str, float]:
        """``train_return``, the mean of the episodes given since it was asked the last time; empty: none were."""
        returns, self._returns = self._returns, []
        return {"train_return": float(np.concatenate(returns).mean())} if returns else {}

    def _play(self) -> Played:
        episodes = min(self.batch_size, self.samples - self.offset * self.batch_size)
        uniform = self._stream.uniform(self.epoch << 32 | self.offset, draws(self._environment, episodes, self._limit))
        return play(
            self._environment, self._policy, self._scaler, self._dtype, uniform, episodes=episodes, limit=self._limit
        )

    def _batch(self, played: Played) -> Batch:
        weights = advantages(played, self._discount, self._baseline).astype(self._dtype)
        return Batch(played.rows(played.x), played.rows(played.actions), weights=played.rows(weights))

    # -- state -------------------------------------------------------------------------------------
    def state(self) -> dict[str, npt.NDArray[np.int64]]:
        """The place, as arrays: ``epoch``, ``offset``; ``rows`` (episodes) and ``batch_size`` to know a misfit by."""
        place = {"epoch": self.epoch, "offset": self.offset, "rows": self.samples, "batch_size": self.batch_size}
        return {key: np.array(value, np.int64) for key, value in place.items()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go to a place; ValueError where the state is of other epochs or another batch size."""
        for key, mine in (("rows", self.samples), ("batch_size", self.batch_size)):
            if key in state and int(state[key]) != mine:
                raise ValueError(f"episodes: {key} is {mine} here, the state was saved with {int(state[key])}")
        epoch, offset = int(state["epoch"]), int(state["offset"])
        if epoch < 0 or not 0 <= offset < self.steps_per_epoch:
            raise ValueError(f"episodes: no place {offset} in epoch {epoch} of {self.steps_per_epoch} batches")
        self.epoch, self.offset, self._returns = epoch, offset, []
