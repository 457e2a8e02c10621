"""``bptui bisect``: the first step of a run at which a condition holds."""

from __future__ import annotations

import argparse
from pathlib import Path

from bptui.commands.common import add_named_run, check_to, progress_bar, same_threads


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("condition", metavar="E", help="such as 'dead(\"dense2\") > 0.5' or 'not is_finite(loss)'")
    parser.add_argument("--json", action="store_true", help="lines of JSON: how far it is, and the end")
    parser.add_argument("--to", type=int, metavar="N", help="look no further than this step")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve
    from bptui.expr import parse

    check_to(arguments)
    parse(arguments.condition)
    run = resolve(arguments.run)
    same_threads(run)
    from bptui.trainer.bisect import bisect

    if arguments.json:
        return _as_json(run, arguments)
    with progress_bar("looking", arguments.to) as progress:
        found = bisect(run, arguments.condition, to=arguments.to, progress=progress)
    if found.not_comparable:
        print(f"not comparable: {found.not_comparable}")
    if found.step is None:
        print(f"{arguments.condition}: at none of {found.looked_at:,} steps ({found.way})")
        return 1
    values = "  ".join(f"{name} = {value:.6g}" for name, value in found.values.items())
    print(f"{arguments.condition}: first at step {found.step:,}   {values}   ({found.way})")
    return 0


def _as_json(run: Path, arguments: argparse.Namespace) -> int:
    """For a face that looks on: ``{"at", "to"}`` about five times a second, then ``step``, ``way``, ``values``."""
    import json
    import time

    from bptui.trainer.bisect import bisect

    told = 0.0

    def tell(at: int, to: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= 0.2:
            told = now
            print(json.dumps({"at": at, "to": to}), flush=True)

    found = bisect(run, arguments.condition, to=arguments.to, progress=tell)
    told_last = {"step": found.step, "way": found.way, "looked_at": found.looked_at, "values": found.values}
    print(json.dumps(told_last), flush=True)
    return 0 if found.step is not None else 1
