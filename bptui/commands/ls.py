"""``bptui ls``: the runs there are."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.listing import as_json, as_text

    print(as_json() if arguments.json else as_text())
    return 0
