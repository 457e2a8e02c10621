"""What armed breakpoints cost: a run with twenty of them against the same run with none, slice by slice in turn.

    python benchmarks/breakpoints.py [--quick] [--full]

Two trainers, as they are, with their probes and governors, over networks whose steps take tens of microseconds; their
rings are read as a hub reads them. Slices of a tenth of a second alternate in ABBA order, so that what drifts meets
both, and time is that of the processor in this thread, so that what else runs on the machine counts for little. What
breakpoints cost comes in lumps, a few times a second: ten slices with and ten without make a block, and the figure is
the median over the blocks of their ratio of time a step, with the 95 % interval of that median. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from bptui.protocol.messages import Armed  # noqa: E402
from bptui.runs.info import RunInfo  # noqa: E402
from bptui.runs.paths import socket_addresses  # noqa: E402
from bptui.runs.ring import Ring  # noqa: E402
from bptui.spec.load import load, to_dict  # noqa: E402
from bptui.trainer.loop import Trainer  # noqa: E402
from bptui.trainer.setup import prepare  # noqa: E402

BUDGET = 1.01
#: Seconds of a slice, and slices of each in a block.
SLICE, PAIRS = 0.1, 10
#: None of them ever comes to hold: all that is measured is looking.
SCALARS = (
    "loss > 1e6", "not is_finite(loss)", "loss < 0", "loss > 1e3 and step > 100", "delta(loss, 10) > 1e6",
    "delta(loss, 100) > 1e6", "delta(loss, 1000) > 1e6", "abs(delta(loss, 1)) > 1e6", "val_loss > 1e6",
    "val_accuracy < -1", "val_loss > 1e3 or val_accuracy < -1", "delta(val_loss, 500) > 1e6", "lr > 10",
    "lr * loss > 1e6", "epoch > 1e9", "step > 1e12", "log(loss) > 100", "loss / lr > 1e9",
    "not (loss < 1e6) and lr > 0", "loss - delta(loss, 50) < -1e6",
)  # fmt: skip
LAYERS = (
    *SCALARS[:12], 'dead("dense1") > 2', 'grad_norm("dense1") > 1e9', 'update_ratio("dense2") > 1e9',
    'weight_norm("dense1") > 1e9', 'activation_mean("dense2") > 1e9', 'saturated("dense1") > 2',
    'grad_norm("dense2") / grad_norm("dense1") > 1e9', 'dead("dense2") > 2 and loss > 1',
)  # fmt: skip
CASES = {
    "20-10-10-1, recorded figures": ("binary", SCALARS),
    "64-32-16-10, recorded figures": ("digits", SCALARS),
    "64-32-16-10, figures and layers": ("digits", LAYERS),
}


def trainer_of(preset: str, folder: Path) -> Trainer:
    experiment = load(preset, ["stop.epochs=100000000"])
    info = RunInfo(
        id=folder.name, title="", created=0.0, spec=to_dict(experiment), engine="numpy", interactive=True,
        trainer_address=socket_addresses(folder)[1],
    )  # fmt: skip
    folder.mkdir()
    trainer = Trainer(prepare(info), info, Ring.create(folder / "ring"), folder)
    trainer.describe()
    trainer.validate()
    trainer.enter("RUNNING")
    return trainer


class Contestant:
    """A trainer whose time goes by only while it has its turn."""

    def __init__(self, preset: str, conditions: tuple[str, ...], folder: Path) -> None:
        self.trainer = trainer_of(preset, folder)
        self.trainer.arm(tuple(map(Armed, conditions)))
        self.steps, self.seconds = 0, 0.0
        self._left_at = time.perf_counter()

    def run(self, seconds: float) -> None:
        """For so long, as the loop of ``Trainer`` goes when nothing is asked."""
        trainer, started = self.trainer, time.perf_counter()
        trainer.breakpoints._looked_at += started - self._left_at  # else it would look more often than in one go
        first, begun, end = trainer.step, time.thread_time(), started + seconds
        while time.perf_counter() < end:
            if trainer.step >= trainer.probe.governor.next_step():
                trainer.one_step()
            else:
                trainer.stretch()
            trainer.ring.advance(trainer.ring.head)
            if trainer.state != "RUNNING":
                raise SystemExit(f"it stopped: {trainer.state}")
        self.seconds += time.thread_time() - begun
        self.steps += trainer.step - first
        self._left_at = time.perf_counter()

    def block(self) -> float:
        """Seconds a step since the last block."""
        each, self.steps, self.seconds = self.seconds / self.steps, 0, 0.0
        return each

    def close(self) -> None:
        self.trainer.control.close()
        self.trainer.ring.close()


def one(preset: str, conditions: tuple[str, ...], blocks: int, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    bare, armed = Contestant(preset, (), folder / "bare"), Contestant(preset, conditions, folder / "armed")
    for contestant in (bare, armed):
        contestant.run(1.0)
        contestant.block()
    spent, cpu = armed.trainer.breakpoints.spent, 0.0
    ratios, steps = [], []
    for _ in range(blocks):
        for pair in range(PAIRS):
            for contestant in (bare, armed) if pair % 2 else (armed, bare):
                contestant.run(SLICE)
        cpu += armed.seconds
        steps.append(bare.block())
        ratios.append(armed.block() / steps[-1])
    spent = armed.trainer.breakpoints.spent - spent
    every = armed.trainer.layers_every
    bare.close()
    armed.close()
    ratios.sort()
    reach = round(0.98 * math.sqrt(blocks))  # ranks from the middle: 1.96 of a binomial's deviation
    low, high = ratios[max(0, blocks // 2 - reach)], ratios[min(blocks - 1, (blocks - 1) // 2 + reach)]
    return {
        "conditions": len(conditions), "step_us": round(statistics.median(steps) * 1e6, 2),
        "ratio": round(statistics.median(ratios), 4), "interval": [round(low, 4), round(high, 4)], "blocks": blocks,
        "evaluating": round(spent / cpu, 5), "layers_every": every or None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some seconds: a look, not a figure")
    parser.add_argument("--full", action="store_true", help="more blocks")
    arguments = parser.parse_args()
    blocks = 4 if arguments.quick else 60 if arguments.full else 24
    cases, budgets = {}, []
    with tempfile.TemporaryDirectory(prefix="bptui-bench-") as folder:
        for number, (name, (preset, conditions)) in enumerate(CASES.items()):
            cases[name] = one(preset, conditions, blocks, Path(folder) / str(number))
            ratio = cases[name]["ratio"]
            budgets.append({"what": f"20 armed breakpoints, {name}", "value": ratio, "budget": f"<= {BUDGET}",
                            "unit": "×", "ok": ratio <= BUDGET})  # fmt: skip
    print(json.dumps({"cases": cases, "budgets": budgets}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
