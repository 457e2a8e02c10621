"""The TOML emitter, generic fields and the difference of two experiments."""

from __future__ import annotations

import itertools
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.spec import experiment as tables
from bptui.spec.changes import changes
from bptui.spec.check import SpecError, check
from bptui.spec.experiment import SGD, Adam, AdamW, CrossEntropy, Data, Dense, Experiment, Header, Stop, Variant
from bptui.spec.fields import TAGGED, Field, about, fields_of, read, switched, text_of
from bptui.spec.layers import Layer
from bptui.spec.layers.recurrent import LSTM
from bptui.spec.layers.shape import Flatten
from bptui.spec.load import PRESETS, _convert, load
from bptui.spec.save import save, to_toml

ALL = [tables.Header, tables.Data, tables.Stop, *(kind for _, kinds in TAGGED.values() for kind in kinds.values())]
BASE = Experiment(
    experiment=Header(name="base"), data=Data(source="digits"), loss=CrossEntropy(),
    model=(Dense(units=32, activation="relu"), Dense(units=16, activation="relu"), Dense(units=10)),
)  # fmt: skip


def values(field: Field) -> st.SearchStrategy[Any]:
    """Any value that the field's type allows."""
    some: st.SearchStrategy[Any] = {
        "integer": st.integers(-(2**53), 2**53), "number": st.floats(allow_nan=False), "flag": st.booleans(),
        "choice": st.sampled_from(field.choices or ("",)),
        "text": st.text(st.characters(exclude_categories=["Cs"])),
        "word": st.integers(0, 9) | st.text("a1"),
        "numbers": st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
        "integers": st.lists(st.integers(-9, 99), max_size=3).map(tuple),
        "sizes": st.one_of(st.integers(-9, 99), st.tuples(st.integers(-9, 99), st.integers(-9, 99)),
                           *map(st.just, field.choices)),
        "names": st.lists(st.text("abc_1", min_size=1), max_size=3).map(tuple),
    }[field.kind]  # fmt: skip
    return st.none() | some if field.optional else some


def structs(*kinds: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.builds(kind, **{f.key: values(f) for f in fields_of(kind)}) for kind in kinds))


def kinds(table: str) -> list[type[msgspec.Struct]]:
    return list(TAGGED[table][1].values())


experiments = st.builds(
    Experiment, experiment=structs(tables.Header), data=structs(tables.Data), loss=structs(*kinds("loss")),
    model=st.lists(structs(*kinds("model")), min_size=1, max_size=3).map(tuple), optimizer=structs(*kinds("optimizer")),
    schedule=structs(*kinds("schedule")), stop=structs(tables.Stop),
    variant=st.lists(st.builds(Variant, name=st.text("ab"), set=st.lists(st.text("a.=1"), max_size=2).map(tuple)),
                     max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(experiments)
def test_what_is_written_is_read_back(experiment: Experiment) -> None:
    again = _convert(tomllib.loads(to_toml(experiment)), experiment.experiment.name)
    assert again == experiment
    assert repr(again) == repr(experiment), "down to the sign of zero"


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_goes_through_a_file(preset: str, tmp_path: Path) -> None:
    experiment = load(preset)
    save(experiment, tmp_path / "x.toml")
    assert load(str(tmp_path / "x.toml")) == experiment


def test_only_what_is_not_a_default_is_written() -> None:
    assert to_toml(BASE) == (
        '[experiment]\nname = "base"\n\n[data]\nsource = "digits"\n\n'
        '[[model]]\ntype = "dense"\nunits = 32\nactivation = "relu"\n\n'
        '[[model]]\ntype = "dense"\nunits = 16\nactivation = "relu"\n\n'
        '[[model]]\ntype = "dense"\nunits = 10\n\n[loss]\nname = "cross_entropy"\n'
    )


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "net.toml").write_text("old")
    for name, target in (("link.toml", "real/net.toml"), ("dangling.toml", "real/new.toml")):
        (tmp_path / name).symlink_to(target)
        save(BASE, tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == to_toml(BASE)
    (tmp_path / "circle.toml").symlink_to("circle.toml")
    with pytest.raises(SpecError, match="circle"):
        save(BASE, tmp_path / "circle.toml")
    assert sorted(each.name for each in (tmp_path / "real").iterdir()) == ["net.toml", "new.toml"]


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a folder"):
        save(BASE, tmp_path)
    with pytest.raises(SpecError, match="No such file or directory"):
        save(BASE, tmp_path / "nowhere" / "x.toml")
    assert list(tmp_path.iterdir()) == []


# -- fields ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("struct", ALL, ids=lambda struct: struct.__name__)
def test_every_field_explains_itself_in_one_line(struct: type[msgspec.Struct]) -> None:
    for field in fields_of(struct):
        assert 8 < len(field.help) < 110, f"{struct.__name__}.{field.key}: {field.help}"
        assert "`" not in field.help and "\n" not in field.help
    if struct not in (tables.Header,):
        assert about(struct)


@pytest.mark.parametrize("struct", ALL, ids=lambda struct: struct.__name__)
def test_every_default_is_read_as_it_is_shown(struct: type[msgspec.Struct]) -> None:
    for field in fields_of(struct):
        if field.default is not msgspec.NODEFAULT:
            assert read(field, text_of(field, field.default)) == field.default


@pytest.mark.parametrize(
    ("struct", "key", "typed", "says"),
    [(Dense, "units", "x", "'x' is not a whole number"), (Dense, "units", "", "expected a whole number"),
     (Dense, "units", "1.5", "is not a whole number"), (Dense, "activation", "rlu", "did you mean 'relu'?"),
     (SGD, "lr", "fast", "'fast' is not a number"), (SGD, "lr", "nan", "not a finite number"),
     (SGD, "nesterov", "perhaps", "(one of no, yes)"), (CrossEntropy, "class_weights", "1, x", "is not a number")],
)  # fmt: skip
def test_what_cannot_be_read_says_why(struct: type[msgspec.Struct], key: str, typed: str, says: str) -> None:
    (field,) = [field for field in fields_of(struct) if field.key == key]
    with pytest.raises(ValueError) as raised:
        read(field, typed)
    assert says in str(raised.value)


def test_empty_is_nothing_where_nothing_is_allowed() -> None:
    (field,) = [field for field in fields_of(SGD) if field.key == "clip_norm"]
    assert read(field, " ") is None and read(field, "5") == 5.0 and text_of(field, None) == ""


def test_another_kind_keeps_what_was_set_and_both_have() -> None:
    adam = switched(SGD(lr=0.05, momentum=0.9, clip_norm=5.0), Adam)
    assert adam == Adam(lr=0.05, clip_norm=5.0)
    assert switched(SGD(), Adam) == Adam(), "a default is not a wish"
    assert switched(Flatten(), LSTM) == LSTM(units=16), "what has no default begins somewhere"
    assert switched(Adam(weight_decay=0.1), AdamW) == AdamW(weight_decay=0.1)


# -- changes ---------------------------------------------------------------------------------------
def difference(**new: Any) -> list[str]:
    return list(map(str, changes(BASE, msgspec.structs.replace(BASE, **new))))


def test_the_difference_names_keys() -> None:
    assert difference() == []
    assert difference(optimizer=SGD(lr=0.2)) == ["optimizer.lr: 0.1 → 0.2"]
    assert difference(optimizer=Adam(lr=0.1, clip_norm=1.0)) == [
        "optimizer.name: sgd → adam", "optimizer.clip_norm: – → 1"]  # fmt: skip
    assert difference(stop=Stop(steps=100)) == ["stop.epochs: 20 → –", "stop.steps: – → 100"]


def test_a_layer_between_changes_no_other_layer() -> None:
    first, second, last = BASE.model
    new = Dense(units=8, activation="tanh")
    assert difference(model=(first, new, second, last)) == ["model.dense2: – → new, dense 8 tanh"]
    assert difference(model=(first, last)) == ["model.dense2: removed"]
    assert difference(model=(Dense(units=64, activation="relu"), second, last)) == ["model.dense1.units: 32 → 64"]


def test_any_layer_becomes_any_other_and_is_checked() -> None:
    kinds = typing.get_args(Layer)
    for before, after in itertools.product(kinds, kinds):
        layer = switched(switched(Dense(units=3), before), after)
        experiment = Experiment(data=Data(source="digits"), model=(layer, Dense(units=10)), loss=CrossEntropy())
        assert type(layer) is after and isinstance(check(experiment), list)
