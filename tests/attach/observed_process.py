"""A script's process under bptui, entered after the fork: by the very function that ``bptui run`` enters."""

from __future__ import annotations

import sys
from typing import Any


def observe(job: dict[str, Any]) -> None:
    """Becomes the script's process of the run directory ``job['run']``."""
    from bptui.attach.runner import main

    sys.exit(main([job["run"], "--", *job["words"]]))
