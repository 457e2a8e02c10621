"""The run directory's other files: run.json, keyframes, paths, what a trainer printed, the report."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.client import discover
from bptui.client.file import FileSession
from bptui.client.listing import as_text
from bptui.runs import keyframes, log, paths
from bptui.runs.epochs import epochs_done
from bptui.runs.events import read_events
from bptui.runs.findings import read_findings
from bptui.runs.info import RunError, RunInfo, process_start, read_info, write_info, write_output
from bptui.runs.load import load
from bptui.runs.logfile import LogFile
from bptui.runs.output import escape, tail_lines
from bptui.runs.report import MAX_LOSSES, encode, report
from bptui.runs.ring import Ring


def make_run(root: Path, name: str, *, created: float = 1.0, **fields: object) -> Path:
    run = root / name
    run.mkdir(parents=True)
    Ring.create(run / "ring").close()
    write_info(run, RunInfo(id=name, title="t", created=created, **fields))  # type: ignore[arg-type]
    return run


# -- run.json ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"x":' + b"[" * 9999, b'{"id": 3}', b"\xff\xfe", b'{"id":"a","title":"b"}'],
)
def test_a_damaged_run_json_is_one_clear_line(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json: damaged") as error:
        read_info(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_run_json_is_no_run(tmp_path):
    with pytest.raises(RunError, match="not a run"):
        report(tmp_path)


# -- keyframes -----------------------------------------------------------------------------------------
def test_keyframes_come_back(tmp_path):
    state = {"W": np.arange(6, dtype=np.float64).reshape(2, 3).T, "step": np.int64(7), "empty": np.zeros((0, 2))}
    path = keyframes.write(tmp_path, 7, state, {"note": "x"})
    found, metadata = keyframes.read(path)
    assert np.array_equal(found["W"], state["W"]) and found["step"] == 7 and found["empty"].shape == (0, 2)
    assert metadata == {"note": "x", "step": "7"}
    keyframes.write(tmp_path, 100, state)
    assert [frame.step for frame in keyframes.keyframes(tmp_path)] == [7, 100]
    assert keyframes.nearest(tmp_path, 99).step == 7 and keyframes.nearest(tmp_path, 6) is None
    assert not list((tmp_path / "keyframes").glob(".*"))


def test_a_damaged_keyframe_is_one_clear_line(tmp_path):
    path = keyframes.write(tmp_path, 1, {"W": np.zeros(100)})
    data = path.read_bytes()
    for damaged in (b"", data[:20], data[:-8], b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="damaged keyframe"):
            keyframes.read(path)
    with pytest.raises(RunError, match="no such"):
        keyframes.read(tmp_path / "none.safetensors")


def test_keyframes_thin_geometrically_within_their_budget(tmp_path):
    state = {"W": np.zeros(100)}
    size = keyframes.write(tmp_path, 0, state).stat().st_size
    shelf = keyframes.Shelf(tmp_path, budget=12 * size)
    for step in range(10, 2001, 10):
        shelf.write(step, state)
        assert shelf.bytes == sum(frame.size for frame in keyframes.keyframes(tmp_path)) <= 12 * size
    steps = [frame.step for frame in keyframes.keyframes(tmp_path)]
    assert len(steps) <= 12 and steps[0] == 0 and steps[-1] == 2000
    ages = [2000 - step for step in steps[:-1]]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert min(ages) <= 100 and max(gaps) <= 4 * 2000 / 12 and gaps[-2] <= gaps[0]


# -- paths ---------------------------------------------------------------------------------------------
def test_home_of_runs(monkeypatch, tmp_path):
    for name in ("BPTUI_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.runs_root() == tmp_path / ".local/state/bptui/runs"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the standard says: ignore it
    assert paths.runs_root() == tmp_path / ".local/state/bptui/runs"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert paths.runs_root() == tmp_path / "state/bptui/runs"
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path / "own"))
    assert paths.make_runs_root() == tmp_path / "own/runs"


def test_a_home_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"file/runs: cannot write runs here") as error:
        paths.make_runs_root()
    assert "\n" not in str(error.value)


def test_sockets_lie_in_a_folder_of_this_user_alone(monkeypatch, tmp_path):
    short = Path(tempfile.mkdtemp(prefix="bps"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    (short / "bptui").mkdir(mode=0o755)
    hub, trainer = paths.socket_addresses(tmp_path)
    assert Path(hub).parent == short / "bptui" and hub != trainer
    assert stat.S_IMODE((short / "bptui").stat().st_mode) == 0o700
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    hub, _ = paths.socket_addresses(tmp_path)
    assert Path(hub).parent == short / f"bptui-{os.getuid()}" and len(hub) < paths.SOCKET_BYTES
    os.rmdir(short / f"bptui-{os.getuid()}")
    os.symlink("/", short / f"bptui-{os.getuid()}")  # somebody else's link is not followed
    assert Path(paths.socket_addresses(tmp_path)[0]).parent != short / f"bptui-{os.getuid()}"


# -- output --------------------------------------------------------------------------------------------
@given(st.text())
def test_nothing_printed_reaches_the_terminal_unescaped(text):
    assert escape(text).isprintable()


def test_tail_of_what_was_printed(tmp_path):
    path = tmp_path / "trainer.log"
    assert tail_lines(path) == ()
    path.write_bytes(b"one\n10%\r20%\r\n\x1b[31mred\x1b[0m\x07 \xff\n\x1b]0;title\x07last")
    assert tail_lines(path) == ("one", "20%", "red\\x07 \N{REPLACEMENT CHARACTER}", "last")
    path.write_bytes(b"x" * 1000 + b"\n" + b"line\n" * 100_000)
    assert len(tail_lines(path)) == 200 and set(tail_lines(path)) == {"line"}


# -- report --------------------------------------------------------------------------------------------
def test_report_of_a_run_without_anything(tmp_path):
    content = report(make_run(tmp_path, "a"))
    assert content["steps"] == 0 and content["losses"] == [] and content["exit"]["reason"] == "crashed"
    assert set(content) == {
        "schema", "run", "engine", "device", "dtype", "seed", "steps", "epochs", "losses", "losses_every", "metrics",
        "confusion", "timing", "layers", "findings", "exit",
    }  # fmt: skip


def test_report_thins_beyond_a_million_and_writes_nan_as_null(tmp_path):
    end = {"reason": "completed", "code": 0, "error": ""}
    run = make_run(tmp_path, "a", end=end, actual={"steps_per_epoch": 1000, "engine": "numpy"})
    file, count = LogFile(run / "scalars"), 2 * MAX_LOSSES + 1
    values = np.arange(count) / 3
    values[3] = np.nan
    file.append(log.series(0, 0, 0, values, (10.0, 30.0)), position=1)
    file.close()
    content = report(run)
    assert content["losses_every"] == 3 and content["losses"][:3] == pytest.approx([0, float("nan"), 2], nan_ok=True)
    assert content["losses"][2] == values[6] and content["epochs"] == 2000 and content["steps"] == count
    assert content["timing"]["wall_s"] == 20 and content["timing"]["steps_per_s"] == count / 20
    assert content["metrics"] == {"train_loss": values[-1]} and content["exit"] == {
        "reason": "completed", "code": 0, "error": None,
    }  # fmt: skip
    assert json.loads(encode({"losses": content["losses"][:3]}))["losses"][1] is None


def test_epochs_count_on_from_where_their_length_changed(tmp_path):
    run = make_run(tmp_path, "a", actual={"steps_per_epoch": 10, "epochs_from": [40, 2]})
    file = LogFile(run / "scalars")
    file.append(log.series(0, 0, 0, np.ones(65), (0.0, 1.0)), position=1)
    file.close()
    assert report(run)["epochs"] == 4
    session = FileSession(run)
    loaded = load(run)
    assert session._status(loaded, loaded.history()).epoch == 4.5
    assert epochs_done({"steps_per_epoch": 10}, 65) == 6.5 and epochs_done({}, 65) is None


def test_missing_and_damaged_files_cost_only_themselves(tmp_path):
    run = make_run(tmp_path, "a")
    file = LogFile(run / "scalars")
    file.append(log.series(0, 0, 0, np.ones(5), (0.0, 1.0)), position=1)
    file.close()
    for damage in (b"", b"\0" * 100, b"bptring1" + b"\xff" * 9000):
        (run / "ring").write_bytes(damage)
        assert load(run).history().steps == 5
    (run / "ring").unlink()
    assert len(report(run)["losses"]) == 5
    (run / "scalars").write_bytes(os.urandom(500))
    assert report(run)["losses"] == []


# -- discovery -----------------------------------------------------------------------------------------
def test_runs_are_found_by_id_prefix_latest_and_path(tmp_path, monkeypatch):
    root = tmp_path / "runs"
    one = make_run(root, "20260101-000000-digits-aaaa", created=1.0)
    two = make_run(root, "20260101-000000-digits-aabb", created=2.0)
    (root / "no-run").mkdir()
    resolve = discover.resolve
    assert resolve("latest", root) == two and resolve(one.name, root) == one
    assert resolve("20260101-000000-digits-aab", root) == two
    assert resolve(str(one), root) == one and resolve(str(one / "run.json"), root) == one
    monkeypatch.chdir(root)
    assert resolve(f"./{one.name}", root) == one
    with pytest.raises(RunError, match="2 runs begin so"):
        resolve("2026", root)
    with pytest.raises(RunError, match="nearest: 20260101-000000-digits-aabb"):
        resolve("20260101-000000-digits-aabc", root)
    with pytest.raises(RunError, match="not a run"):
        resolve("./no-run", root)
    with pytest.raises(RunError, match="no runs in"):
        resolve("latest", tmp_path / "none")


def test_list_shows_states_newest_first_and_survives_damage(tmp_path):
    root = tmp_path / "runs"
    make_run(root, "a", created=1.0, end={"reason": "completed", "code": 0, "step": 12})
    make_run(root, "b", created=2.0)
    make_run(root, "c", created=3.0, trainer_pid=os.getpid(), host="elsewhere")
    damaged = make_run(root, "e", created=5.0)
    (damaged / "run.json").write_bytes(b"{")
    (root / "f").mkdir()
    make_run(root, "d", created=4.0)
    with subprocess.Popen(
        [sys.executable, "-c", "input()", "bptui.trainer", str(root / "d")], stdin=subprocess.PIPE
    ) as trainer:
        told = {"trainer_pid": trainer.pid, "trainer_start": process_start(trainer.pid)}
        for name, of in (("d", told), ("g", told), ("h", {"trainer_pid": trainer.pid})):
            if name != "d":
                make_run(root, name, created=0.5)
            write_info(root / name, RunInfo(id=name, title="t", created=4.0 if name == "d" else 0.5, **of))
        own = {"trainer_pid": os.getpid(), "trainer_start": process_start(os.getpid())}
        make_run(root, "i", created=0.5, **own)
        _check_list(root, trainer.pid)
        trainer.communicate(b"\n")


def _check_list(root: Path, pid: int) -> None:
    found = {run.id: run for run in discover.list_runs(root)}
    assert {name: run.state for name, run in found.items()} == {
        "a": "DONE", "b": "STALE", "c": "STALE", "d": "STARTING", "e": "DAMAGED",
        "g": "STALE", "h": "STALE", "i": "STALE",
    }  # fmt: skip
    assert [run.id for run in discover.list_runs(root) if run.id in "abcd"] == ["d", "c", "b", "a"]
    assert found["a"].step == 12 and found["d"].live and not found["c"].live
    assert discover.resolve(str(pid), root) == root / "d"


def test_lines_nested_too_deep_are_passed_over(tmp_path: Path) -> None:
    for name in ("events.jsonl", "findings.jsonl"):
        (tmp_path / name).write_bytes(b'{"step": ' + b"[" * 100_000 + b'\n{"step": 3, "change": "lr", "after": 0.5}\n')
    assert [event.step for event in read_events(tmp_path)] == [3]
    assert read_findings(tmp_path) == ()


def test_an_id_cannot_move_the_cursor_of_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path))
    write_info(make_run(tmp_path / "runs", "a"), RunInfo(id="a\x1b[2Jb\nc", title="t", created=1.0))
    (line,) = as_text().splitlines()
    assert "\x1b" not in line and "ab\\nc" in line


# -- files that a user named ---------------------------------------------------------------------------
def test_an_output_keeps_links_and_rights(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_output(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        write_output(tmp_path / "fresh", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "link", "real"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_output(pipe, b"figures")
        assert os.read(reader, 100) == b"figures"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
