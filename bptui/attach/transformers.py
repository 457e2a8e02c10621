"""A callback for Hugging Face's Trainer: ``Trainer(callbacks=[BptuiCallback()])``. It only calls ``bptui.watch``.

Needs transformers and accelerate (``pip install 'bptui[transformers]'``). Under ``bptui run`` it is not needed and
does no harm.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

import bptui


class BptuiCallback(TrainerCallback):  # type: ignore[misc]  # transformers is no dependency: unknown to mypy
    """Watches a Trainer's model and optimiser from the beginning of ``train`` to its end.

    ``probe_budget``: the share of time that probes may take (0.03: 3 %).
    """

    def __init__(self, *, probe_budget: float = 0.03) -> None:
        self.probe_budget = probe_budget
        self.watch: bptui.Watch | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **others: Any
    ) -> None:
        if model is None or not state.is_world_process_zero:
            return
        # accelerate wraps the optimiser that does the steps
        inner = getattr(optimizer, "optimizer", optimizer)
        self.watch = bptui.watch(
            model, *([] if inner is None else [inner]), probe_budget=self.probe_budget, title=type(model).__name__
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None
