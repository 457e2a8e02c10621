"""``bptui train`` where what it stands on goes away: its hub, its pipe, its terminal's letters, its output's place."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from test_train_command import SECONDS, Ran, gone, train

from bptui.client import headless
from bptui.client.session import ConnectionLost
from bptui.commands.common import UsageError, check_output
from bptui.runs.info import RunInfo, read_info, write_info
from bptui.runs.ring import Ring


def started(home: Path, *words: str) -> subprocess.Popen[str]:
    """``bptui train digits …`` that has told of its first epoch."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bptui", "train", "digits", *words],
        env={**os.environ, "BPTUI_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "step" not in process.stdout.readline():
        pass
    return process


def test_a_hub_that_was_ended_is_replaced_and_the_run_followed_to_its_end(tmp_path: Path) -> None:
    process = started(tmp_path / "home", "--steps", "2000", "--pace", "500", "--report", str(tmp_path / "r.json"))
    (run,) = (tmp_path / "home" / "runs").iterdir()
    first = read_info(run).hub_pid
    os.kill(first, signal.SIGTERM)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out + err
    assert "completed · 2,000 steps" in out
    assert json.loads((tmp_path / "r.json").read_text())["steps"] == 2000
    assert read_info(run).hub_pid != first
    assert gone(tmp_path / "home")


def test_a_pipe_whose_reader_goes_away_ends_the_run(tmp_path: Path) -> None:
    process = started(tmp_path / "home", "--epochs", "100000")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.wait(timeout=SECONDS)
    assert process.stderr.read() == ""
    process.stderr.close()
    assert gone(tmp_path / "home")


def test_a_hub_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreachable:
        async def start(self) -> None:
            raise ConnectionLost("the hub of run a did not start: no room")

    monkeypatch.setattr(headless, "connect", lambda *_, **__: Unreachable())
    run = tmp_path / "a"
    run.mkdir()
    Ring.create(run / "ring").close()
    write_info(run, RunInfo(id="a", title="t", created=1.0))
    with pytest.raises(headless.HeadlessError, match="did not start: no room"):
        headless.follow(run, report=None, fail_on=None, quiet=True)
    assert not run.exists()


def test_a_terminal_of_ascii_shows_what_it_can(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "train", "xor", "--steps", "3", environment={"PYTHONIOENCODING": "ascii"})
    assert (ran.code, ran.err) == (0, "")
    assert "completed ? 3 steps" in ran.out


def test_epochs_asked_for_are_not_cut_short_by_the_steps_of_the_file(tmp_path: Path) -> None:
    _, report = train(tmp_path, "digits", "--set", "stop.steps=7", "--epochs", "1")
    assert report["steps"] == 45


def test_a_report_goes_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    ran = Ran(tmp_path, "train", "xor", "--steps", "3", "--quiet", "--report", str(pipe))
    assert ran.code == 0, ran.err
    reader.join(SECONDS)
    assert json.loads(read[0])["steps"] == 3
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_places_that_take_no_output_are_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere/r.json")
    for name in (tmp_path, tmp_path / "nowhere" / "r.json", tmp_path / "dangling"):
        with pytest.raises(UsageError, match=r"--report .*: cannot be written there"):
            check_output("--report", str(name))
    check_output("--report", "/dev/null")
