"""A script's process under bptui, entered after the fork: by the very function that ``bptui run`` enters."""

from __future__ import annotations

import sys
from typing import Any, NoReturn


def observe(job: dict[str, Any]) -> None:
    """Becomes the script's process of the run directory ``job['run']``; ``job['fault']``: what is made to fail."""
    if job["fault"]:
        make_fail(job["fault"])
    from bptui.attach.runner import main

    sys.exit(main([job["run"], "--", *job["words"]]))


def make_fail(fault: str) -> None:
    """One probe, or one of the parts without which nothing is seen."""

    def fails(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(f"{fault} was made to fail")

    from bptui.attach import observer, sampling

    if fault in sampling.PROBES:
        sampling.PROBES[fault] = fails
    elif fault == "discovery":
        observer.find_models = fails
    elif fault == "table":
        sampling.Sampler.table = fails  # type: ignore[method-assign]
    elif fault == "settings":
        observer.Observer.settings = fails  # type: ignore[method-assign]
    else:
        raise ValueError(fault)
