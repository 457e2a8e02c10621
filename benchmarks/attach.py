"""What it costs a user's own training loop to be observed: prints JSON.

    python benchmarks/attach.py [--quick | --full] [--only CASE] [--threads N]
    python benchmarks/attach.py --table RESULT…      a table of docs/attach.md, from what was printed before

The same plain loop (``_loop.py``) runs in a process for each contestant, and they train in turn, a tenth of a second
at a time, whoever was second going first then; whoever is not at it waits, and waiting is no part of a slice:

- *bare*: the loop by itself;
- *bptui*: the same file under ``bptui run --headless``, with a screen attached through a pseudo-terminal;
- *tensorboard*: histograms of all weights and gradients each step, and every 50 steps;
- *wandb*: ``watch(log_freq=1 | 10 | 100)``, offline, the loss logged each step.

A round is a second of each, so that it holds some of the rarest samples. A figure is the median over the rounds of
(seconds a step of the contestant) / (seconds a step of the bare loop in that round), with the interval that holds the
true median in 95 of 100 such measurements. Two processes of the same loop may differ by some percent for as long as
they live, by where their tensors happen to lie: so rounds are those of several launches. Beside it stands the same of
the seconds that the script's process used of its processor (``processor_ratios``), in which nothing is that other
programs take. The *probe share* of the same steps by bptui's own governor is held against the share measured from
outside, 1 − bare / bptui; memory is that of the script's process over the bare one's. TensorBoard and wandb take part
where they are installed (the extra ``bench``). No GPU, mixed precision or compiled model is measured here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "terminal"))

from pseudo_terminal import Terminal

from benchmarks.tui import bptui, home

LOOP = Path(__file__).resolve().with_name("_loop.py")
CASES = {"20-10-10-2": 1.05, "784-256-128-10": 1.03, "transformer": 1.03}
"""Each network, and the most that bptui may cost: seconds a step over bare."""
OTHERS = ("tensorboard-1", "tensorboard-50", "wandb-1", "wandb-10", "wandb-100")
ROUND_SECONDS, TURNS = 1.0, 10
SHARE_POINTS, MEMORY_RATIO, MEMORY_BYTES = 1.0, 1.02, 64 << 20
START_SECONDS = 120.0


@dataclass
class Contestant:
    """A process with the loop, and what it did: seconds a step and resident bytes of each slice."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    pace: list[float] = field(default_factory=list)
    resident: int = 0

    def __post_init__(self) -> None:
        self._replies = self.connection.makefile("r")

    def train(self, seconds: float) -> tuple[float, float, int]:
        """Train for a slice of at least ``seconds``: how many it took, by the clock and of the processor, and steps."""
        self.connection.sendall(f"{seconds}\n".encode())
        line = self._replies.readline()
        if not line:
            raise SystemExit(f"the loop ended early: {self.process.args!r}")
        reply = json.loads(line)
        self.resident = reply["resident"]
        return reply["seconds"], reply["processor"], reply["steps"]

    def end(self) -> None:
        self._replies.close()
        self.connection.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def a_round(bare: Contestant, other: Contestant) -> tuple[float, float]:
    """Seconds a step of the other over those of the bare loop, of which they train ``ROUND_SECONDS`` each in turns.

    By the clock, and of the processor: what other programs take of the machine is in the first alone.
    """
    spent, used, steps = [0.0, 0.0], [0.0, 0.0], [0, 0]
    for turn in range(TURNS):
        # Whoever goes second may find a warmer processor: each does so every other time.
        for which in (0, 1) if turn % 2 else (1, 0):
            seconds, processor, done = (bare, other)[which].train(ROUND_SECONDS / TURNS)
            spent[which] += seconds
            used[which] += processor
            steps[which] += done
    bare.pace.append(spent[0] / steps[0])
    return spent[1] / steps[1] / bare.pace[-1], used[1] / steps[1] / (used[0] / steps[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, bare and bptui alone")
    parser.add_argument("--full", action="store_true", help="more rounds")
    parser.add_argument("--only", choices=CASES, help="one network")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: 1)")
    parser.add_argument("--table", nargs="+", metavar="RESULT", type=Path, help="files that hold what was printed")
    arguments = parser.parse_args()
    if arguments.table:
        print(table([json.loads(path.read_text()) for path in arguments.table]))
        return
    launches, rounds = (3, 6) if arguments.quick else (5, 20) if arguments.full else (3, 12)
    absent = [name for name in ("tensorboard", "wandb") if find_spec(name) is None]
    for name in absent:
        print(f"{name} is not installed: left out (pip install 'bptui[bench]')", file=sys.stderr)
    others = [way for way in OTHERS if way.partition("-")[0] not in absent and not arguments.quick]
    cases = {}
    for case in [arguments.only] if arguments.only else CASES:
        print(f"  {case} …", file=sys.stderr, flush=True)
        cases[case] = measure(case, others, launches, rounds, arguments.threads)
    result = {
        "threads": arguments.threads, "absent": absent, "unproved": ["cuda", "mixed precision", "torch.compile"],
        "cases": cases, "budgets": [row for case in cases for row in budgets(case, cases[case])],
    }  # fmt: skip
    print(json.dumps(result, indent=1))


def measure(case: str, others: list[str], launches: int, rounds: int, threads: int) -> dict[str, Any]:
    """One network: bare against bptui in every launch, then bare against each of the others in one."""
    observed = [under_bptui(case, rounds, threads) for _ in range(launches)]
    both = {"bptui": [ratio for launch in observed for ratio in launch.ratios]}
    paces = [pace for launch in observed for pace in launch.bare]
    for way in others:
        with home() as env:
            folder = str(env["XDG_RUNTIME_DIR"])
            with contestant(case, "plain", folder, env, threads) as bare, \
                 contestant(case, way, folder, env, threads) as other:  # fmt: skip
                bare.train(0.5)
                other.train(1.0)
                both[way] = [a_round(bare, other) for _ in range(rounds)]
    ratios = {way: [clock for clock, _ in rows] for way, rows in both.items()}
    processor = {way: [used for _, used in rows] for way, rows in both.items()}
    memory = max((launch.memory for launch in observed), key=lambda both: both[1] - both[0])
    return {
        "bare_steps_per_second": round(1 / statistics.median(paces), 1),
        "ratios": {way: round(statistics.median(values), 3) for way, values in ratios.items()},
        "intervals": {way: interval(values) for way, values in ratios.items()},
        "launches": [round(statistics.median(clock for clock, _ in launch.ratios), 3) for launch in observed],
        "processor_ratios": {way: round(statistics.median(values), 3) for way, values in processor.items()},
        "probe_share": {
            "governor": round(statistics.mean(launch.share for launch in observed), 4),
            "outside": round(1 - 1 / statistics.median(ratios["bptui"]), 4),
        },
        "memory_mib": {"bare": round(memory[0] / 2**20, 1), "bptui": round(memory[1] / 2**20, 1)},
        "screen": observed[-1].screen,
    }


@dataclass(frozen=True)
class Launch:
    """The loop by itself and under bptui, each in a process of its own."""

    ratios: list[tuple[float, float]]
    """Of each round, by the clock and of the processor."""
    bare: list[float]
    """Seconds a step, by round."""
    share: float
    """By bptui's own governor."""
    memory: tuple[int, int]
    """Resident bytes of the script: bare, and under bptui."""
    screen: str


def under_bptui(case: str, rounds: int, threads: int) -> Launch:
    with home() as env:
        folder = str(env["XDG_RUNTIME_DIR"])
        with contestant(case, "plain", folder, env, threads) as bare, \
             contestant(case, "plain", folder, env, threads, observed=True) as ours:  # fmt: skip
            ours.train(0.2)
            run = the_run(Path(folder) / "home" / "runs")
            with Terminal(bptui("attach", run.name), rows=36, columns=120, env=env) as screen:
                screen.wait_for(lambda terminal: "RUNNING" in terminal.line(0), 60)
                bare.train(1.0)
                ours.train(4.0)  # the probes of a run's beginning are spread over a run, not over one slice
                before = probe_share(run)
                ratios = [a_round(bare, ours) for _ in range(rounds)]
                share = between(before, probe_share(run))
                return Launch(ratios, bare.pace, share, (bare.resident, ours.resident), screen.lines[0].strip())


def budgets(case: str, figures: dict[str, Any]) -> list[dict[str, Any]]:
    ratio, share, memory = figures["ratios"]["bptui"], figures["probe_share"], figures["memory_mib"]
    points = round(100 * abs(share["governor"] - share["outside"]), 2)
    limit = round(memory["bare"] * MEMORY_RATIO + MEMORY_BYTES / 2**20, 1)
    rows = (
        (f"{case}: seconds a step under bptui over bare", ratio, CASES[case], "×"),
        (f"{case}: governor's share and the one from outside differ by", points, SHARE_POINTS, "points"),
        (f"{case}: memory under bptui", memory["bptui"], limit, "MiB"),
    )
    return [
        {"what": what, "value": value, "budget": f"≤ {most:g}", "unit": unit, "ok": value <= most}
        for what, value, most, unit in rows
    ]


@contextlib.contextmanager
def contestant(
    case: str, way: str, folder: str, env: dict[str, str | None], threads: int, *, observed: bool = False
) -> Iterator[Contestant]:
    """The loop in a process of its own, connected; ``observed``: under ``bptui run --headless``."""
    address = f"{folder}/{os.urandom(4).hex()}"
    words = [str(LOOP), case, way, address]
    environment = os.environ | {name: value for name, value in env.items() if value is not None}
    environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(1)
        listener.settimeout(START_SECONDS)
        process = subprocess.Popen(
            [*bptui("run", "--headless"), *words] if observed else [sys.executable, *words],
            stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            process.kill()
            raise SystemExit(f"{case}, {'bptui' if observed else way}: the loop did not start") from None
    loop = Contestant(process, connection)
    try:
        yield loop
    finally:
        loop.end()


def the_run(runs: Path) -> Path:
    """The only run of the home."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for path in runs.glob("*/run.json"):
            return path.parent
        time.sleep(0.05)
    raise SystemExit(f"no run in {runs}")


def probe_share(run: Path) -> tuple[int, float]:
    """The last step that the governor has told a share at, and the share of the time up to there, 0–1."""
    from bptui.runs.load import load

    told = load(run).history().last("probe_share")
    if told is None:
        raise SystemExit(f"{run}: no share has been told")
    return int(told[0]), float(told[1])


def between(earlier: tuple[int, float], later: tuple[int, float]) -> float:
    """The share of the steps between two that it was told at."""
    (begin, at_first), (end, at_last) = earlier, later
    return (at_last * end - at_first * begin) / (end - begin) if end > begin else at_last


def interval(values: list[float]) -> list[float]:
    """Where the true median is in 95 of 100 cases, by the binomial distribution of ranks."""
    ordered, count = sorted(values), len(values)
    reach = math.ceil(0.98 * math.sqrt(count))
    middle = (count - 1) / 2
    return [round(ordered[max(0, math.floor(middle) - reach)], 3),
            round(ordered[min(count - 1, math.ceil(middle) + reach)], 3)]  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a column for each network, a row for each way of looking."""
    cases = {case: figures for result in results for case, figures in result["cases"].items()}
    names = {
        "bptui": "**bptui**, screen attached", "tensorboard-1": "TensorBoard, histograms each step",
        "tensorboard-50": "TensorBoard, every 50", "wandb-1": "wandb.watch, `log_freq=1`",
        "wandb-10": "wandb.watch, 10", "wandb-100": "wandb.watch, 100",
    }  # fmt: skip
    rows = [["", *cases], ["---", *("---:" for _ in cases)]]
    rows.append(["bare, steps a second", *(f"{case['bare_steps_per_second']:,.0f}" for case in cases.values())])
    for way, name in names.items():
        cells = [
            f"×{case['ratios'][way]:.2f} ({case['intervals'][way][0]:.2f}–{case['intervals'][way][1]:.2f})"
            if way in case["ratios"] else "–"
            for case in cases.values()
        ]  # fmt: skip
        rows.append([name, *cells])
    shares = [case["probe_share"] for case in cases.values()]
    rows.append(["share, by the governor", *(f"{100 * share['governor']:.1f} %" for share in shares)])
    rows.append(["share, from outside", *(f"{100 * share['outside']:.1f} %" for share in shares)])
    memory = [case["memory_mib"] for case in cases.values()]
    rows.append(["memory beside the bare loop's", *(f"+{one['bptui'] - one['bare']:.0f} MiB" for one in memory)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
