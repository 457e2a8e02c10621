"""The lesson's numbers, and what is said to wrong ones."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.lessons.course import LessonError, close_to, experiment_of, figure, filled, judge, load_course
from bptui.lessons.formulas import Start, values
from bptui.lessons.progress import keep_progress, progress_path, read_progress

COURSE = load_course("backprop")
START = Start(
    x=(1.5, -0.5), y=1.0, lr=0.5, W1=((0.4991, -0.238), (0.5087, 0.8753)), b1=(0.1, 0.1), W2=(-0.8738, -0.7931), b2=0.1
)
VALUES = values(START)
ASKED = [step for step in COURSE.step if step.ask]


def _loss(start: Start) -> float:
    """Written anew, and differently: the whole network as one expression."""
    hidden = [math.tanh(start.x[0] * u + start.x[1] * v + b) for u, v, b in zip(*start.W1, start.b1, strict=True)]
    z = sum(a * w for a, w in zip(hidden, start.W2, strict=True)) + start.b2
    return math.log1p(math.exp(-z)) if start.y else math.log1p(math.exp(z))


def test_there_are_twelve_steps_and_a_whole_update() -> None:
    assert len(COURSE.step) == 12
    assert COURSE.before(12) == 8  # batch, two layers forward, loss, two back, clip, update


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("gw11", lambda h: Start(**{**_fields(), "W1": ((0.4991 + h, -0.238), (0.5087, 0.8753))})),
        ("gw21", lambda h: Start(**{**_fields(), "W1": ((0.4991, -0.238), (0.5087 + h, 0.8753))})),
        ("d1", lambda h: Start(**{**_fields(), "b1": (0.1 + h, 0.1)})),
        ("d2", lambda h: Start(**{**_fields(), "b1": (0.1, 0.1 + h)})),
        ("gv1", lambda h: Start(**{**_fields(), "W2": (-0.8738 + h, -0.7931)})),
        ("gv2", lambda h: Start(**{**_fields(), "W2": (-0.8738, -0.7931 + h)})),
        ("d", lambda h: Start(**{**_fields(), "b2": 0.1 + h})),
    ],
)
def test_gradients_are_those_of_finite_differences(name: str, moved) -> None:  # type: ignore[no-untyped-def]
    h = 1e-6
    assert VALUES[name] == pytest.approx((_loss(moved(h)) - _loss(moved(-h))) / (2 * h), abs=1e-8)


def _fields() -> dict[str, object]:
    return {name: getattr(START, name) for name in START.__struct_fields__}


def test_one_update_makes_the_loss_smaller() -> None:
    assert VALUES["loss"] == pytest.approx(_loss(START))
    assert VALUES["new_loss"] < VALUES["loss"]


@pytest.mark.parametrize("step", ASKED, ids=lambda step: step.expect)
def test_an_answer_worked_out_from_the_figures_shown_is_right(step) -> None:  # type: ignore[no-untyped-def]
    """The numbers of the formula, as they stand there with four decimals, are enough."""
    assert judge(step, figure(VALUES[step.expect]), VALUES).right
    assert judge(step, f"{VALUES[step.expect]:.3f}", VALUES).right or abs(VALUES[step.expect]) < 0.1


@pytest.mark.parametrize(
    ("step", "slip"),
    [(step, slip) for step in ASKED for slip in step.slips],
    ids=lambda each: getattr(each, "value", ""),
)
def test_each_slip_is_wrong_and_gets_its_own_hint(step, slip) -> None:  # type: ignore[no-untyped-def]
    assert not close_to(VALUES[slip.value], VALUES[step.expect])
    verdict = judge(step, figure(VALUES[slip.value]), VALUES)
    assert not verdict.right and verdict.hint == filled(slip.hint, VALUES)


def test_the_missing_factor_is_named() -> None:
    step = next(step for step in ASKED if step.expect == "d1")
    assert f"factor g′(z₁) = {figure(VALUES['g1'])}" in judge(step, str(VALUES["u1"]), VALUES).hint
    assert judge(step, str(-VALUES["d1"]), VALUES).hint == "The size is right and the sign is not."
    assert "decimal point" in judge(step, str(VALUES["d1"] / 10), VALUES).hint


@pytest.mark.parametrize("typed", ["", "-", "x", "1e", "--1", "nan", "inf", "1" * 400])
def test_what_is_no_number_is_no_answer(typed: str) -> None:
    verdict = judge(ASKED[0], typed, VALUES)
    assert not verdict.right and verdict.hint


@given(st.text(max_size=30))
def test_no_answer_breaks_it(typed: str) -> None:
    for step in ASKED:
        judge(step, typed, VALUES)


def test_every_name_in_the_text_is_a_value() -> None:
    for step in COURSE.step:
        for text in (step.text, step.formula, step.then, *(slip.hint for slip in step.slips)):
            assert not re.search(r"[{}]", filled(text, VALUES))
        assert not step.ask or step.expect in VALUES


def test_an_unknown_lesson_names_the_nearest() -> None:
    with pytest.raises(LessonError, match="did you mean 'backprop'"):
        load_course("bacprop")


def test_its_network_is_2_2_1_in_f64() -> None:
    experiment = experiment_of("backprop")
    assert [layer.units for layer in experiment.model] == [2, 1]
    assert experiment.experiment.dtype == "f64" and experiment.data.batch_size == 1
    assert Path(experiment.data.source).is_absolute()


def test_progress_is_kept_and_nonsense_is_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path))
    assert read_progress("backprop", 12) == 0
    keep_progress("backprop", 5)
    assert read_progress("backprop", 12) == 5
    keep_progress("backprop", 12)
    assert read_progress("backprop", 12) == 0  # done: from the beginning
    progress_path("backprop").write_text('{"step": "many"')
    assert read_progress("backprop", 12) == 0
