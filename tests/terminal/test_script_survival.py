"""What a user's script does not notice, and what its shell is told when it has ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import Terminal
from small_scripts import environment, script, whole

from bptui.runs.info import alive, read_info
from bptui.runs.report import report

BPTUI = [sys.executable, "-m", "bptui"]
PATIENCE = 120.0


def step_of(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def beyond(step: int) -> Callable[[Terminal], bool]:
    return lambda terminal: "RUNNING" in terminal.line(0) and step_of(terminal) > step


def test_a_script_outlives_its_screens_and_its_hub(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal([*BPTUI, "run", str(script(tmp_path))], env=environment(home)) as terminal:
        terminal.wait_for(beyond(3), PATIENCE)
        (run,) = (home / "runs").iterdir()
        pid = read_info(run).trainer_pid
        seen = step_of(terminal)
        terminal.hang_up()
    attach = [*BPTUI, "attach", run.name]
    with Terminal(attach, env=environment(home)) as terminal:
        terminal.wait_for(beyond(seen), PATIENCE)
        terminal.signal(signal.SIGKILL)
    with Terminal(attach, env=environment(home)) as terminal:
        terminal.wait_for(beyond(seen), PATIENCE)
        seen, info = step_of(terminal), read_info(run)
        os.kill(info.hub_pid, signal.SIGKILL)
        terminal.wait_for(lambda t: not alive(info.hub_pid, info.hub_start), PATIENCE)
        terminal.wait_for(beyond(seen + 20), PATIENCE)  # another hub has adopted the script
        again = read_info(run)
        assert again.trainer_pid == pid and again.hub_pid != info.hub_pid
        terminal.press("q")
        terminal.wait_for("Stop after this step and keep the run")
        terminal.press("down", "enter")
        terminal.wait_exit(PATIENCE)
    losses = report(run)["losses"]
    assert len(losses) > seen + 20
    assert None not in losses, "the whole history, without a gap"


@pytest.mark.parametrize(
    ("end", "status"),
    [("pass", 0), ("raise SystemExit(3)", 3), ("raise ValueError('no')", 1),
     ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL), ("import os; os._exit(7)", 7)],
    ids=["done", "exit", "exception", "killed", "at-once"],
)  # fmt: skip
def test_the_exit_status_is_the_scripts(tmp_path: Path, end: str, status: int) -> None:
    path, home = tmp_path / "ends.py", tmp_path / "home"
    path.write_text(f"print('out', flush=True)\n{end}\n")
    done = headless(path, home)
    assert done.returncode == status
    assert done.stdout == "out\n"
    (run,) = (home / "runs").iterdir()
    end_of = report(run)["exit"]
    assert (end_of["code"], end_of["reason"]) == (
        status if status >= 0 else 128 - status,
        "completed" if not status else "crashed" if status < 0 else "failed",
    )


def headless(path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BPTUI, "run", "--headless", path], env=whole(home), capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip


def test_a_script_that_takes_other_arguments_says_so_on_the_screen_and_is_kept(tmp_path: Path) -> None:
    path, home = tmp_path / "wants.py", tmp_path / "home"
    path.write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--rate', required=True)\nparser.parse_args()\n"
    )
    with Terminal([*BPTUI, "run", str(path)], rows=24, columns=80, env=environment(home)) as terminal:
        terminal.wait_for("FAILED", PATIENCE)
        terminal.wait_for(re.compile(r"the following arguments are(?s:.)*required: --rate"), PATIENCE)
        terminal.press("q")
        assert terminal.wait_exit(PATIENCE) == 2
    (run,) = (home / "runs").iterdir()
    told: dict[str, Any] = report(run)["exit"]
    assert (told["code"], told["reason"]) == (2, "failed")


def test_a_held_script_shows_its_exception_and_ends_when_it_is_let_to(tmp_path: Path) -> None:
    path, home = tmp_path / "raises.py", tmp_path / "home"
    path.write_text("print('before')\nraise ValueError('a bad day')\n")
    command = [*BPTUI, "run", "--hold-on-error", str(path)]
    with Terminal(command, rows=24, columns=80, env=environment(home)) as terminal:
        terminal.wait_for(lambda t: "HELD" in t.line(0), PATIENCE)
        terminal.wait_for("ValueError: a bad day")
        terminal.press("t")
        terminal.wait_for("before")
        terminal.press("escape")
        terminal.press("q")
        terminal.wait_for("Let the script end with its exception")
        terminal.press("enter")
        assert terminal.wait_exit(PATIENCE) == 1
    (run,) = (home / "runs").iterdir()
    assert report(run)["exit"]["error"] == "ValueError: a bad day"
