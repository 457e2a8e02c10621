"""``bptui pause``: pause a run after its current step."""

from __future__ import annotations

import argparse

from bptui.commands.common import add_named_run as add

__all__ = ["act", "add"]


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve
    from bptui.client.headless import command

    return command(resolve(arguments.run), "pause")
