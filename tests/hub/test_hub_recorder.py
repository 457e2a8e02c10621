"""What the hub's recorder makes of a ring, without processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bptui.hub.process import TrainerProcess
from bptui.hub.recorder import Recorder
from bptui.runs import logfile
from bptui.runs.events import read_events
from bptui.runs.info import RunInfo, process_start, read_info, write_info
from bptui.runs.ring import Record, Ring


class Bench:
    """A ring that the test writes, and the recorders that read it."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.ring = Ring.create(run / "ring")
        write_info(run, RunInfo(id=run.name, title="t", created=1.0, pace=7.0))
        self._opened: list[Recorder] = []

    def recorder(self) -> Recorder:
        """Another hub's."""
        recorder = Recorder(self.run, read_info(self.run), Ring(self.run / "ring"))
        self._opened.append(recorder)
        return recorder

    def say(self, kind: Record, step: int, /, **content: object) -> None:
        self.ring.write(kind, step, json.dumps(content).encode())

    def enter(self, state: str, step: int, **more: object) -> None:
        self.ring.set_state(state)
        self.say(Record.STATE, step, state=state, text="", micro="", **more)

    def close(self) -> None:
        for recorder in self._opened:
            recorder.close()
            recorder.ring.close()
        self.ring.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_what_is_not_finite_is_on_file_in_words(bench: Bench) -> None:
    recorder = bench.recorder()
    bench.say(Record.EVENT, 3, step=3, change="clip", before=1.0, after=float("inf"))
    recorder.tick()
    line = json.loads((bench.run / "events.jsonl").read_text())
    assert (line["before"], line["after"]) == (1.0, "inf")
    assert recorder.events == read_events(bench.run) and recorder.events[0].after == float("inf")


def test_the_step_moves_on_while_known_states_are_run_through_again(bench: Bench) -> None:
    recorder = bench.recorder()
    bench.enter("RUNNING", 0)
    for step in range(100):
        bench.ring.loss(step, 1.0, 1000.0 + step)
    bench.enter("PAUSED", 100)
    bench.ring.set_step(40)
    recorder.tick()
    bench.enter("PAUSED", 40)
    bench.ring.set_step(41)
    recorder.tick()
    assert recorder.digest.step == 40  # only what runs is followed
    bench.enter("RUNNING", 41)
    recorder.tick()
    bench.ring.set_step(60)
    assert "status" in recorder.tick() and recorder.digest.step == 60
    bench.ring.set_step(90)
    recorder.tick()
    assert recorder.digest.step == 90 and recorder.digest.steps_per_second > 0
    assert "status" not in recorder.tick()
    bench.ring.loss(100, 1.0, 2000.0)
    recorder.tick()
    assert recorder.digest.step == 101


def test_what_a_full_disk_cost_stays_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, full, pwrite = bench.recorder(), [True], os.pwrite

    def write(file: int, data: bytes, offset: int) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data, offset)

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(logfile, "MAX_PENDING", 600)
    monkeypatch.setattr("bptui.hub.recorder.RETRY_SECONDS", 0.0)
    for first in (0, 50):
        for step in range(first, first + 50):
            bench.ring.loss(step, 1.0, 1.0)
        recorder.tick()
    assert "cannot write scalars: No space left" in recorder.problem and "bytes of scalars are lost" in recorder.problem
    full[0] = False
    recorder.tick()
    assert "cannot write" not in recorder.problem and "bytes of scalars are lost" in recorder.problem


def test_another_hub_knows_pace_settings_and_why_it_is_paused(bench: Bench) -> None:
    first = bench.recorder()
    told = {"pace": 3.0, "total_steps": 50, "settings": {"lr": 0.25}}
    bench.ring.set_state("PAUSED")
    bench.say(Record.STATE, 4, state="PAUSED", text="break: loss < 1", micro="", **told)
    first.tick()
    second = bench.recorder()
    assert (second.pace, second.digest.live, second.digest.text) == (3.0, told, "break: loss < 1")
    bench.ring.set_state("RUNNING")
    assert bench.recorder().digest.text == ""  # of another state
    (bench.run / "state.json").write_bytes(b"[")
    assert bench.recorder().pace == 7.0


def test_a_process_that_is_no_trainer_of_this_run_is_not_adopted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BPTUI_TRAINER", raising=False)
    for words, trusted in ((["bptui.trainer", str(bench.run)], True), (["bptui.trainer", "/elsewhere"], False),
                           ([str(bench.run)], False)):  # fmt: skip
        with subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE) as other:
            start = process_start(other.pid)
            info = RunInfo(id=bench.run.name, title="t", created=1.0, trainer_pid=other.pid, trainer_start=start)
            assert (TrainerProcess.adopt(bench.run, info).pid == other.pid) is trusted
            unknown = RunInfo(id=bench.run.name, title="t", created=1.0, trainer_pid=other.pid)
            assert TrainerProcess.adopt(bench.run, unknown).pid == 0
            other.communicate(b"\n")
