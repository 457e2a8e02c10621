"""Which series are drawn together: a metric of the training rows and of the validation rows."""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Family(msgspec.Struct, frozen=True):
    """A chart's title and its two series; an empty name: there is none."""

    title: str
    first: str
    second: str = ""
    words: tuple[str, str] = ("train", "val")
    percent: bool = False

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(name for name in (self.first, self.second) if name)


LOSS = Family("Loss", "loss", "val_loss")
#: Of two networks: each has one of its own.
TWO = Family("Loss", "loss", "generator_loss", ("discriminator", "generator"))
#: Of a policy: of the episodes that it learns from, and of those that it is tried in.
RETURN = Family("Mean return", "train_return", "val_return")
_METRICS = (
    ("Accuracy", "accuracy", True), ("R²", "r2", False), ("F1", "f1", False), ("Top-5", "top5", True),
    ("Mean absolute error", "mae", False), ("Mean return", "return", False), ("Modes covered", "modes", False),
    ("Samples near a mode", "near", True),
)  # fmt: skip
_SINGLE = (
    ("Learning rate", "lr", "lr"), ("‖∇W‖ of the network", "grad_norm", "norm"),
    ("Steps a second", "steps_per_second", "steps/s"), ("Probe share", "probe_share", "share"),
)  # fmt: skip


def loss_of(names: Collection[str]) -> Family:
    """The loss of one network, or of two."""
    return TWO if "generator_loss" in names else LOSS


def leading(task: str) -> Family:
    """What tells most of how it learns: of a policy, whose loss is about 0 by its making, the return."""
    return RETURN if task == "policy" else LOSS


def families(names: Collection[str]) -> list[Family]:
    """What there is to draw, the loss first."""
    out = [loss_of(names)]
    if out[0] is TWO:
        out += [Family("Loss of the discriminator", "loss", "val_loss"),
                Family("Loss of the generator", "generator_loss", "val_generator_loss")]  # fmt: skip
    for title, metric, percent in _METRICS:
        train, validation = f"train_{metric}", f"val_{metric}"
        if train in names or validation in names:
            out.append(Family(title, train if train in names else "", validation if validation in names else "",
                              percent=percent))  # fmt: skip
    for title, name, word in _SINGLE:
        if name in names:
            out.append(Family(title, name, words=(word, ""), percent=name == "probe_share"))
    return out
