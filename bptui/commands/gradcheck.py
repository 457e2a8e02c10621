"""``bptui gradcheck``: gradients against finite differences."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC|PRESET", help="check this network (default: everything)")
    parser.add_argument("--all", action="store_true", help="every layer, activation and loss")
    parser.add_argument("--engine", choices=("numpy", "torch"), help="only this engine")
    parser.add_argument("--json", action="store_true", help="as JSON")


def act(arguments: argparse.Namespace) -> int:
    from bptui.engine.gradcheck import check_all, check_experiment, engines_here

    engines = engines_here() if arguments.engine is None else (arguments.engine,)
    if arguments.spec is None or arguments.all:
        rows = check_all(engines)
    else:
        from bptui.spec.load import load

        rows = check_experiment(load(arguments.spec), engines=engines)
    failed = [row for row in rows if not row.ok]
    if arguments.json:
        import dataclasses
        import json

        print(json.dumps({"ok": not failed, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1))
    else:
        for row in rows:
            mark = "ok  " if row.ok else "FAIL"
            print(f"{mark} {row.engine:5}  {row.subject:36}  {row.tensor:18}  worst relative error {row.worst:.1e}")
        print(f"{len(rows)} gradients against central differences in f64: {len(failed)} failed")
    return 1 if failed else 0
