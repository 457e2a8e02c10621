"""An error inside bptui never stops a script: what failed is switched off, and told."""

from __future__ import annotations

import pytest
from features import TABLE
from observed import observe
from script_runs import Scripts

CNN = next(row for row in TABLE if row.script == "cnn.py")


@pytest.mark.parametrize("probe", ["weights", "activations", "deltas", "updates", "histograms"])
def test_a_probe_that_fails_is_switched_off_and_named(probe: str, scripts: Scripts) -> None:
    seen = observe(scripts, CNN, fault=probe)
    assert seen.ran.outcome == scripts.bare(CNN).outcome
    assert seen.ran.stderr == scripts.bare(CNN).stderr
    (off,) = seen.report["probes_off"]
    assert off["probe"] == probe and f"{probe} was made to fail" in off["error"]
    assert seen.report["steps"] == 16 and len(seen.report["losses"]) == 16  # what did not fail goes on


@pytest.mark.parametrize("part", ["discovery", "table", "settings"])
def test_where_bptui_itself_fails_it_lets_go_of_the_script(part: str, scripts: Scripts) -> None:
    seen = observe(scripts, CNN, fault=part)
    assert seen.ran.outcome == scripts.bare(CNN).outcome
    assert seen.report["exit"]["code"] == 0
    assert any(f"{part} was made to fail" in off["error"] for off in seen.report["probes_off"])
