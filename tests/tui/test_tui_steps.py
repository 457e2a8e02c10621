"""Where ``g`` goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.tui.steps import step_of

HERE = {"step": 100, "head": 250, "steps_per_epoch": 45}


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("0", 0), ("7", 7), ("250", 250), (" 1_00 ", 100), ("+100", 200), ("-10", 90), ("−10", 90), ("epoch 3", 135),
        ("e2", 90), ("Epoch 0", 0), ("end", 250), ("start", 0), ("1,00", 100),
    ],
)  # fmt: skip
def test_forms(text: str, step: int) -> None:
    assert step_of(text, **HERE) == step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a step"), ("abc", "epoch 3"), ("251", "0 to 250"), ("+151", "0 to 250"), ("-101", "step -1"),
        ("epoch 9", "step 405"), ("1.5", "expected a step"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("+", r"\+")):
        step_of(text, **HERE)


def test_epochs_of_unknown_length() -> None:
    with pytest.raises(ValueError, match="not known yet"):
        step_of("epoch 1", step=0, head=0, steps_per_epoch=0)


@given(st.text(max_size=20))
def test_any_text_is_a_step_that_is_there_or_an_error(text: str) -> None:
    try:
        step = step_of(text, **HERE)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= step <= 250
