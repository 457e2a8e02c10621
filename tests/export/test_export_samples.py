"""Texts and sounds, trained on through the command line and predicted: what is known, what is not, and the figures."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.runs.report import report

Train = Callable[..., Path]
Bptui = Callable[..., Any]

SPEC = """
[data]
source = "{source}"
{data}
{model}
[loss]
name = "cross_entropy"
[optimizer]
name = "adam"
lr = 0.05
[stop]
steps = {steps}
"""


def experiment(folder: Path, source: Path, data: str, steps: int, *layers: str) -> Path:
    path = folder / "experiment.toml"
    model = "\n".join(f"[[model]]\n{layer}" for layer in layers)
    path.write_text(SPEC.format(source=source, data=data, model=model, steps=steps))
    return path


def dense(units: int) -> str:
    return f'type = "dense"\nunits = {units}'


@pytest.fixture(scope="module")
def opinions(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opinions")
    rows = [f"good {word} film,yes" for word in "abcdefgh"] + [f"bad {word} film,no" for word in "abcdefgh"]
    (folder / "t.csv").write_text("text,liked\n" + "\n".join(rows * 4) + "\n")
    layers = ('type = "embedding"\nvocabulary = 13\nunits = 4', 'type = "time_pool"', dense(2))
    return train(experiment(folder, folder / "t.csv", 'level = "word"\nvalidation = 0.1', 60, *layers))


def test_texts_are_predicted_a_line_each(opinions: Path, bptui: Bptui, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("A good, long film\nbad\n\ngood good\n")
    told = bptui("predict", opinions, tmp_path / "new.txt", "--json")
    assert told.code == 0, told.err
    content = json.loads(told.out)
    assert [row["class"] for row in content["predictions"]] == ["yes", "no", "yes"]
    assert content["notes"] == ["2 of 8 words are unknown to this run and count as <unk>: ',', 'long'"]


def test_a_table_of_texts_is_compared_with_its_labels(opinions: Path, bptui: Bptui, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,liked\ngood a film,yes\nbad b film,no\ngood c film,no\n")
    told = bptui("predict", opinions, tmp_path / "new.csv", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["metrics"] == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("new.txt", b"zzz yyy", "this run knows none of its 2 words, such as 'zzz', 'yyy'"),
        ("new.txt", b"caf\xe9 good", "line 1 is not UTF-8 (byte 0xe9)"),
        ("new.npy", np.array([[1, 2, 99]]), "row 1, step 3: unknown token 99, ids run from 0 to 12"),
        ("new.npy", np.array([[1, 2]]), "shape (1, 2) of int64, this run takes ids (N, 3)"),
        ("new.wav", b"RIFF\0\0\0\0WAVE", "a sound, but this run did not learn from sounds"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(
    opinions: Path, bptui: Bptui, tmp_path: Path, name: str, content: Any, message: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content)
    told = bptui("predict", opinions, tmp_path / name)
    assert told.code == 2 and message in told.err and len(told.err.strip().splitlines()) == 1


def sound(hertz: float, rate: int = 8000) -> bytes:
    body = (8000 * np.sin(2 * np.pi * hertz * np.arange(rate // 10) / rate)).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", len(body)) + body


def test_a_sound_is_predicted_at_any_rate(train: Train, bptui: Bptui, tmp_path: Path) -> None:
    for name, low in (("low", 300), ("high", 2500)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "tones" / name / f"{number}.wav").write_bytes(sound(low + 10 * number))
    layers = ('type = "time_pool"', dense(2))
    run = train(experiment(tmp_path, tmp_path / "tones", "mels = 12\nwindow = 8", 40, *layers))
    (tmp_path / "new.wav").write_bytes(sound(2550, 16000))
    told = bptui("predict", run, tmp_path / "new.wav", "--json")
    assert told.code == 0, told.err
    content = json.loads(told.out)
    assert content["predictions"][0]["class"] == "high"
    assert "16,000 samples a second, converted to 8,000" in content["notes"]


def test_a_language_model_reports_perplexity_and_bits(train: Train, bptui: Bptui, tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text("abcd" * 500)
    layers = ('type = "embedding"\nvocabulary = 5\nunits = 8', dense(5))
    wanted = 'task = "next_token"\nwindow = 10\nvalidation = 0.1\ntest = 0.1'
    run = train(experiment(tmp_path, tmp_path / "song.txt", wanted, 80, *layers))
    metrics = report(run)["metrics"]
    for part in ("train", "val", "test"):
        loss = metrics[f"{part}_loss"]
        assert loss < 0.3 and metrics[f"{part}_accuracy"] > 0.99
        assert metrics[f"{part}_perplexity"] == pytest.approx(np.exp(loss))
        assert metrics[f"{part}_bits_per_character"] == pytest.approx(loss / np.log(2))
    (tmp_path / "new.txt").write_text("abc")
    assert "answers at each step of a sequence" in bptui("predict", run, tmp_path / "new.txt").err
