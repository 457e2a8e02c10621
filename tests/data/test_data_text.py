"""Tables of text: what is sniffed, and every way in which one can be wrong."""

from __future__ import annotations

import csv
import gzip
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bptui.data import DataError, delimited, load
from bptui.data.delimited import read_table
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Data, MeanSquaredError

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
IRIS = "length,width,height,species\n" + "".join(
    f"{row / 10:.1f},{row % 7},{row % 3 + 0.5},{'abc'[row % 3]}\n" for row in range(60)
)


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (IRIS, "comma-separated, a header"),
        (IRIS.replace(",", "\t"), "tab-separated, a header"),
        (IRIS.replace(",", "|"), "bar-separated, a header"),
        (IRIS.replace(",", ";").replace(".", ","), "semicolon-separated, a header, 4 columns, 1 of text, decimal"),
        (IRIS.replace("\n", "\r\n"), "comma-separated, a header"),
        ("\ufeff" + IRIS, "comma-separated, a header"),
        ("# a remark, with, marks\n\n" + IRIS, "comma-separated, a header"),
        (IRIS.split("\n", 1)[1], "comma-separated, no header"),
        (IRIS.split("\n", 1)[1].replace(",", "  "), "space-separated, no header"),
    ],
)
def test_layout_is_sniffed_and_told(tmp_path: Path, content: str, told: str) -> None:
    data = load(Data(source=written(tmp_path, content), scale="none", validation=0.0), dtype="f64")
    assert told in data.notes[0]
    assert (data.features, data.outputs, data.class_names, len(data.train)) == (3, 3, ("a", "b", "c"), 60)
    np.testing.assert_allclose(data.train.x[:, 0], np.arange(60) / 10)
    assert data.train.y.tolist() == [row % 3 for row in range(60)]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "the file is empty"),
        (b"\n\n", {}, "no rows"),
        ("a,b,c\n", {}, "a header, but no rows"),
        (IRIS + "1,2\n", {}, "row 61 (line 62) has 2 cells, expected 4"),
        (b"\x01\x02\x00\x03" * 99, {}, "NUL bytes"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 99, {}, "is a picture"),
        (IRIS.encode("utf-16"), {}, "UTF-16; save it as UTF-8"),
        (IRIS.replace("3.3", "3.é").encode("latin-1"), {}, "line 35 is not UTF-8 (byte 0xe9)"),
        ("1\n2\n3\n", {}, "only the label, no columns of features"),
        (IRIS.replace("3.3,", "x3,"), {}, "row 34 (line 35), column 'length': 'x3' is not a number"),
        (IRIS.replace("3.3,", "1e999,"), {}, "row 34 (line 35), column 'length': '1e999' is not finite"),
        (IRIS.replace("3.3,", ","), {}, "row 34 (line 35), column 'length': no value"),
        (IRIS.replace("3.3,", "NA,"), {}, "data.missing = 'drop' or 'mean'"),
        (IRIS.replace(",a\n", ",\n", 1), {"missing": "mean"}, "column 'species': the label has no value"),
        (IRIS, {"label": "specis"}, "no column 'specis' for the label; did you mean 'species'?"),
        (IRIS, {"label": 4}, "no label column 4; columns are numbered 0–3"),
        ("1,2\n3,4\n", {"label": "y"}, "no header, so no column 'y'"),
        (IRIS, {"delimiter": "::"}, "data.delimiter = '::'"),
        (IRIS, {"validation": 1.5}, "data.validation = 1.5"),
        ("a,b\n1,2\n2,2\n", {}, "every row has the same b ('2')"),
        ("a,b\n1,0.5\n2,0.25\n", {"task": "classification"}, "row 1: b is 0.5, no class id"),
        ("a,b\n1,-1\n2,0\n3,1\n", {"task": "classification"}, "row 1: b is -1; class ids run from 0"),
        ("a,b\n1,0\n2,1\n3,2\n", {"task": "binary"}, "b has 3 classes, task 'binary' needs 2"),
        (IRIS, {"task": "regression"}, "species holds texts"),
        ("a,b,c\n1,0,2\n2,1,0\n", {"task": "multilabel", "label": "b,c"}, "row 1 of b, c holds 2"),
        ('a,b\n"1,2\n3,4\n', {}, "unexpected end of data"),
        (gzip.compress(IRIS.encode())[:-30], {}, "cut short"),
        (gzip.compress(IRIS.encode())[:20] + b"junk" * 20, {}, "gzip"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, content: str | bytes, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError) as error:
        load(Data(source=written(tmp_path, content), **options), loss=CrossEntropy() if not options else None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_values_dropped_or_filled_by_the_training_mean(tmp_path: Path) -> None:
    source = written(tmp_path, IRIS.replace("3.3,", "?,").replace("4.5,", ","))
    dropped = load(Data(source=source, missing="drop", validation=0.0))
    assert len(dropped.train) == 58 and "2 of 60 rows dropped: values missing" in dropped.notes
    filled = load(Data(source=source, missing="mean", validation=0.3, scale="none"), dtype="f64", seed=1)
    held = set(filled.validation.rows.tolist()) if filled.validation else set()
    there = [row / 10 for row in range(60) if row not in held and row not in (33, 45)]
    both = {**dict(zip(filled.train.rows.tolist(), filled.train.x[:, 0], strict=True))}
    if filled.validation is not None:
        both.update(zip(filled.validation.rows.tolist(), filled.validation.x[:, 0], strict=True))
    assert both[33] == pytest.approx(sum(there) / len(there)) == both[45]


def test_categories_become_columns_and_remarks_are_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{'red' if row % 2 else 'blue'},{row},note {row},{row % 2}\n" for row in range(40))
    source = written(tmp_path, "colour,size,remark,y\n" + rows)
    data = load(Data(source=source, scale="none"), loss=BinaryCrossEntropy())
    assert data.feature_names == ("colour=blue", "colour=red", "size")
    assert (data.task, data.outputs, data.train.y.shape, data.train.y.dtype) == ("binary", 1, (32, 1), np.float32)
    np.testing.assert_array_equal(data.train.x[:, 1], data.train.y[:, 0])
    assert any("'remark' left out: 40 different texts" in note for note in data.notes)


def test_several_labels(tmp_path: Path) -> None:
    source = written(tmp_path, "a,b,p,q\n" + "".join(f"{r},{r * 2},{r % 2},{r // 2 % 2}\n" for r in range(40)))
    many = load(Data(source=source, label="p,q"), loss=BinaryCrossEntropy())
    assert (many.task, many.outputs, many.class_names) == ("multilabel", 2, ("p", "q"))
    several = load(Data(source=source, label="a,b"), loss=MeanSquaredError())
    assert (several.task, several.outputs, several.class_names) == ("regression", 2, None)


def test_the_task_follows_labels_and_loss(tmp_path: Path) -> None:
    counts = written(tmp_path, "a,b\n" + "".join(f"{r},{r % 3 + 3}\n" for r in range(30)), "counts.csv")
    classes = load(Data(source=counts), loss=CrossEntropy())
    assert (classes.task, classes.class_names, int(classes.train.y.max())) == ("classification", ("3", "4", "5"), 2)
    assert any("classes 3, 4, 5 numbered from 0" in note for note in classes.notes)
    numbers = load(Data(source=counts), loss=MeanSquaredError())
    assert (numbers.task, numbers.outputs, float(numbers.train.y.max())) == ("regression", 1, 5.0)
    hot = load(Data(source="spiral"), loss=MeanSquaredError())
    assert (hot.task, hot.train.y.shape, hot.train.y.sum(axis=1).tolist()) == ("classification", (720, 3), [1.0] * 720)


def test_more_than_memory_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.write((IRIS + 20 * IRIS.split("\n", 1)[1]).encode())
        file.truncate(10 << 30)  # ten gigabytes, of which nothing is stored
    monkeypatch.setattr(delimited, "available", lambda: 1 << 30)
    with pytest.raises(DataError, match=r"rows × 4 columns need .* GB of memory, 1.0 GB are free; set data.samples"):
        load(Data(source=str(path)))
    assert len(load(Data(source=str(path), samples=50, validation=0.0)).train) == 50


def test_a_packed_file_stops_when_memory_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = b"".join(b"%d,%d\n" % (row, row % 2) for row in range(300_000))
    source = written(tmp_path, gzip.compress(rows), "a.csv.gz")
    monkeypatch.setattr(delimited, "available", lambda: 1 << 20)
    with pytest.raises(DataError, match="do not fit into memory"):
        load(Data(source=source))


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f'{row},"two\nlines, {row % 5}",{row % 2}\n' for row in range(500))
    whole = read_table(Path(written(tmp_path, "a,b,c\n" + rows)), Data(source=""))
    monkeypatch.setattr(delimited, "CHUNK_CHARACTERS", 100)
    monkeypatch.setattr(delimited, "SAMPLE_LINES", 7)
    pieces = read_table(Path(written(tmp_path, "a,b,c\n" + rows)), Data(source=""))
    np.testing.assert_array_equal(whole.numbers, pieces.numbers)
    np.testing.assert_array_equal(whole.texts[1].codes, pieces.texts[1].codes)
    assert whole.numbers[:, 0].tolist() == list(range(500)) and whole.texts[1].levels == pieces.texts[1].levels


def test_train_and_test_file_of_a_folder(tmp_path: Path) -> None:
    written(tmp_path, IRIS, "train.csv")
    written(tmp_path, IRIS.replace(",c\n", ",b\n"), "test.csv")
    data = load(Data(source=str(tmp_path)))
    assert data.test is not None and len(data.test) == 60 and set(data.test.y.tolist()) == {0, 1}
    written(tmp_path, IRIS.replace("width", "depth"), "test.csv")
    with pytest.raises(DataError, match="its columns differ"):
        load(Data(source=str(tmp_path)))


def test_text_for_the_terminal_is_made_safe(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load(Data(source=written(tmp_path, IRIS.replace("3.3,", "\x1b[31m\u202e,"))))
    assert str(error.value).isprintable()


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown data source 'digitz'; did you mean 'digits'"):
        load(Data(source="digitz"))
    with pytest.raises(DataError, match=r"nothere\.csv: no such file"):
        load(Data(source=str(tmp_path / "nothere.csv")))
    with pytest.raises(DataError, match="looked for train-images"):
        load(Data(source=str(tmp_path)))
    for odd in ("", "\0", "x" * 5000, "~nobody-here/x"):
        with pytest.raises(DataError):
            load(Data(source=odd))


# -- properties ----------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda text: text.strip() and text.strip() not in "?" and not text.startswith("#")
)


@FEW
@given(
    rows=st.lists(st.tuples(finite, names, st.integers(-5, 5)), min_size=2, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(
    tmp_path: Path, rows: list[tuple[float, str, int]], delimiter: str, quoting: int, end: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["number", 'a "name", quoted', "count"])
    writer.writerows((repr(number), "t" + text, count) for number, text, count in rows)
    path = Path(written(tmp_path, out.getvalue()))
    table = read_table(path, Data(source="", delimiter=delimiter, header=True))
    assert table.names == ("number", 'a "name", quoted', "count")
    np.testing.assert_array_equal(table.numbers, [[number, count] for number, _, count in rows])
    levels = table.texts[1].levels
    assert [levels[code] for code in table.texts[1].codes] == [("t" + text).strip() for _, text, _ in rows]


@FEW
@given(junk=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".tsv", ".npz", ".npy", ".gz", ".csv.gz", ""]))
def test_garbage_is_read_or_is_a_data_error(tmp_path: Path, junk: bytes, suffix: str) -> None:
    for head in (b"", b"a,b\n1,2\n3,4\n", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"PAR1"):
        source = written(tmp_path, head + junk, f"junk{suffix}")
        try:
            data = load(Data(source=source))
        except DataError as error:
            assert str(error).isprintable()
        else:
            assert np.isfinite(data.train.x[:]).all()


@FEW
@given(cells=st.lists(st.lists(st.sampled_from(["1", "-2.5", "", "x", "nan", '"', "1_0"]), max_size=4), max_size=8))
def test_ragged_and_odd_tables_are_read_or_refused(tmp_path: Path, cells: list[list[str]]) -> None:
    source = written(tmp_path, "\n".join(",".join(row) for row in cells))
    try:
        data = load(Data(source=source, missing="mean"))
    except DataError:
        return
    assert all(math.isfinite(value) for value in np.ravel(data.train.x[:]))
