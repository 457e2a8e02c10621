"""What if: a changed continuation from step 0 is, bit for bit, the run begun so; the unchanged one is the record."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bptui.client.aside import Aside
from bptui.protocol.whatif import Change, Continue, Going, WhatIfError, parse_change
from bptui.runs import branches, interventions
from bptui.trainer.deaths import open_at
from bptui.trainer.whatif import carry_on

WORDS = ("--steps", "60", "--engine")


def bptui(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", *words], cwd=cwd, capture_output=True, text=True, timeout=180,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(home))


def losses(home: Path, *words: str) -> list[float]:
    report = home / "report.json"
    done = bptui("train", "dead-relu", *words, "--report", str(report), cwd=home)
    assert done.returncode == 0, done.stderr
    return [float(loss) for loss in json.loads(report.read_text())["losses"]]


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTUI_HOME", str(home))
        losses(home, *WORDS, "numpy")
    return next((home / "runs").glob("*dead-relu*"))


@pytest.mark.parametrize(
    ("wanted", "fresh"),
    [
        ("lr=/10", "optimizer.lr=0.1"),
        ("data.batch_size=50", "data.batch_size=50"),
        ("dense2.activation=tanh", "model.dense2.activation=tanh model.dense2.init=he_normal"),
        ("dropout=0.25", "model.dense1.dropout=0.25 model.dense2.dropout=0.25"),
        ("optimizer.clip_norm=1", "optimizer.clip_norm=1"),
    ],
)
def test_from_step_0_it_is_the_run_begun_so(run: Path, home: Path, wanted: str, fresh: str) -> None:
    settings = [word for one in fresh.split() for word in ("--set", one)]
    expected = losses(home, *WORDS, "numpy", *settings)
    found = carry_on(run, Continue(0, 60, (parse_change(wanted),)))
    assert list(found.losses) == expected
    assert found.held == 0 and found.step == 60


def test_another_optimiser_begins_with_moments_of_0(run: Path, home: Path) -> None:
    expected = losses(home, *WORDS, "numpy", "--set", "optimizer.name=adam", "--set", "optimizer.lr=0.01")
    found = carry_on(run, Continue(0, 60, (parse_change("optimizer.name=adam"), parse_change("lr=0.01"))))
    assert list(found.losses) == expected


def test_unchanged_it_is_the_record_with_torch(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path))
    expected = losses(tmp_path, *WORDS, "torch")
    mine = next((tmp_path / "runs").glob("*dead-relu*"))
    unchanged = carry_on(mine, Continue(7, 80))
    if not unchanged.not_comparable:  # another test of this process may have set torch's threads
        assert unchanged.held == 53 and not unchanged.differs and list(unchanged.losses[:53]) == expected[7:]
    changed = carry_on(mine, Continue(7, 80, (Change("revive", "he_normal"), parse_change("lr=/10"))))
    assert changed.losses[1:] != unchanged.losses[1:] and changed.dead < unchanged.dead


def test_unchanged_it_is_the_record(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path))
    expected = losses(tmp_path, *WORDS, "numpy")
    name = next((tmp_path / "runs").glob("*dead-relu*")).name
    words = ("whatif", name, "--at", "7", "--set", "lr=/10", "--set", "revive=he_normal", "lr=/10", "--steps", "80")
    done = bptui(*words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    unchanged, slower, revived = json.loads(done.stdout)
    assert unchanged["held"] == 53 and not unchanged["differs"]
    assert unchanged["losses"][:53] == expected[7:]
    assert slower["losses"][0] == unchanged["losses"][0] != slower["losses"][1]
    assert revived["dead"] < slower["dead"]
    assert revived["changes"][0][0].startswith("dense1.units[")
    text = bptui(*words[:-1], "20", cwd=tmp_path).stdout
    assert "equals the record bit for bit (20 losses)" in text and "lr=/10" in text


@pytest.mark.parametrize(
    "text", ["lr=/10", "revive=he_normal lr=/10", "batch_size=*2", "optimizer=adam lr=0.001", "dense1.activation=gelu"]
)
def test_adopted_it_is_the_branch(run: Path, text: str) -> None:
    """In the middle of an epoch too, and over the end of it."""
    found = carry_on(run, Continue(7, 50, tuple(map(parse_change, text.split()))))
    branch = branches.make(run, 7, [interventions.Change(7, one.key, one.value) for one in found.changes])
    same = carry_on(branch, Continue(7, 50))
    assert same.losses == found.losses and same.val_loss == found.val_loss and same.dead == found.dead


def test_a_record_that_is_not_this_run_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bptui.trainer import replay

    true = replay.losses
    monkeypatch.setattr(replay, "losses", lambda run: np.asarray(true(run)) + np.r_[np.zeros(30), np.full(30, 1e-9)])
    found = carry_on(run, Continue(20, 20))
    assert found.differs.startswith("the loss of step 30 is") and found.held == 11


def test_relative_values_and_what_cannot_be(run: Path) -> None:
    course = open_at(run, 3).course
    units = course.engine.state()["dense1.bias"]
    found = carry_on(run, Continue(3, 1, (Change("lr", "*2"), Change("momentum", "/3"), Change("bias+", 0.5))))
    assert found.changes == (
        Change("lr", 2.0), Change("momentum", pytest.approx(0.3)), Change("dense1.bias+", 0.5),
        Change("dense2.bias+", 0.5),
    )  # fmt: skip
    assert len(units) == 32
    for wanted, told in (
        ("lr=-1", "above 0"), ("lrr=/2", "needs a number that there is"), ("dense9.activation=relu", "dense9"),
        ("dense1.activation=rely", "relu"), ("optimizer=adm", "adam"), ("batch_size=0.5", "whole number"),
        ("dense1.weight[3]=1", "dense1.weight"),
    ):  # fmt: skip
        with pytest.raises(WhatIfError, match=told):
            carry_on(run, Continue(3, 1, (parse_change(wanted),)))
    with pytest.raises(WhatIfError, match="expected KEY=VALUE"):
        parse_change("lr")
    with pytest.raises(WhatIfError, match="none to begin again"):
        carry_on(run, Continue(0, 1, (Change("activation", "leaky_relu"), Change("revive", "he_normal"))))


def test_a_job_tells_how_far_it_is_and_is_ended_with_its_task(run: Path) -> None:
    async def scene() -> None:
        aside, heard = Aside(1), asyncio.Event()
        words: list[Going] = []

        def going(word: Going) -> None:
            words.append(word)
            heard.set()

        task = asyncio.create_task(aside.do(run, Continue(0, 10_000_000), going))
        await asyncio.wait_for(heard.wait(), 60)
        children = subprocess.run(
            ["ps", "-o", "pid=,ni=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
        ).stdout
        mine = [line.split() for line in children.splitlines() if "bptui.trainer.aside" in line]
        assert len(mine) == 1 and int(mine[0][1]) >= 10
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not Path(f"/proc/{mine[0][0]}").exists()
        assert words[0].total == 10_000_000 and words[0].done > 0 and len(words[0].losses) == words[0].done
        with pytest.raises(WhatIfError, match="no step 999"):
            await aside.do(run, Continue(999, 1))

    asyncio.run(scene())
