"""The registry: a built-in source is one row here. Generated, shipped, or pictures in a folder of the search path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from bptui.data import generators, idx
from bptui.data.delimited import read_digits
from bptui.data.errors import DataError
from bptui.data.places import folders_named, shipped
from bptui.data.raw import NativeTask, Raw, Rows
from bptui.spec.experiment import Data
from bptui.spec.sources import SOURCES as BUILT_IN

#: Reads one source: its name, the ``[data]`` table, the seed and the folders to look in.
Reader = Callable[[str, Data, int, Sequence[Path]], Raw]

DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = (
    "t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """How one built-in source is read; its columns and task stand in ``spec.sources``, which faces load too.

    ``rows`` counts all parts. ``folder`` is where its files are looked for, if it has any.
    """

    read: Reader
    rows: int
    folder: str | None = None
    licence: str = ""


def _generated(generator: generators.Generator, rows: int, noise: float) -> Source:
    """A source that is drawn: ``rows`` rows with ``noise`` unless the ``[data]`` table says otherwise."""

    def read(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
        count = rows if data.samples is None else data.samples
        spread = noise if data.noise is None else data.noise
        if count < 2:
            raise DataError(f"data.samples = {count}: {name} needs at least 2 rows")
        if not 0 <= spread < np.inf:
            raise DataError(f"data.noise = {spread}: expected a number from 0 upwards")
        about = BUILT_IN[name]
        x, y = generator(seed, count, spread)
        classes = None if about.task == "regression" else tuple(map(str, range(max(2, about.outputs))))
        return Raw(name, Rows(x, y), task=cast(NativeTask, about.task), classes=classes)

    return Source(read, rows)


def _digits(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    return read_digits(name, shipped() / "digits" / "digits.csv.gz")


def _pictures(folder: str, classes: tuple[str, ...], name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    found = folders_named([folder], places)
    for candidate in found:
        if idx.find_images(candidate, "train") is not None:
            return idx.read_folder(candidate, name, classes)
    wanted = f"{folder}/train-images-idx3-ubyte[.gz]"
    places_named = ", ".join(str(place) for place in places)
    raise DataError(f"{name}: {wanted} is not in any of {places_named}; `bptui datasets fetch {folder}` gets it")


SOURCES: dict[str, Source] = {
    "digits": Source(_digits, 1797, "digits", "CC BY 4.0"),
    "spiral": _generated(generators.spiral, 900, 0.2),
    "moons": _generated(generators.moons, 1000, 0.1),
    "xor": _generated(generators.xor, 1000, 0.3),
    "binary": _generated(generators.binary, 4000, 0.0),
    "regression": _generated(generators.regression, 2000, 0.05),
    "fashion": Source(partial(_pictures, "fashion-mnist", CLOTHES), 70000, "fashion-mnist", "MIT"),
    "mnist": Source(partial(_pictures, "mnist", DIGITS), 70000, "mnist", "CC BY-SA 3.0"),
}

ALIASES = {"fashion-mnist": "fashion", "fashion_mnist": "fashion"}
