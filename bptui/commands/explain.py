"""``bptui explain``: what a fault is, and what to do."""

from __future__ import annotations

import argparse
import shutil
import textwrap


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fault", nargs="?", metavar="FAULT", help="its id, as in a finding (default: list them all)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def act(arguments: argparse.Namespace) -> int:
    import msgspec

    from bptui.diagnose.faults import FAULTS, explain

    chosen = FAULTS if arguments.fault is None else (explain(arguments.fault),)
    if arguments.json:
        rows = [fault._asdict() for fault in chosen]
        print(msgspec.json.format(msgspec.json.encode(rows if arguments.fault is None else rows[0]), indent=2).decode())
        return 0
    width = max(50, min(100, shutil.get_terminal_size().columns))
    if arguments.fault is None:
        column = max(len(fault.id) for fault in FAULTS) + 2
        stage = ""
        for fault in FAULTS:
            if fault.stage != stage:
                print(("\n" if stage else "") + fault.stage)
                stage = fault.stage
            print(f"  {fault.id:{column}}{_first(fault.what, width - column - 2)}")
        return 0
    fault = chosen[0]
    kind = "a fact, without a threshold" if fault.exact else "statistical: it may be confirmed or refuted by a replay"
    print(f"{fault.id}\n")
    parts = {
        "": fault.what, "evidence": fault.evidence, "taken for": fault.confusable, "fix": fault.fix,
        "named for": fault.where, "stage": fault.stage, "kind": kind,
    }  # fmt: skip
    for head, text in parts.items():
        lead = f"{head:11}" if head else ""
        print(textwrap.fill(text, width, initial_indent=lead, subsequent_indent=" " * len(lead)))
        if not head:
            print()
    return 0


def _first(text: str, width: int) -> str:
    return textwrap.shorten(text.split(". ")[0].rstrip("."), max(20, width), placeholder=" …")
