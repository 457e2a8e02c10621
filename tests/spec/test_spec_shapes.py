"""How layers are joined and what shapes they give; what cannot be is one line that names layer and key."""

from __future__ import annotations

from typing import Any

import pytest

from bptui.spec.check import check
from bptui.spec.describe import describe
from bptui.spec.fields import TAGGED, fields_of, read
from bptui.spec.layers import GEOMETRY
from bptui.spec.load import SpecError, from_dict, parse, to_dict
from bptui.spec.save import to_toml

DENSE: dict[str, Any] = {"units": 12}
HEAD: dict[str, Any] = {"units": 10}


def experiment(*model: dict[str, Any], source: str = "digits") -> Any:
    return parse({"data": {"source": source}, "loss": {"name": "cross_entropy"}, "model": list(model)})


def test_branches_join_by_name_and_every_shape_is_known() -> None:
    spec = experiment(
        {"units": 12, "name": "body", "activation": "relu"}, DENSE, {"type": "add", "of": ["body"]},
        {"units": 4, "input": "input"}, {"type": "concat", "of": ["add1", "body"]}, HEAD,
    )  # fmt: skip
    rows = describe(spec)
    assert [row.shape for row in rows] == [(12,), (12,), (12,), (4,), (28,), (10,)]
    assert [row.sources for row in rows] == [(-1,), (0,), (1, 0), (-1,), (3, 2, 0), (4,)]
    assert [row.parameters for row in rows] == [65 * 12, 13 * 12, 0, 65 * 4, 0, 29 * 10]
    assert from_dict(to_dict(spec)) == spec
    import tomllib

    assert parse(tomllib.loads(to_toml(spec))).model == spec.model


def test_pictures_and_sequences_keep_their_axes() -> None:
    rows = describe(experiment(
        {"type": "conv2d", "units": 6, "padding": "same"}, {"type": "max_pool"}, {"type": "reshape", "shape": [4, -1]},
        {"units": 3}, {"type": "flatten"}, HEAD,
    ))  # fmt: skip
    assert [row.shape for row in rows] == [(6, 8, 8), (6, 4, 4), (4, 24), (4, 3), (12,), (10,)]
    assert [row.units for row in rows] == [6, 6, 24, 3, 12, 10]


def test_a_column_of_ids_is_one_vector_and_a_dot_is_one_number() -> None:
    rows = describe(experiment(
        {"type": "embedding", "units": 8, "vocabulary": 70, "column": 3},
        {"type": "embedding", "units": 8, "vocabulary": 70, "input": "input", "column": 63},
        {"type": "multiply", "of": ["embedding1"]}, {"type": "dot", "of": ["embedding1"]},
        {"type": "embedding", "units": 4, "vocabulary": 70, "input": "input"}, {"type": "time_pool"},
        {"type": "concat", "of": ["dot1"]}, {"units": 66}, source="tinyshakespeare",
    ))  # fmt: skip
    assert [row.shape for row in rows] == [(8,), (8,), (8,), (1,), (64, 4), (4,), (5,), (66,)]
    with pytest.raises(SpecError, match=r"\[model.embedding1\] column: expected 0 to 63 of 64 tokens a sample, got 64"):
        experiment(
            {"type": "embedding", "units": 8, "vocabulary": 70, "column": 64}, {"units": 66}, source="tinyshakespeare"
        )


def test_a_receptive_field_grows_by_kernel_stride_and_dilation() -> None:
    same = {"type": "conv2d", "units": 4, "padding": "same"}
    rows = describe(experiment(
        same, same, {"type": "max_pool"}, {**same, "dilation": 2}, {"type": "add", "of": ["max_pool1"]},
        {"type": "flatten"}, HEAD, source="mnist",
    ))  # fmt: skip
    assert [row.field for row in rows] == [(3, 3), (5, 5), (6, 6), (14, 14), (14, 14), (), ()]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ([DENSE, {"type": "add", "of": ["dens1"]}, HEAD], r"\[model.add1\] of: no earlier layer .dens1. "),
        ([DENSE, {"type": "add"}, HEAD], r"\[model.add1\] of: expected the name of at least one earlier layer"),
        ([DENSE, {"units": 5}, {"type": "add", "of": ["dense1"]}, HEAD], r"\[model.add1\] of: adds inputs"),
        ([DENSE, {"units": 5}, {"type": "multiply", "of": ["dense1"]}, HEAD], r"\[model.multiply1\] of: multiplies"),
        ([DENSE, {"units": 5}, {"type": "dot", "of": ["dense1"]}, HEAD], r"\[model.dot1\] of: multiplies inputs"),
        ([{"type": "dot", "of": ["input"]}, HEAD], r"\[model.dot1\]: needs vectors F or sequences T×F, got 1×8×8"),
        ([DENSE, {**DENSE, "input": "dense3"}, HEAD], r"\[model.dense2\] input: no earlier layer 'dense3'"),
        ([DENSE, {**DENSE, "input": "input"}, HEAD], r"\[model.dense1\]: no layer reads it"),
        ([{"type": "reshape", "shape": [7, 9]}, HEAD], r"\[model.reshape1\] shape: 7×9 does not hold the 64 numbers"),
        ([{"type": "reshape", "shape": [-1, -1]}, HEAD], r"\[model.reshape1\] shape: .* at most one -1"),
        ([{"type": "reshape", "shape": [1, 8, 8]}, HEAD], r"\[model.dense1\]: takes rows .* 1×8×8: add a flatten"),
        ([{"units": 4, "name": "input"}, HEAD], r"\[model.input\] name: 'input' is what the batch is called"),
        ([{"type": "conv2d", "units": 4}, HEAD], r"\[model.dense1\]: .*4×6×6: add a flatten before it"),
        ([{"type": "flaten"}, HEAD], r"type: unknown 'flaten' \(did you mean 'flatten'\?\)"),
        ([DENSE, {"type": "flatten"}], r"\[model.flatten1\].*digits needs 10 outputs with cross_entropy, got 12"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(model: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(SpecError, match=said) as told:
        experiment(*model)
    assert "\n" not in str(told.value)


def test_a_file_that_has_been_read_is_checked_by_its_shape() -> None:
    spec = experiment({"type": "conv1d", "units": 4}, {"type": "flatten"}, HEAD, source="series.csv")
    assert check(spec) == [] and check(spec, (16, 3)) == []
    (problem,) = check(spec, (16,))
    assert problem.table == "model.conv1d1" and "takes sequences" in problem.message


def test_every_kind_has_a_geometry_and_a_form() -> None:
    kinds = TAGGED["model"][1]
    assert set(kinds) == set(GEOMETRY)
    for kind in kinds.values():
        keys = [field.key for field in fields_of(kind)]
        assert keys[-2:] == ["input", "freeze"] and all(field.help for field in fields_of(kind)), kind


def test_several_values_are_read_as_they_are_typed() -> None:
    fields = {field.key: field for field in fields_of(TAGGED["model"][1]["reshape"])}
    assert read(fields["shape"], "3, 8 ×-1") == (3, 8, -1)
    of = {field.key: field for field in fields_of(TAGGED["model"][1]["add"])}["of"]
    assert read(of, "dense1, input") == ("dense1", "input") and read(of, "") == ()
    with pytest.raises(ValueError, match="'x' is not a whole number"):
        read(fields["shape"], "3, x")
