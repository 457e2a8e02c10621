"""The recorder: states are kept within their budgets, a way back is short where one has been."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from test_rewind import Driver, same

from bptui.protocol.messages import Back, GoTo, Step
from bptui.runs import keyframes
from bptui.runs.reader import RingReader
from bptui.runs.ring import Record, parse
from bptui.trainer import keep, rewind
from bptui.trainer.course import Course


def told(driver: Driver, begin: int, kind: int) -> list[dict[str, Any]]:
    data = RingReader(driver.trainer.ring, begin, owner=False).take()
    return [json.loads(entry.payload.rstrip(b"\0")) for entry in parse(data) if entry.kind == kind]


def test_a_step_back_after_a_jump_does_few_updates_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    driver.trainer.held.put_off(0.0, float("inf"))
    driver.trainer.disk.put_off(0.0, float("inf"))
    driver.ask(Step(count=400))
    done = 0
    update = Course.update

    def counted(course: Course) -> float:
        nonlocal done
        done += 1
        return update(course)

    monkeypatch.setattr(Course, "update", counted)
    driver.ask(GoTo(step=300))
    assert done == 300  # from the beginning: nothing else was kept
    for back in range(1, 101):
        done = 0
        driver.ask(Back())
        assert driver.trainer.step == 300 - back
        assert done <= back, "no more than what has been gone back already"
    done = 0
    driver.ask(GoTo(step=400))
    assert done == 0  # the head is held
    driver.close()


def test_a_long_way_tells_how_far_it_is_and_can_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, straight = (Driver(tmp_path / name, "numpy", []) for name in ("driver", "straight"))
    driver.trainer.held.put_off(0.0, float("inf"))
    driver.trainer.disk.put_off(0.0, float("inf"))
    driver.ask(Step(count=60))
    begin = driver.trainer.ring.head
    monkeypatch.setattr(rewind, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(rewind, "PATIENCE", 0.0)
    asked = iter([False] * 20)
    monkeypatch.setattr(driver.trainer, "interrupted", lambda: next(asked, True))
    driver.ask(GoTo(step=50))
    assert driver.trainer.step == 21
    texts = [state["text"] for state in told(driver, begin, Record.STATE)]
    assert "on the way to step 50: 20%" in texts and texts[-1] == "stopped on the way to step 50"
    monkeypatch.setattr(driver.trainer, "interrupted", lambda: False)
    driver.ask(Step(count=9))
    straight.ask(Step(count=30))
    same(driver.state, straight.state)
    driver.ask(GoTo(step=60))
    assert driver.trainer.head == driver.trainer.step == 60
    driver.close()
    straight.close()


def test_keyframes_stay_inside_their_budget_and_spread_over_the_run(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    (first,) = keyframes.keyframes(driver.trainer.directory)
    driver.trainer.shelf.budget = 9 * first.size
    for _ in range(40):
        driver.ask(Step(count=5))
        keep.keep(driver.trainer)
    frames = keyframes.keyframes(driver.trainer.directory)
    assert sum(frame.size for frame in frames) <= 9 * first.size
    steps = [frame.step for frame in frames]
    assert steps[0] == 0 and steps[-1] == 200
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 60
    driver.close()


def test_a_full_disk_costs_keyframes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, straight = (Driver(tmp_path / name, "numpy", []) for name in ("driver", "straight"))
    driver.ask(Step(count=10))
    begin = driver.trainer.ring.head

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bptui.runs.keyframes.write_whole", full)
    driver.trainer.disk.put_off(0.0, 0.0)  # due now
    for _ in range(5):
        driver.ask(Step(count=10))
    facts = told(driver, begin, Record.FACT)
    assert [fact["error"] for fact in facts if fact["fact"] == "keyframe-lost"] == ["No space left on device"]
    driver.ask(GoTo(step=7))
    driver.ask(GoTo(step=60))
    straight.ask(Step(count=60))
    same(driver.state, straight.state)
    driver.close()
    straight.close()
