"""Starts a run: its directory, its ring, and a hub that outlives this process."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bptui.runs.info import RunError, RunInfo, write_info
from bptui.runs.paths import make_runs_root, new_id, socket_addresses, whole
from bptui.runs.ring import Ring

if TYPE_CHECKING:
    from bptui.spec.experiment import Experiment


class Start(msgspec.Struct, frozen=True):
    """How a changed experiment is started, where not as the run before it. Empty texts: as that one."""

    engine: str = ""
    device: str = ""
    weights: str = ""
    """A keyframe: the layers whose name and shape fit start from its weights."""


_hubs: dict[Path, subprocess.Popen[bytes]] = {}
"""The hub last started here for each run."""
_running: list[subprocess.Popen[bytes]] = []
"""Every hub started here that has not been seen to end: kept, so that it can be reaped."""


@atexit.register
def _let_go() -> None:
    """The hubs are meant to outlive this process: that is no mistake to warn of."""
    for hub in _running:
        if hub.poll() is None:
            hub.returncode = 0


def launch(
    experiment: Experiment, *, title: str, engine: str = "auto", device: str = "auto", interactive: bool = False,
    pace: float = 0.0, probe_budget: float = 0.03, data_dirs: Sequence[str | Path] = (),
    until: str = "", breaks: Sequence[str] = (), weights: str = "", weights_partial: bool = False,
    keyframe_budget: int = 256 << 20, argv: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Make the run directory and start its hub, which starts the trainer; returns the directory at once.

    RunError in one line if the home of runs cannot be written; then nothing is left behind.
    """
    return _launch(
        experiment.experiment.name or title, hub=True, title=title, interactive=interactive,
        spec=msgspec.to_builtins(experiment), engine=engine, device=device, pace=pace,
        probe_budget=probe_budget, until=until, breaks=tuple(breaks),
        data_dirs=tuple(os.path.abspath(folder) for folder in data_dirs),
        weights=weights, weights_partial=weights_partial, keyframe_budget=keyframe_budget, argv=tuple(argv),
    )  # fmt: skip


def launch_script(
    words: Sequence[str], *, headless: bool = True, probe_budget: float = 0.03, breaks: Sequence[str] = (),
    hold_on_error: bool = False, title: str = "",
) -> Path:  # fmt: skip
    """Make the run directory of a user's script: ``SCRIPT ARGUMENTS…`` or ``-m MODULE ARGUMENTS…``.

    ``headless``: the script's process is the caller's affair, and starts the hub itself. Else the hub is started
    here, and starts the script with its output in trainer.log. RunError as for ``launch``.
    """
    named = words[1] if words[:1] == ["-m"] else os.path.basename(words[0]).removesuffix(".py") if words else title
    return _launch(
        title or named, hub=not headless, title=title or named, mode="script", probe_budget=probe_budget,
        breaks=tuple(breaks), hold_on_error=hold_on_error, argv=tuple(words),
    )  # fmt: skip


def _launch(name: str, *, hub: bool, **fields: Any) -> Path:
    """A run directory with its run.json and its ring; with ``hub``, a hub that starts the trainer."""
    root = make_runs_root()
    hub_address = trainer_address = ""
    for _ in range(8):
        run = root / new_id(name)
        try:
            run.mkdir()
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(f"{run}: {error.strerror}") from None
    else:
        raise RunError(f"{root}: no free name for a run")
    with whole(run, str(run)):
        hub_address, trainer_address = socket_addresses(run)
        Ring.create(run / "ring").close()
        write_info(run, RunInfo(
            id=run.name, created=time.time(), cwd=os.getcwd(), host=platform.node(), boot_id=boot_id(),
            versions={"python": platform.python_version()},
            address=hub_address, trainer_address=trainer_address, **fields,
        ))  # fmt: skip
        if hub:
            start_hub(run)
    return run


def discard(run: Path) -> None:
    """Remove the directory of a run that never began (its input was bad)."""
    shutil.rmtree(run, ignore_errors=True)


def start_hub(run: Path, *, adopt: bool = False) -> None:
    """Start a hub of its own session, so that neither a hang-up nor the end of this process ends it."""
    _running[:] = [hub for hub in _running if hub.poll() is None]
    with open(run / "hub.log", "ab") as output:
        hub = subprocess.Popen(
            [sys.executable, "-P", "-m", "bptui.hub", str(run), *(["--adopt"] if adopt else [])],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment(),
        )  # fmt: skip
    _hubs[run] = hub
    _running.append(hub)


def hub_ended(run: Path) -> bool:
    """Whether the hub that this process started for the run has ended already."""
    hub = _hubs.get(run)
    return hub is not None and hub.poll() is not None


def started_here(run: Path) -> bool:
    """Whether this process started the run's hub, and it lives."""
    hub = _hubs.get(run)
    return hub is not None and hub.poll() is None


def boot_id() -> str:
    """Names this boot of this machine (Linux), else empty: a pid of another boot means nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def environment() -> dict[str, str]:
    """For a process of bptui's own, started with ``-P``: it is told where bptui is, if the current folder told us."""
    environment = dict(os.environ)
    here = str(Path(__file__).resolve().parents[2])
    entries = sys.path if sys.flags.safe_path else sys.path[1:]
    if here not in (os.path.abspath(entry) for entry in entries if entry) or "PYTHONPATH" in environment:
        paths = [here, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(map(os.path.abspath, paths)))
    return environment
