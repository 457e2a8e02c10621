"""``bptui train``: without a screen."""

from __future__ import annotations

import argparse
from pathlib import Path

from bptui.commands.common import UsageError, add_experiment, check_engine, check_output, experiment_of, launch_run


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC|PRESET")
    add_experiment(parser)
    add = parser.add_argument
    add(
        "--until",
        metavar="E",
        help="end when this holds, such as 'val_accuracy >= 0.96'; exit status 1 if it never does",
    )
    add("--report", metavar="FILE", help="write figures, losses and findings as JSON")
    add("--fail-on", choices=("warning", "error"), help="exit status 1 if there is a finding this severe")
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="train from N seeds (0 to N−1, or from --seed on) and show median and quartiles",
    )
    add("--quiet", action="store_true", help="no progress, only the result")


def act(arguments: argparse.Namespace) -> int:
    check_engine(arguments)
    experiment = experiment_of(arguments)
    if arguments.until is not None:
        from bptui.expr import parse
        from bptui.spec.networks import names_of

        parse(arguments.until, layers=names_of(experiment))
    if arguments.report:
        check_output("--report", arguments.report)
    if arguments.seeds is not None:
        return _train_seeds(arguments)
    from bptui.client.headless import follow

    directory = launch_run(
        experiment, arguments, interactive=False, pace=arguments.pace or 0.0, until=arguments.until or ""
    )
    return follow(
        directory, report=arguments.report and Path(arguments.report), fail_on=arguments.fail_on, quiet=arguments.quiet
    )


def _train_seeds(arguments: argparse.Namespace) -> int:
    from bptui.client.seeds import train_seeds

    if not 1 <= arguments.seeds <= 10_000:
        raise UsageError(f"--seeds: expected a number from 1 to 10000, got {arguments.seeds}")
    if arguments.breaks:
        raise UsageError("--break: not with --seeds, where nobody would let a paused run go on")
    words = [arguments.spec, "--engine", arguments.engine, "--device", arguments.device]
    words += ["--probe-budget", str(arguments.probe_budget), "--keyframe-budget", str(arguments.keyframe_budget)]
    for option, value in (
        ("--dtype", arguments.dtype), ("--steps", arguments.steps), ("--epochs", arguments.epochs),
        ("--variant", arguments.variant), ("--pace", arguments.pace), ("--until", arguments.until),
        ("--fail-on", arguments.fail_on), ("--weights", arguments.weights or None),
    ):  # fmt: skip
        words += [] if value is None else [option, str(value)]
    for option, values in (("--set", arguments.set), ("--data-dir", arguments.data_dir)):
        words += [word for value in values for word in (option, value)]
    first = arguments.seed or 0
    report = Path(arguments.report) if arguments.report else None
    return train_seeds(words, range(first, first + arguments.seeds), report=report, quiet=arguments.quiet)
