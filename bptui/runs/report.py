"""The report of a run (``--report FILE``), from its files alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.runs.confusion import read_confusion
from bptui.runs.epochs import epochs_done
from bptui.runs.findings import read_findings
from bptui.runs.history import History
from bptui.runs.load import Loaded, ended, load
from bptui.runs.log import BlockKind, LogParser

SCHEMA = 1
Losses = npt.NDArray[np.float64]
MAX_LOSSES = 1_000_000
_SEVERITY = {"info": 0, "warning": 1, "error": 2}
_METRICS = ("train", "val", "test")


def report(run: Path) -> dict[str, Any]:
    """What DESIGN §5 says of ``--report``; floats may be nan or inf (``encode`` writes null for them).

    RunError if there is no readable run.json.
    """
    loaded = load(run)
    every_loss, history = _losses(loaded)
    info, meta = loaded.info, loaded.digest.meta or {}
    end = ended(run, loaded)
    every = max(1, math.ceil(len(every_loss) / MAX_LOSSES))
    steps = max(len(every_loss), end.step, loaded.digest.step)
    spec = meta.get("spec") if isinstance(meta.get("spec"), dict) else info.spec
    return {
        "schema": SCHEMA,
        "run": info.id,
        "engine": str(meta.get("engine", "script" if info.mode == "script" else info.engine)),
        "device": str(meta.get("device", info.device)),
        "dtype": str(meta.get("dtype", _at(spec, "experiment", "dtype") or "f32")),
        "seed": _at(spec, "experiment", "seed") or 0,
        "steps": steps,
        "epochs": _epochs(meta, history, steps),
        "losses": every_loss[::every].tolist(),
        "losses_every": every,
        "metrics": _metrics(history, every_loss),
        "confusion": read_confusion(run),
        "timing": _timing(history, len(every_loss)),
        "layers": [_layer(row) for row in meta.get("layers", ())],
        "findings": [msgspec.to_builtins(finding) for finding in read_findings(run)],
        **_script(meta, loaded, steps, end.note),
        "exit": {"reason": end.reason, "code": end.code, "error": end.error or None},
    }


def losses(run: Path) -> Losses:
    """(steps,): the loss of every state of rank 0, however many there are; nan where none was recorded.

    RunError if there is no readable run.json.
    """
    return _losses(load(run))[0]


def fails(content: dict[str, Any], fail_on: str | None) -> bool:
    """Whether a report has a finding at least as severe as ``fail_on`` (``warning`` or ``error``; None: never)."""
    worst = max((_SEVERITY[finding["severity"]] for finding in content["findings"]), default=-1)
    return fail_on is not None and worst >= _SEVERITY[fail_on]


def encode(content: dict[str, Any]) -> bytes:
    """A report as JSON text, nan and inf as null."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _losses(loaded: Loaded) -> tuple[Losses, History]:
    """Every loss of rank 0 in full precision, nan where none was recorded, and the rest as a history."""
    pieces: list[tuple[int, Any]] = []
    history, parser = History(), LogParser()
    for piece in loaded.log():
        blocks = parser.feed(piece)
        history.add(blocks)
        pieces.extend(
            (block.step, block.values())
            for block in blocks
            if block.kind == BlockKind.SERIES and block.index == 0 and block.rank == 0
        )
    size = history.steps if len(history.losses) else 0
    found = np.full(size, np.nan)
    for step, values in pieces:
        found[step : step + len(values)] = values[: max(size - step, 0)]
    return found, history


def _metrics(history: History, losses: Losses) -> dict[str, float]:
    metrics = {}
    for name in history.series:
        last = history.last(name)
        if last is not None and name.partition("_")[0] in _METRICS and "@" not in name:
            metrics[name] = last[1]
    if "train_loss" not in metrics and len(losses):
        metrics["train_loss"] = float(losses[-1])
    return metrics


def _timing(history: History, steps: int) -> dict[str, float]:
    wall = (history.last_time or 0.0) - (history.first_time or 0.0)
    share = history.last("probe_share")
    return {
        "wall_s": wall,
        "steps_per_s": steps / wall if wall > 0 else 0.0,
        "probe_share": share[1] if share is not None else 0.0,
    }


def _epochs(meta: dict[str, Any], history: History, steps: int) -> int:
    done = epochs_done(meta, steps)
    if done is not None:
        return math.floor(done)
    last = history.last("epoch")
    return int(last[1]) if last is not None and math.isfinite(last[1]) else 0


def _script(meta: dict[str, Any], loaded: Loaded, steps: int, note: str) -> dict[str, Any]:
    """What only a user's script has: its models, module tree, optimisers, failed probes; why nothing was seen."""
    if loaded.info.mode != "script":
        return {}
    return {
        "models": meta.get("models", []),
        "modules": meta.get("modules", []),
        "optimizers": _optimizers(meta, steps),
        "probes_off": meta.get("probes_off", []),
        "note": note or None,
    }


def _optimizers(meta: dict[str, Any], steps: int) -> list[dict[str, Any]]:
    """As last described; where there is one, every update was its own, also those after that."""
    told = [row for row in meta.get("optimizers", []) if isinstance(row, dict)]
    return [{**told[0], "steps": steps}] if len(told) == 1 else told


def _layer(row: Any) -> dict[str, Any]:
    fields = row if isinstance(row, dict) else {}
    return {
        "name": fields.get("name", ""),
        "kind": fields.get("kind", ""),
        "shape": list(fields.get("shape", ())),
        "parameters": fields.get("parameters", 0),
    }


def _at(spec: Any, *keys: str) -> Any:
    for key in keys:
        spec = spec.get(key) if isinstance(spec, dict) else None
    return spec
