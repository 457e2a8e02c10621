"""The governor and the unit counters, with made-up clocks."""

from __future__ import annotations

import numpy as np
import pytest

from bptui.probe.governor import Allowance, Governor
from bptui.probe.units import UnitCounters


@pytest.mark.parametrize("cost", [1e-5, 1e-4, 3e-3])
def test_probes_stay_inside_the_budget(cost: float) -> None:
    governor = Governor(0.03, table=Allowance(0.5, 1e9), histogram=Allowance(0.5, 1e9))
    governor.begin(0.0)
    now, step_time = 0.0, 2e-5
    runs = 0
    for step in range(200_000):
        now += step_time
        governor.stepped(step_time)
        for name in ("table", "histogram"):
            if governor.due(name, step):
                now += cost
                governor.ran(name, step, cost)
                runs += 1
    assert runs >= 2
    first = 2 * cost  # the first time of each cannot be foreseen
    assert (governor.spent - first) / now <= 0.0301


def test_slow_steps_are_all_measured() -> None:
    governor = Governor(0.03, table=Allowance(1.0, 1000.0))
    governor.begin(0.0)
    for step in range(20):
        governor.stepped(0.1)
        assert governor.due("table", step)
        governor.ran("table", step, 1e-4)


def test_share_counts_only_the_time_that_training_ran() -> None:
    governor = Governor(0.03, table=Allowance(1.0, 1000.0))
    governor.begin(0.0)
    governor.ran("table", 0, 0.5)
    governor.end(10.0)
    governor.begin(1000.0)
    assert governor.share(1010.0) == pytest.approx(0.5 / 20)


def test_a_unit_is_dead_after_the_window_and_alive_as_soon_as_it_fires() -> None:
    counters = UnitCounters([3, 2], epoch_samples=100)
    firing = np.array([True, False, True])
    for _ in range(9):
        counters.look([firing, None], 10)
        assert counters.dead(0).tolist() == []  # 90 samples are not enough to say so
    counters.look([firing, None], 10)
    assert counters.dead(0).tolist() == [1]
    counters.look([np.array([False, True, False]), None], 10)
    assert counters.dead(0).tolist() == []


def test_the_window_is_three_thousand_samples_for_large_data() -> None:
    counters = UnitCounters([1], epoch_samples=60_000)
    for _ in range(29):
        counters.look([np.array([False])], 100)
    assert counters.dead(0).tolist() == []
    counters.look([np.array([False])], 100)
    assert counters.dead(0).tolist() == [0]
