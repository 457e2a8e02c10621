"""A folder of files that are a sample each: which kind they are, their labels, and the part each belongs to.

Labels are the names of the class folders, or stand in the files' names (``7_george_3.wav``). Folders called ``train``,
``test`` and ``validation`` part the samples; so does ``data.hold_out``, by a piece of the name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bptui.data.errors import DataError, nearest, quoted
from bptui.spec.experiment import Data

Kind = Literal["picture", "sound", "text"]
PartName = Literal["train", "validation", "test"]

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "picture": (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pnm", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    "sound": (".wav", ".wave"),
    "text": (".txt", ".text", ".pos", ".neg"),
}
#: Keys of ``[data]`` that only one kind of folder can have.
KEYS: dict[str, Kind] = {
    "level": "text",
    "vocabulary": "text",
    "sample_rate": "sound",
    "height": "picture",
    "width": "picture",
}
PARTS: dict[PartName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
#: Between the pieces of a file's name.
_GAP = re.compile(r"[_\-.\s]+")
#: What lies beside the samples and is none.
_BESIDE = re.compile(r"(?i)(readme|licen[cs]e|copying|notice|about|credits|authors)([._\-].*)?")


@dataclass(frozen=True, slots=True)
class Sample:
    """One file, the name of its class and the part it belongs to."""

    path: Path
    label: str
    part: PartName

    @property
    def pieces(self) -> list[str]:
        """The pieces of its name: ``7``, ``george`` and ``3`` of ``7_george_3.wav``."""
        return pieces_of(self.path)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds, in the order of the names."""

    folder: Path
    kind: Kind
    samples: tuple[Sample, ...]
    by_folder: bool
    """Whether the class folders name the classes; else the files' names do."""
    notes: tuple[str, ...] = ()

    def of(self, part: PartName) -> list[Sample]:
        return [sample for sample in self.samples if sample.part == part]


def pieces_of(path: Path) -> list[str]:
    return [piece for piece in _GAP.split(path.stem) if piece]


def listing(folder: Path, data: Data) -> Listing | None:
    """The samples of a folder; None where it holds no files of a known kind. DataError in one line."""
    roots = _roots(folder)
    kind = _kind(folder, roots, data)
    if kind is None:
        return None
    notes: list[str] = []
    samples: list[Sample] = []
    by_folder = False
    for part, root in roots.items():
        classes = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not _hidden(entry)]
        by_folder = by_folder or bool(classes)
        samples += _of_classes(root, classes, kind, part, notes) if classes else _flat(root, kind, part, data)
    found = Listing(folder, kind, tuple(samples), by_folder, tuple(notes))
    return held_out(found, data.hold_out) if data.hold_out is not None else found


def _roots(folder: Path) -> dict[PartName, Path]:
    """The folder of each part; of training alone where there is no folder of that name."""
    roots: dict[PartName, Path] = {}
    for part, names in PARTS.items():
        for name in names:
            if part not in roots and (folder / name).is_dir():
                roots[part] = folder / name
    return roots if "train" in roots else {"train": folder}


def _hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _files(folder: Path) -> Iterator[Path]:
    """Every file below, in the order of names, neither hidden nor a README."""
    for entry in sorted(folder.iterdir()):
        if _hidden(entry):
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file() and not _BESIDE.fullmatch(entry.name):
            yield entry


def kind_of_name(path: Path) -> Kind | None:
    suffix = path.suffix.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def _kind(folder: Path, roots: dict[PartName, Path], data: Data) -> Kind | None:
    """The one kind that the folder's files are of."""
    counts: Counter[Kind] = Counter()
    for root in roots.values():
        counts.update(kind for path in _files(root) if (kind := kind_of_name(path)) is not None)
    wanted = next((kind for key, kind in KEYS.items() if getattr(data, key) is not None), None)
    if wanted is not None and not counts[wanted]:
        there = f"; it holds {_counted(counts)}" if counts else ""
        key = next(key for key in KEYS if getattr(data, key) is not None)
        raise DataError(f"{folder}: no {wanted}s ({', '.join(SUFFIXES[wanted][:4])} …), as data.{key} wants{there}")
    if len(counts) > 1:
        raise DataError(f"{folder}: mixed kinds of files, {_counted(counts)}; give each kind a folder of its own")
    return next(iter(counts), None)


def _counted(counts: Counter[Kind]) -> str:
    return " and ".join(f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in counts.most_common())


def _of_classes(root: Path, classes: list[Path], kind: Kind, part: PartName, notes: list[str]) -> list[Sample]:
    samples = []
    for folder in classes:
        inside = [path for path in _files(folder) if kind_of_name(path) == kind]
        if not inside:
            raise DataError(f"{root}: the class folder {quoted(folder.name)} holds no {kind}s; remove or fill it")
        samples += [Sample(path, folder.name, part) for path in inside]
    loose = sum(1 for path in root.iterdir() if path.is_file() and not _hidden(path) and kind_of_name(path) == kind)
    if loose:
        notes.append(f"{loose:,} {kind}{'s' * (loose != 1)} beside the class folders left out")
    return samples


def _flat(root: Path, kind: Kind, part: PartName, data: Data) -> list[Sample]:
    """Labels are a piece of each name: the first, or the one that ``data.label`` counts."""
    place = data.label if data.label is not None else 0
    if not isinstance(place, int):
        raise DataError(f"{root}: data.label = {place!r}: expected which piece of the files' names it is, 0 the first")
    samples = []
    for path in _files(root):
        if kind_of_name(path) != kind:
            continue
        pieces = pieces_of(path)
        if len(pieces) < 2 and kind != "text":
            raise DataError(f"{path}: no label: expected class folders, or names such as LABEL_1{path.suffix}")
        if not -len(pieces) <= place < len(pieces):
            raise DataError(f"{path}: its name has {len(pieces)} pieces, so none with the number {place}")
        samples.append(Sample(path, pieces[place], part))
    return samples


def held_out(found: Listing, wanted: str) -> Listing:
    """Samples of which a piece of the name (not the label) is one of ``wanted`` become the test part."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    there = {piece for sample in found.samples for piece in _others(found, sample)}
    for name in names:
        if name not in there:
            raise DataError(f"{found.folder}: data.hold_out = {name!r} is in no file's name{nearest(name, there)}")
    samples = tuple(
        replace(sample, part="test" if any(name in _others(found, sample) for name in names) else _not_test(sample))
        for sample in found.samples
    )
    if not any(sample.part == "train" for sample in samples):
        raise DataError(f"{found.folder}: data.hold_out = {wanted!r} leaves nothing to train on")
    held = sum(sample.part == "test" for sample in samples)
    note = f"held out as the test part: {held:,} {found.kind}s of {', '.join(names)}"
    return replace(found, samples=samples, notes=(*found.notes, note))


def _not_test(sample: Sample) -> PartName:
    return "train" if sample.part == "test" else sample.part


def _others(found: Listing, sample: Sample) -> Iterable[str]:
    """Pieces of the name and of folders inside the class folder, without the label."""
    pieces = sample.pieces
    if not found.by_folder and sample.label in pieces:
        pieces.remove(sample.label)
    inside = sample.path.relative_to(found.folder).parts[:-1] if found.by_folder else ()
    return [*pieces, *(name for name in inside if name != sample.label)]
