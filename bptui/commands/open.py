"""``bptui open``: a run's files, without its processes."""

from __future__ import annotations

import argparse

from bptui.commands.attach import recorded, relauncher
from bptui.commands.common import add_named_run, add_screen, check_terminal, show


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    add_screen(parser)


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    directory = resolve(arguments.run)
    check_terminal()
    return show(arguments, lambda: directory, recorded(directory), relauncher(directory), files_only=True)
