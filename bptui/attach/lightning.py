"""A callback for Lightning: ``Trainer(callbacks=[BptuiCallback()])``. It only calls ``bptui.watch``.

Needs Lightning (``pip install 'bptui[lightning]'``). Under ``bptui run`` it is not needed and does no harm.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

import bptui


class BptuiCallback(Callback):  # type: ignore[misc]  # Lightning is no dependency: its class is not known to mypy
    """Watches a Trainer's module and optimisers from the first batch of ``fit`` to its end.

    ``probe_budget``: the share of time that probes may take (0.03: 3 %).
    """

    def __init__(self, *, probe_budget: float = 0.03) -> None:
        super().__init__()
        self.probe_budget = probe_budget
        self.watch: bptui.Watch | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self.watch = bptui.watch(
                pl_module, *trainer.optimizers, probe_budget=self.probe_budget, title=type(pl_module).__name__
            )

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None
