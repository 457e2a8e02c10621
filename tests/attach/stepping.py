"""One update of a training loop as the debugger stands in it, in this process: no hub, no run directory."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import nn

from bptui.attach.discover import models_of
from bptui.attach.hooks import Hooks, closure_of
from bptui.attach.onebatch import OneBatch
from bptui.attach.rerun import Rerun
from bptui.attach.rows import Rows


class Standing:
    """Calls ``look`` between gradient and update of the ``at``-th update that is made inside ``with``."""

    def __init__(self, *models: nn.Module, at: int, look: Callable[[OneBatch], None]) -> None:
        self.models = models_of(*models)
        self.rows = Rows(self.models)
        self.looked = False
        self._at, self._look, self._step = at, look, 0
        ring = SimpleNamespace(loss=lambda *_: None, flag_view=lambda: memoryview(bytes(4)))
        self._session = SimpleNamespace(ring=ring, step=0, flag=None, observer=self, give_up=self._failed)
        self.hooks = Hooks(cast(Any, self._session))
        self.rerun = Rerun(self.rows, self.hooks)

    def __enter__(self) -> Standing:
        self.hooks.install()
        self.rerun.install()
        return self

    def __exit__(self, *error: object) -> None:
        self.rerun.remove()
        self.hooks.remove()
        assert self.looked or error[0], "that update was never made"

    def _failed(self, error: BaseException) -> None:
        raise AssertionError("bptui gave up") from error

    # as hooks ask an observer
    def before_update(self, optimizer: torch.optim.Optimizer, arguments: Any, options: Any) -> Any:
        self.rerun.tape.close()
        closure = closure_of(arguments, options)
        if closure is None:
            self._stand(optimizer, False)
            return None
        first = True

        def observed() -> Any:
            nonlocal first
            result = closure()
            if first:
                first = False
                self._stand(optimizer, True)
            return result

        return (arguments[0], observed), {}

    def _stand(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        if self._session.step == self._at:
            self.looked = True
            self._look(OneBatch(self.rerun, self.models, self.rows, optimizer, self._at, closure=closure))

    def after_update(self, optimizer: torch.optim.Optimizer, loss: float) -> None:
        self.rerun.tape.clear()
