"""``bptui replay``: a run again, held against its record bit for bit."""

from __future__ import annotations

import argparse

from bptui.commands.common import UsageError, add_named_run, check_to, progress_bar, same_threads


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("--to", type=int, metavar="N", help="the step to come to (default: the last)")
    parser.add_argument("--verify", action="store_true", help="from the first keyframe, past all the others")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    check_to(arguments)
    run = resolve(arguments.run)
    same_threads(run)
    from bptui.trainer.replay import replay

    with progress_bar("replay", arguments.to) as progress:
        outcome = replay(run, arguments.to, verify=arguments.verify, progress=progress)
    came = f"step {outcome.start:,} to {outcome.step:,}"
    if outcome.passed_over:
        print(f"passed over: {outcome.passed_over}")
    if outcome.not_comparable:
        print(f"not comparable: {outcome.not_comparable}")
    if outcome.differs:
        print(f"{came}: {outcome.differs}")
        return 0 if outcome.not_comparable else 1
    if not (outcome.losses or outcome.tensors):
        raise UsageError(f"{run.name}: {came}: nothing to compare")
    print(f"{came}: bit-exact ({outcome.losses:,} losses, {outcome.tensors:,} tensors)")
    return 0
