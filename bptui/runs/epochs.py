"""How many epochs are done, from what a trainer said of itself (its META record) and its step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def epochs_done(meta: Mapping[str, Any] | None, step: int) -> float | None:
    """Epochs done in state ``step``, with their fraction; None where META does not say how long an epoch is.

    ``steps_per_epoch`` holds from ``epochs_from`` on, a pair of a step and the epoch that begins there; that
    comes to be where the batch size is changed while the run goes on.
    """
    per_epoch = (meta or {}).get("steps_per_epoch")
    if not isinstance(per_epoch, int) or per_epoch <= 0:
        return None
    begin = (meta or {}).get("epochs_from")
    first, epoch = begin if isinstance(begin, list | tuple) and len(begin) == 2 else (0, 0)
    return float(epoch + (step - first) / per_epoch)
