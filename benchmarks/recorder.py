"""What the recorder costs and how quickly it goes back: prints JSON.

    python benchmarks/recorder.py [--quick | --steps N]

A run of 784-256-128-10 on random pictures, batch 64, SGD with momentum, as the trainer runs it: ring, probes and
keyframes on disk, everything but the hub. Twins in turn, a stretch of seconds each, one with keyframes and states in
memory and one without: the *paired share* is the median over the rounds of the ratio of their times a step, less 1
(it needs a quiet machine); the *share by the clock* is what keeping took of the recording twin's time. Then the
recording twin runs on to its 100,000 steps (20,000 with ``--quick``), and requests go to it as they do from a face:

- *near the head*: 40 steps back from the head, one at a time; *after the first jump*: 10 jumps, 10 steps back each;
- *go to*: 20 random steps, the longest; *bytes* of keyframes beside the budget.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bptui.protocol.messages import Back, GoTo
from bptui.runs import keyframes
from bptui.runs.info import RunInfo
from bptui.runs.paths import socket_addresses
from bptui.runs.reader import RingReader
from bptui.runs.ring import Ring
from bptui.spec.load import load, to_dict
from bptui.trainer.loop import Trainer
from bptui.trainer.requests import _HANDLERS
from bptui.trainer.setup import prepare

BUDGET = 256 << 20


class Twin:
    """A trainer without a hub: this process reads its ring."""

    def __init__(self, folder: Path, data: Path, *, recording: bool) -> None:
        folder.mkdir()
        experiment = load("fashion", [f"data.source={data}", "stop.epochs=1000000", "optimizer.lr=0.01"])
        info = RunInfo(
            id=folder.name, title="", created=0.0, spec=to_dict(experiment), engine="numpy", interactive=True,
            keyframe_budget=BUDGET, trainer_address=socket_addresses(folder)[1],
        )  # fmt: skip
        ring = Ring.create(folder / "ring")
        ring.lock()
        self.trainer = Trainer(prepare(info), info, ring, folder)
        if not recording:
            self.trainer.disk.put_off(time.perf_counter(), float("inf"))
            self.trainer.held.put_off(time.perf_counter(), float("inf"))
        self._reader = RingReader(ring, 0)
        with np.errstate(all="ignore"):
            self.trainer._begin()
        if not recording:
            self.trainer.disk.put_off(time.perf_counter(), float("inf"))

    def train(self, seconds: float = float("inf"), to: int = 1 << 60) -> float:
        """Seconds a step."""
        trainer = self.trainer
        if trainer.state != "RUNNING":
            trainer.enter("RUNNING")
        begin, first = time.perf_counter(), trainer.step
        while (now := time.perf_counter()) - begin < seconds and trainer.step < to:
            if trainer.step >= trainer.probe.governor.next_step():
                trainer.one_step()
            else:
                trainer.stretch()
            while data := self._reader.take():  # what a hub does, in less time
                self._reader.used(len(data))
            self._reader.commit()
        return (now - begin) / max(trainer.step - first, 1)

    def ask(self, request: Back | GoTo) -> float:
        """Seconds until it is answered."""
        begin = time.perf_counter()
        _HANDLERS[type(request)](self.trainer, request)
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 steps, under 3 minutes")
    parser.add_argument("--full", action="store_true", help="more rounds of the pair")
    parser.add_argument("--steps", type=int, default=100_000)
    arguments = parser.parse_args()
    steps = 20_000 if arguments.quick else arguments.steps
    with tempfile.TemporaryDirectory(dir=os.environ.get("BPTUI_BENCH_DIR")) as place, np.errstate(all="ignore"):
        rounds = 9 if arguments.quick else 45 if arguments.full else 15
        print(json.dumps(measure(Path(place), steps, rounds), indent=1))


def measure(place: Path, steps: int, rounds: int) -> dict[str, object]:
    """The figures of one run of so many steps."""
    data = pictures(place / "pictures.npz")
    walk = random.Random(1)
    recording, bare = (Twin(place / name, data, recording=name == "recording") for name in ("recording", "bare"))
    ratios = []
    for _ in range(rounds):
        pair = [twin.train(2.0) for twin in (recording, bare)]
        ratios.append(pair[0] / pair[1])
    begin, first, before = time.perf_counter(), recording.trainer.step, _spent(recording.trainer)
    recording.train(to=steps)
    took = time.perf_counter() - begin
    trainer = recording.trainer
    share = (_spent(trainer) - before) / took
    trainer.enter("PAUSED")
    frames = keyframes.keyframes(trainer.directory)
    trainer.remember()
    near = [recording.ask(Back()) for _ in range(40)]
    jumps, after = [], []
    for _ in range(10):
        recording.ask(GoTo(step=walk.randrange(20, steps)))
        after += [recording.ask(Back()) for _ in range(10)]
    for _ in range(20):
        jumps.append(recording.ask(GoTo(step=walk.randrange(steps))))
    longest = max(jumps)
    return {
        "steps": steps,
        "ms_a_step": round(1000 * took / (steps - first), 3),
        "recording_share_paired": round(statistics.median(ratios) - 1, 4),
        "recording_share_by_the_clock": round(share, 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "keyframes": len(frames),
        "longest_gap_steps": max(b.step - a.step for a, b in itertools.pairwise(frames)),
        "bytes": sum(frame.size for frame in frames),
        "budget": BUDGET,
        "back_near_head_p95_ms": p95(near),
        "back_after_jump_p95_ms": p95(after),
        "longest_go_to_s": round(longest, 3),
        "budgets": [
            budget("share of a run that recording takes", share, 0.03, ""),
            budget("a step back near the head, p95", p95(near), 200, "ms"),
            budget("a step back after a jump, p95", p95(after), 200, "ms"),
            budget("the longest of 20 ways to any step", longest, 2, "s"),
            budget("bytes of keyframes", sum(frame.size for frame in frames), BUDGET, "B"),
        ],
    }


def budget(what: str, value: float, most: float, unit: str) -> dict[str, object]:
    return {"what": what, "value": round(value, 4), "budget": most, "unit": unit, "ok": value <= most}


def _spent(trainer: Trainer) -> float:
    return trainer.disk.spent + trainer.held.spent


def p95(seconds: list[float]) -> float:
    return round(1000 * statistics.quantiles(seconds, n=20)[-1], 1)


def pictures(path: Path) -> Path:
    """Random pictures of ten kinds, which a network can tell apart."""
    draw = np.random.default_rng(0)
    kinds = draw.integers(0, 10, 12_000)
    x = draw.random((10, 784))[kinds] + draw.normal(0, 0.5, (len(kinds), 784))
    np.savez(path, X=x.astype(np.float32), y=kinds)
    return path


if __name__ == "__main__":
    main()
