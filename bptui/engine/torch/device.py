"""Which torch device is meant and whether it is there."""

from __future__ import annotations

import warnings

import torch

from bptui.engine.errors import EngineError


def cuda_available() -> bool:
    """Whether torch itself can use CUDA (a driver that is too old warns and says no)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.is_available()


def checked(name: str) -> str:
    """``name`` if torch has such a device here; EngineError in one line if not."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise EngineError(f"unknown device {name!r} (known: cpu, cuda, cuda:0 …)") from None
    if device.type == "cpu":
        return "cpu"
    if device.type == "cuda":
        if not cuda_available():
            raise EngineError(f"device {name!r}: torch finds no CUDA device here; use --device cpu")
        count = torch.cuda.device_count()
        if ":" in name and device.index >= count:
            raise EngineError(f"device {name!r}: there are only {count} CUDA devices here, counted from 0")
        return name
    try:
        torch.empty(1, device=device).item()  # of ``meta`` there are no numbers
    except (RuntimeError, AssertionError, NotImplementedError):
        raise EngineError(f"device {name!r} is not there; use --device cpu or cuda") from None
    return name


def set_threads(count: int) -> None:
    """Spread what runs on the CPU over ``count`` threads."""
    torch.set_num_threads(count)


def threads() -> int:
    """Threads that the CPU's work is spread over."""
    return torch.get_num_threads()
