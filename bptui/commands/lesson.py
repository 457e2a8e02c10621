"""``bptui lesson``: learn backpropagation on a network that is small enough to follow with pencil and paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from bptui.commands.common import add_screen, check_terminal, launch_run, show


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="backprop", metavar="NAME", help="which lesson (default: backprop)")
    parser.add_argument("--again", action="store_true", help="from its first step")
    add_screen(parser)


def act(arguments: argparse.Namespace) -> int:
    from bptui.lessons.course import experiment_of
    from bptui.runs.paths import make_runs_root
    from bptui.spec.experiment import Experiment

    experiment = experiment_of(arguments.name)
    check_terminal()
    how = argparse.Namespace(engine="numpy", device="cpu", probe_budget=3.0, data_dir=[], weights=None)

    def relaunch(changed: Experiment) -> Path:
        return launch_run(changed, how, interactive=True, pace=0.0)

    make_runs_root()
    lesson = (arguments.name, bool(arguments.again))
    return show(arguments, lambda: relaunch(experiment), experiment, relaunch, lesson=lesson)
