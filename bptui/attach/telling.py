"""What an observed script leaves in the record: tables, histograms, series, and what it is made of."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from bptui.attach.discover import Model
from bptui.attach.followed import Optimizers
from bptui.attach.rows import Rows
from bptui.attach.sampling import Sampler
from bptui.engine.base import Quantity
from bptui.probe.measure import NAMED_SHARE, write_series
from bptui.runs.ring import Record

if TYPE_CHECKING:
    from bptui.attach.session import Session


class Telling:
    """Writes to the session's ring."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._named: dict[str, tuple[int, ...]] = {}
        """Dead units that were told, by layer."""
        self._lr: float | None = None
        self._told_non_finite = False
        self.probes_off: list[dict[str, Any]] = []
        """Probes that failed and were switched off: name, error, step."""

    # -- of one update ---------------------------------------------------------------------------------
    def table(self, step: int, sampler: Sampler) -> None:
        """A sampled update's figures, and units that have died since the last."""
        ring, now = self._session.ring, time.time()
        ring.write(Record.TABLE, step, sampler.table().tobytes(), now)
        norm = sampler.grad_norm()
        if math.isfinite(norm):
            write_series(ring, step, "grad_norm", norm, now)
        for row in sampler.rows.all():
            worth = row.dead and (len(row.dead) > NAMED_SHARE * max(row.units, 1) or row.name in self._named)
            if worth and row.dead and self._named.get(row.name) != row.dead:
                self._named[row.name] = row.dead
                units = list(row.dead[:4096])
                self._session.fact("dead-units", layer=row.name, units=units, samples=row.dead_of, step=step)

    def histograms(self, step: int, sampler: Sampler) -> None:
        ring = self._session.ring
        for index, quantity in enumerate(get_args(Quantity)):
            counts = sampler.counts(quantity)
            head = np.array([index, 0], dtype=np.uint32)
            payload = np.concatenate([head, counts.reshape(-1)]).tobytes()
            if len(payload) < ring.capacity // 4:
                ring.write(Record.HISTOGRAM, step, payload)

    def times(self, step: int, wait: float, compute: float) -> None:
        """Seconds that an update waited for its data, and that it computed."""
        write_series(self._session.ring, step, "data_wait", max(wait, 0.0))
        write_series(self._session.ring, step, "compute", max(compute, 0.0))

    def loss_of(self, number: int, loss: float) -> None:
        """The loss of the update just made, by the number of its optimiser."""
        if number <= 4:
            write_series(self._session.ring, self._session.step - 1, f"loss_opt{number}", loss)

    def non_finite(self, step: int, loss: float, rows: Rows) -> None:
        """The first time that a loss is not finite, and where in the network that shows first."""
        if not self._told_non_finite:
            self._told_non_finite = True
            self._session.fact("non-finite", loss=repr(loss), step=step, **_first_non_finite(rows))

    # -- of the run ------------------------------------------------------------------------------------
    def report(self, step: int, share: float, optimizers: Optimizers) -> None:
        """Now and then: rate, what probes cost, memory."""
        ring = self._session.ring
        self.lr(optimizers)
        write_series(ring, step, "probe_share", share)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            write_series(ring, step, "device_memory", torch.cuda.memory_allocated() / 2**20)

    def lr(self, optimizers: Optimizers) -> None:
        """The first optimiser's rate, where it has changed since it was last written."""
        lr = optimizers.lr
        if lr is not None and lr != self._lr:
            self._lr = lr
            write_series(self._session.ring, self._session.step, "lr", lr)

    def probe_failed(self, probe: str, error: BaseException, rows: Rows | None) -> None:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        self.probes_off.append({"probe": probe, "error": text, "step": self._session.step})
        self._session.fact("probe-failed", probe=probe, error=text)
        if rows is not None:
            rows.changed = True

    def describe(self, models: Sequence[Model], rows: Rows, optimizers: Optimizers) -> None:
        """META: what is known of models and optimisers now."""
        rows.changed = False
        first = next((p for model in models for p in model.root.parameters()), None)
        last = [row for row in rows.all() if row.shape]
        self._session.describe({
            "device": "cpu" if first is None else str(first.device),
            "dtype": dtype_of(models),
            "layers": rows.describe(),
            "modules": rows.tree(),
            "models": [
                {"name": model.name, "kind": type(model.root).__name__, "optimizers": optimizers.of(model)}
                for model in models
            ],
            "optimizers": optimizers.told(),
            "probes_off": self.probes_off,
            "features": 0,
            "outputs": last[-1].units if last else 0,
            "task": "script",
            "epoch_samples": 0,
            "threads": str(torch.get_num_threads()),
        })  # fmt: skip


def dtype_of(models: Sequence[Model]) -> str:
    """Of the first model's first parameter."""
    first = next((p for model in models for p in model.root.parameters()), None)
    names = {torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16"}
    return names.get(torch.float32 if first is None else first.dtype, "f32")


def _first_non_finite(rows: Rows) -> dict[str, str | None]:
    """Of the last update's gradients and weights, in the order of the rows."""
    with torch.no_grad():
        for row in rows.all():
            for parameter in row.own():
                if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                    return {"layer": row.name, "op": "gradient"}
                if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
                    return {"layer": row.name, "op": "weight"}
    return {"layer": None, "op": "loss"}
