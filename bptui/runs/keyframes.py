"""Whole states of a run on disk: ``keyframes/<step>.safetensors``. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.runs.info import RunError, write_whole

BUDGET_BYTES = 256 << 20
SUFFIX = ".safetensors"


class Keyframe(NamedTuple):
    """One keyframe on disk."""

    step: int
    path: Path
    size: int
    """Bytes."""


def folder(run: Path) -> Path:
    return run / "keyframes"


def write(
    run: Path, step: int, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None, *,
    budget: int = BUDGET_BYTES,
) -> Path:  # fmt: skip
    """Write the state of ``step`` (temporary name, fsync, rename), then thin to the budget.

    ``tensors``: what ``Engine.state`` gives and whatever else must come back, any shapes, scalars as 0-d
    arrays. Raises OSError (full disk); what was there before is then still there.
    """
    from safetensors.numpy import save

    place = folder(run)
    place.mkdir(exist_ok=True)
    path = place / f"{step:012d}{SUFFIX}"
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    write_whole(path, save(arrays, {**(metadata or {}), "step": str(step)}))
    thin(run, budget=budget)
    return path


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


def thin(run: Path, *, budget: int = BUDGET_BYTES) -> list[Path]:
    """Remove keyframes until the rest fit the budget; returns what went.

    The first and the last stay. Of the others the one goes whose neighbours are closest together for its
    age, so that the distances grow geometrically into the past: stepping back near the end stays quick.
    """
    frames = keyframes(run)
    total, removed = sum(frame.size for frame in frames), []
    while total > budget and len(frames) > 2:
        last = frames[-1].step
        at = min(
            range(1, len(frames) - 1),
            key=lambda i: (frames[i + 1].step - frames[i - 1].step) / (last - frames[i].step),
        )
        frame = frames.pop(at)
        frame.path.unlink(missing_ok=True)
        removed.append(frame.path)
        total -= frame.size
    return removed
