"""Where ``g`` goes: what a user types, as a step."""

from __future__ import annotations

import re

_FORMS = "1284, +100, -10, epoch 3, end"


def step_of(text: str, *, step: int, head: int, steps_per_epoch: int) -> int:
    """The step that ``text`` names, seen from ``step`` of a run recorded up to ``head``; ValueError in one line."""
    words = text.strip().lower().replace(",", "").replace("_", "").replace("−", "-")
    if words in ("end", "head"):
        return head
    if words in ("start", "begin"):
        return 0
    if found := re.fullmatch(r"(?:epoch|e)\s*(\d{1,12})", words):
        if steps_per_epoch < 1:
            raise ValueError("how long an epoch is, is not known yet")
        wanted = int(found[1]) * steps_per_epoch
    elif found := re.fullmatch(r"([+-])\s*(\d{1,15})", words):
        wanted = step + int(found[2]) * (1 if found[1] == "+" else -1)
    elif re.fullmatch(r"\d{1,15}", words):
        wanted = int(words)
    else:
        raise ValueError(f"expected a step such as {_FORMS}")
    if not 0 <= wanted <= head:
        raise ValueError(f"step {wanted:,} is not there: 0 to {head:,} can be gone to")
    return wanted
