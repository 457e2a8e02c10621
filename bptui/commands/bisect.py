"""``bptui bisect``: the first step of a run at which a condition holds."""

from __future__ import annotations

import argparse

from bptui.commands.common import add_named_run, check_to, progress_bar, same_threads


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("condition", metavar="E", help="such as 'dead(\"dense2\") > 0.5' or 'not is_finite(loss)'")
    parser.add_argument("--to", type=int, metavar="N", help="look no further than this step")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve
    from bptui.expr import parse

    check_to(arguments)
    parse(arguments.condition)
    run = resolve(arguments.run)
    same_threads(run)
    from bptui.trainer.bisect import bisect

    with progress_bar("looking", arguments.to) as progress:
        found = bisect(run, arguments.condition, to=arguments.to, progress=progress)
    if found.not_comparable:
        print(f"not comparable: {found.not_comparable}")
    if found.step is None:
        print(f"{arguments.condition}: at none of {found.looked_at:,} steps")
        return 1
    values = "  ".join(f"{name} = {value:.6g}" for name, value in found.values.items())
    print(f"{arguments.condition}: first at step {found.step:,}   {values}")
    return 0
