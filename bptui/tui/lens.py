"""The lens as a face sees it: the trainer's answer as a view, states as glyphs, and the order of a table's rows."""

from __future__ import annotations

import math
from collections.abc import Callable

from bptui.protocol.framing import Frame
from bptui.protocol.lens import LensLayer, LensUnit, LensView, UnitState
from bptui.protocol.messages import LensSeen
from bptui.tui.text import clean

#: State → glyph, ASCII glyph, style. The word stands beside it in the table.
GLYPHS: dict[UnitState, tuple[str, str, str]] = {
    UnitState.ALIVE: ("●", "o", "good"), UnitState.QUIET: ("◔", ".", "text"), UnitState.DORMANT: ("○", "-", "info"),
    UnitState.SATURATED: ("■", "#", "warn"), UnitState.DEAD: ("✖", "x", "bad"),
}  # fmt: skip
ORDERS: dict[str, Callable[[int, LensUnit], tuple[float, ...]]] = {
    "unit": lambda index, unit: (index,),
    "state": lambda index, unit: (-unit.state, -_of(unit.distance), index),
    "fired": lambda index, unit: (unit.fired, -_of(unit.distance), index),
    "max z": lambda index, unit: (_of(unit.z_max), index),
    "distance": lambda index, unit: (-_of(unit.distance), index),
    "|a|": lambda index, unit: (_of(unit.score), index),
}
FILTERS: dict[str, Callable[[LensUnit], bool]] = {
    "all": lambda unit: True,
    "dead or saturated": lambda unit: unit.state >= UnitState.SATURATED,
    "dormant": lambda unit: unit.state == UnitState.DORMANT,
    "quiet": lambda unit: unit.state == UnitState.QUIET,
    "alive": lambda unit: unit.state == UnitState.ALIVE,
}


def _of(value: float | None) -> float:
    return -math.inf if value is None else value


def view_of(frame: Frame) -> LensView | None:
    """The trainer's answer; None: it is another one."""
    seen = frame.message
    if not isinstance(seen, LensSeen):
        return None
    values, at, layers = frame.array(seen.values).tolist(), 0, []
    for row in seen.layers:
        units = tuple(map(_unit, values[at : at + row.units]))
        at += row.units
        gate = row.gate if row.gate in ("zero", "left", "both", "open") else "open"
        layers.append(LensLayer(clean(row.name, 200), clean(row.activation, 40), gate, units))  # type: ignore[arg-type]
    return LensView(seen.step, seen.samples, seen.rows, tuple(layers), seen.seconds)


def _unit(row: list[float]) -> LensUnit:
    fired, *numbers, state = row
    z_max, z_mean, distance, score = (value if math.isfinite(value) else None for value in numbers)
    return LensUnit(int(fired), z_max, z_mean, distance, score, UnitState(int(state)))


def rows_of(layer: LensLayer, order: str, shown: str) -> list[int]:
    """Numbers of the units that are shown, in their order."""
    units = [index for index, unit in enumerate(layer.units) if FILTERS[shown](unit)]
    return sorted(units, key=lambda index: ORDERS[order](index, layer.units[index]))


def summary(layer: LensLayer) -> str:
    """``31 dead · 1 alive``."""
    counts = [(layer.count(state), state.name.lower()) for state in reversed(UnitState)]
    return " · ".join(f"{count} {name}" for count, name in counts if count)
