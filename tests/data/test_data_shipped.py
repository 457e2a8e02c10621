"""The data that come with bptui, and the named sources that are found in other folders."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from bptui.data import DataError, load
from bptui.data.catalogue import describe, entries, render_entries, render_look
from bptui.data.places import shipped
from bptui.spec.experiment import Data
from bptui.spec.sources import SOURCES, source_of


@pytest.mark.parametrize("readme", sorted(shipped().glob("*/README.md")), ids=lambda path: path.parent.name)
def test_files_are_those_that_their_readme_names(readme: Path) -> None:
    named = dict(re.findall(r"\| `([\w.\-]+)` \| `([0-9a-f]{64})` \|", readme.read_text("utf-8")))
    data = [path for path in readme.parent.iterdir() if path.suffix not in (".md", ".py") and path.is_file()]
    assert data
    for path in data:
        assert named[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_shipped_folder_has_its_provenance_and_a_place_in_the_list() -> None:
    listed = {entry.name: entry for entry in entries()}
    for name in ("digits", "spoken-digits-espeak", "romeo-and-juliet"):
        folder = shipped() / name
        assert "Licence" in (folder / "README.md").read_text("utf-8")
        assert listed[name].where == str(folder) and listed[name].licence
    text = render_entries(list(listed.values()))
    assert all(name in text for name in SOURCES) and max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    "data",
    [
        Data(source="digits"), Data(source="digits", task="autoencoder"), Data(source="spoken-digits-espeak"),
        Data(source="spoken-digits-espeak", window=40), Data(source="romeo-and-juliet", window=32, stride=16),
        Data(source="romeo-and-juliet", level="word"),
    ],
    ids=["digits", "autoencoder", "spoken", "shorter", "play", "words"],
)  # fmt: skip
def test_what_a_face_knows_beforehand_is_what_is_read(data: Data) -> None:
    found, known = load(data), source_of(data)
    if data.level == "word":
        assert known is None
        return
    assert known is not None
    assert (known.features, known.outputs, known.task) == (found.features, found.outputs, found.task)
    assert known.shape == found.shape and known.vocabulary == len(found.vocabulary or ())


def test_the_synthetic_digits_are_tested_on_voices_they_were_not_trained_on() -> None:
    archive = np.load(shipped() / "spoken-digits-espeak" / "spoken-digits-espeak.npz")
    base = {
        part: {voice.partition("+")[0] for voice in archive[f"voice_{part}"].tolist()} for part in ("train", "test")
    }
    assert base["test"] and not base["train"] & base["test"]
    data = load(Data(source="spoken-digits-espeak"))
    assert data.test is not None and len(data.test) == 240 and data.class_names == tuple("0123456789")
    assert np.bincount(data.test.targets).tolist() == [24] * 10
    with pytest.raises(DataError, match=r"only data.window can be changed, to fewer"):
        load(Data(source="spoken-digits-espeak", mels=20))


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_the_script_makes_the_samples_that_are_shipped(tmp_path: Path) -> None:
    script = shipped() / "spoken-digits-espeak" / "make.py"
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    if "1.51" not in version:
        pytest.skip(f"shipped samples are of espeak-ng 1.51, this is {version.split(':')[1].split()[0]}")
    spec = spec_from_file_location("make_digits", script)
    assert spec is not None and spec.loader is not None
    make = module_from_spec(spec)
    spec.loader.exec_module(make)
    archive = np.load(script.with_name("spoken-digits-espeak.npz"))
    for row in (0, 501):
        voice, variant = str(archive["voice_train"][row]).split("+")
        take = row // 10 % make.TAKES["train"]
        sample = make.spoken(make.WORDS[int(archive["y_train"][row])], voice, variant, take, tmp_path)
        assert len(sample) == archive["lengths_train"][row]
        assert np.abs(sample.astype(int) - archive["x_train"][row][: len(sample)]).max() <= 1


def test_sources_in_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BPTUI_DATA", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(DataError, match=r"spoken-digits/0_george_0.wav is not in any of .*free-spoken-digit-dataset"):
        load(Data(source="spoken-digits"))
    reviews = tmp_path / "rt-polarity"
    reviews.mkdir()
    words = [f"w{n} w{n % 7} caf\xe9" for n in range(200)]
    (reviews / "rt-polarity.pos").write_bytes("\n".join(words).encode("latin-1"))
    (reviews / "rt-polarity.neg").write_bytes("\n".join(words[::-1]).encode("latin-1"))
    data = load(Data(source="film-reviews", vocabulary=9))
    assert data.vocabulary is not None and data.vocabulary[:3] == ("<pad>", "<unk>", "café")
    assert data.shape == (40,) and data.class_names == ("neg", "pos") and len(data.vocabulary) == 9
    play = tmp_path / "tinyshakespeare"
    play.mkdir()
    (play / "input.txt").write_text("To be, or not to be.\n" * 100)
    assert load(Data(source="tinyshakespeare", window=16)).name == "tinyshakespeare"


def test_the_customary_test_part_and_a_speaker_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BPTUI_DATA", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / "spoken-digits"
    folder.mkdir()
    body = np.zeros(800, "<i2").tobytes()
    head = b"RIFF\0\0\0\0WAVEfmt " + np.array([16, 0x10001, 8000, 16000, 0x100002], "<u4").tobytes()
    sound = head + b"data" + np.array(len(body), "<u4").tobytes() + body
    for digit in range(10):
        for speaker in ("george", "lucas"):
            for take in range(8):
                (folder / f"{digit}_{speaker}_{take}.wav").write_bytes(sound)
    customary = load(Data(source="spoken-digits", validation=0))
    assert customary.test is not None and (len(customary.train), len(customary.test)) == (60, 100)
    held = load(Data(source="spoken-digits", validation=0, hold_out="lucas"))
    assert held.test is not None and (len(held.train), len(held.test)) == (80, 80)


@pytest.mark.parametrize("name", ["spoken-digits-espeak", "romeo-and-juliet"])
def test_a_first_look(name: str) -> None:
    text = render_look(describe(name))
    assert (
        ("mel1" in text and "240 test" in text) if "digits" in name else ("next_token" in text and "token ids" in text)
    )
