"""``bptui export``: a run in another format."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bptui.commands.common import UsageError, add_named_run

_FORMATS = ("pytorch", "onnx", "safetensors", "csv", "json")


def add(parser: argparse.ArgumentParser) -> None:
    add_named_run(parser)
    add = parser.add_argument
    about = "pytorch: a script that stands alone and repeats the run; onnx: padded samples take their lengths beside x"
    add("--format", required=True, choices=_FORMATS, help=about)
    add("--output", metavar="PATH", help="the file to write (default: the run's id in this folder)")
    add("--no-scaler", action="store_true", help="onnx: take rows that are scaled already")


def act(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    run = resolve(arguments.run)
    if arguments.no_scaler and arguments.format != "onnx":
        raise UsageError("--no-scaler: goes with --format onnx")
    from bptui.export.files import write_files
    from bptui.export.formats import FORMATS, Options

    chosen = FORMATS[arguments.format]
    path = Path(arguments.output) if arguments.output else Path(run.name + chosen.suffix)
    if path.is_dir():
        path = path / (run.name + chosen.suffix)
    if not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"--output {arguments.output or path}: cannot be written there")
    files = chosen.make(run, path, Options(scaler=not arguments.no_scaler))
    write_files(files)
    for written in reversed(files):
        print(written)
    return 0
