"""``bptui datasets``: what there is to learn from, and how to get it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bptui.commands.common import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", metavar="NAME|PATH|fetch|ngram|biases",
        help="a first look at one; 'fetch' gets one; 'ngram' and 'biases' are baselines for a text, for ratings",
    )  # fmt: skip
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="with fetch: mnist or fashion-mnist; with ngram: a text, with biases: ratings, by name or path",
    )
    parser.add_argument(
        "--data-dir", action="append", default=[], metavar="DIR", help="look here first; fetch into here"
    )
    parser.add_argument("--label", metavar="COLUMN", help="the label's column, by name or number")
    parser.add_argument("--ids", metavar="COLUMNS", help="columns of ids, by name or number: user,item")
    parser.add_argument("--level", choices=("char", "word"), help="what the tokens of a text are")
    parser.add_argument("--validation", type=float, default=0.1, metavar="FRACTION", help="what is foretold (0.1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="with biases: of the split (0)")
    parser.add_argument("--order", type=int, default=5, metavar="N", help="with ngram: the longest n-grams (5)")


def act(arguments: argparse.Namespace) -> int:
    from bptui.data.catalogue import describe, entries, render_entries, render_look
    from bptui.spec.experiment import Data

    folders = [Path(folder) for folder in arguments.data_dir]
    if arguments.what == "fetch":
        if arguments.name is None:
            raise UsageError("datasets fetch: expected mnist or fashion-mnist")
        return _fetch(arguments.name, folders[0] if folders else None)
    if arguments.what == "ngram":
        if arguments.name is None:
            raise UsageError("datasets ngram: expected a text, as romeo-and-juliet or the path of one")
        return _ngram(arguments, folders)
    if arguments.what == "biases":
        if arguments.name is None:
            raise UsageError("datasets biases: expected ratings, by name or path")
        return _biases(arguments, folders)
    if arguments.name is not None:
        raise UsageError(f"unrecognized argument {arguments.name!r}")
    if arguments.what is None:
        print(render_entries(entries(folders)))
        return 0
    wanted = Data(source=arguments.what, label=_column(arguments.label), ids=arguments.ids, level=arguments.level)
    print(render_look(describe(arguments.what, folders, data=wanted)))
    return 0


def _column(given: str | None) -> str | int | None:
    """A column by name, or by number."""
    return int(given) if given is not None and given.lstrip("-").isdecimal() else given


def _biases(arguments: argparse.Namespace, folders: Sequence[Path]) -> int:
    """How well the mean, and the mean with a bias of each id, foretell ratings held out."""
    import numpy as np

    from bptui.data import DataError, load, search_path
    from bptui.data.errors import printable
    from bptui.data.ratings import baselines
    from bptui.spec.experiment import Data

    wanted = Data(
        source=arguments.name, task="regression", label=_column(arguments.label), ids=arguments.ids,
        validation=arguments.validation,
    )  # fmt: skip
    data = load(wanted, seed=arguments.seed, dtype="f64", search=search_path(folders))
    if data.vocabularies is None or data.validation is None or data.outputs != 1:
        raise DataError(f"{data.name}: expected ratings (--ids user,item --label rating), and --validation above 0")
    train, held = data.train, data.validation
    found = baselines(np.asarray(train.x), train.targets[:, 0], np.asarray(held.x), held.targets[:, 0])
    print(f"{printable(data.name)}: fitted to {len(train):,} ratings, foretold {len(held):,}")
    for note in data.notes:
        print(f"  {printable(note)}")
    print(f"{'foretold by':<24}{'RMSE':>8}")
    print(f"{'the mean':<24}{found.mean:>8.4f}")
    print(f"{'the mean and biases':<24}{found.biases:>8.4f}")
    return 0


def _ngram(arguments: argparse.Namespace, folders: Sequence[Path]) -> int:
    """The mean loss of n-gram models on the last part of a text, counted in the rest."""
    import numpy as np

    from bptui.data import DataError, load, search_path
    from bptui.data.errors import printable
    from bptui.data.ngram import losses
    from bptui.spec.experiment import Data

    if not 1 <= arguments.order <= 32:
        raise UsageError("datasets ngram: --order takes 1 to 32")
    wanted = Data(
        source=arguments.name, task="next_token", level=arguments.level, window=1, stride=1,
        validation=arguments.validation,
    )  # fmt: skip
    data = load(wanted, search=search_path(folders))
    if data.validation is None or data.vocabulary is None or data.task != "next_token":
        raise DataError(f"{data.name}: expected one long text, and --validation above 0")
    counted, foretold = (
        np.append(np.asarray(part.x)[:, 0], part.targets[-1, 0]) for part in (data.train, data.validation)
    )
    try:
        both = [
            losses(counted, foretold, len(data.vocabulary), smoothing, arguments.order)
            for smoothing in ("witten-bell", "kneser-ney")
        ]
    except ValueError as error:
        raise DataError(f"{data.name}: {error}") from None
    what = "word" if arguments.level == "word" else "character"
    print(f"{printable(data.name)}: counted in {len(counted):,} {what}s, foretold {len(foretold) - 1:,}, nats a {what}")
    print(f"{'n':<4}{'Witten–Bell':>12}{'Kneser–Ney':>12}")
    for order, (witten_bell, kneser_ney) in enumerate(zip(*both, strict=True), 1):
        print(f"{order:<4}{witten_bell:>12.4f}{kneser_ney:>12.4f}")
    return 0


def _fetch(name: str, into: Path | None) -> int:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from bptui.data.fetch import fetch

    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), DownloadColumn(),
        disable=not sys.stdout.isatty(),
    ) as progress:  # fmt: skip
        tasks = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total or None)
            progress.update(tasks[file], completed=done, total=total or None)

        folder = fetch(name, into=into, progress=show)
    print(f"{name} is in {folder}")
    return 0
