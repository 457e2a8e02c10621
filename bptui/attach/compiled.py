"""What ``torch.compile`` has made of a script: its code runs without calling the modules that it was made from.

dynamo reads a module hook or a function mode of ours into what it compiles, and compiles again when they come or go.
So neither is there while compiled code may run: its inside is not seen, and its numbers stay as they are.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterable, Iterator

import torch
from torch import nn


class Compiled(Exception):
    """Why something of a model is not seen."""


def is_compiled(module: nn.Module) -> bool:
    """Whether calling this module runs compiled code: ``torch.compile(module)``, or ``module.compile()``."""
    return isinstance(module, _wrappers()) or module._compiled_call_impl is not None


def any_compiled(modules: Iterable[nn.Module]) -> bool:
    """Whether one of them is; of a script that compiles nothing this is known at once."""
    return at_work() and any(map(is_compiled, modules))


def at_work() -> bool:
    """Whether dynamo has compiled anything in this process: a model, or a function that one calls."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return bool(counters.get("frames"))


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Inside it compiled code is called as it was written, module by module."""
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is None or not at_work():
        yield
        return
    with stance("force_eager"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are hooks
        yield


def written(root: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` was given; itself, where it is none that it has made."""
    inner = root._orig_mod if isinstance(root, _wrappers()) else root
    assert isinstance(inner, nn.Module)
    return inner


def _wrappers() -> tuple[type, ...]:
    """torch's class of compiled modules; none where nothing has been compiled."""
    wrapper = getattr(sys.modules.get("torch._dynamo.eval_frame"), "OptimizedModule", None)
    return () if wrapper is None else (wrapper,)
