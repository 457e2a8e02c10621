"""``bptui predict``: what a run says of new rows or pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bptui.commands.common import add_named_run, check_output

#: Rows that are shown where nothing is written to a file.
_SHOWN = 20


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    add = parser.add_argument
    add("file", metavar="FILE", help="rows (CSV, TSV, NPY, NPZ), pictures (PNG, PGM, PPM, IDX), a WAV or lines of text")
    add("--output", metavar="FILE.csv", help="write every row with all probabilities")
    add("--json", action="store_true", help="every row as JSON")
    add("--resize", action="store_true", help="scale pictures of another size to the run's")
    add("--invert", action="store_true", help="turn dark on light into light on dark")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    run = resolve(arguments.run)
    if arguments.output:
        check_output("--output", arguments.output)
    from bptui.export.prediction import as_csv, as_dict, as_text, predict
    from bptui.export.rows import Pictures, read_rows
    from bptui.export.trained import one_network, open_trained
    from bptui.runs.info import write_output
    from bptui.runs.output import escape

    trained = open_trained(run)
    one_network(trained, "predict")
    given = read_rows(Path(arguments.file), trained, Pictures(arguments.resize, arguments.invert))
    prediction = predict(trained, given)
    if arguments.output:
        write_output(Path(arguments.output), as_csv(prediction))
    if arguments.json:
        import json

        print(json.dumps(as_dict(prediction, arguments.file), indent=1, ensure_ascii=False))
        return 0
    for note in prediction.notes:
        print(f"  {escape(note)}", file=sys.stderr)
    if not arguments.output:
        for line in as_text(prediction, _SHOWN):
            print(escape(line))
    figures = "".join(f" · {name} {value:.4f}" for name, value in prediction.metrics().items())
    rows = f"{len(prediction):,} row{'s' * (len(prediction) != 1)}"
    print(f"{rows}{figures} · {escape(trained.info.id)} at step {trained.step:,}")
    if arguments.output:
        print(f"  {escape(arguments.output)}")
    return 0
