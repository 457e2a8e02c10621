"""Whole states of a run on disk: ``keyframes/<step>.safetensors``. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.runs.info import RunError, write_whole

BUDGET_BYTES = 256 << 20
MOST_FILES = 2000
"""More than this many files are slow to list, however small they are."""
_EVEN = 4
"""The oldest gaps may become so many times as long as the newest, and one more: even enough that no step is far."""
SUFFIX = ".safetensors"


class Keyframe(NamedTuple):
    """One keyframe on disk."""

    step: int
    path: Path
    size: int
    """Bytes."""


def folder(run: Path) -> Path:
    return run / "keyframes"


class Shelf:
    """The keyframes of a run for the one process that writes them: it knows them without looking each time."""

    def __init__(self, run: Path, budget: int = BUDGET_BYTES) -> None:
        self.run, self.budget = run, budget
        self._frames = keyframes(run)
        self.bytes = sum(frame.size for frame in self._frames)

    def write(
        self, step: int, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
    ) -> Path:
        """Write the state of ``step`` (temporary name, fsync, rename), then thin to the budget.

        ``tensors``: what ``Engine.state`` gives and whatever else must come back, any shapes, scalars as 0-d
        arrays. Raises OSError (full disk); what was there before is then still there.
        """
        from safetensors.numpy import save

        place = folder(self.run)
        place.mkdir(exist_ok=True)
        path = place / f"{step:012d}{SUFFIX}"
        arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
        data = save(arrays, {**(metadata or {}), "step": str(step)})
        write_whole(path, data)
        self._frames = [frame for frame in self._frames if frame.step != step]
        self._frames.append(Keyframe(step, path, len(data)))
        self._frames.sort()
        self.bytes = sum(frame.size for frame in self._frames)
        self._thin()
        return path

    def has(self, step: int) -> bool:
        return any(frame.step == step for frame in self._frames)

    def forget_after(self, step: int) -> None:
        """Remove the keyframes of later states."""
        for frame in self._frames:
            if frame.step > step:
                frame.path.unlink(missing_ok=True)
        self._frames = [frame for frame in self._frames if frame.step <= step]
        self.bytes = sum(frame.size for frame in self._frames)

    def _thin(self) -> None:
        """Remove keyframes until the rest fit the budget.

        The first and the last stay. Of the others the one goes whose neighbours are closest together for its age,
        so that gaps grow into the past: near the end a step back is short. But they grow only so far (``_EVEN``):
        any step can be gone to in about the same time.
        """
        frames = self._frames
        while len(frames) > 2 and (self.bytes > self.budget or len(frames) > MOST_FILES):
            last, span = frames[-1].step, frames[-1].step - frames[0].step
            at = min(
                range(1, len(frames) - 1),
                key=lambda i: (frames[i + 1].step - frames[i - 1].step) / (last - frames[i].step + span / _EVEN),
            )
            frame = frames.pop(at)
            frame.path.unlink(missing_ok=True)
            self.bytes -= frame.size


def write(
    run: Path, step: int, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> Path:
    """One keyframe, written as ``Shelf.write`` does."""
    return Shelf(run).write(step, tensors, metadata)


def keyframes(run: Path) -> list[Keyframe]:
    """All keyframes by step."""
    found = []
    for path in folder(run).glob(f"*{SUFFIX}"):
        if path.stem.isdigit():
            try:
                found.append(Keyframe(int(path.stem), path, path.stat().st_size))
            except OSError:
                continue  # thinned meanwhile
    return sorted(found)


def before(run: Path, step: int) -> list[Keyframe]:
    """The keyframes at or before ``step``, the nearest first."""
    return [frame for frame in reversed(keyframes(run)) if frame.step <= step]


def nearest(run: Path, step: int) -> Keyframe | None:
    """The last keyframe at or before ``step``."""
    return max((frame for frame in keyframes(run) if frame.step <= step), default=None)


def read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Tensors and metadata; RunError in one line if the file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise RunError(f"{path}: no such keyframe") from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise RunError(f"{path}: damaged keyframe ({error})") from None
