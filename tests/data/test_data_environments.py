"""Environments and the episodes that are played in them: the equations of motion, returns, advantages, places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptui.data import DataError, Rollouts, Scaler, load
from bptui.data.environments import ENVIRONMENTS, CartPole
from bptui.data.rollouts import advantages, drawn, draws, play, returns_to_go
from bptui.philox import Stream
from bptui.spec.experiment import Data, MeanSquaredError

POLE = CartPole()
RAW = Scaler("none", np.zeros(4), np.ones(4))


def upright(x: Any) -> Any:
    """Pushes to where the pole leans: logits (N, 2)."""
    lean = x[:, 2] + 0.5 * x[:, 3]
    return np.stack([-lean, lean], axis=1)


def to_the_right(x: Any) -> Any:
    return np.tile([0.0, 9.0], (len(x), 1))


def played(policy: Any, episodes: int = 7, limit: int = 60, index: int = 0, *, greedy: bool = True) -> Any:
    uniform = Stream(3, "test").uniform(index, draws(POLE, episodes, limit))
    return play(POLE, policy, RAW, np.float64, uniform, episodes=episodes, limit=limit, greedy=greedy)


def made(policy: Any = upright, **keys: Any) -> Rollouts:
    data = Data(source="cart-pole", **{"batch_size": 4, "episodes": 10, "episode_steps": 30, **keys})
    return Rollouts(POLE, policy, RAW, np.float32, data, seed=1)


def test_the_pole_moves_as_its_two_equations_say() -> None:
    """(M + m)ẍ + mlθ̈cos θ = F + mlθ̇²sin θ, and ẍcos θ + (4/3)lθ̈ = g·sin θ, solved together for each state."""
    draw = np.random.default_rng(0)
    states = draw.uniform(-0.2, 0.2, (50, 4)) * [10, 10, 1, 10]
    actions = draw.integers(0, 2, 50)
    moved = POLE.step(states, actions)
    for (x, v, angle, spin), action, after in zip(states, actions, moved.states, strict=True):
        force = 10.0 if action == 1 else -10.0
        sides = np.array([[1.1, 0.05 * np.cos(angle)], [np.cos(angle), 4.0 / 3.0 * 0.5]])
        pushes = np.array([force + 0.05 * spin**2 * np.sin(angle), 9.8 * np.sin(angle)])
        speeding, turning = np.linalg.solve(sides, pushes)
        wanted = [x + 0.02 * v, v + 0.02 * speeding, angle + 0.02 * spin, spin + 0.02 * turning]
        np.testing.assert_allclose(after, wanted, rtol=1e-12)
    assert moved.rewards.tolist() == [1.0] * 50


@pytest.mark.parametrize(
    ("state", "ended"),
    [([2.39, 0, 0, 0], False), ([2.41, 0, 0, 0], True), ([-2.41, 0, 0, 0], True), ([0, 0, 0.2093, 0], False),
     ([0, 0, 0.2096, 0], True), ([0, 0, -0.2096, 0], True)],
)  # fmt: skip
def test_an_episode_fails_beyond_twelve_degrees_and_off_the_track(state: list[float], ended: bool) -> None:
    assert POLE.step(np.array([state], np.float64), np.array([0])).ended.tolist() == [ended]


def test_episodes_end_each_at_its_own_time_and_at_the_limit() -> None:
    falls, stands = played(to_the_right), played(upright)
    assert (falls.returns < 13).all() and len(falls.there) == falls.returns.max() < 60
    assert (stands.returns == 60).all() and stands.there.all()
    assert (falls.rewards == falls.there).all()
    rows, steps = falls.rows(falls.x), falls.returns.astype(int)
    assert len(rows) == steps.sum()
    np.testing.assert_array_equal(rows[: steps[0]], falls.x[: steps[0], 0])  # one episode after the other
    assert len(np.unique(falls.x[0], axis=0)) == 7  # each begins elsewhere
    assert (np.abs(falls.x[0]) <= 0.05).all()


def test_actions_are_drawn_by_their_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.2, 0.3]]))
    even = (np.arange(1000) + 0.5) / 1000
    assert np.bincount(drawn(np.repeat(logits, 1000, 0), even)).tolist() == [500, 200, 300]
    assert drawn(np.array([[0.0, 900.0], [900.0, 0.0]]), np.array([0.0, 1.0 - 2.0**-53])).tolist() == [1, 0]


def test_returns_advantages_and_their_baselines() -> None:
    rewards = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(returns_to_go(rewards, 0.5), [[1.75, 1.0], [1.5, 0.0], [1.0, 0.0]])
    few = played(to_the_right)
    there, found = few.there, returns_to_go(few.rewards, 0.9)
    for baseline in ("step", "batch", "none"):
        weights = advantages(few, 0.9, baseline)  # type: ignore[arg-type]
        assert weights[there].std() == pytest.approx(1.0)
        if baseline == "step":
            assert np.abs((weights * there).sum(axis=1)).max() < 1e-9
            assert (weights[-1][there[-1]] == 0).all() or there[-1].sum() > 1
        elif baseline == "batch":
            assert weights[there].sum() == pytest.approx(0.0, abs=1e-9)
        else:
            np.testing.assert_allclose(weights[there] * found[there].std(), found[there])
    assert np.isfinite(advantages(played(upright), 1.0, "step")).all()  # all alike: nothing to learn, and no 0/0


def test_a_place_gives_its_episodes_again_and_another_place_others() -> None:
    rollouts, again = made(), made()
    given = [rollouts.next() for _ in range(4)]
    assert [len(np.unique(batch.x[batch.x[:, 1] ** 2 <= 0.0025], axis=0)) > 0 for batch in given] == [True] * 4
    assert (rollouts.epoch, rollouts.offset, rollouts.steps_per_epoch) == (1, 1, 3)
    assert not np.array_equal(given[0].x, given[3].x[: len(given[0].x)])
    assert len(given[2].x) <= 2 * 30  # what is left of ten episodes
    again.load_state({"epoch": np.array(0), "offset": np.array(2), "rows": np.array(10), "batch_size": np.array(4)})
    for wanted in given[2:]:
        for batch in (again.peek(), again.next()):
            for name in ("x", "y", "weights"):
                assert getattr(batch, name).tobytes() == getattr(wanted, name).tobytes(), name
    assert given[0].x.dtype == given[0].weights.dtype == np.float32  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="batch_size is 4 here, the state was saved with 5"):
        again.load_state({"epoch": np.array(0), "offset": np.array(0), "batch_size": np.array(5)})
    with pytest.raises(ValueError, match="no place 3 in epoch 0 of 3 batches"):
        again.load_state({"epoch": np.array(0), "offset": np.array(3)})


def test_figures_are_of_the_episodes_given_and_of_no_others() -> None:
    rollouts = made(to_the_right, batch_size=10)
    assert rollouts.figures() == {}
    rollouts.peek()
    assert rollouts.figures() == {}
    batches = [rollouts.next(), rollouts.next()]
    assert rollouts.figures() == {"train_return": sum(len(batch.x) for batch in batches) / 20}
    assert rollouts.figures() == {}


def test_what_is_loaded_of_an_environment() -> None:
    data = load(Data(source="cart-pole", episodes=20), seed=4)
    assert (data.task, data.features, data.outputs) == ("policy", 4, 2)
    assert data.environment is ENVIRONMENTS["cart-pole"] and data.validation is data.test is None
    assert data.class_names == ("left", "right") and data.scaler.kind == "none"
    assert 20 * 9 < len(data.train) < 20 * 60
    assert "played by chance" in data.notes[0]
    labelled = load(Data(source="cart-pole", episodes=20, task="classification"))  # its rows are data like others
    assert labelled.environment is None and labelled.validation is not None


def test_what_does_not_fit_is_one_line() -> None:
    with pytest.raises(DataError, match="cart-pole: a policy needs the loss cross_entropy, not mse"):
        load(Data(source="cart-pole", task="policy"), loss=MeanSquaredError())
    with pytest.raises(DataError, match="moons: a policy needs an environment to play in, such as cart-pole"):
        load(Data(source="moons", task="policy"))
