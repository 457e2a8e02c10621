"""``bptui replay``: a run again, bit for bit, or the first thing that is not the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bptui.engine import threads
from bptui.engine.numpy.blas import BLAS
from bptui.runs import keyframes
from bptui.runs.events import encode, read_events
from bptui.runs.info import read_info
from bptui.runs.interventions import Change, change_of, told
from bptui.runs.report import report
from bptui.trainer.course import Course
from bptui.trainer.replay import replay
from bptui.trainer.setup import prepare


def bptui(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", *words],
        env={**os.environ, "BPTUI_HOME": str(home / "home")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )


def trained(home: Path, *words: str) -> Path:
    done = bptui(home, "train", *words, "--quiet")
    assert done.returncode == 0, done.stderr
    return max((home / "home" / "runs").iterdir())


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("changes", [(), ("optimizer.name=adamw", "model.dense1.dropout=0.2", "schedule.name=plateau")])
def test_bit_exact_in_another_process(tmp_path: Path, engine: str, changes: tuple[str, ...]) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    overrides = [word for change in changes for word in ("--set", change)]
    trained(tmp_path, "digits", "--epochs", "3", "--engine", engine, *overrides)
    done = bptui(tmp_path, "replay", "latest", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "step 0 to 135: bit-exact (135 losses" in done.stdout
    done = bptui(tmp_path, "replay", "latest", "--to", "100")
    assert "step 0 to 100: bit-exact (100 losses" in done.stdout


def test_a_large_network_takes_threads_and_a_replay_as_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    wide = ("--set", "model.dense1.units=400", "--set", "model.dense2.units=200", "--set", "data.batch_size=64")
    run = trained(tmp_path, "digits", "--steps", "12", "--engine", "numpy", *wide)
    fitting = threads.fitting(threads.of_widths([64, 400, 200, 10]), 64, threads.cores())
    told = read_info(run).actual["threads"]
    assert told == str(fitting) or not BLAS.found
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of another shell: the run's own number counts
    done = bptui(tmp_path, "replay", "latest", "--verify")
    assert "step 0 to 12: bit-exact (12 losses" in done.stdout


def test_what_was_changed_live_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path / "home"))
    from bptui.client.connect import connect
    from bptui.client.launch import launch
    from bptui.protocol.messages import Set, Step, Stop
    from bptui.spec.load import load

    run = launch(load("digits"), title="digits", interactive=True)

    async def drive() -> None:
        session = connect(run)
        await session.start()
        await session.request(Step(count=20))
        await session.request(Set(key="lr", value=0.005))
        await session.request(Step(count=10))
        await session.request(Set(key="momentum", value=0.3))
        await session.request(Step(count=10))
        await session.request(Stop())
        async for frame in session.frames():
            if getattr(frame.message, "code", None) is not None:
                break
        await session.close()

    asyncio.run(drive())
    done = bptui(tmp_path, "replay", run.name, "--verify")
    assert "step 0 to 40: bit-exact (40 losses" in done.stdout, done.stdout + done.stderr


def test_the_first_tensor_that_differs_is_named(tmp_path: Path) -> None:
    run = trained(tmp_path, "digits", "--epochs", "1")
    last = keyframes.keyframes(run)[-1]
    tensors, words = keyframes.read(last.path)
    tensors["dense2.weight"] = tensors["dense2.weight"].copy()
    tensors["dense2.weight"][3, 4] += 1e-6
    keyframes.write(run, last.step, tensors, words)
    done = bptui(tmp_path, "replay", run.name, "--verify")
    assert done.returncode == 1
    assert "tensor dense2.weight differs at step 45" in done.stdout


def test_another_machine_is_not_comparable(tmp_path: Path) -> None:
    run = trained(tmp_path, "xor", "--steps", "20")
    text = (run / "run.json").read_text()
    blas = read_info(run).actual["blas"]
    (run / "run.json").write_text(text.replace(str(blas), "another BLAS 1.0"))
    done = bptui(tmp_path, "replay", run.name)
    assert "not comparable: blas was another BLAS 1.0" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "told"), [(("--to", "21"), "0 to 20 are recorded"), (("--to", "-1"), "at least 0"), ((), "no keyframe")]
)
def test_what_cannot_be_replayed_is_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    run = trained(tmp_path, "xor", "--steps", "20")
    if not words:
        for frame in keyframes.keyframes(run):
            frame.path.unlink()
    done = bptui(tmp_path, "replay", run.name, *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _file(run: Path, *events: dict[str, object]) -> None:
    (run / "events.jsonl").write_bytes(b"".join(encode({"source": "trainer", **event}) for event in events))


def _changes(run: Path) -> list[Change]:
    return [change for line in told(run, ()) if (change := change_of(line)) is not None]


def test_a_limit_that_was_taken_away_is_taken_away_again(tmp_path: Path) -> None:
    _file(tmp_path, {"step": 3, "change": "clip", "before": 1.0, "after": float("inf")})
    assert _changes(tmp_path) == [Change(3, "clip", float("inf"), 1.0)]
    (event,) = read_events(tmp_path)
    assert (event.before, event.after) == (1.0, float("inf"))


def test_changes_are_read_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    _file(
        tmp_path,
        {"step": 10, "change": "lr", "after": 0.1},
        {"step": 20, "change": "momentum", "after": 0.3},
        {"step": 20, "change": "lr", "after": 0.2},
        {"step": 20, "change": "break", "after": "loss > 2"},
        {"step": 20, "change": "dense1.activation", "before": "relu", "after": "tanh"},
        {"step": 20, "change": "lr", "before": 0.2, "after": 0.5},
    )
    assert [(one.step, one.key, one.value) for one in _changes(tmp_path)] == [
        (10, "lr", 0.1), (20, "momentum", 0.3), (20, "lr", 0.2), (20, "dense1.activation", "tanh"), (20, "lr", 0.5),
    ]  # fmt: skip


def test_a_run_whose_report_is_thinned_is_replayed_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, "xor", "--steps", "120")
    monkeypatch.setattr("bptui.runs.report.MAX_LOSSES", 50)
    assert report(run)["losses_every"] == 3
    done = replay(run, None, verify=True)
    assert (done.step, done.losses, done.differs) == (120, 120, "")


def test_a_damaged_record_is_never_called_bit_exact(tmp_path: Path) -> None:
    run = trained(tmp_path, "xor", "--steps", "120")
    log = bytearray((run / "scalars").read_bytes())
    log[len(log) // 2] ^= 1
    (run / "scalars").write_bytes(log)
    for words in (("--verify",), ()):
        done = bptui(tmp_path, "replay", run.name, *words)
        assert done.returncode == 2
        assert "the record is damaged" in done.stderr


def test_a_keyframe_that_cannot_be_read_is_passed_over_and_named(tmp_path: Path) -> None:
    run = trained(tmp_path, "xor", "--steps", "40")
    (first, *_, last) = keyframes.keyframes(run)
    again = Course(prepare(read_info(run)))
    again.restore(first.step, *keyframes.read(first.path))
    while again.step < 20:
        again.update()
    middle = keyframes.write(run, 20, *again.capture())
    middle.write_bytes(middle.read_bytes()[:50])
    done = bptui(tmp_path, "replay", run.name, "--to", "30")
    assert done.returncode == 0, done.stderr
    assert f"passed over: {middle}: damaged keyframe" in done.stdout
    assert f"step {first.step} to 30: bit-exact" in done.stdout
    done = bptui(tmp_path, "replay", run.name, "--verify")
    assert done.returncode == 2 and str(middle) in done.stderr
    assert last.path.exists()
