"""``bptui open``: a run's files, without its processes."""

from __future__ import annotations

import argparse

from bptui.commands.attach import recorded, relauncher
from bptui.commands.common import add_screen, check_terminal, show


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        metavar="RUN|PLACE",
        help="id, unique prefix, 'latest', pid or path; or RUN@STEP/layer/quantity, as Y copies",
    )
    add_screen(parser)


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve
    from bptui.client.reference import is_reference, parse

    at = None
    if is_reference(arguments.run):
        at = parse(arguments.run)
    directory = resolve(at.run if at is not None else arguments.run)
    check_terminal()
    return show(arguments, lambda: directory, recorded(directory), relauncher(directory), files_only=True, at=at)
