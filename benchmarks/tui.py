"""What the terminal interface costs, measured through a real pseudo-terminal: prints JSON.

    python benchmarks/tui.py [--full]

- *first frame*: from starting the process to the first painted text, ``bptui`` against a bare Textual app,
  one after the other in turn; the median of the ratios of the pairs.
- *key to painted answer*: from pressing a key to the arrival of the piece of output that shows its answer (the end of a
  synchronised update), while a network of six layers trains as fast as it goes.
- *bytes a second* that go to the terminal meanwhile, at 120×36; share of a core and memory of each process.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import math
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "terminal"))

from left_running import end_left_running, left_running
from pseudo_terminal import ScreenTimeout, Terminal

BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    BINDINGS = [("space", "turn", "turn")]
    running = False

    def compose(self):
        yield Static("READY")

    def action_turn(self):
        self.running = not self.running
        self.query_one(Static).update("RUNNING" if self.running else "PAUSED")

Bare().run()
"""

SPEC = """
[experiment]
name = "layers"
[data]
source = "digits"
batch_size = 32
{layers}
[loss]
name = "cross_entropy"
[optimizer]
name = "sgd"
lr = 0.01
[stop]
epochs = 1000000
"""
UNITS = (64, 48, 32, 24, 16, 10)

Answer = Callable[[Terminal], object]
PAUSE = random.Random(1)

FIRST_FRAME_RATIO, KEY_P99_MS, BYTES_PER_SECOND = 1.5, 50.0, 15_000.0
ROWS, COLUMNS = 36, 120
CORE_SHARE = 0.05
SLOW_LINE = 20_000.0


@contextlib.contextmanager
def home() -> Iterator[dict[str, str | None]]:
    """An environment in which runs go to a folder of their own, and end with it."""
    with tempfile.TemporaryDirectory(prefix="bpt-") as folder:
        try:
            yield {"BPTUI_HOME": f"{folder}/home", "XDG_RUNTIME_DIR": folder}
        finally:
            end_left_running(folder)


def bptui(*arguments: str) -> list[str]:
    script = Path(sys.executable).with_name("bptui")
    return [str(script), *arguments] if script.exists() else [sys.executable, "-m", "bptui", *arguments]


# -- first frame -----------------------------------------------------------------------------------------
def first_frame(pairs: int) -> dict[str, Any]:
    bare, ours, ready = [], [], []
    turns: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        for number in range(pairs + 1):
            with Terminal([sys.executable, script], rows=ROWS, columns=COLUMNS) as terminal:
                alone = terminal.wait_for(painted) - terminal.started_at
                turns += [press(terminal, "space", sees(word)) for word in ("RUNNING", "PAUSED") * 3]
            with home() as env, Terminal(bptui(), rows=ROWS, columns=COLUMNS, env=env) as terminal:
                first = terminal.wait_for(painted) - terminal.started_at
                then = terminal.wait_for(sees("READY")) - terminal.started_at
            if number:  # the first pair fills caches
                bare.append(alone)
                ours.append(first)
                ready.append(then)
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return {
        "pairs": pairs,
        "bare_ms": milliseconds(statistics.median(bare)),
        "bptui_ms": milliseconds(statistics.median(ours)),
        "ready_ms": milliseconds(statistics.median(ready)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "bare_key_p50_ms": milliseconds(percentile(turns, 50)),
        "bare_key_p99_ms": milliseconds(percentile(turns, 99)),
    }


def press(terminal: Terminal, key: str, answer: Answer, timeout: float = 20.0) -> float:
    """Seconds from the key to the arrival of its answer; a key comes at any moment of a chart's quarter second."""
    time.sleep(PAUSE.uniform(0.05, 0.3))
    terminal.draw()
    pressed = time.perf_counter()
    terminal.press(key)
    return terminal.wait_for(answer, timeout) - pressed


def sees(word: str) -> Answer:
    return lambda terminal: word in terminal.line(0)


def painted(terminal: Terminal) -> bool:
    return terminal.emulation.on_alternate and any(line.strip() for line in terminal.lines)


# -- while training --------------------------------------------------------------------------------------
def training(seconds: float, presses: int) -> dict[str, Any]:
    with trained(UNITS) as (terminal, folder):
        flow = quiet_flow(terminal, seconds, folder, len(UNITS))
        return {"flow": flow, "keys": keys(terminal, presses)}


def many_layers(seconds: float) -> list[dict[str, Any]]:
    """The flow with more layers than fit the screen."""
    flows = []
    for layers in (24, 100):
        with trained((*[16] * (layers - 1), 10)) as (terminal, folder):
            flows.append(quiet_flow(terminal, seconds, folder, layers))
    return flows


def slow_line(presses: int) -> dict[str, Any]:
    """Answers over a line of 20 kB/s: fewer frames, no queue that grows."""
    with trained(UNITS, link=SLOW_LINE) as (terminal, folder):
        flow = quiet_flow(terminal, 5.0, folder, len(UNITS))
        halves = []
        for _ in range(2):
            taken = [press(terminal, "space", sees(word)) for word in ("PAUSED", "RUNNING") * (presses // 4)]
            halves.append(milliseconds(statistics.median(taken)))
        return {"link_bytes_per_second": SLOW_LINE, "flow": flow, "space_p50_ms_first_and_second_half": halves}


@contextlib.contextmanager
def trained(units: tuple[int, ...], link: float | None = None) -> Iterator[tuple[Terminal, str]]:
    """A network of so many units a layer that trains in the screen as fast as it goes, and the folder of its home."""
    layers = "".join(f'[[model]]\ntype = "dense"\nunits = {n}\nactivation = "relu"\n' for n in units[:-1])
    layers += f'[[model]]\ntype = "dense"\nunits = {units[-1]}\n'
    with home() as env, tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "layers.toml"
        spec.write_text(SPEC.format(layers=layers))
        with Terminal(bptui(str(spec)), rows=ROWS, columns=COLUMNS, env=env, link=link) as terminal:
            terminal.wait_for(sees("READY"), 60.0)
            terminal.press("space")
            terminal.wait_for(sees("RUNNING"))
            terminal.wait_for(lambda t: step_of(t) > 2000, 120.0)
            yield terminal, str(env["XDG_RUNTIME_DIR"])


def step_of(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def quiet_flow(terminal: Terminal, seconds: float, folder: str, layers: int) -> dict[str, Any]:
    """Bytes, processor time and memory over ``seconds`` in which no key is pressed."""
    processes = {"tui": psutil.Process(terminal.pid)}
    for pid, command in left_running(folder):
        for part in ("hub", "trainer"):
            if f"bptui.{part}" in command:
                processes[part] = psutil.Process(pid)
    terminal.draw()
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    received, frames, step, start = terminal.received, terminal.emulation.frames, step_of(terminal), time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        time.sleep(min(0.1, start + seconds - now))
        terminal.draw()
    wall = time.perf_counter() - start
    return {
        "layers": layers,
        "seconds": round(wall, 2),
        "bytes_per_second": round((terminal.received - received) / wall),
        "updates_per_second": round((terminal.emulation.frames - frames) / wall, 2),
        "steps_per_second": round((step_of(terminal) - step) / wall),
        "core_share": {
            name: round((sum(process.cpu_times()[:2]) - before[name]) / wall, 3) for name, process in processes.items()
        },
        "rss_mb": {name: round(process.memory_info().rss / 1e6, 1) for name, process in processes.items()},
    }


def keys(terminal: Terminal, presses: int) -> dict[str, Any]:
    """Milliseconds from key to answer, over keys whose answer cannot be mistaken for a chart's next frame."""
    titles = {pane: place for pane in "1234" if (place := title_of(terminal, pane))}
    answers: list[tuple[str, str, Answer]] = [
        ("space", "space", sees("PAUSED")),
        ("space", "space", sees("RUNNING")),
        ("?", "?", lambda t: not title_of(t, "1") or not title_of(t, "3")),
        ("escape", "", lambda t: title_of(t, "1") and title_of(t, "3")),
        ("z", "z", lambda t: sum(title_of(t, pane) is not None for pane in titles) == 1),
        ("z", "z", lambda t: all(title_of(t, pane) == place for pane, place in titles.items())),
    ]
    for pane in ("2", "3", "4", "1"):
        if pane in titles:
            answers.append((pane, "1-4", focused(terminal, titles[pane])))
    taken: dict[str, list[float]] = {}
    missed: list[str] = []
    terminal.press("1")
    while sum(map(len, taken.values())) < presses and len(missed) < 5:
        for key, name, answer in answers:
            try:
                seconds = press(terminal, key, focused(terminal, titles[key]) if name == "1-4" else answer, 5.0)
            except ScreenTimeout:
                missed.append(key)
                continue
            if name:  # Escape is exempt: the driver waits 100 ms for what may follow it
                taken.setdefault(name, []).append(seconds)
    every = [each for some in taken.values() for each in some]
    return {
        "presses": len(every),
        "load": round(os.getloadavg()[0], 2),
        "p50_ms": milliseconds(percentile(every, 50)),
        "p99_ms": milliseconds(percentile(every, 99)),
        "max_ms": milliseconds(max(every)),
        "missed": missed,
        "by_key": {
            name: {"p50_ms": milliseconds(percentile(some, 50)), "max_ms": milliseconds(max(some)), "n": len(some)}
            for name, some in taken.items()
        },
    }


def title_of(terminal: Terminal, pane: str) -> tuple[int, int] | None:
    """Where the title of a pane stands: its number and name in a frame."""
    name = {"1": "1 Model", "2": "2 Loss", "3": "3 Gradients", "4": "4 Findings"}[pane]
    return terminal.find(name)


def focused(terminal: Terminal, place: tuple[int, int]) -> Answer:
    """The corner of the pane's frame, two cells before its title, has another colour than now."""
    row, column = place[0], place[1] - 2
    before = terminal.emulation.screen.buffer[row][column]

    def changed(t: Terminal) -> bool:
        now = t.emulation.screen.buffer[row][column]
        return now.data == before.data and now != before

    return changed


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that ``percent`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def budget(what: str, value: float, limit: float, unit: str) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, "budget": f"≤ {limit:g}", "ok": value <= limit}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="more repetitions")
    full = parser.parse_args().full
    # The reader's thread must note an arrival at once, also while a screen is being drawn.
    sys.setswitchinterval(0.0005)
    # As an installation does: where PYTHONDONTWRITEBYTECODE is set, the compiler would be measured at each start.
    compileall.compile_dir(Path(__file__).resolve().parents[1] / "bptui", quiet=1)
    frame = first_frame(21 if full else 9)
    run = training(30.0 if full else 10.0, 500 if full else 200)
    many = many_layers(10.0 if full else 5.0)
    slow = slow_line(40 if full else 12)
    document = {
        "budgets": [
            budget("first frame of bptui, times a bare Textual app", frame["ratio"], FIRST_FRAME_RATIO, "×"),
            budget("key to painted answer at full speed, p99", run["keys"]["p99_ms"], KEY_P99_MS, "ms"),
            budget("bytes to the terminal while training", run["flow"]["bytes_per_second"], BYTES_PER_SECOND, "B/s"),
            budget("the screen's share of a core", run["flow"]["core_share"]["tui"], CORE_SHARE, "cores"),
        ],
        "first_frame": frame,
        **run,
        "many_layers": many,
        "slow_line": slow,
    }
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
