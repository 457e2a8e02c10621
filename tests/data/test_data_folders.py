"""Folders of pictures: classes, parts, sizes, colours, and what is said of folders that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from bptui.data import DataError, cache, images, load
from bptui.spec.experiment import Data, MeanSquaredError


def picture(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def grey(value: int, height: int = 4, width: int = 5) -> npt.NDArray[np.uint8]:
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    for number in range(10):
        picture(folder / "cat" / f"{number}.png", grey(10 + number))
        picture(folder / "dog" / f"{number}.pgm", grey(200 + number))
    (folder / "README.txt").write_text("pets of the street")
    return folder


def test_class_folders_are_classes(pets: Path) -> None:
    data = load(Data(source=str(pets), validation=0.2, scale="none"))
    assert (data.shape, data.features, data.outputs, data.class_names) == ((1, 4, 5), 20, 2, ("cat", "dog"))
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 16, "validation": 4}
    x = np.asarray(data.train.x)
    assert all((row.max() >= 200) == bool(label) for row, label in zip(x, data.train.targets, strict=True))


def test_a_few_samples_are_of_every_class(pets: Path) -> None:
    data = load(Data(source=str(pets), samples=6, validation=0))
    assert np.bincount(data.train.targets).tolist() == [3, 3]


def test_train_and_test_folders_are_the_parts(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for number in range(count):
            for label in ("a", "b"):
                picture(tmp_path / part / label / f"{number}.png", grey(number))
    data = load(Data(source=str(tmp_path)))
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 12, "validation": 4, "test": 6}


def test_labels_and_who_is_held_out_stand_in_the_names(tmp_path: Path) -> None:
    for label in ("ant", "bee"):
        for place in ("wood", "field", "shore"):
            picture(tmp_path / f"{label}_{place}_1.png", grey(9))
    data = load(Data(source=str(tmp_path), validation=0, hold_out="shore"))
    assert data.class_names == ("ant", "bee") and len(data.train) == 4
    assert data.test is not None and len(data.test) == 2
    assert any("held out as the test part: 2 pictures of shore" in note for note in data.notes)
    with pytest.raises(DataError, match=r"data.hold_out = 'shor' is in no file's name; did you mean 'shore'\?"):
        load(Data(source=str(tmp_path), hold_out="shor"))


def test_colours_come_first_and_grey_takes_them_away(tmp_path: Path) -> None:
    red = np.zeros((2, 3, 3), np.uint8)
    red[:, :, 0] = 255
    for number in range(4):
        picture(tmp_path / "red" / f"{number}.png", red)
        picture(tmp_path / "black" / f"{number}.png", np.zeros((2, 3), np.uint8))
    data = load(Data(source=str(tmp_path), validation=0, scale="none"))
    assert data.shape == (3, 2, 3)
    shown = np.asarray(data.train.x)[data.train.targets == 1][0].reshape(3, 2, 3)
    assert (shown[0] == 255).all() and not shown[1:].any()
    plain = load(Data(source=str(tmp_path), validation=0, scale="none", grey=True))
    assert plain.shape == (1, 2, 3) and set(np.unique(np.asarray(plain.train.x)).tolist()) == {0.0, 76.0}


def test_another_size_is_told_and_scaled_when_asked(pets: Path) -> None:
    picture(pets / "dog" / "big.png", grey(210, 8, 10))
    with pytest.raises(
        DataError, match=r"big.png: 8×10 pixels, the first picture has 4×5; data.height = 4 and data.width = 5 scale"
    ):
        load(Data(source=str(pets)))
    data = load(Data(source=str(pets), height=2, scale="none", validation=0))
    assert data.shape == (1, 2, 2) and len(data.train) == 21
    assert np.asarray(data.train.x).max() == 210


def test_a_picture_is_the_same_with_and_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    kinds = {
        "grey.png": rng.integers(0, 256, (5, 4), np.uint8), "rgb.png": rng.integers(0, 256, (5, 4, 3), np.uint8),
        "clear.png": rng.integers(0, 256, (5, 4, 4), np.uint8), "wide.png": rng.integers(0, 65536, (5, 4), np.uint16),
        "rgb.ppm": rng.integers(0, 256, (5, 4, 3), np.uint8), "grey.pgm": rng.integers(0, 256, (5, 4), np.uint8),
    }  # fmt: skip
    for name, pixels in kinds.items():
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(kinds["rgb.png"]).quantize(16).save(tmp_path / "palette.png")
    by_pillow = {path.name: images.decoded(path) for path in sorted(tmp_path.iterdir())}
    monkeypatch.setattr(images, "_pillow", lambda: False)
    for name, pixels in by_pillow.items():
        assert np.array_equal(images.decoded(tmp_path / name), pixels), name
    Image.fromarray(kinds["grey.png"]).save(tmp_path / "photo.jpg")
    with pytest.raises(DataError, match=r"not a PNG, PGM or PPM; others need Pillow: pip install 'bptui\[images\]'"):
        images.decoded(tmp_path / "photo.jpg")


def test_pictures_too_large_for_memory_are_mapped(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load(Data(source=str(pets)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "available", lambda: 100)
    data = load(Data(source=str(pets)))
    assert not isinstance(data.train.x, np.ndarray) and np.array_equal(np.asarray(data.train.x), expected.train.x)
    (kept,) = (tmp_path / "cache" / "bptui").iterdir()
    before = kept.stat().st_mtime_ns
    load(Data(source=str(pets)))
    assert kept.stat().st_mtime_ns == before
    picture(pets / "cat" / "another.png", grey(1))
    load(Data(source=str(pets)))
    assert len(list((tmp_path / "cache" / "bptui").iterdir())) == 2


def test_an_autoencoder_learns_the_picture_itself(pets: Path) -> None:
    data = load(Data(source=str(pets), task="autoencoder"), loss=MeanSquaredError())
    assert (data.task, data.outputs, data.class_names) == ("autoencoder", 20, None)
    assert np.array_equal(data.train.targets, np.asarray(data.train.x))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "emu").mkdir(), "the class folder 'emu' holds no pictures; remove or fill it"),
        (lambda f: (f / "cat" / "0.png").write_bytes(b""), r"0.png: the picture is empty \(0 bytes\)"),
        (lambda f: (f / "cat" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nxx"), "0.png: not a readable picture"),
        (lambda f: (f / "cat" / "cry.wav").write_bytes(b"RIFF"), "mixed kinds of files, 20 pictures and 1 sound;"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told_in_a_line(pets: Path, spoil: object, message: str) -> None:
    spoil(pets)  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as raised:
        load(Data(source=str(pets)))
    assert "\n" not in str(raised.value)


def test_a_folder_without_the_wanted_kind(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no sounds \(.wav, .*\), as data.sample_rate wants; it holds 20 pictures"):
        load(Data(source=str(pets), sample_rate=8000))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.doc").write_text("x")
    with pytest.raises(DataError, match=r"notes: no data found; .* folders of pictures, sounds, texts"):
        load(Data(source=str(tmp_path / "notes")))
    picture(tmp_path / "flat" / "one.png", grey(1))
    with pytest.raises(DataError, match=r"one.png: no label: expected class folders, or names such as LABEL_1.png"):
        load(Data(source=str(tmp_path / "flat")))
