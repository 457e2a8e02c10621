"""What the hub's recorder makes of a ring, without processes."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bptui.hub.recorder import Recorder
from bptui.runs import logfile
from bptui.runs.events import read_events
from bptui.runs.info import RunInfo, read_info, write_info
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
