"""How well spoken digits are read in a synthetic voice that was not trained on: each base voice held out in turn.

    python benchmarks/voices.py [VOICE …]

The shipped set tests two base voices of eight, and which two they are is a choice. This trains `lstm-speech` once for
each base voice, on the seven others, and prints its test accuracy as one JSON object: seed 0, NumPy engine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "datasets" / "spoken-digits-espeak" / "spoken-digits-espeak.npz"
FIELDS = ("x", "y", "lengths")


def main() -> None:
    with np.load(SHIPPED) as held:
        whole = {field: np.concatenate([held[f"{field}_train"], held[f"{field}_test"]]) for field in (*FIELDS, "voice")}
    base = np.array([str(voice).partition("+")[0] for voice in whole["voice"]])
    voices = [word for word in sys.argv[1:] if word != "--full"] or sorted(set(base))  # nothing here can be fuller
    if unknown := set(voices) - set(base):
        sys.exit(f"voices: no {', '.join(sorted(unknown))} (one of {', '.join(sorted(set(base)))})")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for voice in voices:
            found[voice] = accuracy(whole, base == voice, Path(folder))
            print(f"{voice}: {found[voice]:.3f}", file=sys.stderr)
    print(json.dumps({"test_accuracy": found, "median": statistics.median(found.values())}, indent=2))


def accuracy(whole: dict[str, np.ndarray], held_out: np.ndarray, folder: Path) -> float:
    """Test accuracy on the rows that ``held_out`` marks, after training on the others."""
    data, report = folder / "voices.npz", folder / "report.json"
    parts = {"train": ~held_out, "test": held_out}
    np.savez(data, **{f"{field}_{part}": whole[field][rows] for field in FIELDS for part, rows in parts.items()})
    command = [sys.executable, "-m", "bptui", "train", "lstm-speech", "--set", f"data.source={data}"]
    command += ["--engine", "numpy", "--quiet", "--report", str(report)]
    environment = {**os.environ, "BPTUI_HOME": str(folder / "home")}
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=ROOT, env=environment)
    return float(json.loads(report.read_text())["metrics"]["test_accuracy"])


if __name__ == "__main__":
    main()
