"""What armed breakpoints cost: a run with twenty of them against the same run with none, slice by slice in turn.

    python benchmarks/breakpoints.py [--quick] [--full]

One trainer, as it is, with its probes and their governor, over networks whose steps take tens of microseconds; its
ring is read as a hub reads it. Long slices with and without breakpoints follow each other in ABBA order, so that
what drifts meets both; the figure is the median of the paired ratios of time a step. Prints one JSON object.
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


def slice_of(trainer: Trainer, seconds: float) -> float:
    """Seconds a step over a slice of so many seconds, as the loop of ``Trainer`` goes when nothing is asked."""
    first, started = trainer.step, time.perf_counter()
    end = started + seconds
    while time.perf_counter() < end:
        if trainer.step >= trainer.probe.governor.next_step():
            trainer.one_step()
        else:
            trainer.stretch()
        trainer.ring.advance(trainer.ring.head)
        if trainer.state != "RUNNING":
            raise SystemExit(f"it stopped: {trainer.state}")
    return (time.perf_counter() - started) / (trainer.step - first)


def one(preset: str, conditions: tuple[str, ...], rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    trainer = trainer_of(preset, folder)
    armed = tuple(map(Armed, conditions))
    slice_of(trainer, 0.5)
    ratios, bare_times = [], []
    for round_ in range(rounds):
        times = {}
        for with_them in (False, True) if round_ % 2 else (True, False):
            trainer.arm(armed if with_them else ())
            times[with_them] = slice_of(trainer, seconds)
        ratios.append(times[True] / times[False])
        bare_times.append(times[False])
    trainer.control.close()
    trainer.ring.close()
    ratios.sort()
    spread = 1.25 * statistics.stdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else math.nan
    return {
        "conditions": len(conditions), "step_us": round(statistics.median(bare_times) * 1e6, 2),
        "ratio": round(statistics.median(ratios), 4), "error_of_the_median": round(spread, 4), "slices": len(ratios),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some seconds: a look, not a figure")
    parser.add_argument("--full", action="store_true", help="more and longer slices")
    arguments = parser.parse_args()
    rounds, seconds = (4, 0.25) if arguments.quick else (40, 1.0) if arguments.full else (24, 1.0)
    cases, budgets = {}, []
    with tempfile.TemporaryDirectory(prefix="bptui-bench-") as folder:
        for number, (name, (preset, conditions)) in enumerate(CASES.items()):
            cases[name] = one(preset, conditions, rounds, seconds, Path(folder) / str(number))
            ratio = cases[name]["ratio"]
            budgets.append({"what": f"20 armed breakpoints, {name}", "value": ratio, "budget": f"<= {BUDGET}",
                            "unit": "×", "ok": ratio <= BUDGET})  # fmt: skip
    print(json.dumps({"cases": cases, "budgets": budgets}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
