"""The probes: tables of norms and unit counters, and histograms, as records in the ring."""

from __future__ import annotations

import json
import math
import time

import numpy as np

from bptui.engine.base import COLUMNS, Batch, Engine
from bptui.expr.language import FUNCTIONS, LayerFunction
from bptui.probe.governor import Allowance, Governor
from bptui.probe.units import UnitCounters
from bptui.runs.records import CELLS, QUANTITIES, SERIES, TABLE_COLUMNS
from bptui.runs.ring import Record, Ring

#: A layer is worth naming its dead units when more than this share of it is dead.
NAMED_SHARE = 0.1
_NAMES_EVERY = 1.0  # seconds between two lists of a layer's dead units


class Probe:
    """Measures the step that has just been done, when the governor allows it."""

    def __init__(self, engine: Engine, ring: Ring, budget: float, epoch_samples: int) -> None:
        self.engine = engine
        self.ring = ring
        self.units = UnitCounters([math.prod(layer.shape) for layer in engine.layers], epoch_samples)
        self.governor = Governor(
            budget, table=Allowance(part=0.5, most_often=200.0), histogram=Allowance(part=0.5, most_often=8.0)
        )
        self._table = np.full((len(engine.layers), len(TABLE_COLUMNS)), np.nan, dtype=np.float32)
        self._table[:, len(COLUMNS) + 1] = [math.prod(layer.shape) for layer in engine.layers]
        self._named: dict[int, tuple[float, tuple[int, ...]]] = {}

    def step(self, batch: Batch, step: int, lr: float) -> float:
        """One watched update from state ``step``: trains, then measures what is due. Returns the loss."""
        self.engine.watch(True)
        loss = self.engine.train_step(batch, step, lr)
        self.engine.watch(False)
        self.measure(step, len(batch.x))
        return loss

    def measure(self, step: int, samples: int, *, everything: bool = False) -> None:
        """Records of the step just done; ``everything``: whatever the governor says (paused or stepping)."""
        governor = self.governor
        started = time.perf_counter()
        if everything or governor.due("table", step):
            self._write_table(step, samples)
            ended = time.perf_counter()
            governor.ran("table", step, ended - started)
            started = ended
        if everything or governor.due("histogram", step):
            self._write_histograms(step)
            governor.ran("histogram", step, time.perf_counter() - started)

    def _write_table(self, step: int, samples: int) -> None:
        table = self._table
        table[:, : len(COLUMNS)] = self.engine.reduce()
        fired = self.engine.fired()
        self.units.look(fired, samples)
        now = time.time()
        for layer, firing in enumerate(fired):
            if firing is None:
                table[layer, len(COLUMNS)] = -1
                continue
            dead = self.units.dead(layer)
            table[layer, len(COLUMNS)] = len(dead)
            if len(dead) > NAMED_SHARE * len(firing) or layer in self._named:
                self._name_dead(layer, step, now, tuple(dead.tolist()))
        table[:, len(COLUMNS) + 2] = min(self.units.seen, self.units.window)
        self.ring.write(Record.TABLE, step, table.tobytes(), now)
        norms = table[:, 0]
        write_series(self.ring, step, "grad_norm", float(np.sqrt(np.nansum(np.square(norms, dtype=np.float64)))), now)

    def _name_dead(self, layer: int, step: int, now: float, units: tuple[int, ...]) -> None:
        when, named = self._named.get(layer, (0.0, ()))
        if units != named and now - when >= _NAMES_EVERY:
            self._named[layer] = (now, units)
            fact = {
                "fact": "dead-units", "layer": self.engine.layers[layer].name, "units": list(units[:4096]),
                "samples": self.units.window, "step": step,
            }  # fmt: skip
            self.ring.write(Record.FACT, step, json.dumps(fact).encode(), now)

    def _write_histograms(self, step: int) -> None:
        counts = np.zeros(2 + len(self.engine.layers) * CELLS, dtype=np.uint32)
        for index, quantity in enumerate(QUANTITIES):
            counts[0] = index
            counts[2:] = self.engine.histogram(quantity).reshape(-1)  # type: ignore[arg-type]
            self.ring.write(Record.HISTOGRAM, step, counts.tobytes())

    def functions(self) -> dict[str, LayerFunction]:
        """The condition language's functions of a layer's name, over the table last measured."""
        rows = {layer.name: self._table[index] for index, layer in enumerate(self.engine.layers)}

        def column(name: str) -> LayerFunction:
            index = TABLE_COLUMNS.index(name)
            return lambda layer: _known(rows[layer][index])

        def dead(layer: str) -> float | None:
            count = _known(rows[layer][len(COLUMNS)])
            return None if count is None or count < 0 else count / float(rows[layer][len(COLUMNS) + 1])

        return {name: column(name) for name in FUNCTIONS if name in TABLE_COLUMNS} | {"dead": dead}

    def report_share(self, step: int) -> None:
        """What probes really cost, as a series."""
        write_series(self.ring, step, "probe_share", self.governor.share(time.perf_counter()))


def _known(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def write_series(ring: Ring, step: int, name: str, value: float, now: float | None = None) -> None:
    """One value of a scalar series that belongs to state ``step``."""
    payload = np.array([SERIES.index(name)], dtype="<u8").tobytes() + np.array([value], dtype="<f8").tobytes()
    ring.write(Record.SERIES, step, payload, now)
