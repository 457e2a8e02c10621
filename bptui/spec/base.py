"""What every table of an experiment is made of, and the words that several tables share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import msgspec

Activation = Literal["identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
Initialiser = Literal[
    "uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_normal", "orthogonal", "zeros", "constant",
]  # fmt: skip


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of an experiment: frozen, keyword-only, no unknown keys."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """`` (did you mean 'relu'?)``, or the valid names where none is near."""
    choices = list(valid)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (one of {', '.join(choices[:12])})" if choices else ""
