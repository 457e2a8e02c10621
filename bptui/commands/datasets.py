"""``bptui datasets``: what there is to learn from, and how to get it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bptui.commands.common import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", metavar="NAME|PATH|fetch", help="a first look at one, or 'fetch' to get one")
    parser.add_argument("name", nargs="?", metavar="NAME", help="with fetch: mnist or fashion-mnist")
    parser.add_argument(
        "--data-dir", action="append", default=[], metavar="DIR", help="look here first; fetch into here"
    )
    parser.add_argument("--label", metavar="COLUMN", help="the label's column, by name or number")


def act(arguments: argparse.Namespace) -> int:
    from bptui.data.catalogue import describe, entries, render_entries, render_look
    from bptui.spec.experiment import Data

    folders = [Path(folder) for folder in arguments.data_dir]
    if arguments.what == "fetch":
        if arguments.name is None:
            raise UsageError("datasets fetch: expected mnist or fashion-mnist")
        return _fetch(arguments.name, folders[0] if folders else None)
    if arguments.name is not None:
        raise UsageError(f"unrecognized argument {arguments.name!r}")
    if arguments.what is None:
        print(render_entries(entries(folders)))
        return 0
    label: str | int | None = arguments.label
    if isinstance(label, str) and label.lstrip("-").isdecimal():
        label = int(label)
    print(render_look(describe(arguments.what, folders, data=Data(source=arguments.what, label=label))))
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
