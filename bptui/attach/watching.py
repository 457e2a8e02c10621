"""``bptui.watch(model, optimizer)``: the debugger inside a program that was started as usual."""

from __future__ import annotations

import atexit
import sys
from pathlib import Path

import torch
from torch import nn

from bptui.attach.discover import models_of
from bptui.attach.session import Session
from bptui.client.launch import launch_script
from bptui.expr import parse

_watching: Watch | None = None


class Watch:
    """A program that is being watched. ``close`` takes every hook away again and ends the run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def run(self) -> str:
        """The run's id: ``bptui attach ID`` looks at it."""
        return self._session.info.id

    def close(self) -> None:
        """End the run; the program goes on as if it had never been watched. A second call does nothing."""
        global _watching
        if _watching is self:
            _watching = None
        self._session.end("completed", 0)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def watch(
    model: nn.Module | None = None, *optimizers: torch.optim.Optimizer, probe_budget: float = 0.03, title: str = "",
    breaks: tuple[str, ...] = (), quiet: bool = False,
) -> Watch:  # fmt: skip
    """Watch this program's training until it ends, or until ``close``. Under ``bptui run`` it is watched already.

    ``model``: the module that is trained; None: found at the first update, with everything that the optimisers own.
    ``optimizers``: those that are known already. ``probe_budget``: the share of time that probes may cost.
    ``breaks``: conditions that stand still before an update. Says in one line on stderr how to attach.
    Raises RunError where no run directory can be made, ConditionError for a condition that cannot be read.
    """
    global _watching
    running = getattr(sys.modules.get("bptui.attach.runner"), "current", None)
    if isinstance(running, Session) and not running.ended:
        if running.observer is not None and model is not None and not running.observer.models:
            running.observer.models = models_of(model)
        return _Already(running)
    if _watching is not None:
        return _watching
    for condition in breaks:
        parse(condition, script=True)
    program = sys.argv[0] if sys.argv and sys.argv[0] else "python"
    if "ipykernel" in sys.modules:
        title = title or "notebook"
    directory = launch_script(
        [program, *sys.argv[1:]], headless=True, probe_budget=probe_budget, breaks=breaks,
        title=title or Path(program).name,
    )  # fmt: skip
    session = Session(directory)
    session.begin()
    session.torch_is_here(*(models_of(model) if model is not None else ()), optimizers=optimizers)
    atexit.register(session.end, "completed", 0)
    _watching = Watch(session)
    if not quiet:
        print(f"bptui: watching; bptui attach {session.info.id}", file=sys.stderr)
    return _watching


class _Already(Watch):
    """Under ``bptui run``: what the script closes is not its to close."""

    def close(self) -> None:
        """Nothing: ``bptui run`` watches to the script's end."""
