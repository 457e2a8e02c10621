"""A lesson as data, and the judgement of an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bptui.spec.experiment import Experiment

FOLDER = Path(__file__).parent
#: The lesson shows four decimals, so an answer worked out from them may be off by a few units of the last one.
ABSOLUTE, RELATIVE = 6e-4, 4e-3


class LessonError(ValueError):
    """The text is one line."""


class Show(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the trainer is asked for, to be held against the formula: a cell of a layer's tensor, or the loss."""

    quantity: str = ""
    layer: int = 0
    cell: tuple[int, ...] = ()
    loss: bool = False


class Slip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wrong answer that is often given, and what is said to it."""

    value: str
    hint: str


class LessonStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    text: str
    formula: str = ""
    ask: str = ""
    expect: str = ""
    """The name of the right answer in the lesson's values."""
    micro: int = 0
    """Micro-steps that the learner makes in it."""
    show: Show | None = None
    then: str = ""
    """Said once it has been seen."""
    slips: tuple[Slip, ...] = ()


class Course(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    about: str
    step: tuple[LessonStep, ...]

    def before(self, index: int) -> int:
        """Micro-steps that were made when step ``index`` begins."""
        return sum(step.micro for step in self.step[:index])


def lesson_names() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/lesson.toml"))


def check_name(name: str) -> None:
    """LessonError with the nearest name, if there is no such lesson."""
    names = lesson_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise LessonError(f"no lesson {name!r}{hint} (there is: {', '.join(names)})")


def load_course(name: str) -> Course:
    check_name(name)
    return msgspec.toml.decode((FOLDER / name / "lesson.toml").read_bytes(), type=Course)


def experiment_of(name: str) -> Experiment:
    """The lesson's network, with its rows found beside it."""
    from msgspec.structs import replace

    from bptui.spec.load import load

    check_name(name)
    experiment = load(str(FOLDER / name / "experiment.toml"))
    return replace(experiment, data=replace(experiment.data, source=str(FOLDER / name / experiment.data.source)))


def filled(text: str, values: Mapping[str, float], *, formula: bool = False) -> str:
    """``{name}`` as this run's number; within a formula one below 0 stands in brackets."""
    figures = {name: figure(value) for name, value in values.items()}
    if formula:
        figures = {name: f"({text})" if text.startswith("−") else text for name, text in figures.items()}
    return text.format_map(figures).strip()


def figure(value: float) -> str:
    """A number of the lesson: four decimals, whole numbers plain; a minus that is one."""
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4f}"
    return text.replace("-", "−")


def close_to(answer: float, value: float) -> bool:
    return math.isfinite(answer) and abs(answer - value) <= ABSOLUTE + RELATIVE * abs(value)


class Verdict(msgspec.Struct, frozen=True):
    right: bool
    hint: str


def judge(step: LessonStep, typed: str, values: Mapping[str, float]) -> Verdict:
    """Whether an answer is right; if not, which factor it lacks, as far as that can be told from the number."""
    try:
        answer = float(typed.replace("−", "-").replace(",", "."))
    except ValueError:
        return Verdict(False, "Type a number, such as -0.25, then Enter.")
    expected = values[step.expect]
    if close_to(answer, expected):
        return Verdict(True, "")
    for slip in step.slips:
        if close_to(answer, values[slip.value]):
            return Verdict(False, filled(slip.hint, values))
    if close_to(-answer, expected):
        return Verdict(False, "The size is right and the sign is not.")
    if expected and answer and close_to(round(answer / expected, 1) * expected, answer):
        ratio = answer / expected
        if math.isclose(abs(math.log10(abs(ratio))) % 1, 0, abs_tol=0.01):
            return Verdict(False, "Only the decimal point stands in another place.")
    nearby = abs(answer - expected) <= 0.03 * max(1.0, abs(expected))
    return Verdict(False, "Close: keep four decimals on the way." if nearby else
                   "Not that. Put the numbers of the second half of the formula into a calculator.")  # fmt: skip
