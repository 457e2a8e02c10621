"""Texts as tokens: one long text, texts with labels, a label a token; and long series, which are windows too."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from bptui.data import Batches, DataError, DataSet, arrays, cache, load, longtext, textlines
from bptui.spec.experiment import CrossEntropy, Data, MeanSquaredError

SONG = "Row, row, row your boat,\ngently down the stream.\n" * 20


def text_of(data: DataSet, ids: object) -> str:
    assert data.vocabulary is not None
    return "".join(data.vocabulary[i] for i in np.asarray(ids).ravel().tolist())


def test_each_target_is_the_character_that_comes_next(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text(SONG, newline="\r\n")
    data = load(
        Data(source=str(tmp_path / "song.txt"), task="next_token", window=10, validation=0.1), loss=CrossEntropy()
    )
    assert (data.task, data.shape, data.features) == ("next_token", (10,), 10)
    assert data.vocabulary is not None and data.vocabulary[0] == "<unk>" and data.outputs == len(data.vocabulary)
    batch = Batches(data.train, 3, seed=0, shuffle=False).next()
    assert batch.x.dtype == np.int64 and batch.y.shape == (3, 10)
    assert text_of(data, batch.x) == SONG[:30] and text_of(data, batch.y) == SONG[1:31]
    held = SONG[round(0.9 * len(SONG)) :]  # parts are stretches of the text, and each token is measured once
    assert data.validation is not None
    assert text_of(data, data.validation.targets) == held[1 : 1 + 10 * len(data.validation)]
    assert len(data.validation) == (len(held) - 1) // 10


def test_windows_may_overlap_and_shuffled_batches_fit_their_targets(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text(SONG)
    data = load(Data(source=str(tmp_path), level="char", window=8, stride=3, validation=0.1))
    batches = Batches(data.train, 16, seed=5)
    for _ in range(5):
        batch = batches.next()
        assert np.array_equal(batch.x[:, 1:], batch.y[:, :-1])
    assert len(data.train) == (round(0.9 * len(SONG)) - 9) // 3 + 1


def test_what_only_the_held_out_text_has_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abc" * 300 + "xyz" * 33)
    data = load(Data(source=str(tmp_path / "t.txt"), level="char", window=5, validation=0.1))
    assert data.vocabulary == ("<unk>", "a", "b", "c")
    assert data.validation is not None and not data.validation.targets[-5:].any()
    assert any("characters held out are not in the training part: <unk>" in note for note in data.notes)


def test_a_text_read_in_pieces_and_from_a_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.txt").write_bytes("Füße\r\nκαλό ".encode() * 60)
    wanted = load(Data(source=str(tmp_path / "t.txt"), level="char", window=7))
    monkeypatch.setattr(longtext, "CHUNK_BYTES", 5)  # cuts characters and line ends in two
    monkeypatch.setattr(cache, "available", lambda: 10)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = load(Data(source=str(tmp_path / "t.txt"), level="char", window=7))
    assert found.vocabulary == wanted.vocabulary and "\r" not in (found.vocabulary or ())
    assert np.array_equal(np.asarray(found.train.x), np.asarray(wanted.train.x))
    assert len(list((tmp_path / "cache" / "bptui").iterdir())) == 1


def test_words_of_a_long_text(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text(SONG)
    data = load(Data(source=str(tmp_path / "song.txt"), level="word", window=4, vocabulary=5, validation=0.1))
    assert data.vocabulary == ("<unk>", ",", "row", ".", "boat")
    assert np.asarray(data.train.x)[0].tolist() == [2, 1, 2, 1]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "films.pos").write_text("good fun\n" * 20 + "a good film it's\n" * 10)
    (folder / "films.neg").write_text("bad\n" * 20 + "a bad bad film , sadly\n" * 10)
    return folder


def test_a_line_a_text_and_a_class_a_file(reviews: Path) -> None:
    data = load(Data(source=str(reviews), validation=0.2))
    assert data.class_names == ("neg", "pos") and data.task == "classification"
    assert data.vocabulary is not None and data.vocabulary[:2] == ("<pad>", "<unk>")
    assert "it's" in data.vocabulary and data.train.lengths is not None
    x = np.asarray(data.train.x)
    assert ((x != 0).sum(axis=1) == data.train.lengths).all()
    known = {data.vocabulary[i] for row, y in zip(x, data.train.targets, strict=True) if y == 1 for i in row.tolist()}
    assert "good" in known and "bad" not in known


def test_only_words_of_training_rows_are_known(tmp_path: Path) -> None:
    rows = "".join(f"word{n} common,{n % 2}\n" for n in range(50))
    (tmp_path / "t.csv").write_text("text,label\n" + rows)
    data = load(Data(source=str(tmp_path / "t.csv"), level="word", validation=0.2), seed=3)
    assert data.vocabulary is not None and len(data.vocabulary) == 2 + 40 + 1
    assert data.validation is not None
    common = data.vocabulary.index("common")
    assert np.asarray(data.validation.x).tolist() == [[1, common]] * 10
    few = load(Data(source=str(tmp_path / "t.csv"), level="word", vocabulary=3))
    assert few.vocabulary == ("<pad>", "<unk>", "common")


def test_a_file_a_text_in_class_folders_by_character(tmp_path: Path) -> None:
    for part, label, text in (
        ("train", "up", "AB"),
        ("train", "down", "ba"),
        ("test", "up", "AZ"),
        ("test", "down", ""),
    ):
        (tmp_path / part / label).mkdir(parents=True)
        (tmp_path / part / label / "1.txt").write_text(text or "?")
    data = load(Data(source=str(tmp_path), level="char", validation=0))
    assert data.vocabulary == ("<pad>", "<unk>", "A", "B", "a", "b") and data.test is not None
    assert np.asarray(data.test.x).tolist() == [[1, 0], [2, 1]]


def test_a_table_of_text_without_a_level_says_how_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"good day {n},{n % 2}\n" for n in range(20)))
    with pytest.raises(DataError, match=r"data.level = 'word' reads its text as words"):
        load(Data(source=str(tmp_path / "t.csv")))
    (tmp_path / "n.csv").write_text("a,label\n1,0\n2,1\n")
    with pytest.raises(DataError, match=r"no column of text beside the label, as data.level = 'word' wants"):
        load(Data(source=str(tmp_path / "n.csv"), level="word"))


def test_a_label_a_token(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("The DET\ncat NOUN\n\nIt PRON\nsat VERB\nthere ADV\n\n" * 5)
    data = load(Data(source=str(tmp_path / "tags.txt"), task="sequence_labelling", validation=0.2, window=3))
    assert data.class_names == ("ADV", "DET", "NOUN", "PRON", "VERB") and data.outputs == 5
    y = data.train.targets
    assert {tuple(row) for row in y.tolist()} == {(1, 2, -1), (3, 4, 0)}
    assert np.array_equal(y >= 0, np.asarray(data.train.x) > 0)
    (tmp_path / "none.txt").write_text("-DOCSTART- O\n\n")
    with pytest.raises(DataError, match=r"none.txt: no sequences of tokens and labels"):
        load(Data(source=str(tmp_path / "none.txt"), task="sequence_labelling"))
    (tmp_path / "bad.txt").write_text("The DET\ncat\n")
    with pytest.raises(DataError, match=r"bad.txt: line 2: 'cat' has no label; expected a token and its label"):
        load(Data(source=str(tmp_path / "bad.txt"), task="sequence_labelling"))


def test_bytes_that_are_no_text_are_told_with_their_line(reviews: Path, tmp_path: Path) -> None:
    (reviews / "films.neg").write_bytes(b"bad\nclich\xe9\n")
    with pytest.raises(
        DataError, match=r"films.neg: line 2 is not UTF-8 \(byte 0xe9\); data.encoding = 'latin-1' reads"
    ):
        load(Data(source=str(reviews)))
    assert "cliché" in (load(Data(source=str(reviews), encoding="latin-1", validation=0)).vocabulary or ())
    (tmp_path / "long.txt").write_bytes(b"one\ntwo\nthree \xff")
    with pytest.raises(DataError, match=r"long.txt: line 3 is not UTF-8 \(byte 0xff\)"):
        load(Data(source=str(tmp_path / "long.txt"), level="char"))
    with pytest.raises(DataError, match=r"data.encoding = 'utf-9': no such encoding"):
        load(Data(source=str(tmp_path / "long.txt"), level="char", encoding="utf-9"))


def test_tasks_that_do_not_fit_are_told(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_text(SONG)
    song = str(tmp_path / "song.txt")
    with pytest.raises(DataError, match=r"expected data.task = 'next_token', not 'regression'"):
        load(Data(source=song, level="char", task="regression"))
    with pytest.raises(DataError, match="next_token needs the loss cross_entropy, not mse"):
        load(Data(source=song, level="char"), loss=MeanSquaredError())
    with pytest.raises(DataError, match="holds tokens; an autoencoder needs numbers"):
        load(Data(source=song, level="char", task="autoencoder"))
    with pytest.raises(DataError, match="the validation part has 20 tokens, too few for a window of 64"):
        load(Data(source=song, level="char", validation=0.02))


# -- series --------------------------------------------------------------------------------------------
def test_windows_of_a_table_predict_the_next_row(tmp_path: Path) -> None:
    rows = [(t, 10 * t, f"day{t}") for t in range(100)]
    (tmp_path / "s.csv").write_text("a,b,when\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    data = load(Data(source=str(tmp_path / "s.csv"), label="b", window=4, horizon=2, validation=0.2, scale="none"))
    assert (data.task, data.shape, data.outputs) == ("regression", (4, 2), 2)
    assert data.train.x[:1].tolist() == [[0, 0, 1, 10, 2, 20, 3, 30]] and data.train.targets[0].tolist() == [40, 50]
    assert len(data.train) == 80 - 4 - 2 + 1 and data.validation is not None
    assert data.validation.x[:1].ravel()[:2].tolist() == [80, 800]


def test_a_series_in_an_npy_is_scaled_by_column_and_stays_where_it_is(tmp_path: Path) -> None:
    series = np.stack([np.sin(np.arange(500) / 7), 1e3 + np.arange(500.0)], axis=1)
    np.save(tmp_path / "s.npy", series)
    data = load(Data(source=str(tmp_path / "s.npy"), window=10, stride=5, validation=0.2), dtype="f64")
    # Learned from every second window, in which each row stands once: those from 0 to 380.
    np.testing.assert_allclose(data.scaler.mean.reshape(10, 2)[3], series[:390].mean(axis=0))
    assert np.ptp(data.scaler.scale.reshape(10, 2), axis=0).max() == 0
    assert not isinstance(data.train.x, np.ndarray)
    batch = Batches(data.train, 4, seed=0).next()
    row = int(Batches(data.train, 4, seed=0).rows()[0])
    back = batch.x[0] * data.scaler.scale + data.scaler.mean
    np.testing.assert_allclose(back.reshape(10, 2), series[5 * row : 5 * row + 10])
    series[450, 0] = np.inf
    np.save(tmp_path / "s.npy", series)
    with pytest.raises(DataError, match=r"s.npy: row \d+, step \d+, column 1: inf"):
        load(Data(source=str(tmp_path / "s.npy"), window=10, stride=5, validation=0.2))


def test_a_series_too_short_for_its_window(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.arange(30.0))
    with pytest.raises(DataError, match="the validation part has 6 rows, too few for a window of 8 and 1 to predict"):
        load(Data(source=str(tmp_path / "s.npy"), window=8))


# -- archives of sequences -----------------------------------------------------------------------------
def test_archives_of_sequences_and_of_tokens(tmp_path: Path) -> None:
    x = np.arange(10 * 4 * 3).reshape(10, 4, 3).astype(np.float32)
    lengths = np.array([4, 3, 2, 1, 4, 4, 4, 4, 4, 4])
    np.savez(tmp_path / "s.npz", x=x, y=np.arange(10) % 2, lengths=lengths)
    data = load(Data(source=str(tmp_path / "s.npz"), validation=0))
    assert data.shape == (4, 3) and data.train.lengths is not None and data.train.lengths.tolist() == lengths.tolist()
    assert not np.asarray(data.train.x)[3].reshape(4, 3)[1:].any()
    ids = np.array([[1, 2, 0], [2, 2, 1]] * 4)
    np.savez(tmp_path / "t.npz", x=ids, y=ids, vocabulary=np.array(["<pad>", "a", "b"]))
    tokens = load(Data(source=str(tmp_path / "t.npz")))
    assert tokens.vocabulary == ("<pad>", "a", "b") and tokens.task == "sequence_labelling"
    np.savez(tmp_path / "t.npz", x=ids + 1, y=ids, vocabulary=np.array(["<pad>", "a", "b"]))
    with pytest.raises(DataError, match="ids from 1 to 3, the vocabulary has 0–2"):
        load(Data(source=str(tmp_path / "t.npz")))
    np.savez(tmp_path / "s.npz", x=x, y=np.arange(10) % 2, lengths=lengths + 1)
    with pytest.raises(DataError, match="lengths from 2 to 5, expected 1–4"):
        load(Data(source=str(tmp_path / "s.npz")))


def test_what_lies_beyond_a_sequence_of_an_archive_is_no_target(tmp_path: Path) -> None:
    lengths, y = np.array([3, 1, 2, 3]), np.arange(12, dtype=np.uint8).reshape(4, 3) % 2
    np.savez(tmp_path / "s.npz", x=np.ones((4, 3, 2)), y=y, lengths=lengths, x_test=np.ones((1, 3, 2)), y_test=y[:1])
    data = load(Data(source=str(tmp_path / "s.npz"), validation=0))
    assert data.train.y.tolist() == [[0, 1, 0], [1, -1, -1], [0, 1, -1], [1, 0, 1]]
    assert data.test is not None and data.test.y.tolist() == [[0, 1, 0]]


def test_a_missing_value_inside_a_padded_sequence_is_told(tmp_path: Path) -> None:
    x = np.ones((4, 3, 2))
    x[1, 1:] = np.nan  # beyond its end
    arrays = {"y": np.arange(4) % 2, "lengths": np.array([3, 1, 2, 3])}
    np.savez(tmp_path / "s.npz", x=x, **arrays)
    assert len(load(Data(source=str(tmp_path / "s.npz"), validation=0)).train) == 4
    x[2, 1, 0] = np.nan
    np.savez(tmp_path / "s.npz", x=x, **arrays)
    with pytest.raises(DataError, match=r"row 3, step 2, column 1: a missing value"):
        load(Data(source=str(tmp_path / "s.npz"), validation=0))
    assert len(load(Data(source=str(tmp_path / "s.npz"), validation=0, missing="mean")).train) == 4


# -- encodings and sizes -------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_byte_order_is_no_character(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.txt").write_text("abc" * 50, encoding=encoding)
    data = load(Data(source=str(tmp_path / "t.txt"), level="char", window=5, encoding=encoding.removesuffix("-sig")))
    assert data.vocabulary == ("<unk>", "a", "b", "c")


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize(
    ("encoding", "content", "told"),
    [
        ("rot13", b"abc " * 50, "data.encoding = 'rot13': no such encoding"),
        ("base64", b"abc " * 50, "data.encoding = 'base64': no such encoding"),
        ("undefined", b"abc " * 50, "is not UNDEFINED"),
        ("unicode_escape", rb"\ud800 " * 50, "half a surrogate pair"),
    ],
)
def test_an_encoding_that_cannot_be_is_one_line(
    tmp_path: Path, level: Literal["char", "word"], encoding: str, content: bytes, told: str
) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    data = Data(source=str(tmp_path / "t.txt"), level=level, task="next_token", window=5, encoding=encoding)
    with pytest.raises(DataError, match=told) as found:
        load(data)
    assert "\n" not in str(found.value)


def test_utf_16_without_its_mark_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(("abcd" * 50).encode("utf-16-le"))
    with pytest.raises(DataError, match=r"t.txt: is not UTF-16 \(.*BOM\); see data.encoding"):
        load(Data(source=str(tmp_path / "t.txt"), level="char", window=5, encoding="utf-16"))


def test_what_is_packed_small_is_not_unpacked_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlines, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(arrays, "MOST_BYTES", 1 << 20)
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(b"a " * (1 << 20)))
    with pytest.raises(DataError, match=r"t.txt.gz: has more than 0.000977 GB once unpacked"):
        longtext.whole_text(tmp_path / "t.txt.gz", "utf-8")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * (1 << 18)))
    with pytest.raises(DataError, match=r"t.csv.gz: has more than 0.000977 GB once unpacked; unpack it, or split it"):
        load(Data(source=str(tmp_path / "t.csv.gz")))
    (tmp_path / "plain.csv").write_bytes(b"a,b\n" + b"1,2\n2,1\n" * (1 << 17))  # as large as it says it is
    assert len(load(Data(source=str(tmp_path / "plain.csv"), validation=0.0)).train) == 1 << 18
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 400)), y=np.zeros(1000))
    with pytest.raises(DataError, match=r"x.npz: has 0.00299 GB once unpacked, more than 0.000977; as .npy"):
        load(Data(source=str(tmp_path / "x.npz")))
