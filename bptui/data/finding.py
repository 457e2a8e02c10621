"""From ``data.source`` to rows: a built-in name, else a file or folder, here or in the search path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bptui.data import idx
from bptui.data.errors import DataError, nearest
from bptui.data.raw import Raw, Rows
from bptui.data.sources import ALIASES, SOURCES
from bptui.spec.experiment import Data


def read(data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """Read the source that ``data`` names."""
    name = ALIASES.get(data.source, data.source)
    if name in SOURCES:
        raw = SOURCES[name].read(name, data, seed, places)
    else:
        raw = read_path(locate(data.source, places), data)
    return _first(raw, data.samples)


def _first(raw: Raw, samples: int | None) -> Raw:
    """At most ``samples`` rows of the training part."""
    if samples is None or len(raw.train) <= samples:
        return raw
    from dataclasses import replace

    return replace(raw, train=Rows(raw.train.x[:samples], raw.train.y[:samples]))


def locate(source: str, places: Sequence[Path]) -> Path:
    """The file or folder that ``source`` names: as a path, else in the search path."""
    if not source:
        raise DataError(f"data.source is empty; built-in: {', '.join(SOURCES)}")
    try:
        path = Path(source).expanduser()
        for candidate in [path, *(place / path for place in places if not path.is_absolute())]:
            if candidate.exists():
                return candidate
    except (OSError, ValueError, RuntimeError):
        raise DataError(f"data.source = {source!r} is not a name or a path") from None
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"{source}: no such file or folder")
    raise DataError(
        f"unknown data source {source!r}{nearest(source, [*SOURCES, *ALIASES])} (built-in: {', '.join(SOURCES)};"
        " or a path)"
    )


def read_path(path: Path, data: Data) -> Raw:
    """Read a file or folder by its kind."""
    if path.is_dir():
        return idx.read_folder(path, path.name)
    return idx.read_file(path)
