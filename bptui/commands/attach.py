"""``bptui attach``: a run that is going on, with its whole history."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.commands.common import add_screen, check_terminal, launch_run, show

if TYPE_CHECKING:
    from bptui.client.launch import Start
    from bptui.spec.experiment import Experiment


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="id, unique prefix, 'latest', pid or path"
    )
    parser.add_argument("--observe", action="store_true", help="look on, without control")
    add_screen(parser)


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    directory = resolve(arguments.run)
    check_terminal()
    return show(arguments, lambda: directory, recorded(directory), relauncher(directory), observe=arguments.observe)


def recorded(directory: Path) -> Experiment | None:
    """The experiment of a run; None if its file does not hold one (a script's run)."""
    from bptui.runs.info import read_info
    from bptui.spec.load import SpecError, from_dict

    try:
        return from_dict(read_info(directory).spec)
    except SpecError:
        return None


def relauncher(directory: Path) -> Callable[..., Path] | None:
    """Starts a changed experiment as the run in ``directory`` was started; None: it is a script's run."""
    from bptui.runs.info import read_info

    info = read_info(directory)
    if info.mode == "script":
        return None
    arguments = argparse.Namespace(
        engine=info.engine,
        device=info.device,
        probe_budget=info.probe_budget * 100,
        keyframe_budget=max(info.keyframe_budget >> 20, 1),
        data_dir=info.data_dirs,
        weights=info.weights,
    )

    def relaunch(changed: Experiment, start: Start | None = None) -> Path:
        return launch_run(changed, arguments, interactive=True, pace=info.pace, start=start)

    return relaunch
