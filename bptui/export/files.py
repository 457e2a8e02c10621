"""Files that appear whole or not at all, also where several belong together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Content = bytes | Iterable[bytes]


def write_files(files: Mapping[Path, Content]) -> None:
    """Write all under temporary names, then rename them. OSError leaves nothing new behind."""
    made: list[tuple[str, Path]] = []
    try:
        for path, content in files.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            made.append((name, path))
            with os.fdopen(handle, "wb") as file:
                for piece in (content,) if isinstance(content, bytes) else content:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
        for name, path in made:
            os.replace(name, path)
    except BaseException:
        for name, _ in made:
            Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """This process's; there is no way to ask for it but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
