"""Files that appear whole or not at all, also where several belong together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Content = bytes | Iterable[bytes]


def write_files(files: Mapping[Path, Content]) -> None:
    """Write all under temporary names, through symbolic links, then rename them. OSError leaves nothing new behind.

    What is no regular file (``/dev/stdout``, a FIFO) is written to, not replaced.
    """
    made: list[tuple[str, Path]] = []
    try:
        for path, content in files.items():
            pieces = (content,) if isinstance(content, bytes) else content
            if path.exists() and not path.is_file():
                with open(path, "wb") as device:
                    device.writelines(pieces)
                continue
            place = path.resolve()
            handle, name = tempfile.mkstemp(prefix=f".{place.name[:40]}.", dir=place.parent)
            made.append((name, place))
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
        for name, place in made:
            os.replace(name, place)
    except OSError as error:
        _forget(made)
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    except BaseException:
        _forget(made)
        raise


def _forget(made: list[tuple[str, Path]]) -> None:
    for name, _ in made:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    """This process's; there is no way to ask for it but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
