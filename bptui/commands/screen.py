"""``bptui [SPEC|PRESET]``: the screen, ready to run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.commands.common import (
    add_experiment,
    add_screen,
    check_engine,
    check_terminal,
    experiment_of,
    launch_run,
    show,
)

if TYPE_CHECKING:
    from bptui.client.launch import Start
    from bptui.spec.experiment import Experiment

#: Updates a second at which a bare ``bptui`` begins, so that there is something to watch.
FIRST_PACE = 50.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC|PRESET", help="a TOML file or a preset (default: digits)")
    add_experiment(parser)
    add_screen(parser)


def act(arguments: argparse.Namespace) -> int:
    from bptui.runs.paths import make_runs_root

    check_engine(arguments)
    bare = arguments.spec is None
    experiment = experiment_of(arguments, default="digits")
    check_terminal()
    pace = arguments.pace if arguments.pace is not None else (FIRST_PACE if bare else 0.0)

    def relaunch(changed: Experiment, start: Start | None = None) -> Path:
        return launch_run(changed, arguments, interactive=True, pace=pace, start=start)

    make_runs_root()  # a home that cannot be written is told before the screen is taken
    return show(arguments, lambda: relaunch(experiment), experiment, relaunch)
