"""What the numbers in a ring or a log mean: names of series, table columns, quantities and cells."""

from __future__ import annotations

#: Scalar series. The index is what is written, so new names go to the end.
SERIES = (
    "loss", "lr", "epoch", "probe_share", "steps_per_second", "grad_norm",
    *(
        f"{part}_{metric}"
        for part in ("train", "val", "test")
        for metric in ("loss", "accuracy", "f1", "top5", "r2", "mae")
    ),
    "loss_opt1", "loss_opt2", "loss_opt3", "loss_opt4", "data_wait", "compute", "device_memory",
    *(
        f"{part}_{metric}"
        for part in ("train", "val", "test")
        for metric in ("perplexity", "bits_per_character", "sequence_accuracy")
    ),
    "generator_loss",
    *(f"{part}_{metric}" for part in ("train", "val", "test") for metric in ("generator_loss", "modes", "near")),
    "train_return", "val_return", "test_return",
)  # fmt: skip

#: Columns of a TABLE record: ``engine.base.COLUMNS``, then what the unit counters add.
TABLE_COLUMNS = (
    "grad_norm", "weight_norm", "update_ratio", "activation_mean", "activation_std", "delta_norm", "silent",
    "dead", "units", "seen",
)  # fmt: skip
"""``dead``: units that gave 0 for each of the ``seen`` samples of the probe set, in one state (−1: cannot die)."""

#: Quantities of HISTOGRAM records, by index.
QUANTITIES = ("grad_W", "W", "a", "delta")

#: Cells of a histogram: zero, nan, inf, below 2^LOW, at or above 2^HIGH, then a power of two each.
LOW_EXPONENT, HIGH_EXPONENT = -40, 24
SPECIAL_CELLS = ("zero", "nan", "inf", "below", "above")
CELLS = len(SPECIAL_CELLS) + HIGH_EXPONENT - LOW_EXPONENT
