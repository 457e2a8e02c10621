"""The condition language: what it means, and what it says when it cannot be read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.expr import ConditionError, parse

VALUES = {"loss": 0.5, "step": 100.0, "val_accuracy": None, "lr": 0.1}
FUNCTIONS = {"dead": lambda layer: {"dense1": 0.0, "dense2": 0.75}[layer]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss < 1", True),
        ("loss < 0.5", False),
        ("loss <= 0.5 and step == 100", True),
        ("not loss < 1 or step > 99", True),
        ("not (loss < 1 or step > 99)", False),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("8 / 4 / 2 == 1", True),
        ("-loss < -0.4", True),
        ("5 - 3 - 1 == 1", True),
        ('dead("dense2") > 0.5', True),
        ("dead('dense1') > 0.5", False),
        ("val_accuracy > 0.9", False),
        ("not val_accuracy > 0.9", False),
        ("val_accuracy > 0.9 or loss < 1", True),
        ("val_accuracy > 0.9 and loss > 1", False),
        ("is_finite(loss)", True),
        ("abs(0 - loss) == loss", True),
        ("1 / 0 > 1e300", True),
    ],
)
def test_meaning(text: str, expected: bool) -> None:
    assert parse(text, layers=["dense1", "dense2"]).holds(VALUES, FUNCTIONS) is expected


def test_nan_is_caught_by_is_finite_and_by_no_comparison() -> None:
    values = {"loss": math.nan}
    assert parse("not is_finite(loss)").holds(values)
    assert not parse("loss > 1").holds(values)
    assert not parse("loss <= 1").holds(values)
    assert not parse("loss").holds(values)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("los < 1", "did you mean 'loss'"),
        ("loss <", "at the end"),
        ("(loss < 1", "')'"),
        ("loss < 1)", "character 9"),
        ("0 < loss < 1", "'and' between"),
        ("loss ? 1", "character 6"),
        ("dead(dense1) > 1", "in quotes"),
        ('dead("dnse1") > 1', "did you mean 'dense1'"),
        ('ded("dense1") > 1', "did you mean 'dead'"),
        ("__import__('os')", "unknown function"),
        ("(" * 60 + "1" + ")" * 60, "nested"),
        ("1 " * 3000, "longer"),
    ],
)
def test_what_cannot_be_read_says_where_and_what(text: str, told: str) -> None:
    with pytest.raises(ConditionError, match=told.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        parse(text, layers=["dense1"])


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_one_line_error(text: str) -> None:
    try:
        parse(text).holds(VALUES, FUNCTIONS)
    except ConditionError as error:
        assert "\n" not in str(error)
    except KeyError:
        assert "dead" in text  # a layer that this test's table does not have


_number = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@given(a=_number, b=_number, c=_number, sign=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_arithmetic_and_comparison_agree_with_python(a: float, b: float, c: float, sign: str) -> None:
    import operator

    compare = {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }[sign]
    text = f"({a!r}) + ({b!r}) * 2 {sign} ({c!r}) - 1"
    assert parse(text).holds({}) is compare(a + b * 2, c - 1)
