"""What survives when one of the three processes is killed, with the real trainer; and what a terminal is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import Terminal

from bptui.runs.info import RunInfo, alive, read_info

BPTUI = [sys.executable, "-m", "bptui"]
ENDLESS = ["digits", "--epochs", "1000000", "--pace", "200"]


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return value


def step_of(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def losses_of(run: Path) -> list[float | None]:
    from bptui.runs.report import report

    return list(report(run)["losses"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def started(terminal: Terminal, home: Path) -> tuple[Path, RunInfo]:
    """Run it in the screen, until some steps are done; the run and what it says of its processes."""
    terminal.wait_for("READY")
    terminal.press("space")
    terminal.wait_for(lambda t: step_of(t) >= 30)
    (run,) = (home / "runs").iterdir()
    return run, read_info(run)


def stop(run: Path, home: Path) -> None:
    done = subprocess.run(
        [*BPTUI, "stop", run.name],
        env={**os.environ, "BPTUI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["kill", "hang-up"])
def test_training_outlives_its_screen(home: Path, how: str) -> None:
    with Terminal([*BPTUI, *ENDLESS], env={"BPTUI_HOME": str(home)}) as terminal:
        run, info = started(terminal, home)
        seen = step_of(terminal)
        if how == "kill":
            terminal.signal(signal.SIGKILL)
        else:
            terminal.hang_up()
    assert alive(info.trainer_pid, info.trainer_start)
    with Terminal([*BPTUI, "attach", run.name], env={"BPTUI_HOME": str(home)}) as terminal:
        terminal.wait_for(lambda t: step_of(t) > seen + 20)
        stop(run, home)
    losses = until(lambda: not alive(info.trainer_pid, info.trainer_start) and losses_of(run))
    assert len(losses) > seen
    assert None not in losses, "the whole history, without a gap"


def test_a_killed_trainer_leaves_a_run_that_opens_up_to_its_last_step(home: Path) -> None:
    with Terminal([*BPTUI, *ENDLESS], env={"BPTUI_HOME": str(home)}) as terminal:
        run, info = started(terminal, home)
        os.kill(info.trainer_pid, signal.SIGKILL)
        terminal.wait_for(re.compile("STALE|FAILED"))
        last = step_of(terminal)
        terminal.press("q")
        terminal.wait_exit()
    losses = losses_of(run)
    assert len(losses) >= last
    assert None not in losses
    with Terminal([*BPTUI, "open", run.name], env={"BPTUI_HOME": str(home)}) as terminal:
        terminal.wait_for(lambda t: step_of(t) == len(losses))
        terminal.wait_for(re.compile("train .* val"))
        terminal.press("q")
        assert terminal.wait_exit() == 0


def test_a_killed_hub_is_replaced_and_nothing_is_lost(home: Path) -> None:
    with Terminal([*BPTUI, *ENDLESS], env={"BPTUI_HOME": str(home)}) as terminal:
        run, info = started(terminal, home)
        seen = step_of(terminal)
        os.kill(info.hub_pid, signal.SIGKILL)
        until(lambda: not alive(info.hub_pid, info.hub_start))
        assert alive(info.trainer_pid, info.trainer_start)
        terminal.wait_for(lambda t: step_of(t) > seen + 100)  # the screen finds its way back by itself
        stop(run, home)
    losses = until(lambda: not alive(info.trainer_pid, info.trainer_start) and losses_of(run))
    assert len(losses) > seen + 100
    assert None not in losses, "the whole history, without a gap"


def test_train_shows_a_bar_on_a_terminal(home: Path) -> None:
    with Terminal(
        [*BPTUI, "train", "digits", "--epochs", "40"], rows=12, columns=110, env={"BPTUI_HOME": str(home)}
    ) as t:
        t.wait_for(re.compile(r"digits · 64-32-16-10 .*/1800"))
        assert t.wait_exit() == 0
        assert "completed · 1,800 steps" in t.text


@pytest.mark.parametrize(
    ("rows", "columns", "term", "told"),
    [(8, 120, "xterm-256color", "too small"), (36, 30, "xterm-256color", "too small"), (36, 120, "dumb", "TERM=dumb")],
)
def test_a_terminal_that_cannot_show_a_screen_is_told_so(
    home: Path, rows: int, columns: int, term: str, told: str
) -> None:
    environment = {"BPTUI_HOME": str(home), "TERM": term}
    with Terminal(BPTUI, rows=rows, columns=columns, env=environment) as terminal:
        assert terminal.wait_exit() == 2
        assert told in terminal.text.replace("\n", "")
    assert not (home / "runs").exists()


def test_torch_that_is_not_there_is_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n_find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else _find(name, package)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*BPTUI, "train", "digits", "--engine", "torch"],
        env={**os.environ, "BPTUI_HOME": str(home), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "torch is not installed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (home / "runs").exists()


def test_ls_names_what_there_is(home: Path) -> None:
    environment = {**os.environ, "BPTUI_HOME": str(home)}

    def ls(*words: str) -> str:
        return subprocess.run(
            [*BPTUI, "ls", *words], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert "no runs yet" in ls()
    assert json.loads(ls("--json")) == []
    subprocess.run(
        [*BPTUI, "train", "xor", "--steps", "5", "--quiet"], env=environment, capture_output=True, check=True
    )
    (entry,) = json.loads(ls("--json"))
    assert (entry["state"], entry["step"], entry["live"]) == ("DONE", 5, False)
    assert entry["id"] in ls()
