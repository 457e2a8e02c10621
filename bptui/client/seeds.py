"""``bptui train --seeds N``: the same experiment from many seeds, side by side within the cores there are."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from bptui.runs.info import write_output

SCHEMA = 1
_POLL = 0.02
#: How long runs that were interrupted may take to stop before they are told again, which kills their trainers.
_STOPPING_SECONDS = 10.0
#: Metrics in the order in which they are shown; others follow.
_FIRST = (
    "val_accuracy", "test_accuracy", "val_r2", "test_r2", "val_return", "test_return", "val_modes", "val_near",
    "val_loss", "test_loss",
    "train_loss",
)  # fmt: skip


class Band(NamedTuple):
    """A metric over the seeds: median, quartiles, extremes."""

    median: float
    low: float
    high: float
    least: float
    most: float


def band(values: Sequence[float]) -> Band:
    """Median and interquartile band (inclusive quartiles)."""
    if len(values) == 1:
        return Band(values[0], values[0], values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Band(median, low, high, min(values), max(values))


def train_seeds(words: Sequence[str], seeds: Sequence[int], *, report: Path | None, quiet: bool) -> int:
    """Run ``bptui train WORDS --seed S`` for each seed; prints each result and the bands. Returns the worst status."""
    with tempfile.TemporaryDirectory(prefix="bptui-seeds-") as folder:
        results = _run_all(list(words), list(seeds), Path(folder), quiet)
    bands = bands_of([content for _, content in results.values() if content is not None])
    print(_table(bands, len(seeds)))
    if report is not None:
        runs = {str(seed): content for seed, (_, content) in results.items() if content is not None}
        summary = {
            "schema": SCHEMA,
            "seeds": list(seeds),
            "metrics": {name: row._asdict() for name, row in bands.items()},
            "runs": runs,
        }
        write_output(report, json.dumps(summary, indent=1).encode())
    return max(code if code >= 0 else 1 for code, _ in results.values())  # below 0: killed by a signal


def bands_of(reports: Sequence[dict[str, Any]]) -> dict[str, Band]:
    """The band of every metric that each report has."""
    if not reports:
        return {}
    common = set.intersection(*(set(content["metrics"]) for content in reports))
    ordered = [name for name in _FIRST if name in common] + sorted(common - set(_FIRST))
    bands = {}
    for name in ordered:
        values = [content["metrics"][name] for content in reports]
        if all(isinstance(value, int | float) for value in values):
            bands[name] = band(values)
    return bands


def _run_all(
    words: list[str], seeds: list[int], folder: Path, quiet: bool
) -> dict[int, tuple[int, dict[str, Any] | None]]:
    waiting, running, results = list(seeds), dict[int, subprocess.Popen[str]](), {}
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:  # nohup
                signal.signal(number, _told_to_end)
        while waiting or running:
            while waiting and len(running) < _cores():
                seed = waiting.pop(0)
                running[seed] = _start(words, seed, folder)
            for seed, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[seed]
                with process:  # closes its pipe
                    results[seed] = _result(process, folder / f"{seed}.json")
                    if not quiet:
                        print(_line(seed, *results[seed]), flush=True)
                    if results[seed][0] == 2:  # bad input is bad for every seed
                        raise SeedsError(_stderr(process))
            time.sleep(_POLL)
    except KeyboardInterrupt as error:  # from a terminal, which has told the runs as well: they stop after their step
        if isinstance(error, _Ended):
            for process in running.values():
                process.terminate()
        _await_all(list(running.values()), time.monotonic() + _STOPPING_SECONDS)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for process in running.values():
            process.terminate()
        for process in running.values():
            with process:
                process.wait()
    return {seed: results[seed] for seed in seeds}


class _Ended(KeyboardInterrupt):
    """A signal that nobody but this process has got: the runs must be told."""


def _told_to_end(number: int, frame: FrameType | None) -> None:
    raise _Ended


def _await_all(processes: list[subprocess.Popen[str]], deadline: float) -> None:
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL)


class SeedsError(ValueError):
    """What one of the runs said about its input; one line."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(words: list[str], seed: int, folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "bptui",
        "train",
        *words,
        "--seed",
        str(seed),
        "--quiet",
        "--report",
        str(folder / f"{seed}.json"),
    ]
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **os.environ}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )


def _stderr(process: subprocess.Popen[str]) -> str:
    text = process.stderr.read().strip() if process.stderr is not None else ""
    return text.splitlines()[-1].removeprefix("bptui: ") if text else "bad input"


def _result(process: subprocess.Popen[str], path: Path) -> tuple[int, dict[str, Any] | None]:
    try:
        content: dict[str, Any] | None = json.loads(path.read_text())
    except (OSError, ValueError):
        content = None
    return process.returncode, content


def _line(seed: int, code: int, content: dict[str, Any] | None) -> str:
    if content is None:
        return f"seed {seed:>3}  failed (status {code})"
    metrics = content["metrics"]
    figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in _FIRST if isinstance(metrics.get(name), int | float))
    return f"seed {seed:>3}  {content['exit']['reason']:9}  {figures}"


def _table(bands: dict[str, Band], seeds: int) -> str:
    if not bands:
        return "no run gave a figure"
    width = max(map(len, bands))
    lines = [f"{'':{width}}     median   interquartile band      least … most   ({seeds} seeds)"]
    lines += [
        f"{name:{width}}  {row.median:9.4f}   {row.low:8.4f} … {row.high:<8.4f}  {row.least:8.4f} … {row.most:<8.4f}"
        for name, row in bands.items()
    ]
    return "\n".join(lines)
