"""Runs presets from the command line and keeps what the pages need, in ``docs/measured/<preset>.json``."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bptui.runs.history import History
from bptui.runs.load import load
from bptui.runs.paths import runs_root
from bptui.runs.pyramid import Sparse
from bptui.runs.records import TABLE_COLUMNS

HERE = Path(__file__).resolve().parents[1]
MEASURED = HERE / "measured"
PRESETS = HERE.parent / "bptui" / "spec" / "presets"

COLUMNS = 240
"""Most points of a kept training curve."""
KEPT = (
    "val_loss", "val_accuracy", "val_r2", "train_return", "val_return", "generator_loss", "val_modes", "val_near",
)  # fmt: skip
METRICS = (
    "train_loss", "train_accuracy", "train_r2", "val_loss", "val_accuracy", "val_r2", "test_loss", "test_accuracy",
    "train_return", "val_return", "test_return", "val_generator_loss", "val_modes", "val_near",
)  # fmt: skip
SEEDS = {
    "char-transformer": 3, "cnn": 3, "gan-2d": 3, "init": 10, "lstm-speech": 3, "policy-gradient": 3, "recommender": 3,
    "sentiment": 3,
}  # fmt: skip
#: Runs that a page shows beside the variants: name → words of the command line.
EXTRA = {"dead-relu": {"one epoch": ["--epochs", "1"]}}
#: ``init`` without a variant is its variant ``glorot``.
WITHOUT_BASE = {"init"}


def names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def variants(name: str) -> list[str]:
    """The runs that a page shows: the preset itself (empty), its variants, and what else is asked of it."""
    import tomllib

    content = tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))
    base = [] if name in WITHOUT_BASE else [""]
    return base + [variant["name"] for variant in content.get("variant", ())] + list(EXTRA.get(name, ()))


def measure(name: str, seeds: int | None = None, reports: Path | None = None) -> None:
    """Train ``name`` and its variants from several seeds and write what came out.

    ``reports``: a folder of reports by ``bptui train --seeds``, kept: what is there is not run again. Its runs
    must still lie in ``$BPTUI_HOME``.
    """
    MEASURED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bptui-docs-") as temporary:
        folder = reports or Path(temporary)
        if reports is None:
            os.environ["BPTUI_HOME"] = temporary
        content = {"preset": name, "runs": {v: _measured(name, v, seeds, folder) for v in variants(name)}}
    (MEASURED / f"{name}.json").write_text(json.dumps(content, indent=None, separators=(",", ":")) + "\n", "utf-8")


def read(name: str) -> dict[str, Any]:
    """What was measured of a preset."""
    content: dict[str, Any] = json.loads((MEASURED / f"{name}.json").read_text("utf-8"))
    return content


def _measured(name: str, variant: str, seeds: int | None, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}{'.' + variant.replace(' ', '-') if variant else ''}.json"
    if not path.exists():
        words = [sys.executable, "-P", "-m", "bptui", "train", name, "--seeds", str(seeds or SEEDS.get(name, 5))]
        words += EXTRA.get(name, {}).get(variant) or (["--variant", variant] if variant else [])
        subprocess.run([*words, "--report", str(path), "--quiet"], stdout=subprocess.DEVNULL, check=False)
    summary = json.loads(path.read_text("utf-8"))
    reports = list(summary["runs"].values())
    first = reports[0]
    history = load(runs_root() / first["run"]).history()
    reasons: dict[str, int] = {}
    for report in reports:
        reasons[report["exit"]["reason"]] = reasons.get(report["exit"]["reason"], 0) + 1
    values = {
        metric: [_short(report["metrics"][metric]) for report in reports if report["metrics"].get(metric) is not None]
        for metric in METRICS
    }
    return {
        "seeds": summary["seeds"],
        "values": {metric: found for metric, found in values.items() if found},
        "exit": reasons,
        "error": first["exit"]["error"],
        "engine": first["engine"],
        "dtype": first["dtype"],
        "steps": first["steps"],
        "epochs": first["epochs"],
        "seconds": round(statistics.median(report["timing"]["wall_s"] for report in reports), 1),
        "layers": first["layers"],
        "losses": _curve(first["losses"], first["losses_every"]),
        "series": {series: _series(history, series) for series in KEPT if series in history.series},
        "tables": _tables(history),
        "findings": _findings(first["findings"]),
        "finding_seeds": _finding_seeds(reports),
    }


def _short(value: float | None) -> float | None:
    """Five significant digits; None (JSON null) for what is not finite."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def _curve(losses: list[float | None], every: int) -> list[list[float | None]]:
    """Rows (step, lowest, mean, highest) of at most ``COLUMNS`` pieces of the run."""
    width = max(1, -(-len(losses) // COLUMNS))
    rows: list[list[float | None]] = []
    for start in range(0, len(losses), width):
        piece = [loss for loss in losses[start : start + width] if loss is not None]
        middle = (start + (min(start + width, len(losses)) - 1)) / 2 * every
        if piece:
            rows.append([middle, _short(min(piece)), _short(sum(piece) / len(piece)), _short(max(piece))])
        else:
            rows.append([middle, None, None, None])
    return rows


def _series(history: History, name: str) -> list[list[float | None]]:
    found = history.series[name]
    assert isinstance(found, Sparse)
    return [[int(step), _short(float(value))] for step, value in zip(found.steps, found.values, strict=True)]


def _tables(history: History) -> dict[str, Any]:
    """The first and the last per-layer table of the run."""
    kept = history.tables.get(0, [])
    if not kept:
        return {}
    return {
        which: {
            "step": table.step,
            **{
                column: [_short(float(value)) for value in table.values[:, at]]
                for at, column in enumerate(TABLE_COLUMNS)
                if column in ("grad_norm", "delta_norm", "activation_std", "update_ratio", "dead", "units")
            },
        }
        for which, table in (("first", kept[0]), ("last", kept[-1]))
    }


def _findings(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in ("fault", "layer", "severity", "first_step", "message")} for row in findings]


def _finding_seeds(reports: list[dict[str, Any]]) -> dict[str, int]:
    """In how many of the seeds' runs each fault was found."""
    counts: dict[str, int] = {}
    for report in reports:
        for fault in dict.fromkeys(row["fault"] for row in report["findings"]):
            counts[fault] = counts.get(fault, 0) + 1
    return counts
