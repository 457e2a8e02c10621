"""Tensors in what functions are given and give: nested containers, and objects like dataclasses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn


def tensors_in(nested: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, mappings, slices and objects like dataclasses, in order."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from tensors_in(tuple(nested.values()))
    elif isinstance(nested, (tuple, list)):
        for part in nested:
            yield from tensors_in(part)
    elif isinstance(nested, slice):
        yield from tensors_in((nested.start, nested.stop, nested.step))
    elif _is_record(nested):
        yield from tensors_in([part for part in vars(nested).values() if isinstance(part, (Tensor, tuple, list, dict))])


def _is_record(thing: Any) -> bool:
    """An object of the script's that may hold tensors, such as a dataclass."""
    return hasattr(thing, "__dict__") and not isinstance(thing, (type, nn.Module)) and not callable(thing)


def mapped(nested: Any, of: Callable[[Any], Any], kinds: type | tuple[type, ...]) -> Any:
    """The same nesting with ``of`` of everything that is one of ``kinds``; containers of it are new ones."""
    if isinstance(nested, kinds):
        return of(nested)
    if isinstance(nested, dict):
        made = {} if type(nested) is dict else copy.copy(nested)
        for key, value in nested.items():
            made[key] = mapped(value, of, kinds)
        return made
    if isinstance(nested, (tuple, list)):
        parts = [mapped(part, of, kinds) for part in nested]
        if type(nested) in (tuple, list):
            return type(nested)(parts)
        return type(nested)(*parts) if hasattr(nested, "_fields") else nested
    if isinstance(nested, slice):
        return slice(*(mapped(part, of, kinds) for part in (nested.start, nested.stop, nested.step)))
    if _is_record(nested) and any(
        isinstance(part, (*_CONTAINERS, *_as_tuple(kinds))) for part in vars(nested).values()
    ):
        record = copy.copy(nested)
        for name, part in vars(nested).items():
            object.__setattr__(record, name, mapped(part, of, kinds))
        return record
    return nested


_CONTAINERS = (tuple, list, dict)


def _as_tuple(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def version(tensor: Tensor) -> int:
    """How often it was changed in place."""
    try:
        return tensor._version
    except RuntimeError:  # of inference tensors none is kept
        return 0
