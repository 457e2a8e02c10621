"""``bptui presets``: the experiments that come with bptui."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Takes nothing."""


def act(arguments: argparse.Namespace) -> int:
    from bptui.spec.describe import widths
    from bptui.spec.load import load, presets, sizes

    found = presets()
    width = max(map(len, found))
    for name, about in found.items():
        experiment = load(name)
        print(f"{name:{width}}  {about}\n{'':{width}}  {sizes(widths(experiment))}")
        for variant in experiment.variant:
            print(f"{'':{width}}  --variant {variant.name}: {variant.about}")
    return 0
