"""Where data are looked for (DESIGN §4): given folders, $BPTUI_DATA, the user's, the shipped, the system's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import bptui


def shipped() -> Path:
    """The folder ``datasets`` that comes with bptui: inside an installed package, or beside it in a checkout."""
    package = Path(bptui.__file__).resolve().parent
    installed = package / "_datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def user_folder() -> Path:
    """Where ``bptui datasets fetch`` puts files: ``$XDG_DATA_HOME/bptui``."""
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share") / "bptui"


def search_path(extra: Sequence[Path] = ()) -> list[Path]:
    """Folders in the order they are searched, those that are not there included, so that messages can name them."""
    places = [Path(folder).expanduser() for folder in extra]
    places += [Path(folder).expanduser() for folder in os.environ.get("BPTUI_DATA", "").split(os.pathsep) if folder]
    places += [user_folder(), shipped()]
    system = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    places += [Path(folder) / "datasets" for folder in system.split(":") if os.path.isabs(folder)]
    return list(dict.fromkeys(places))


def folders_named(names: Iterable[str], places: Sequence[Path]) -> list[Path]:
    """The folders of these names in ``places``; a place that itself has the name counts."""
    wanted = list(names)
    found = []
    for place in places:
        candidates = [place] if place.name in wanted else []
        candidates += [place / name for name in wanted]
        found += [folder for folder in candidates if folder.is_dir()]
    return list(dict.fromkeys(found))
