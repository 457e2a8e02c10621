"""``bptui replay``: a run again, held against its record bit for bit."""

from __future__ import annotations

import argparse
import sys

from bptui.commands.common import UsageError, add_named_run, same_threads


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("--to", type=int, metavar="N", help="the step to come to (default: the last)")
    parser.add_argument("--verify", action="store_true", help="from the first keyframe, past all the others")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    if arguments.to is not None and arguments.to < 0:
        raise UsageError(f"--to: expected a step of at least 0, got {arguments.to}")
    run = resolve(arguments.run)
    same_threads(run)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from bptui.trainer.replay import replay

    columns = (TextColumn("replay"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("", total=arguments.to)
        outcome = replay(
            run,
            arguments.to,
            verify=arguments.verify,
            progress=lambda step, to: progress.update(task, completed=step, total=to),
        )
    came = f"step {outcome.start:,} to {outcome.step:,}"
    if outcome.not_comparable:
        print(f"not comparable: {outcome.not_comparable}")
    if outcome.differs:
        print(f"{came}: {outcome.differs}")
        return 0 if outcome.not_comparable else 1
    print(f"{came}: bit-exact ({outcome.losses:,} losses, {outcome.tensors:,} tensors)")
    return 0
