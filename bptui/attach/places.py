"""The state of torch that a call depends on beside its inputs: gradients, autocast, random generators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Place:
    """Under what a call was made: gradients, autocast, and the generators where they matter."""

    grad: bool
    autocast: tuple[tuple[str, bool, torch.dtype], ...]
    random: list[Tensor]

    @classmethod
    def here(cls, random: bool) -> Place:
        return cls(torch.is_grad_enabled(), autocasts(), generators() if random else [])

    def without_autocast(self) -> Place:
        return replace(self, autocast=tuple((device, False, dtype) for device, _, dtype in self.autocast))

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        if self.random:
            set_generators(self.random)
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(self.grad))
            for device, on, dtype in self.autocast:
                stack.enter_context(torch.autocast(device, enabled=on, dtype=dtype))
            yield


def autocasts() -> tuple[tuple[str, bool, torch.dtype], ...]:
    devices = ("cpu", "cuda") if torch.cuda.is_initialized() else ("cpu",)  # type: ignore[no-untyped-call]
    return tuple((one, torch.is_autocast_enabled(one), torch.get_autocast_dtype(one)) for one in devices)


def generators() -> list[Tensor]:
    """The states of torch's global generators: of the CPU, then of each CUDA device."""
    found = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        found += torch.cuda.get_rng_state_all()
    return found


def set_generators(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


@contextlib.contextmanager
def kept_generators() -> Iterator[None]:
    """The generators are afterwards as they were: the script must not notice."""
    states = generators()
    try:
        yield
    finally:
        set_generators(states)
