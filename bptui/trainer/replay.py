"""Replay: a run again from a keyframe, in this process, held against what was recorded, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.runs import keyframes
from bptui.runs.info import RunError, RunInfo, read_info
from bptui.runs.interventions import changes
from bptui.runs.report import losses
from bptui.trainer.course import Course
from bptui.trainer.setup import SetupError, meta, prepare

#: What must be as it was for the bits to be the same: fields of the run's META record.
_SAME = ("engine", "device", "dtype", "blas", "threads", "cpu")
Progress = Callable[[int, int], None]


class ReplayError(ValueError):
    """A replay that cannot be made; one line."""


class Outcome(NamedTuple):
    """How a replay ended."""

    start: int
    """Step of the keyframe it began from."""
    step: int
    """The step it came to."""
    losses: int
    """Losses that were held against the record."""
    tensors: int
    """Tensors of keyframes that were."""
    differs: str
    """The first thing that was not the same; empty: bit-exact."""
    not_comparable: str
    """Why the bits may differ though nothing is wrong; empty: they must not."""
    loss: float
    """Of the last step replayed."""
    passed_over: str = ""
    """The keyframe that could not be read, so that it began from one before."""


def _without_weights(spec: dict[str, Any]) -> dict[str, Any]:
    """A keyframe has all parameters: the file that they once came from may be gone."""
    return {**spec, "experiment": {**spec.get("experiment", {}), "weights": ""}}


class Replayed:
    """A course that starts from a keyframe of a run, and the changes that were made on its way."""

    def __init__(self, run: Path, to: int | None, *, first: bool) -> None:
        """``first``: from the first keyframe, else from the last one before ``to`` (None: the last step)."""
        self.info = read_info(run)
        frames = keyframes.keyframes(run)  # before the losses: a run that is under way has more of these by then
        self.recorded: Sequence[float] = losses(run).tolist()
        end = len(self.recorded)
        came_to = max([end, *(frame.step for frame in frames)])
        if came_to > end:
            raise ReplayError(
                f"{self.info.id}: the record is damaged: of {came_to:,} steps the first {end:,} can be read"
            )
        self.to = end if to is None else to
        if not 0 <= self.to <= end:
            raise ReplayError(f"{self.info.id}: there is no step {self.to:,}: 0 to {end:,} are recorded")
        self.frames = {frame.step: frame for frame in frames}
        begins = frames[:1] if first else keyframes.before(run, self.to - 1)
        if not begins or begins[0].step > self.to:
            why = "begin from" if self.to else "compare"
            raise ReplayError(f"{self.info.id}: no keyframe before step {self.to:,}: nothing to {why}")
        self.passed_over = ""
        """The keyframe nearest to the step, where it cannot be read: it began from one before."""
        try:
            engine = str(self.info.actual.get("engine", self.info.engine))
            spec = _without_weights(self.info.spec)
            setup = prepare(msgspec.structs.replace(self.info, engine=engine, weights="", spec=spec))
            self.course = Course(setup)
            self._begin(begins)
        except (SetupError, RunError, ValueError) as error:
            raise ReplayError(str(error)) from None
        now = meta(setup, self.course.epochs, self.course.stopping.total_steps)
        self.not_comparable = _differences(self.info, now)
        self.changes = changes(run)

    def _begin(self, frames: Sequence[keyframes.Keyframe]) -> None:
        """From the first of these that can be read."""
        for frame in frames:
            try:
                self.be_in(frame)
                return
            except ReplayError as error:
                self.passed_over = self.passed_over or str(error)
                del self.frames[frame.step]
        raise ReplayError(self.passed_over)

    def be_in(self, frame: keyframes.Keyframe) -> None:
        """The state of a keyframe. ReplayError: it is damaged; the state is as it was."""
        try:
            self.course.restore(frame.step, *keyframes.read(frame.path))
        except (RunError, ValueError) as error:
            raise ReplayError(str(error)) from None

    def change(self) -> None:
        """What was changed in the present state is changed again."""
        self.course.relive(self.changes)


def replay(run: Path, to: int | None, *, verify: bool = False, progress: Progress | None = None) -> Outcome:
    """Go to state ``to`` (None: the last) from the nearest keyframe before it; ``verify``: from the first one.

    Each loss on the way, and each keyframe that is passed, is held against the record.
    Raises ReplayError: no such step, no keyframe, a damaged one, data that are gone.
    """
    again = Replayed(run, to, first=verify)
    course = again.course
    start, held, tensors = course.step, 0, 0

    def outcome(differs: str) -> Outcome:
        return Outcome(start, course.step, held, tensors, differs, again.not_comparable, course.loss, again.passed_over)

    with np.errstate(all="ignore"):
        while course.step < again.to:
            again.change()
            step = course.step
            loss, known = course.update(), again.recorded[step]
            if not np.isnan(known):
                held += 1
                if loss != known:
                    return outcome(f"the loss of step {step:,} is {loss!r}, recorded {known!r}")
            frame = again.frames.get(course.step)
            if frame is not None:
                if found := _compare(again, frame):
                    return outcome(f"{found} at step {course.step:,}")
                tensors += len(course.capture()[0])
            if progress is not None and course.step % 200 == 0:
                progress(course.step, again.to)
    return outcome("")


def _compare(again: Replayed, frame: keyframes.Keyframe) -> str:
    """The first tensor that is not the same as in the keyframe; empty: all are."""
    try:
        held, words = keyframes.read(frame.path)
    except RunError as error:
        raise ReplayError(str(error)) from None
    again.course.relive(again.changes, int(words.get("applied", "0")))
    mine, _ = again.course.capture()
    for name, tensor in mine.items():
        if name not in held:
            return f"tensor {name} is missing"
        if not _same_bits(tensor, held[name]):
            return f"tensor {name} differs"
    return ""


def _same_bits(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _differences(info: RunInfo, now: dict[str, Any]) -> str:
    """What of the machine is not as it was."""
    changed = [
        f"{name} was {info.actual[name]}, is {now[name]}"
        for name in _SAME
        if name in info.actual and str(info.actual[name]) != str(now[name])
    ]
    then, here = info.actual.get("versions"), now["versions"]
    if isinstance(then, dict):
        changed += [
            f"{name} was {then[name]}, is {here[name]}" for name in here if name in then and then[name] != here[name]
        ]
    return "; ".join(changed)
