"""A script that copies or saves a whole model gets it as it is without us: our hooks on it do not go along.

A hook of ours is a method of what holds the ring and its file, which can be neither copied nor pickled; and an average
of the model must not be taken for the model. ``copy`` and ``pickle`` ask the object itself first.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from torch import nn

Without = Callable[[], AbstractContextManager[None]]
"""Inside it the hooks are off."""


def put_on(root: nn.Module, without: Without) -> None:
    """Let ``root`` be copied and pickled ``without`` hooks, until ``take_off``."""
    root.__dict__.setdefault("__deepcopy__", partial(_copied, root, without))
    root.__dict__.setdefault("__reduce_ex__", partial(_reduced, root, without))


def take_off(root: nn.Module) -> None:
    for name in ("__deepcopy__", "__reduce_ex__"):
        if isinstance(root.__dict__.get(name), partial):
            del root.__dict__[name]


def _copied(root: nn.Module, without: Without, memo: dict[int, Any]) -> Any:
    with without():
        return copy.deepcopy(root, memo)


def _reduced(root: nn.Module, without: Without, protocol: int) -> Any:
    with without():
        reduced = root.__reduce_ex__(protocol)
        if not isinstance(reduced, tuple) or len(reduced) < 3 or not isinstance(reduced[2], dict):
            return reduced
        # its dicts of hooks are written only after this, when ours are on again
        state = {name: OrderedDict(each) if type(each) is OrderedDict else each for name, each in reduced[2].items()}
        return (*reduced[:2], state, *reduced[3:])
