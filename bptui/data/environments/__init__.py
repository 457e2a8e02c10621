"""Worlds that a policy is learned in: one file each, and its row here and in ``spec.sources``."""

from __future__ import annotations

from bptui.data.environments.base import Environment as Environment
from bptui.data.environments.base import Moved as Moved
from bptui.data.environments.base import States as States
from bptui.data.environments.cart_pole import CartPole

ENVIRONMENTS: dict[str, Environment] = {each.name: each for each in (CartPole(),)}
