"""Makes the documentation.

    python docs/make.py                    pages and pictures, from what was measured (seconds)
    python docs/make.py measure NAME …     trains these presets first (all of them: minutes to an hour)

``measure`` writes ``docs/measured/NAME.json``; with ``--seeds N`` from so many seeds, with ``--reports DIR`` it
uses and keeps the reports there. The MNIST presets need the data: ``bptui datasets fetch mnist``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from making import measure, pages  # noqa: E402  the checkout comes first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    trained = commands.add_parser("measure", help="train presets and keep what came out")
    trained.add_argument("names", nargs="*", metavar="NAME", help="presets (default: all)")
    trained.add_argument("--seeds", type=int, metavar="N")
    trained.add_argument("--reports", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        for name in arguments.names or measure.names():
            measure.measure(name, arguments.seeds, arguments.reports)
            print(f"measured {name}")
    for path in pages.write():
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
