"""The governor, with made-up clocks."""

from __future__ import annotations

import pytest

from bptui.probe.governor import Allowance, Governor


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


def test_the_first_probe_of_a_run_does_not_put_off_the_others() -> None:
    governor = Governor(0.03, table=Allowance(0.5, 200.0))
    governor.begin(0.0)
    governor.ran("table", 0, 2e-4)  # before any unwatched step: how long one takes is not known
    assert governor.allowances["table"].next_step <= 32
    governor.stepped(1e-4)
    governor.ran("table", 16, 2e-4)
    assert 16 + 100 <= governor.allowances["table"].next_step <= 16 + 200
