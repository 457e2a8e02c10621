"""A pole hinged to a cart that is pushed left or right, to be kept upright.

The equations of motion are those of Barto, Sutton & Anderson 1983, "Neuronlike adaptive elements that can solve
difficult learning control problems" (IEEE Trans. SMC 13), with the constants that have been customary since: without
friction, a push of 10 N either way, Euler's method in steps of 0.02 s. An episode fails when the pole leans by more
than 12° or the cart leaves a track of ±2.4 m. Each step gives a reward of 1, so that a return is the steps that the
pole stood. With episodes of at most 200 steps it customarily counts as solved at a mean return of 195 over 100 episodes
in a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.environments.base import Environment, Moved, States

GRAVITY = 9.8  # m/s²
CART, POLE = 1.0, 0.1  # masses, kg
HALF_LENGTH = 0.5  # of the pole, m
PUSH = 10.0  # N
TIME_STEP = 0.02  # s
TRACK = 2.4  # m, to either side
LEAN = np.deg2rad(12.0)
BEGIN = 0.05  # each number of a beginning lies within ± this


class CartPole(Environment):
    """A state is x (m), ẋ (m/s), θ (rad, upright 0, right positive) and θ̇ (rad/s), and all of it is seen."""

    name = "cart-pole"
    features = ("position", "velocity", "angle", "angular velocity")
    actions = ("left", "right")
    limit = 200
    drawn = 4

    def begin(self, uniform: npt.NDArray[np.float64]) -> States:
        return BEGIN * (2.0 * uniform - 1.0)

    def step(self, states: States, actions: npt.NDArray[np.integer[Any]]) -> Moved:
        x, v, angle, spin = states.T
        push = np.where(actions == 1, PUSH, -PUSH)
        sine, cosine = np.sin(angle), np.cos(angle)
        mass, moment = CART + POLE, POLE * HALF_LENGTH
        common = (push + moment * spin * spin * sine) / mass
        turn = (GRAVITY * sine - cosine * common) / (HALF_LENGTH * (4.0 / 3.0 - POLE * cosine * cosine / mass))  # θ̈
        speed = common - moment * turn * cosine / mass  # ẍ
        moved = np.stack(
            [x + TIME_STEP * v, v + TIME_STEP * speed, angle + TIME_STEP * spin, spin + TIME_STEP * turn], axis=1
        )
        ended = (np.abs(moved[:, 0]) > TRACK) | (np.abs(moved[:, 2]) > LEAN)
        return Moved(moved, np.ones(len(moved)), ended)
