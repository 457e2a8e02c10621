"""``bptui datasets``: which data there are, where they were found or how to get them, and a first look at one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bptui.data.errors import DataError, printable
from bptui.data.finding import read
from bptui.data.places import search_path
from bptui.data.raw import Raw, Values
from bptui.data.sources import ALIASES, SOURCES
from bptui.data.targets import SEQUENCES, targets
from bptui.spec.experiment import Data
from bptui.spec.sources import SOURCES as BUILT_IN

#: Rows of a file that a first look reads.
LOOK_ROWS = 20_000
#: Columns that ``render`` shows before it sums up the rest.
SHOWN_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Entry:
    """One built-in source. ``where`` is a folder, ``generated``, or None where it must be fetched first (``how``)."""

    name: str
    about: str
    rows: int
    features: int
    outputs: int
    task: str
    licence: str
    where: str | None
    how: str


@dataclass(frozen=True, slots=True)
class Column:
    """One feature: its range and mean, how many values are missing and how many different ones there are."""

    name: str
    minimum: float
    maximum: float
    mean: float
    missing: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Look:
    """A first look at a source. ``classes``: each with its number of rows. ``partial``: only the first were read."""

    name: str
    parts: dict[str, int]
    features: int
    outputs: int
    task: str
    label: str
    shape: tuple[int, ...] | None
    columns: tuple[Column, ...]
    classes: tuple[tuple[str, int], ...]
    partial: bool
    notes: tuple[str, ...]


def entries(search: Sequence[Path] = ()) -> list[Entry]:
    """Every built-in source, in the order of the registry. Looks for files, reads none."""
    places = search_path(search)
    found = []
    for name, source in SOURCES.items():
        about, folder = BUILT_IN[name], source.found(places)
        where = "generated" if source.folder is None else str(folder) if folder is not None else None
        how = "" if where else source.how
        columns = about.features, about.outputs, about.task
        found.append(Entry(name, about.about, source.rows, *columns, source.licence, where, how))
    return found


def describe(source: str, search: Sequence[Path] = (), *, data: Data | None = None) -> Look:
    """A first look at a built-in source or a path; ``data`` carries label, delimiter and so on. Raises DataError."""
    wanted = data if data is not None else Data(source=source)
    name = ALIASES.get(source, source)
    partial = name not in SOURCES and wanted.samples is None
    limited = replace(
        wanted, source=source, missing="mean" if wanted.missing == "error" else wanted.missing,
        samples=LOOK_ROWS if partial else wanted.samples,
    )  # fmt: skip
    raw = read(limited, 0, search_path(search))
    target = targets(raw, wanted.task, None, np.float64)
    parts = {"train": raw.train, "validation": raw.validation, "test": raw.test}
    return Look(
        name=raw.name,
        parts={part: len(rows) for part, rows in parts.items() if rows is not None},
        features=raw.train.x.shape[1],
        outputs=target.outputs,
        task=target.task,
        label=raw.label,
        shape=raw.shape,
        columns=_columns(raw),
        classes=_classes(np.asarray(target.train), target.class_names, steps=target.task in SEQUENCES),
        partial=partial and len(raw.train) >= LOOK_ROWS,
        notes=(*raw.notes, *target.notes),
    )


def _columns(raw: Raw) -> tuple[Column, ...]:
    """One row a feature; of pictures one row for all pixels."""
    x = raw.train.x[:LOOK_ROWS]
    if raw.vocabularies is not None:
        names = raw.feature_names or tuple(str(at + 1) for at in range(x.shape[1]))
        return tuple(_column(f"{name} ids", np.asarray(x)[:, at]) for at, name in enumerate(names))
    if raw.vocabulary is not None:
        return (_column("token ids", _steps_there(raw, np.asarray(x)[:, :, None])[:, 0]),)
    if raw.sequence and raw.shape is not None:
        steps = _steps_there(raw, np.asarray(x).reshape(len(x), *raw.shape))
        names = raw.feature_names or tuple(f"x{n + 1}" for n in range(raw.shape[-1]))
        return tuple(_column(name, steps[:, at]) for at, name in enumerate(names))
    if raw.shape is not None:
        return (_column("pixels", x.reshape(-1)),)
    names = raw.feature_names or tuple(f"x{n + 1}" for n in range(x.shape[1]))
    return tuple(_column(name, x[:, at]) for at, name in enumerate(names))


def _steps_there(raw: Raw, x: Values) -> Values:
    """Steps (n, F) of the first rows (N, T, F) of the training part, without what lies beyond the end of each: padding
    is no value, and none that is missing."""
    if raw.train.lengths is None:
        return x.reshape(-1, x.shape[-1])
    return np.asarray(x[np.arange(x.shape[1]) < raw.train.lengths[: len(x), None]])


def _column(name: str, values: Values) -> Column:
    there = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if there.size == 0:
        return Column(name, float("nan"), float("nan"), float("nan"), int(values.size), 0)
    few = there[: 1 << 20]
    return Column(
        name,
        float(there.min()),
        float(there.max()),
        float(there.mean(dtype=np.float64)),
        int(values.size - there.size),
        len(np.unique(few)),
    )


def _classes(y: Values, names: tuple[str, ...] | None, *, steps: bool) -> tuple[tuple[str, int], ...]:
    """Rows of each class; of several yes-or-no labels, the rows that have each; with ``steps``, the steps of each."""
    if names is None:
        return ()
    if steps:
        counts = np.bincount(y[y >= 0].reshape(-1), minlength=len(names)).tolist()
    elif y.ndim == 2 and y.shape[1] > 1:
        counts = [int(count) for count in (y > 0.5).sum(axis=0)]
    else:
        counts = np.bincount(y.reshape(-1).astype(np.int64), minlength=len(names)).tolist()
    return tuple(zip(names, counts, strict=True))


# -- as text -------------------------------------------------------------------------------------------


def render_entries(listed: Sequence[Entry]) -> str:
    """The list of sources as lines of text."""
    lines = [f"{'name':<22}{'rows':>8}  {'columns':<14}{'task':<16}what and where"]
    for entry in listed:
        columns = f"{entry.features} → {entry.outputs}"
        rows = f"{entry.rows:,}" if entry.rows else "played"
        lines.append(f"{entry.name:<22}{rows:>8}  {columns:<14}{entry.task:<16}{entry.about}")
        where = printable(entry.where) if entry.where else f"not here: {entry.how}"
        if entry.where != "generated":
            lines.append(f"{'':<62}{where}" + (f" ({entry.licence})" if entry.licence else ""))
    return "\n".join(lines)


def render_look(look: Look) -> str:
    """A first look as lines of text, safe for a terminal."""
    parts = ", ".join(f"{rows:,} {part}" for part, rows in look.parts.items())
    shape = f" ({'×'.join(map(str, look.shape))})" if look.shape else ""
    first = " (only the first rows were read)" if look.partial else ""
    lines = [
        f"{printable(look.name)}: {parts} rows{first}",
        f"{look.features} features{shape} → {look.outputs} · {look.task} of {printable(look.label)}",
        *(f"  {printable(note)}" for note in look.notes),
        "",
        f"{'column':<24}{'min':>12}{'mean':>12}{'max':>12}{'missing':>9}{'different':>11}",
    ]
    for column in look.columns[:SHOWN_COLUMNS]:
        lines.append(
            f"{printable(column.name)[:23]:<24}{column.minimum:>12.4g}{column.mean:>12.4g}{column.maximum:>12.4g}"
            f"{column.missing:>9,}{column.distinct:>11,}"
        )
    if len(look.columns) > SHOWN_COLUMNS:
        lines.append(f"… and {len(look.columns) - SHOWN_COLUMNS} more")
    if look.classes:
        total = max(1, sum(rows for _, rows in look.classes))
        lines += ["", f"{'class':<24}{'rows':>12}"]
        for name, rows in look.classes[:SHOWN_COLUMNS]:
            lines.append(f"{printable(name)[:23]:<24}{rows:>12,}{rows / total:>9.1%}")
        if len(look.classes) > SHOWN_COLUMNS:
            lines.append(f"… and {len(look.classes) - SHOWN_COLUMNS} more")
    return "\n".join(lines)


__all__ = ["Column", "DataError", "Entry", "Look", "describe", "entries", "render_entries", "render_look"]
