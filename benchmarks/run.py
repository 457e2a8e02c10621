"""Every benchmark of this folder, as one JSON document on standard output: ``make bench``.

    python benchmarks/run.py [NAME …] [--full]

A benchmark is a script that prints one JSON object; where it has a list ``budgets`` of objects with ``what``,
``value``, ``budget``, ``unit`` and ``ok``, what falls short is said plainly at the end. ``--full`` is passed on and
asks for more repetitions. Files whose name begins with ``_`` are no benchmarks. The document is also
kept in ``benchmarks/results/``. The exit status tells whether all of them ran, not whether budgets held.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIMIT_SECONDS = 1800.0


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these benchmarks")
    parser.add_argument("--full", action="store_true", help="more repetitions")
    arguments = parser.parse_args(words)
    known = {path.stem: path for path in sorted(HERE.glob("[!_]*.py")) if path != Path(__file__).resolve()}
    for name in arguments.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            parser.error(f"no benchmark {name!r}" + (f" (nearest: {near[0]!r})" if near else ""))

    document: dict[str, Any] = {"machine": machine(), "benchmarks": {}, "failed": [], "falls_short": []}
    for name in arguments.names or known:
        started = time.perf_counter()
        print(f"benchmark {name} …", file=sys.stderr, flush=True)
        result = one(known[name], ["--full"] if arguments.full else [])
        seconds = round(time.perf_counter() - started, 1)
        if isinstance(result, str):
            document["failed"].append(f"{name}: {result}")
            continue
        document["benchmarks"][name] = {"seconds": seconds, **result}
        document["falls_short"] += [f"{name}: {line}" for line in shortfalls(result)]

    text = json.dumps(document, indent=2, ensure_ascii=False)
    print(text)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{time.strftime('%Y%m%d-%H%M%S')}.json").write_text(text + "\n", encoding="utf-8")
    for line in document["failed"]:
        print(f"FAILED  {line}", file=sys.stderr)
    for line in document["falls_short"]:
        print(f"FALLS SHORT  {line}", file=sys.stderr)
    if not document["failed"] and not document["falls_short"]:
        print("all budgets hold", file=sys.stderr)
    return 1 if document["failed"] else 0


def one(script: Path, options: list[str]) -> dict[str, Any] | str:
    """What ``script`` printed, or in one line why there is nothing."""
    try:
        done = subprocess.run(
            [sys.executable, str(script), *options],
            cwd=HERE.parent, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"took more than {LIMIT_SECONDS:g} s"
    if done.returncode:
        return f"ended with status {done.returncode}"
    try:
        result = json.loads(done.stdout)
    except ValueError:
        return "did not print one JSON object"
    return result if isinstance(result, dict) else "did not print one JSON object"


def shortfalls(result: dict[str, Any]) -> list[str]:
    """One line for each budget that is not kept."""
    rows = result.get("budgets", ())
    return [
        f"{row['what']}: {row['value']:g} {row.get('unit', '')}".rstrip() + f", budget {row['budget']}"
        for row in rows
        if row.get("ok") is False
    ]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    versions = {}
    for name in ("bptui", "textual", "numpy", "torch"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


if __name__ == "__main__":
    sys.exit(main())
