"""``bptui bisect``: the first step of a run at which a condition holds."""

from __future__ import annotations

import argparse
import sys

from bptui.commands.common import UsageError, add_named_run, same_threads


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("condition", metavar="E", help="such as 'dead(\"dense2\") > 0.5' or 'not is_finite(loss)'")
    parser.add_argument("--to", type=int, metavar="N", help="look no further than this step")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve
    from bptui.expr import parse

    if arguments.to is not None and arguments.to < 0:
        raise UsageError(f"--to: expected a step of at least 0, got {arguments.to}")
    parse(arguments.condition)
    run = resolve(arguments.run)
    same_threads(run)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from bptui.trainer.bisect import bisect

    columns = (TextColumn("looking"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("", total=arguments.to)
        found = bisect(
            run,
            arguments.condition,
            to=arguments.to,
            progress=lambda step, to: progress.update(task, completed=step, total=to),
        )
    if found.not_comparable:
        print(f"not comparable: {found.not_comparable}")
    if found.step is None:
        print(f"{arguments.condition}: at none of {found.looked_at:,} steps")
        return 1
    values = "  ".join(f"{name} = {value:.6g}" for name, value in found.values.items())
    print(f"{arguments.condition}: first at step {found.step:,}   {values}")
    return 0
