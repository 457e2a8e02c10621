"""``bptui export`` to safetensors, CSV and JSON, where files go, and what is refused."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bptui.export.files import write_files
from bptui.export.formats import FORMATS
from bptui.runs.report import report

Train = Callable[..., Path]
Bptui = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def digits(train: Train) -> Path:
    return train("digits", "--epochs", "2")


def test_links_and_pipes_stay_what_they_are(bptui: Bptui, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    bptui("export", digits.name, "--format", "json", "--output", tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["losses"] == report(digits)["losses"]
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_files({tmp_path / "pipe": iter([b"one ", b"two"])})
        assert os.read(reader, 100) == b"one two"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_csv_has_one_row_a_step(bptui: Bptui, digits: Path, tmp_path: Path) -> None:
    assert bptui("export", digits.name, "--format", "csv", "--output", tmp_path / "s.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    content = report(digits)
    assert [int(row["step"]) for row in rows] == list(range(91)), "state 90 has metrics, though no loss"
    assert [float(row["loss"]) for row in rows[:-1]] == content["losses"]
    assert rows[-1]["loss"] == ""
    assert float(rows[-1]["val_accuracy"]) == content["metrics"]["val_accuracy"]
    assert [row["step"] for row in rows if row["val_loss"]] == ["0", "45", "90"]
    assert float(rows[0]["lr"]) == 0.05
    assert list(rows[0])[:3] == ["step", "loss", "lr"]


def test_a_loss_that_is_not_finite_is_in_the_csv(bptui: Bptui, home: Path, tmp_path: Path) -> None:
    assert bptui("train", "exploding", "--quiet").code == 1
    bptui("export", "latest", "--format", "csv", "--output", tmp_path / "s.csv")
    losses = [row["loss"] for row in csv.DictReader((tmp_path / "s.csv").read_text().splitlines())]
    assert {"nan", "inf"} & set(losses)


def test_json_is_the_report(bptui: Bptui, digits: Path, tmp_path: Path) -> None:
    bptui("export", digits.name, "--format", "json", "--output", tmp_path / "s.json")
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["losses"] == report(digits)["losses"]
    assert content["run"] == digits.name


def test_without_a_path_it_is_called_as_the_run(
    bptui: Bptui, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("csv", "json", "safetensors"):
        told = bptui("export", digits.name, "--format", kind)
        assert told.out.split() == [digits.name + FORMATS[kind].suffix]
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "folder").mkdir()
    bptui("export", digits.name, "--format", "csv", "--output", "folder")
    assert (tmp_path / "folder" / f"{digits.name}.csv").is_file()


def test_the_command_line_offers_every_format() -> None:
    from bptui.commands.export import _FORMATS

    assert tuple(FORMATS) == _FORMATS


BAD = [
    (("--format", "pickle"), "pickle"),
    (("--format", "csv", "--output", "/nonexistent/s.csv"), "cannot be written"),
    (("--format", "csv", "--no-scaler"), "--no-scaler"),
    (("--format", "pytorch", "--output", "s.npz"), "expected the script's name"),
    ((), "--format"),
]


@pytest.mark.parametrize(("words", "told"), BAD, ids=[" ".join(words) or "none" for words, _ in BAD])
def test_bad_usage_is_one_line(digits: Path, refused: Refused, words: tuple[str, ...], told: str) -> None:
    assert told in refused("export", digits.name, *words)


def test_damaged_runs_are_one_line(train: Train, refused: Refused, tmp_path: Path) -> None:
    run = train("digits", "--steps", "2")
    last = run / "keyframes" / f"{2:012d}.safetensors"
    last.write_bytes(last.read_bytes()[:-9])
    words = ("export", run.name, "--format", "safetensors", "--output", tmp_path / "w.safetensors")
    assert "damaged keyframe" in refused(*words)
    for frame in (run / "keyframes").iterdir():
        frame.unlink()
    assert "has kept no weights" in refused(*words)
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "spec": {"model": []}}))
    assert "not an experiment" in refused(*words)
    (run / "run.json").write_text(json.dumps({**info, "mode": "script"}))
    assert "a script's run" in refused(*words)


def test_files_come_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> Any:
        yield b"half"
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(OSError, match="No space left"):
        write_files({tmp_path / "a": b"after", tmp_path / "b": breaks()})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"


def test_a_full_disk_is_one_line(bptui: Bptui, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    told = bptui("export", digits.name, "--format", "json", "--output", tmp_path / "s.json")
    assert told.code == 2
    assert "No space left on device" in told.err
    assert not list(tmp_path.iterdir())
