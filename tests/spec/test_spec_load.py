"""Experiments from presets, files and --set: what is accepted, and what a user is told otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.spec.check import SpecError
from bptui.spec.describe import describe
from bptui.spec.experiment import SGD, layer_names
from bptui.spec.load import from_dict, load, parse, presets, title, to_dict

MINIMAL = {"data": {"source": "xor"}, "model": [{"units": 2}], "loss": {"name": "cross_entropy"}}


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_is_valid_described_and_survives_a_round_trip(name: str) -> None:
    experiment = load(name)
    assert presets()[name], "a preset says what it is"
    assert from_dict(to_dict(experiment)) == experiment
    rows = describe(experiment)
    assert all(row.parameters is not None for row in rows) and sum(row.parameters or 0 for row in rows) > 0
    assert title(experiment).startswith(experiment.experiment.name)


def test_describe_counts_parameters() -> None:
    rows = describe(load("binary"))
    assert [(row.name, row.inputs, row.shape, row.parameters) for row in rows] == [
        ("dense1", 20, (10,), 210), ("dense2", 10, (10,), 110), ("dense3", 10, (1,), 11)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.lr=fast", "[optimizer] lr: expected float"),
        ("optimizer.lrr=1", "did you mean 'lr'?"),
        ("model.dense1.activation=rellu", "did you mean 'relu'?"),
        ("model.dense9.units=3", "no layer 'dense9'"),
        ("model.3.units=9", "needs 10 outputs"),
        ("model.dense3.activation=relu", "takes logits"),
        ("modl.x=1", "did you mean 'model'?"),
        ("optimizer.momentum=2", "below 1"),
        ("optimizer.lr=-1", "above 0"),
        ("optimizer.lr=nan", "above 0"),
        ("optimizer.name=sdg", "did you mean 'sgd'?"),
        ("loss.name=binary_cross_entropy", "expected cross_entropy"),
        ("model.dense1.units=0", "from 1 to"),
        ("model.dense1.name=dense2", "two layers"),
        ("data.batch_size=0", "above 0"),
        ("data.validation=1.0", "below 1"),
        ("stop.epochs=-1", "at least 0"),
        ("stop.loss_below=inf", "finite"),
        ("data.batch_size=" + "9" * 400, "64 bits"),
        ("data.batch_size=" + "9" * 5000, "expected int"),
        ("data.batch_size=0x" + "f" * 5000, "64 bits"),
        ("loss.class_weights=[" + "9" * 400 + "]", "64 bits"),
        ("data.batch_size=" + "[" * 9999, "expected int"),
        ("experiment.dtype=f16", "did you mean 'f64'"),
        ("nonsense", "TABLE.KEY=VALUE"),
        ("optimizer.nesterov=true", None),
    ],
)
def test_a_bad_override_names_table_key_and_what_was_expected(override: str, told: str | None) -> None:
    if told is None:
        assert load("digits", [override])
        return
    with pytest.raises(SpecError, match=re.escape(told)) as caught:
        load("digits", [override])
    assert "\n" not in str(caught.value)


def test_overrides_reach_layers_by_name_and_number() -> None:
    experiment = load("digits", ["model.dense1.units=48", "model.2.activation=tanh", "optimizer.lr=0.01"])
    assert experiment.model[0].units == 48
    assert experiment.model[1].activation == "tanh"
    assert experiment.optimizer.lr == 0.01


def test_overrides_of_a_layer_may_be_lists_parted_by_commas() -> None:
    resnet = load("resnet", ["model.conv2d1.kernel=5,3", "model.block1.of=conv2d1, stem"])
    layers: dict[str, Any] = dict(zip(layer_names(resnet.model), resnet.model, strict=True))
    assert layers["conv2d1"].kernel == (5, 3) and layers["block1"].of == ("conv2d1", "stem")


def test_an_override_reaches_a_table_that_the_file_leaves_out() -> None:
    experiment = parse(MINIMAL, overrides=["optimizer.lr=0.05", "stop.steps=3"])
    assert experiment.optimizer == SGD(lr=0.05)
    with pytest.raises(SpecError, match=r"\[schedule\] unknown key 'gamma'"):
        parse(MINIMAL, overrides=["schedule.gamma=0.5"])


def test_another_optimizer_keeps_the_rate_and_drops_keys_it_does_not_have() -> None:
    experiment = load("digits", ["optimizer.name=adam"])
    assert experiment.optimizer.__struct_config__.tag == "adam"
    assert experiment.optimizer.lr == load("digits").optimizer.lr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[data", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "table [data] is missing"),
        (b'[data]\nsource="xor"\n[loss]\nname="mse"\n', "no layers"),
        (b'model = 3\n[data]\nsource="xor"\n[loss]\nname="mse"\n', "[[model]]"),
        (b'data = 3\nmodel = []\n[loss]\nname="mse"\n', "expected a table"),
        (b'[data]\nsource="xor"\n[loss]\n[[model]]\nunits=2\n', "name is missing"),
        (b'[data]\nsource="xor"\n[loss]\nname="cross_entropy"\n[[model]]\n', "units is missing"),
        (b'[data]\nsource="xor"\n[loss]\nname="cross_entropy"\n[[model]]\ntype="conv9"\nunits=2', "unknown 'conv9'"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(told)) as caught:
        load(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_unknown_preset_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean 'digits'"):
        load("digit")
    with pytest.raises(SpecError, match="no file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(SpecError, match="a folder"):
        load(str(tmp_path))


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    table=st.sampled_from(["data", "model", "loss", "optimizer", "schedule", "stop", "experiment", "x"]), value=_plain
)
def test_any_plain_data_is_an_experiment_or_a_spec_error(table: str, value: object) -> None:
    try:
        parse({**MINIMAL, table: value})
    except SpecError as error:
        assert "\n" not in str(error) or "\n" in repr(value)


@pytest.mark.parametrize(
    ("table", "kind", "key"),
    [
        ("schedule", "warmup", "start"), ("schedule", "cosine", "min_lr"), ("schedule", "plateau", "min_lr"),
        ("schedule", "plateau", "patience"), ("schedule", "plateau", "threshold"), ("schedule", "plateau", "cooldown"),
        ("optimizer", "adagrad", "lr_decay"), ("optimizer", "adagrad", "initial_accumulator"),
    ],
)  # fmt: skip
def test_what_must_not_be_negative_is_told(table: str, kind: str, key: str) -> None:
    with pytest.raises(SpecError, match=rf"\[{table}\] {key}: expected a number of at least 0, got -1"):
        parse({**MINIMAL, table: {"name": kind, key: -1}})
    assert parse({**MINIMAL, table: {"name": kind, key: 0}})


def test_a_table_that_is_none_is_told_before_it_is_changed() -> None:
    with pytest.raises(SpecError, match=r"\[experiment\]: expected a table, got int"):
        parse({**MINIMAL, "experiment": 3, "variant": [{"name": "a"}]}, variant="a")
    with pytest.raises(SpecError, match=r"\[model, layer 1\]: expected a table, got int"):
        parse({**MINIMAL, "model": [1]}, overrides=["model.1.units=3"])


def test_a_number_too_long_to_read_is_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[data]\nsamples = " + "9" * 5000)
    with pytest.raises(SpecError, match="not TOML"):
        load(str(path))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"type": "lstm", "units": 2, "layers": 10**5}, "layers: expected a whole number from 1 to 256, got 100000"),
        ({"type": "embedding", "units": 2, "vocabulary": 10**15}, "vocabulary: expected a whole number from 1 to 16,"),
        ({"type": "transformer_block", "feed": 10**9}, "feed: expected a whole number from 1 to 1,048,576, got"),
    ],
)
def test_what_a_layer_is_made_of_has_bounds(layer: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError, match=re.escape(told)):
        parse({**MINIMAL, "data": {"source": "a.csv"}, "model": [layer, {"units": 2}]})


@pytest.mark.parametrize("both", [False, True])
def test_weights_of_classes_are_as_many_as_outputs(both: bool) -> None:
    model = [{"type": "gru", "units": 2, "bidirectional": both}]
    weights = [1.0] * (4 if both else 2)
    table = {"data": {"source": "s.npz"}, "model": model, "loss": {"name": "cross_entropy", "class_weights": weights}}
    assert parse(table).loss.class_weights == tuple(weights)  # type: ignore[union-attr]
    table["loss"] = {"name": "cross_entropy", "class_weights": [1.0] * 3}
    with pytest.raises(SpecError, match=f"expected {len(weights)} weights, got 3"):
        parse(table)
