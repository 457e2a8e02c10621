"""``bptui whatif``: a run from one step on, changed, beside its unchanged continuation."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.commands.common import UsageError, add_named_run, progress_bar

if TYPE_CHECKING:
    from bptui.protocol.whatif import Continue, Going, Outcome

_HEAD = ("", "loss", "val loss", "val accuracy", "dead", "gradient ratio")


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    parser.add_argument("--at", type=int, required=True, metavar="STEP", help="the state from which it goes on")
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", nargs="+",
        help="one continuation: lr=0.01, lr=/10, momentum=0, optimizer=adam, dense1.activation=gelu, activation=gelu, "
        "revive=he_normal, dense1.init=orthogonal, clip_norm=1, batch_size=64, dropout=0.2, dense1.bias+=0.1, "
        "dense1.weight[3,4]=0; several behind one --set are changed together",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=100, metavar="K", help="so many updates (default 100)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def act(arguments: argparse.Namespace) -> int:
    import msgspec

    from bptui.client.discover import resolve
    from bptui.protocol.whatif import Continue, parse_change, words

    if arguments.at < 0:
        raise UsageError(f"--at: expected a step of at least 0, got {arguments.at}")
    if arguments.steps < 1:
        raise UsageError(f"--steps: expected at least 1, got {arguments.steps}")
    if not arguments.set:
        raise UsageError("what is to be changed? --set lr=/10, --set dense1.activation=leaky_relu …")
    run = resolve(arguments.run)
    wanted = [tuple(map(parse_change, group)) for group in arguments.set]
    jobs = [Continue(arguments.at, arguments.steps), *(Continue(arguments.at, arguments.steps, one) for one in wanted)]
    names = ["unchanged", *(" ".join(map(words, one)) for one in wanted)]
    with progress_bar("what if", arguments.steps * len(jobs)) as progress:
        found = asyncio.run(_all(run, jobs, progress))
    if arguments.json:
        rows = [{"name": name, **msgspec.to_builtins(one)} for name, one in zip(names, found, strict=True)]
        print(msgspec.json.encode(rows).decode())
    else:
        print("\n".join(_table(names, found)))
        print(continuation_words(found[0]))
    return 1 if found[0].differs and not found[0].not_comparable else 0


async def _all(run: Path, jobs: Sequence[Continue], progress: Callable[[int, int], None]) -> list[Outcome]:
    from bptui.client.aside import Aside
    from bptui.protocol.whatif import Outcome

    aside, done, total = Aside(), [0] * len(jobs), sum(job.steps for job in jobs)

    async def one(index: int) -> Outcome:
        def going(word: Going) -> None:
            done[index] = word.done
            progress(sum(done), total)

        found = await aside.do(run, jobs[index], going)
        assert isinstance(found, Outcome)
        return found

    tasks = [asyncio.ensure_future(one(index)) for index in range(len(jobs))]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _table(names: list[str], found: list[Outcome]) -> list[str]:
    plays = any(one.val_return is not None for one in found)
    rows = [tuple("val return" if plays and text == "val loss" else text for text in _HEAD)]
    for name, one in zip(names, found, strict=True):
        rows.append((
            name, "nan" if one.loss is None else _number(one.loss), _number(one.val_return if plays else one.val_loss),
            _number(one.val_accuracy), f"{one.dead}/{one.units}", _number(one.gradient_ratio),
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return [
        "  ".join(text.ljust(width) if not column else text.rjust(width)
                  for column, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def continuation_words(one: Outcome) -> str:
    """How the unchanged continuation stands to the record."""
    if one.not_comparable:
        return f"the bits are not comparable with the record: {one.not_comparable}"
    if one.differs:
        return f"the unchanged continuation is not the record: {one.differs}"
    if not one.held:
        return "nothing has been recorded from here on that it could be held against"
    return f"the unchanged continuation equals the record bit for bit ({one.held:,} losses)"
