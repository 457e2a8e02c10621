"""``confusion.json``: at a run's end, which classes were taken for which, a matrix a part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bptui.runs.info import write_whole

Matrix = list[list[int]]
_NAME = "confusion.json"


def write_confusion(run: Path, matrices: Mapping[str, Matrix]) -> None:
    """``matrices``: part (``train``, ``val``, ``test``) → (classes, classes), rows are the truth. Raises OSError."""
    write_whole(run / _NAME, msgspec.json.encode(dict(matrices)))


def read_confusion(run: Path) -> dict[str, Matrix]:
    """What was written last; empty where there is none or it is damaged."""
    try:
        return msgspec.json.decode((run / _NAME).read_bytes(), type=dict[str, Matrix])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
