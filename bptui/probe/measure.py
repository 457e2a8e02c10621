"""The probes: tables of norms, histograms, and the census of units, as records in the ring."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from functools import cached_property, partial
from typing import get_args

import numpy as np

from bptui.engine.base import COLUMNS, Batch, Engine, Quantity
from bptui.expr.language import FUNCTIONS, LayerFunction
from bptui.probe.governor import Allowance, Governor
from bptui.probe.units import Census, saturated
from bptui.runs.records import CELLS, SERIES, TABLE_COLUMNS
from bptui.runs.ring import Record, Ring

#: The dead units of a layer are named when they are more than this share of it.
NAMED_SHARE = 0.1
#: What looks for breakpoints get while some are about layers, as against 0.65 and 0.35: a tenth of the budget.
LOOK_PART = 0.11
_RATIO, _DEAD, _UNITS, _SEEN = map(TABLE_COLUMNS.index, ("update_ratio", "dead", "units", "seen"))


class Probe:
    """Measures the step that has just been done, when the governor allows it."""

    def __init__(self, engine: Engine, ring: Ring, budget: float, blocks: Iterable[Batch]) -> None:
        """``blocks``: the training part, for the census of its units."""
        self.engine = engine
        self.ring = ring
        self.census = Census(engine, blocks)
        self.governor = Governor(
            budget,
            table=Allowance(part=0.65, most_often=50.0),
            histogram=Allowance(part=0.35, most_often=8.0),
            look=Allowance(part=0.0, most_often=1e9),
        )
        self._table = np.full((len(engine.layers), len(TABLE_COLUMNS)), np.nan, dtype=np.float32)
        self._table[:, _UNITS] = [layer.units for layer in engine.layers]
        self._weighted = np.array([bool(layer.weights) for layer in engine.layers])
        self._layers = {layer.name: index for index, layer in enumerate(engine.layers)}
        self._cells: list[list[float]] | None = None
        """The table as plain numbers, once somebody has asked for one since it was measured."""
        self._named: dict[int, tuple[int, ...]] = {}
        self._counting = 0.0  # seconds that the last census took
        self.known_at = 0
        """The state of which the table is."""
        self.looks = self.counts = 0
        """How often layers were measured, and how often units were counted."""
        self.ratio_known = False
        """Whether the last time Δ/W was measured too."""
        self.wants_ratio = False
        """Whether a breakpoint reads Δ/W, so that the update that is looked at must be watched."""
        self.saturation: set[str] = set()
        """Names of layers whose share of saturated units is wanted."""
        self._saturated: dict[str, float | None] = {}
        self.recording = True
        """Whether what is measured is new; a state of the past, which is recorded already, is only shown."""

    def prepare(self, state: int, *, everything: bool = False) -> None:
        """Before the update from ``state``: the census, if a table of that update is due.

        The engine's tensors then show the probe set.
        """
        if self.census.mortal and (everything or self.governor.due("table", state)):
            started = time.perf_counter()
            self._count(state)
            self._counting = time.perf_counter() - started

    def look_for(self, functions: Iterable[tuple[str, str]]) -> None:
        """Breakpoints read these (function, layer): what updates leave is looked at as the budget allows."""
        wanted = set(functions)
        self.wants_ratio = any(function == "update_ratio" for function, _ in wanted)
        self.saturation = {layer for function, layer in wanted if function == "saturated"}
        self.governor.give("look", LOOK_PART if any(function != "dead" for function, _ in wanted) else 0.0)

    def watches(self, step: int) -> bool:
        """Whether the update from ``step`` must keep what Δ/W is made of."""
        return self.governor.due("table", step) or (self.wants_ratio and self.governor.due("look", step))

    def measure(self, step: int, *, everything: bool = False, updated: bool = True) -> None:
        """Records of the forward and backward of ``step``.

        ``everything``: tables and histograms whatever the governor says. ``updated``: an update followed; without
        one there is no Δ/W.
        """
        governor = self.governor
        started = time.perf_counter()
        if everything or governor.due("histogram", step):
            self._write_histograms(step)
            started = self._charge("histogram", step, started)
        if everything or governor.due("table", step):
            self._reduce(updated)
            self.known_at = step
            self._write_table(step)
            self._charge("table", step, started - self._counting)
            self._counting = 0.0
        elif governor.due("look", step):
            self._reduce(updated)
            self.known_at = step
            self._charge("look", step, started)

    def _reduce(self, updated: bool) -> None:
        """The table of the last step; an update that was not watched leaves the last known Δ/W."""
        ratio = self._table[:, _RATIO].copy() if updated else np.full(len(self._table), np.nan, np.float32)
        self._table[:, : len(COLUMNS)] = self.engine.reduce()
        fresh = self._table[:, _RATIO]
        unknown = np.isnan(fresh)
        self.ratio_known = updated and not unknown.all()
        np.copyto(fresh, ratio, where=unknown | (not updated))
        self.looks += 1
        self._cells = None
        for index, layer in enumerate(self.engine.layers):
            if layer.name in self.saturation:
                self._saturated[layer.name] = saturated(self.engine, index)

    def _charge(self, name: str, step: int, started: float) -> float:
        now = time.perf_counter()
        self.governor.ran(name, step, now - started)
        return now

    def _write_table(self, step: int) -> None:
        now = time.time()
        if not self.recording:
            self.ring.write(Record.SHOWN_TABLE, step, self._table.tobytes(), now)
            return
        self.ring.write(Record.TABLE, step, self._table.tobytes(), now)
        squares = np.square(self._table[self._weighted, 0], dtype=np.float64)
        write_series(self.ring, step, "grad_norm", float(np.sqrt(squares.sum())), now)

    def count_units(self, state: int) -> None:
        """Take the census in the present state, and write it with the table last measured."""
        self._count(state)
        self._write_table(state)

    def refresh(self, state: int) -> None:
        """Know the last step and the present state, and record nothing."""
        self._reduce(True)
        self._count(state)
        self.known_at = state

    def _count(self, state: int) -> None:
        table, self._cells = self._table, None
        self.counts += 1
        table[:, _SEEN] = self.census.samples
        census = self.census.take(state)
        table[:, _DEAD] = [-1 if dead is None else len(dead) for dead in census]
        for layer, dead in enumerate(census):
            if dead is not None and (len(dead) > NAMED_SHARE * table[layer, _UNITS] or layer in self._named):
                self._name_dead(layer, state, tuple(dead.tolist()))

    def _name_dead(self, layer: int, step: int, units: tuple[int, ...]) -> None:
        if self.recording and units != self._named.get(layer):
            self._named[layer] = units
            fact = {
                "fact": "dead-units", "layer": self.engine.layers[layer].name, "units": list(units[:4096]),
                "samples": self.census.samples, "step": step,
            }  # fmt: skip
            self.ring.write(Record.FACT, step, json.dumps(fact).encode())

    def _write_histograms(self, step: int) -> None:
        counts = np.zeros(2 + len(self.engine.layers) * CELLS, dtype=np.uint32)
        for index, quantity in enumerate(get_args(Quantity)):
            counts[0] = index
            counts[2:] = self.engine.histogram(quantity).reshape(-1)
            self.ring.write(Record.HISTOGRAM if self.recording else Record.SHOWN_HISTOGRAM, step, counts.tobytes())

    def functions(self) -> dict[str, LayerFunction]:
        """The condition language's functions of a layer's name, over the table last measured."""
        return self._functions

    @cached_property
    def _functions(self) -> dict[str, LayerFunction]:
        layers = self._layers

        def cell(layer: str, column: int) -> float | None:
            if self._cells is None:
                self._cells = self._table.tolist()
            value = self._cells[layers[layer]][column]
            return value if value == value else None

        def dead(layer: str) -> float | None:
            count = cell(layer, _DEAD)
            return None if count is None or count < 0 else count / float(self._table[layers[layer], _UNITS])

        columns = {
            name: partial(cell, column=TABLE_COLUMNS.index(name)) for name in FUNCTIONS if name in TABLE_COLUMNS
        }
        return columns | {"dead": dead, "saturated": self._saturation}

    def _saturation(self, layer: str) -> float | None:
        """The first time that it is asked of a layer, of the samples that the engine holds; then with each table."""
        if layer not in self.saturation:
            self.saturation.add(layer)
            self._saturated[layer] = saturated(self.engine, self._layers[layer])
        return self._saturated.get(layer)

    def report_share(self, step: int) -> None:
        """What probes really cost, as a series."""
        if not self.recording:
            return
        write_series(self.ring, step, "probe_share", self.governor.share(time.perf_counter()))


def write_series(ring: Ring, step: int, name: str, value: float, now: float | None = None) -> None:
    """One value of a scalar series that belongs to state ``step``."""
    payload = np.array([SERIES.index(name)], dtype="<u8").tobytes() + np.array([value], dtype="<f8").tobytes()
    ring.write(Record.SERIES, step, payload, now)
