"""A plain script under bptui: its run directory, how it ended, and what the record says."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features import Row
from script_runs import LIMIT, Ran, Scripts, Wanted, command

from bptui.client.launch import launch_script
from bptui.runs.info import read_info
from bptui.runs.paths import runs_root
from bptui.runs.report import report


@dataclass
class Observed:
    """``ran`` holds what the script wrote and its exit status; ``report``, once its hub has filed all, is the run's."""

    ran: Ran
    run: Path

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        return recorded(self.run)


def observe(scripts: Scripts, row: Row, *, budget: float = 1.0, fault: str = "") -> Observed:
    """Run a script under bptui; every update is sampled unless ``budget`` (a share of time) is smaller."""
    if row.command_line:
        return _by_command(scripts, row, budget)
    run = launch_script(command(row.words), headless=True, probe_budget=budget)
    (ran,) = scripts.run(Wanted(row, "bptui", run, fault))
    return Observed(ran, run)


def _by_command(scripts: Scripts, row: Row, budget: float) -> Observed:
    before = set(runs_root().glob("*"))
    options = ["--headless", "--probe-budget", f"{100 * budget:g}"]
    ran = scripts.command([sys.executable, "-m", "bptui", "run", *options, *command(row.words)], row)
    (run,) = set(runs_root().glob("*")) - before
    return Observed(ran, run)


def recorded(run: Path) -> dict[str, Any]:
    """The report of a run whose script has ended, once its hub has written that."""
    wait_for(lambda: read_info(run).end is not None, f"{run.name}: the hub has not told the end")
    return report(run)


def wait_for(holds: Callable[[], object], otherwise: str, seconds: float = LIMIT) -> None:
    """Looks again and again, for as long as a loaded machine may take."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
