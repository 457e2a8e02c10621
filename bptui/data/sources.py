"""The registry: a built-in source is one row here. Generated, shipped, or pictures in a folder of the search path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from msgspec.structs import replace as _with

from bptui.data import arrays, generators, idx
from bptui.data.delimited import read_digits
from bptui.data.environments import ENVIRONMENTS
from bptui.data.errors import DataError
from bptui.data.folders import listing
from bptui.data.longtext import read_long
from bptui.data.places import folders_named, shipped
from bptui.data.ratings import NOISE, RATINGS, drawn
from bptui.data.raw import Modes, NativeTask, Raw, Rows, thinned
from bptui.data.rollouts import draws, play
from bptui.data.scaling import Scaler
from bptui.data.sound import read_sounds
from bptui.data.texts import read_texts
from bptui.philox import Stream
from bptui.spec.experiment import Data
from bptui.spec.sources import SOURCES as BUILT_IN

#: Reads one source: its name, the ``[data]`` table, the seed and the folders to look in.
Reader = Callable[[str, Data, int, Sequence[Path]], Raw]

DIGITS = tuple(str(digit) for digit in range(10))
IMAGES = tuple(f"train-{tail}" for tail in idx.IMAGES)
FETCH = "bptui datasets fetch {}"
#: Of the true spoken digits, those that are customarily held out.
TEST_TAKES = ("0", "1", "2", "3", "4")
CLOTHES = (
    "t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """How one built-in source is read; its columns and task stand in ``spec.sources``, which faces load too.

    ``rows`` counts all parts (0: as many as are played). ``folder`` is where its files are looked for, if it has any:
    one that holds ``has``. ``how`` says how it is got.
    """

    read: Reader
    rows: int
    folder: str | None = None
    licence: str = ""
    has: tuple[str, ...] = ()
    how: str = ""

    def found(self, places: Sequence[Path]) -> Path | None:
        """The first folder of ``places`` that has its files, the shipped ones before all."""
        if self.folder is None:
            return None
        if (shipped() / self.folder).is_dir():
            return shipped() / self.folder
        candidates = folders_named([self.folder], places)
        return next((each for each in candidates if any((each / name).exists() for name in self.has)), None)


def _generated(
    generator: generators.Generator, rows: int, noise: float, modes: Callable[[float], Modes] | None = None
) -> Source:
    """A source that is drawn: ``rows`` rows with ``noise`` unless the ``[data]`` table says otherwise."""

    def read(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
        count, spread = _wanted(name, data, rows, noise)
        about = BUILT_IN[name]
        x, y = generator(seed, count, spread)
        classless = about.task in ("regression", "generate")
        classes = None if classless else tuple(map(str, range(max(2, about.outputs))))
        known = None if modes is None else modes(spread)
        return Raw(name, Rows(x, y), task=cast(NativeTask, about.task), classes=classes, modes=known)

    return Source(read, rows)


def _wanted(name: str, data: Data, rows: int, noise: float) -> tuple[int, float]:
    """Rows and noise of what is drawn."""
    count = rows if data.samples is None else data.samples
    spread = noise if data.noise is None else data.noise
    if count < 2:
        raise DataError(f"data.samples = {count}: {name} needs at least 2 rows")
    if not 0 <= spread < np.inf:
        raise DataError(f"data.noise = {spread}: expected a number from 0 upwards")
    return count, spread


def _ratings(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    return replace(drawn(name, seed, *_wanted(name, data, RATINGS, NOISE)), open_vocabulary=data.vocabulary)


def _played(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """What is seen and done in an environment where chance acts: an epoch's episodes."""
    environment, episodes = ENVIRONMENTS[name], data.episodes
    limit = data.episode_steps or environment.limit
    unscaled = Scaler("none", np.zeros(len(environment.features)), np.ones(len(environment.features)))
    uniform = Stream(seed, f"data.{name}").uniform(0, draws(environment, episodes, limit))
    chance = np.zeros((episodes, len(environment.actions)))
    played = play(environment, lambda x: chance, unscaled, np.float64, uniform, episodes=episodes, limit=limit)
    x, y = played.rows(played.x), played.rows(played.actions)
    note = f"{len(x):,} steps of {episodes:,} episodes, played by chance; for its updates a model plays its own"
    return Raw(
        name, Rows(x, y), task="policy", classes=environment.actions, feature_names=environment.features,
        label="action", environment=environment, notes=(note,),
    )  # fmt: skip


def _digits(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    return read_digits(name, shipped() / "digits" / "digits.csv.gz")


def _found(name: str, places: Sequence[Path]) -> Path:
    """The folder of a source; DataError says where it was looked for and how to get it."""
    source = SOURCES[name]
    folder = source.found(places)
    if folder is None:
        places_named = ", ".join(str(place) for place in places)
        wanted = f"{source.folder}/{source.has[0]}" + ("[.gz]" if len(source.has) > 2 else "")
        raise DataError(f"{name}: {wanted} is not in any of {places_named}; to get it: {source.how}")
    return folder


def _pictures(classes: tuple[str, ...], name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    return idx.read_folder(_found(name, places), name, classes)


def _spoken(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """The customary test part is takes 0–4 of each digit and speaker; with ``data.hold_out``, those speakers."""
    found = listing(_found(name, places), data)
    if found is None or found.kind != "sound":
        raise DataError(f"{name}: no sounds in {_found(name, places)}")
    if data.hold_out is None:
        samples = tuple(
            replace(each, part="test" if each.pieces[2:] and each.pieces[2] in TEST_TAKES else "train")
            for each in found.samples
        )
        found = replace(found, samples=samples)
    raw = read_sounds(found, _with(data, window=_window(name, data)))
    return replace(thinned(raw, data.samples), name=name, label="digit")


def _synthetic(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """The shipped features; fewer steps of them if ``data.window`` says so."""
    path = _found(name, places) / f"{name}.npz"
    steps, bands = BUILT_IN[name].shape or (0, 0)
    window = _window(name, data)
    if data.mels != bands or not 1 <= window <= steps or data.hold_out is not None:
        raise DataError(f"{name}: holds {steps} frames of {bands} mel bands; only data.window can be changed, to fewer")
    raw = arrays.read_npz(path)

    def cut(rows: Rows | None) -> Rows | None:
        if rows is None or rows.lengths is None:
            return rows
        return Rows(rows.x[:, : window * bands], rows.y, np.minimum(rows.lengths, window))

    train = cut(raw.train)
    assert train is not None
    return replace(
        raw, name=name, train=train, test=cut(raw.test), shape=(window, bands), task="classification", classes=DIGITS,
        sample_rate=8000, label="digit", feature_names=tuple(f"mel{band + 1}" for band in range(bands)),
    )  # fmt: skip


def _text(file: str, name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    wanted = _with(data, window=_window(name, data), level=data.level or "char")
    return replace(read_long(_found(name, places) / file, wanted), name=name)


def _reviews(name: str, data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """A line a sentence; the files are Latin-1."""
    encoding = "latin-1" if data.encoding == "utf-8" else data.encoding
    known = data.vocabulary if data.vocabulary is not None or data.level == "char" else BUILT_IN[name].vocabulary
    wanted = _with(data, window=_window(name, data), vocabulary=known, encoding=encoding)
    found = listing(_found(name, places), wanted)
    if found is None or found.kind != "text":
        raise DataError(f"{name}: no texts in {_found(name, places)}")
    return replace(thinned(read_texts(found, wanted), data.samples), name=name, label="opinion")


def _window(name: str, data: Data) -> int:
    return data.window if data.window is not None else (BUILT_IN[name].shape or (1,))[0]


SOURCES: dict[str, Source] = {
    "digits": Source(_digits, 1797, "digits", "CC BY 4.0"),
    "spiral": _generated(generators.spiral, 900, 0.2),
    "moons": _generated(generators.moons, 1000, 0.1),
    "xor": _generated(generators.xor, 1000, 0.3),
    "binary": _generated(generators.binary, 4000, 0.0),
    "regression": _generated(generators.regression, 2000, 0.05),
    "ring": _generated(generators.ring, 4000, 0.1, generators.ring_modes),
    "grid": _generated(generators.grid, 5000, 0.1, generators.grid_modes),
    "ratings": Source(_ratings, RATINGS),
    "fashion": Source(
        partial(_pictures, CLOTHES), 70000, "fashion-mnist", "MIT", IMAGES, FETCH.format("fashion-mnist")
    ),
    "mnist": Source(
        partial(_pictures, DIGITS), 70000, "mnist", "CC BY-SA 3.0", IMAGES, FETCH.format("mnist")
    ),
    "spoken-digits": Source(
        _spoken, 3000, "spoken-digits", "CC BY-SA 4.0", ("0_george_0.wav",),
        "the WAV files in recordings of github.com/Jakobovski/free-spoken-digit-dataset",
    ),
    "spoken-digits-espeak": Source(_synthetic, 1680, "spoken-digits-espeak", "CC0 1.0"),
    "tinyshakespeare": Source(
        partial(_text, "input.txt"), 17428, "tinyshakespeare", "public domain", ("input.txt",),
        "data/tinyshakespeare/input.txt of github.com/karpathy/char-rnn",
    ),
    "romeo-and-juliet": Source(partial(_text, "romeo-and-juliet.txt"), 2085, "romeo-and-juliet", "public domain"),
    "film-reviews": Source(
        _reviews, 10662, "rt-polarity", "research use", ("rt-polarity.pos",),
        "rt-polarity.pos and .neg of www.cs.cornell.edu/people/pabo/movie-review-data",
    ),
    **{name: Source(_played, 0) for name in ENVIRONMENTS},
}  # fmt: skip

ALIASES = {"fashion-mnist": "fashion", "fashion_mnist": "fashion", "rt-polarity": "film-reviews"}
