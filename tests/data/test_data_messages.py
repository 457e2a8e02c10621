"""What is wrong with someone's data is one line that names the culprit and the way out: no traceback, status 2."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bptui.cli import main


def _wav(path: Path, rate: int, samples: int = 400) -> None:
    body = np.zeros(samples, "<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    rest = b"WAVE" + form + struct.pack("<4sI", b"data", len(body)) + body
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(rest)) + rest)


def _sounds(folder: Path) -> None:
    for at in range(4):
        _wav(folder / f"{at % 2}" / f"{at}.wav", 8000)


def _silent(folder: Path) -> None:
    _sounds(folder)
    (folder / "1" / "9.wav").write_bytes(b"")


def _mixed(folder: Path) -> None:
    _sounds(folder)
    _wav(folder / "1" / "9.wav", 16000)


def _no_class(folder: Path) -> None:
    _sounds(folder)
    (folder / "seven").mkdir()


def _one_class(folder: Path) -> None:
    for at in range(3):
        _wav(folder / "only" / f"{at}.wav", 8000)


def _foreign_text(folder: Path) -> None:
    (folder / "good").mkdir()
    (folder / "bad").mkdir()
    (folder / "good" / "1.txt").write_text("a fine film")
    (folder / "bad" / "1.txt").write_bytes("trop long, rien à voir".encode("latin-1"))


def _pictures(folder: Path) -> None:
    for at, size in enumerate([(4, 5), (4, 5), (6, 5)]):
        (folder / f"{at % 2}").mkdir(exist_ok=True)
        Image.fromarray(np.full(size, 9, np.uint8)).save(folder / f"{at % 2}" / f"{at}.png")


def _shapes(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((6, 3)))
    np.save(folder / "y.npy", np.zeros(5))


def _tokens(folder: Path) -> None:
    x = np.array([[1, 2, 0], [4, 1, 2]])
    np.savez(folder / "t.npz", x=x, y=np.array([0, 1]), vocabulary=np.array(["<pad>", "<unk>", "a", "b"]))


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (_silent, "", "/1/9.wav: the sound is empty (0 bytes)"),
        (_mixed, "", "/1/9.wav: 16,000 samples a second, 0.wav has 8,000; data.sample_rate = 8000 converts them all"),
        (_no_class, "", ": the class folder 'seven' holds no sounds; remove or fill it"),
        (_one_class, "", "every row has the same class ('only'), nothing to learn"),
        (_foreign_text, "", "/bad/1.txt: line 1 is not UTF-8 (byte 0xe0); data.encoding = 'latin-1' reads any byte"),
        (_pictures, "", "6×5"),
        (_shapes, "x.npy", "x.npy has 6 rows, y.npy has 5"),
        (_tokens, "t.npz", "ids from 0 to 4, the vocabulary has 0–3"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], name: str, said: str
) -> None:
    make(tmp_path)
    assert main(["datasets", str(tmp_path / name)]) == 2
    told = capsys.readouterr()
    assert not told.out and told.err.startswith("bptui: ") and told.err.count("\n") == 1
    assert said in told.err


def test_a_class_that_only_rows_held_out_have_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _sounds(tmp_path / "train")
    _wav(tmp_path / "test" / "7" / "1.wav", 8000)
    assert main(["datasets", str(tmp_path)]) == 0
    assert "no training row has class 7" in capsys.readouterr().out
