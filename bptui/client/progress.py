"""What ``bptui train`` shows while a run goes on: a bar on a terminal, lines in a pipe, or nothing."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from bptui.protocol.messages import ModelInfo, Status
from bptui.runs.history import History
from bptui.runs.output import escape
from bptui.spec.load import sizes

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds between two plain lines while an epoch takes long.
_LINE_EVERY = 10.0


class Display(Protocol):
    """What ``follow`` shows while a run goes on."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, model: ModelInfo, status: Status, history: History) -> None: ...
    def say(self, text: str) -> None: ...


class Silent:
    """Nothing but what is no progress."""

    def say(self, text: str) -> None:
        """One line that is no progress."""
        print(escape(text), flush=True)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        """Nothing."""


class Lines(Silent):
    """One line an epoch, or every ten seconds where epochs are long: for pipes and log files."""

    def __init__(self) -> None:
        self._began = False
        self._said: tuple[int, float] = (0, time.monotonic())

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        if not self._began:
            self._began = True
            print(
                f"{_title(model)} · {model.engine} {model.dtype} on {model.device} ({escape(model.engine_reason)})",
                flush=True,
            )
        last = history.last("loss")
        if last is None:
            return
        done = last[0] + 1  # the figures are those of the history, which may lag behind the status
        epoch = done // max(model.steps_per_epoch, 1)
        epoch_said, when = self._said
        if epoch > epoch_said or time.monotonic() - when > _LINE_EVERY:
            self._said = (epoch, time.monotonic())
            print(f"epoch {epoch}{_total(model)}  step {done:,}  {_figures(history)}", flush=True)


class Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: object = None

    def __enter__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str) -> None:
        assert self._progress is not None
        self._progress.print(escape(text), markup=False)

    def show(self, model: ModelInfo, status: Status, history: History) -> None:
        assert self._progress is not None
        if self._task is None:
            self._task = self._progress.add_task(_title(model), total=model.total_steps, figures="")
        figures = _figures(history) + (f"  {status.steps_per_second:,.0f} steps/s" if status.steps_per_second else "")
        self._progress.update(self._task, completed=status.step, figures=figures)  # type: ignore[arg-type]


def _title(model: ModelInfo) -> str:
    widths = [layer.shape[layer.unit_axis] for layer in model.layers if layer.shape]
    kinds = [layer.kind for layer in model.layers if layer.shape]
    if "mix" in kinds:  # a generator, which reads noise, and a discriminator
        at, noise = kinds.index("mix"), model.layers[0].inputs
        return escape(f"{model.title} · {sizes([noise, *widths[:at]])} · {sizes(widths[at:])}")
    return escape(f"{model.title} · {sizes([model.features, *widths])}")


def _total(model: ModelInfo) -> str:
    if model.total_steps is None or not model.steps_per_epoch:
        return ""
    return f"/{math.ceil(model.total_steps / model.steps_per_epoch)}"


def _figures(history: History) -> str:
    figures = []
    for name in (
        "loss", "generator_loss", "val_loss", "val_accuracy", "val_r2", "train_return", "val_return", "val_modes",
        "val_near",
    ):  # fmt: skip
        last = history.last(name)
        if last is not None:
            figures.append(f"{name} {last[1]:.4f}" if name != "val_modes" else f"{name} {last[1]:.0f}")
    return "  ".join(figures)
