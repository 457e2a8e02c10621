"""``bptui predict``: rows and pictures of every kind, and what does not fit."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bptui.data import load
from bptui.runs.report import report
from bptui.spec.experiment import CrossEntropy, Data

Train = Callable[..., Path]
Bptui = Callable[..., Any]
Refused = Callable[..., str]

TABLE = """
[data]
source = "{source}"
validation = 0.0
missing = "mean"
{data}
[[model]]
units = 8
activation = "tanh"
[[model]]
units = {units}
[loss]
name = "{loss}"
[optimizer]
name = "adam"
lr = 0.05
[stop]
steps = 120
"""


@pytest.fixture(scope="module")
def digits(train: Train) -> Path:
    return train("digits", "--epochs", "3")


@pytest.fixture(scope="module")
def pixels() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """The digits' validation rows before scaling, and their labels."""
    data = load(Data(source="digits", scale="none"), loss=CrossEntropy())
    assert data.validation is not None
    return np.asarray(data.validation.x, np.uint8), data.validation.y


def predicted(bptui: Bptui, *words: object) -> dict[str, Any]:
    told = bptui("predict", *words, "--json")
    assert told.code == 0, told.err
    content: dict[str, Any] = json.loads(told.out)
    return content


def test_rows_that_were_held_out_give_the_runs_own_accuracy(
    bptui: Bptui, digits: Path, pixels: tuple[Any, Any], tmp_path: Path
) -> None:
    x, y = pixels
    np.savez(tmp_path / "held.npz", x=x.reshape(-1, 8, 8), y=y)
    content = predicted(bptui, digits.name, tmp_path / "held.npz")
    assert content["metrics"]["accuracy"] == report(digits)["metrics"]["val_accuracy"]
    assert (content["run"], content["step"], len(content["predictions"])) == (digits.name, 135, len(y))
    first = content["predictions"][0]
    assert first["label"] == str(y[0])
    assert sum(first["probabilities"]) == pytest.approx(1)
    assert first["probability"] == max(first["probabilities"])
    assert first["class"] == str(np.argmax(first["probabilities"]))


KINDS = ("rows.npy", "pictures.npy", "one.npy", "row.npy", "x.csv", "x.tsv", "x.csv.gz", "images.idx3-ubyte")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same(
    bptui: Bptui, digits: Path, pixels: tuple[Any, Any], tmp_path: Path, kind: str
) -> None:
    x, y = pixels[0][:5], pixels[1][:5]
    path = tmp_path / kind
    np.save(tmp_path / "base.npy", x.astype(float))
    wanted = predicted(bptui, digits.name, tmp_path / "base.npy")["predictions"]
    if kind == "rows.npy":
        np.save(path, x)
    elif kind == "pictures.npy":
        np.save(path, x.reshape(-1, 8, 8).astype(np.float32))
    elif kind in ("one.npy", "row.npy"):
        np.save(path, x[0].reshape(8, 8) if kind == "one.npy" else x[0])
        wanted = wanted[:1]
    elif kind.startswith("x."):
        mark = "\t" if kind == "x.tsv" else ","
        text = "".join(mark.join(map(str, [*row, label])) + "\n" for row, label in zip(x, y, strict=True))
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
    else:
        path.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0, 8]) + x.tobytes())
        (tmp_path / "labels.idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 5]) + y.astype(np.uint8).tobytes())
    content = predicted(bptui, digits.name, path)
    for mine, theirs in zip(content["predictions"], wanted, strict=True):
        assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-6)
    if not kind.endswith(".npy"):
        assert [row["label"] for row in content["predictions"]] == list(map(str, y))


def test_single_pictures(bptui: Bptui, digits: Path, pixels: tuple[Any, Any], tmp_path: Path) -> None:
    x = pixels[0][3].reshape(8, 8)
    np.save(tmp_path / "x.npy", x)
    wanted = predicted(bptui, digits.name, tmp_path / "x.npy")["predictions"][0]
    shown = np.round(x * (255 / 16)).astype(np.uint8)  # a picture's 255 is the data's 16
    for name, picture in (
        ("grey.png", Image.fromarray(shown)), ("colour.png", Image.fromarray(shown).convert("RGB")),
        ("alpha.png", Image.fromarray(shown).convert("RGBA")), ("x.pgm", Image.fromarray(shown)),
    ):  # fmt: skip
        picture.save(tmp_path / name)
        got = predicted(bptui, digits.name, tmp_path / name)["predictions"][0]
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=0.02), name
    Image.fromarray(255 - shown).save(tmp_path / "ink.png")
    got = predicted(bptui, digits.name, tmp_path / "ink.png", "--invert")["predictions"][0]
    assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=0.02)
    Image.fromarray(shown).resize((48, 48), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    got = predicted(bptui, digits.name, tmp_path / "large.png", "--resize")["predictions"][0]
    assert got["class"] == wanted["class"]


def test_what_a_user_sees(bptui: Bptui, digits: Path, pixels: tuple[Any, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "h.npz", x=pixels[0], y=pixels[1])
    told = bptui("predict", digits.name[:-2], tmp_path / "h.npz")
    lines = told.out.splitlines()
    assert lines[0].split()[0] == "1"
    assert lines[20].startswith("… and 339 more rows")
    assert lines[21].startswith("359 rows · accuracy 0.9")
    assert lines[21].endswith(f"{digits.name} at step 135")


def test_a_table_has_every_row_and_probability(
    bptui: Bptui, digits: Path, pixels: tuple[Any, Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", pixels[0])
    assert bptui("predict", digits.name, tmp_path / "x.npy", "--output", tmp_path / "o.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert len(rows) == len(pixels[0])
    assert list(rows[0]) == ["row", "class", "probability", *(f"p_{digit}" for digit in range(10))]
    assert float(rows[7][f"p_{rows[7]['class']}"]) == float(rows[7]["probability"])


BAD_FILES = {
    "small.png": "4×4 pixels, this run takes 8×8 pixels; --resize scales it",
    "wide.csv": "66 columns, this run takes 64 features",
    "narrow.npy": "rows of 3, this run takes 8×8 pixels",
    "cube.npy": "4×4 pixels",
    "texts.npy": "expected numbers",
    "objects.npy": "Python objects",
    "nan.npy": "row 2, feature 3 is nan",
    "none.npz": "no array called x; it holds a, b",
    "uneven.npz": "3 rows, but 2 labels",
    "cut.npz": "not a readable .npz",
    "empty.csv": "the file is empty",
    "photo.jpg": "save it as PNG",
    "cell.csv": "'?!' is not a number",
    "missing.csv": "no such file",
    "folder": "a folder",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_do_not_fit_are_one_line(digits: Path, refused: Refused, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    ones = np.ones((3, 64))
    if name == "small.png":
        Image.new("L", (4, 4)).save(path)
    elif name == "wide.csv":
        np.savetxt(path, np.ones((3, 66)), delimiter=",")
    elif name == "cell.csv":
        rows = (["1"] * 64, ["2"] * 64, ["1"] * 63 + ["?!"])
        path.write_text("".join(",".join(row) + "\n" for row in rows))
    elif name == "folder":
        path.mkdir()
    elif name.endswith(".npy"):
        ones[1, 2] = np.nan
        made = {
            "narrow": np.ones((2, 3)), "cube": np.ones((2, 4, 4)), "texts": np.array([["a"] * 64]),
            "objects": np.array([{}] * 64, object), "nan": ones,
        }  # fmt: skip
        np.save(path, made[path.stem], allow_pickle=True)
    elif name == "none.npz":
        np.savez(path, a=ones, b=ones)
    elif name.endswith(".npz"):
        np.savez(path, x=ones, y=np.ones(2))
        if name == "cut.npz":
            path.write_bytes(path.read_bytes()[:-40])
    elif name != "missing.csv":
        path.write_bytes(b"\xff\xd8\xff\xe0 JFIF" if name == "photo.jpg" else b"")
    line = refused("predict", digits.name, path)
    assert BAD_FILES[name].lower() in line.lower()
    assert name in line


def test_other_bad_usage(bptui: Bptui, digits: Path, refused: Refused, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 64)))
    (tmp_path / "x.csv").write_text(",".join(["1"] * 64) + "\n" + ",".join(["2"] * 64) + "\n")
    assert "no run 'nope'" in refused("predict", "nope", tmp_path / "x.npy")
    assert "cannot be written" in refused("predict", digits.name, tmp_path / "x.npy", "--output", "/nonexistent/o.csv")
    assert "--resize" in refused("predict", digits.name, tmp_path / "x.csv", "--resize")
    assert "--resize" in refused("predict", digits.name, tmp_path / "x.npy", "--resize")


def colours(path: Path, rows: int, *, label: bool, order: tuple[str, ...] = ("size", "colour", "kind")) -> None:
    """Kind depends on size and colour; every tenth size is missing."""
    draw = np.random.default_rng(rows)
    with path.open("w") as file:
        writer = csv.DictWriter(file, [name for name in order if label or name != "kind"], extrasaction="ignore")
        writer.writeheader()
        for row in range(rows):
            size, colour = round(float(draw.normal(50, 10)), 2), ("red", "green", "blue")[row % 3]
            kind = "apple" if (size > 50) == (colour == "red") else "plum"
            writer.writerow({"size": "" if row % 10 == 9 else size, "colour": colour, "kind": kind})


@pytest.fixture(scope="module")
def fruit(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from texts and numbers; its data are gone."""
    folder = tmp_path_factory.mktemp("fruit")
    colours(folder / "fruit.csv", 300, label=True)
    (folder / "f.toml").write_text(TABLE.format(source=folder / "fruit.csv", units=2, loss="cross_entropy", data=""))
    run = train(folder / "f.toml")
    (folder / "fruit.csv").unlink()
    return run


def test_columns_are_found_by_name_whatever_their_order(bptui: Bptui, fruit: Path, tmp_path: Path) -> None:
    colours(tmp_path / "a.csv", 40, label=True)
    colours(tmp_path / "b.csv", 40, label=True, order=("kind", "colour", "size"))
    colours(tmp_path / "c.csv", 40, label=False, order=("colour", "size"))
    a, b, c = (predicted(bptui, fruit.name, tmp_path / f"{name}.csv") for name in "abc")
    assert a["metrics"]["accuracy"] > 0.8
    assert a["predictions"] == b["predictions"]
    assert [row["class"] for row in a["predictions"]] == [row["class"] for row in c["predictions"]]
    assert {row["class"] for row in a["predictions"]} == {"apple", "plum"}
    assert c["metrics"] == {}


def test_texts_that_training_has_not_seen_are_told(bptui: Bptui, fruit: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("size,colour\n50,red\n40,violet\n60,green\n")
    told = bptui("predict", fruit.name, tmp_path / "x.csv")
    assert told.code == 0
    assert "'violet' was not there in training" in told.err


def test_columns_that_are_missing_or_of_another_kind_are_named(fruit: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sizes,colour\n50,red\n40,red\n")
    line = refused("predict", fruit.name, tmp_path / "x.csv")
    assert "no column 'size', which this run needs; did you mean 'sizes'" in line
    (tmp_path / "y.csv").write_text("size,colour\n50,1\n40,2\n")
    assert "column 'colour' holds numbers" in refused("predict", fruit.name, tmp_path / "y.csv")
    (tmp_path / "z.csv").write_text("size,colour\nlarge,red\nsmall,red\n")
    assert "column 'size' holds texts" in refused("predict", fruit.name, tmp_path / "z.csv")


def test_labels_of_other_classes_are_left_out_with_a_word(bptui: Bptui, fruit: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("size,colour,kind\n50,red,pear\n40,green,fig\n")
    told = bptui("predict", fruit.name, tmp_path / "x.csv")
    assert "labels not compared: kind holds 'fig', this run's classes are apple, plum" in told.err
    assert "accuracy" not in told.out


def test_rows_without_a_label_do_not_count(bptui: Bptui, fruit: Path, tmp_path: Path) -> None:
    rows = ["60,red,apple", "40,red,plum", "60,green,", "57,red,pear"]
    (tmp_path / "x.csv").write_text("\n".join(["size,colour,kind", *rows]))
    content = predicted(bptui, fruit.name, tmp_path / "x.csv")
    assert [row["label"] for row in content["predictions"]] == ["apple", "plum", None, None]
    assert content["metrics"]["accuracy"] == pytest.approx(2 / 3), "the third has no label"


def test_values_of_a_regression(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    np.savez(tmp_path / "r.npz", x=x, y=x @ [1.0, -2.0, 0.5])
    table = TABLE.format(source=tmp_path / "r.npz", units=1, loss="mse", data='task = "regression"')
    (tmp_path / "r.toml").write_text(table)
    run = train(tmp_path / "r.toml")
    content = predicted(bptui, run.name, tmp_path / "r.npz")
    assert content["metrics"]["r2"] == pytest.approx(report(run)["metrics"]["train_r2"], abs=1e-6)
    assert isinstance(content["predictions"][0]["value"], float)
    bptui("predict", run.name, tmp_path / "r.npz", "--output", tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == "row,value,label"


def test_one_output_for_two_classes(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    data = load(Data(source="binary", scale="none", validation=0.0))
    np.savez(tmp_path / "b.npz", x=data.train.x, y=data.train.y[:, 0].astype(int))
    run = train("binary", "--epochs", "5")
    content = predicted(bptui, run.name, tmp_path / "b.npz")
    assert content["metrics"]["accuracy"] > 0.9
    for row in content["predictions"]:
        (p,) = row["probabilities"]
        assert row["probability"] == pytest.approx(p if row["class"] == "1" else 1 - p)
        assert row["probability"] >= 0.5


def test_several_labels_a_row(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).round(3)
    rows = ["a,b,c,d,warm,wet", *(",".join(map(str, [*row, int(row[0] > 0), int(row[1] > 0)])) for row in x)]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    table = TABLE.format(
        source=tmp_path / "m.csv", units=2, loss="binary_cross_entropy", data='task = "multilabel"\nlabel = "warm,wet"'
    )
    (tmp_path / "m.toml").write_text(table)
    content = predicted(bptui, train(tmp_path / "m.toml").name, tmp_path / "m.csv")
    assert content["classes"] == ["warm", "wet"]
    assert content["metrics"]["accuracy"] > 0.9
    first = content["predictions"][0]
    assert set(first["class"]) <= {"warm", "wet"}
    assert len(first["probabilities"]) == 2


def test_it_needs_no_torch(digits: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 64)))
    program = (
        "import sys; from bptui.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(code or (9 if 'torch' in sys.modules else 0))"
    )
    words = ["predict", digits.name, str(tmp_path / "x.npy")]
    assert subprocess.run([sys.executable, "-c", program, *words], capture_output=True, timeout=60).returncode == 0


def test_a_run_that_goes_on_is_asked_at_its_last_keyframe(bptui: Bptui, home: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 64)))
    words = [sys.executable, "-m", "bptui", "train", "digits", "--epochs", "100000", "--pace", "200", "--seed", "77"]
    before = set((home / "runs").glob("*"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as training:
        assert training.stdout is not None
        while "step" not in training.stdout.readline():
            pass
        (run,) = set((home / "runs").glob("*")) - before
        content = predicted(bptui, run.name, tmp_path / "x.npy")
        training.terminate()
        training.communicate(timeout=60)
    assert content["step"] % 45 == 0
    assert len(content["predictions"]) == 2


def test_a_picture_for_a_run_that_takes_rows_is_one_line(fruit: Path, refused: Refused, tmp_path: Path) -> None:
    Image.new("L", (4, 1)).save(tmp_path / "p.png")
    assert "p.png: a picture, but this run takes 4 features" in refused("predict", fruit.name, tmp_path / "p.png")


def test_an_autoencoder_answers_in_the_units_of_the_rows(bptui: Bptui, train: Train, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 1)) * [1000.0, -1000.0, 0.1] + [20_000.0, 50.0, -3.0]
    (tmp_path / "rows.csv").write_text("a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in x.tolist()))
    spec = tmp_path / "spec.toml"
    spec.write_text(
        TABLE.format(source=tmp_path / "rows.csv", data='task = "autoencoder"\nlabel = "c"', units=2, loss="mse")
    )
    run = train(spec)
    content = predicted(bptui, run.name, tmp_path / "rows.csv")
    values = np.array([row["value"] for row in content["predictions"]])
    assert np.abs(values - x[:, :2]).mean(axis=0).max() < 100 and abs(values[:, 0].mean() - 20_000) < 300
    assert content["notes"] == ["values in the units of the rows: the scaling of the training data is undone"]


def test_ratings_are_foretold_and_whom_the_run_does_not_know_is_told(
    bptui: Bptui, train: Train, tmp_path: Path
) -> None:
    rows = [(u, i, 1.0 + u + 2 * i) for u in range(6) for i in range(4) for _ in range(3)]
    (tmp_path / "r.tsv").write_text("".join(f"u{u}\t{i}\t{r}\t99\n" for u, i, r in rows))
    layers = [
        f'type = "embedding"\nname = "{name}"\ninput = "input"\ncolumn = {at}\nvocabulary = {size}\nunits = 1'
        for at, (name, size) in enumerate({"user": 7, "item": 5}.items())
    ]
    (tmp_path / "r.toml").write_text("\n[[model]]\n".join([
        f'[data]\nsource = "{tmp_path / "r.tsv"}"\nids = "0,1"\nlabel = 2\nvalidation = 0.0', *layers,
        'type = "add"\nof = ["user"]', 'units = 1\ninit = "constant"\nvalue = 1.0',
    ]) + '\n[loss]\nname = "mse"\n[optimizer]\nname = "adam"\nlr = 0.05\n[stop]\nsteps = 900\n')  # fmt: skip
    run = train(tmp_path / "r.toml")
    (tmp_path / "new.tsv").write_text("u1\t3\nu5\t0\nnobody\t2\n")
    content = predicted(bptui, run.name, tmp_path / "new.tsv")
    values = [row["value"] for row in content["predictions"]]
    assert values[:2] == pytest.approx([8.0, 6.0], abs=0.1)
    assert content["notes"] == ["column 1: in 1 of 3 rows an id that this run does not know: 'nobody'"]
    known = predicted(bptui, run.name, tmp_path / "r.tsv")
    assert known["metrics"]["r2"] > 0.99 and known["notes"] == []
