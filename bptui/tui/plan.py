"""What the builder asks for: another run, and how to start it."""

from __future__ import annotations

import msgspec

from bptui.spec.experiment import Experiment


class Plan(msgspec.Struct, frozen=True):
    """Another run of a changed experiment. Empty texts: as the run before."""

    experiment: Experiment
    engine: str = ""
    device: str = ""
    keep: bool = False
    """Start from the present weights of the layers that fit."""
