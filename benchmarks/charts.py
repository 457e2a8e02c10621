"""What a history of ten million steps costs a face, and how long its charts take to redraw: prints JSON.

    python benchmarks/charts.py [--full]

- *memory*: growth of the process while ten million losses are fed as blocks of the log, and what the pyramid holds.
- *redraw*: the loss chart filling a terminal of 120×36 and of 200×60: its lines are built anew, compared with what is
  on the screen, and the changed spans are asked for; while new steps come, while it is zoomed and panned (every cell
  changes), with a crosshair, smoothed, and on a logarithmic axis.
- *views*: the other charts of a run with many tables and histograms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "tui"))

from fake_session import FakeSession, experiment, model_info, status

from bptui.runs import log
from bptui.runs.records import CELLS, QUANTITIES, SERIES, TABLE_COLUMNS
from bptui.tui import garbage
from bptui.tui.app import BptuiApp
from bptui.tui.curves import HistoryCurves
from bptui.tui.screens.charts import ChartsScreen

STEPS = 10_000_000
REDRAW_MS, MEMORY_MB = 8.0, 64.0
PIECE = 1 << 18
SIZES = ((120, 36), (200, 60))
OTHERS = ("metrics", "histogram", "ridge", "heat")


def noisy(first: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A loss that falls and is noisy enough to fill a band."""
    steps = np.arange(first, first + count)
    noise = np.random.default_rng(first).normal(size=count)
    return 0.2 + 2 * np.exp(-steps / (STEPS / 6)) * (1 + 0.25 * noise) + 0.05 * np.abs(noise)


def feed(curves: HistoryCurves) -> dict[str, float]:
    """Ten million losses, validation now and then, a thousand tables and histograms."""
    noisy(0, PIECE)  # so that what NumPy itself takes is not counted
    before, spent, at = psutil.Process().memory_info().rss, 0.0, 0
    for first in range(0, STEPS, PIECE):
        data = log.series(0, 0, first, noisy(first, min(PIECE, STEPS - first)), (0.0, 1.0))
        started = time.perf_counter()
        curves.feed(at, data)
        spent += time.perf_counter() - started
        at += len(data)
    grown = psutil.Process().memory_info().rss - before
    pyramid = curves._history.losses.nbytes
    steps = np.arange(0, STEPS, STEPS // 2000, dtype=np.uint64)
    rest = [log.sparse(SERIES.index("val_loss"), 0, steps, 0.3 + 2 * np.exp(steps / (-STEPS / 6)), (0.0, 1.0))]
    for step in range(0, STEPS, STEPS // 1000):
        values = np.full((6, len(TABLE_COLUMNS)), math.exp(-step / STEPS), np.float32)
        rest.append(log.table(0, step, float(step), values))
        for quantity in range(len(QUANTITIES)):
            counts = np.random.default_rng(step).integers(0, 900, (6, CELLS)).astype(np.uint32)
            rest.append(log.histogram(0, step, float(step), quantity, counts))
    for data in rest:
        curves.feed(at, data)
        at += len(data)
    megabytes = {"grown_mb": round(grown / 1e6, 1), "pyramid_mb": round(pyramid / 1e6, 1)}
    return {**megabytes, "feed_s": round(spent, 2), "offset": at}


async def redraws(curves: HistoryCurves, offset: int, size: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    """Seconds of each redraw, by what was done."""
    spec = experiment((64, 48, 32, 24, 16, 10))
    session = FakeSession([model_info(spec), status("RUNNING", STEPS, total_steps=None)])

    async def opened() -> FakeSession:
        return session

    app = BptuiApp(opened, experiment=spec, curves=lambda: curves)
    taken: dict[str, list[float]] = {}
    async with app.run_test(size=size) as pilot:
        while not session.queue.empty() or app.store.snapshot.state != "RUNNING":
            await pilot.pause(0.01)
        app.store._put(curves=curves, log_bytes=offset)
        app.paint()
        await pilot.press("v")
        while not isinstance(app.screen, ChartsScreen):
            await pilot.pause(0.01)
        await pilot.pause(0.2)
        screen = app.screen
        chart = screen.loss
        head = STEPS

        def timed(what: str, act: Callable[[], object]) -> None:
            started = time.perf_counter()
            act()
            taken.setdefault(what, []).append(time.perf_counter() - started)

        for view in ("loss", *OTHERS):
            screen._turn(view)
            await pilot.pause(0.1)
            for number in range(rounds):
                if view != "loss":
                    timed(view, screen.chart.show)
                    await pilot.pause(0)
                    continue
                data = log.series(0, 0, head, noisy(head, 100), (0.0, 1.0))
                curves.feed(offset, data)
                offset += len(data)
                head += 100
                timed("new steps", chart.show)
                timed("zoom", lambda: chart.zoom(0.3))
                for _ in range(3):
                    timed("pan", lambda: chart.pan(-0.3))
                timed("crosshair", lambda: chart.move(-3))
                chart.point(None)
                timed("whole", chart.whole)
                if number % 4 == 0:
                    timed("log axis", chart.toggle_log)
                    timed("smooth", chart.turn_smoothing)
                await pilot.pause(0)
    return taken


def budget(what: str, value: float, limit: float, unit: str) -> dict[str, Any]:
    return {"what": what, "value": value, "budget": f"≤ {limit:g} {unit}", "unit": unit, "ok": value <= limit}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="more repetitions")
    rounds = 60 if parser.parse_args().full else 16
    curves = HistoryCurves()
    memory = feed(curves)
    garbage.wait()  # as the command does: what is there when the app begins is not looked at again
    at = int(memory.pop("offset"))
    result: dict[str, Any] = {"steps": STEPS, "load": round(os.getloadavg()[0], 2), **memory}
    budgets = [budget("history of ten million steps in a face", memory["grown_mb"], MEMORY_MB, "MB")]
    for size in SIZES:
        taken = asyncio.run(redraws(curves, at, size, rounds))
        at = curves.offset
        name = f"{size[0]}×{size[1]}"
        result[name] = {
            what: {"p50_ms": round(statistics.median(times) * 1e3, 2), "max_ms": round(max(times) * 1e3, 2)}
            for what, times in taken.items()
        }
        loss = [t for what, times in taken.items() if what not in OTHERS for t in times]
        value = round(statistics.median(loss) * 1e3, 2)
        budgets.append(budget(f"redraw of the loss chart, {name}, median", value, REDRAW_MS, "ms"))
        for view in OTHERS:
            value = round(statistics.median(taken[view]) * 1e3, 2)
            budgets.append(budget(f"redraw of {view}, {name}, median", value, REDRAW_MS, "ms"))
    print(json.dumps({**result, "budgets": budgets}, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
