"""``bptui datasets fetch``: download, resume, check, and only then put into place.

What is checked is the unpacked content, against the known SHA-256 of the original files, so that any
mirror and any compression will do. A part that has been loaded stays beside the target as ``NAME.part``.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import socket
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bptui.data.errors import DataError, nearest
from bptui.data.places import user_folder

#: Called with the file's name, bytes so far, and bytes in all (0 where the server does not say).
Progress = Callable[[str, int, int], None]

BLOCK = 1 << 16
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class File:
    """One file, gzipped at its source: its name there, and the SHA-256 and size of what is inside."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A data set that can be fetched: addresses that hold all its files, tried in order."""

    urls: tuple[str, ...]
    files: tuple[File, ...]


REMOTES: dict[str, Remote] = {
    "mnist": Remote(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            File(
                "train-images-idx3-ubyte",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                "train-labels-idx1-ubyte",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            File(
                "t10k-images-idx3-ubyte",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                "t10k-labels-idx1-ubyte",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
    "fashion-mnist": Remote(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            File(
                "train-images-idx3-ubyte",
                47_040_016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            File(
                "train-labels-idx1-ubyte",
                60_008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            File(
                "t10k-images-idx3-ubyte",
                7_840_016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            File(
                "t10k-labels-idx1-ubyte",
                10_008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    ),
}
ALIASES = {"fashion": "fashion-mnist", "fashion_mnist": "fashion-mnist"}


def fetch(
    name: str,
    *,
    into: Path | None = None,
    progress: Progress | None = None,
    urls: Sequence[str] | None = None,
) -> Path:
    """Get a data set; returns its folder (default ``$XDG_DATA_HOME/bptui/NAME``).

    Files that are there and right are kept; a part goes on where it stopped. Raises DataError, one line.
    """
    name = ALIASES.get(name, name)
    if name not in REMOTES:
        close = nearest(name, REMOTES)
        raise DataError(f"cannot fetch {name!r}{close} (to fetch: {', '.join(REMOTES)})")
    remote = REMOTES[name]
    folder = (into if into is not None else user_folder()) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in remote.files:
            _fetch_file(file, folder, urls if urls is not None else remote.urls, progress or _silent)
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}") from None
    return folder


def _silent(name: str, done: int, total: int) -> None:
    pass


def _fetch_file(file: File, folder: Path, urls: Sequence[str], progress: Progress) -> None:
    target = folder / f"{file.name}.gz"
    if target.is_file() and _content(target) == (file.sha256, file.size):
        progress(target.name, target.stat().st_size, target.stat().st_size)
        return
    part = folder / f"{target.name}.part"
    failures = []
    for url in urls:
        address = url.rstrip("/") + "/" + target.name
        try:
            resumed = part.exists()
            _download(address, part, target.name, progress)
            if resumed and _content(part) != (file.sha256, file.size):
                part.unlink()  # the part was of something else; once more from the start
                _download(address, part, target.name, progress)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            failures.append(f"{_host(address)}: {_reason(error)}")
            continue
        if _content(part) == (file.sha256, file.size):
            _put(part, target)
            return
        part.unlink(missing_ok=True)
        failures.append(f"{_host(address)}: wrong checksum, thrown away")
    kept = f"; {part.stat().st_size:,} bytes are kept, the next try goes on from there" if part.exists() else ""
    raise DataError(f"{target.name} could not be fetched ({'; '.join(failures)}){kept}")


def _download(address: str, part: Path, name: str, progress: Progress) -> None:
    """Load into ``part``, from where it stopped if the server can."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "bptui", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there already; the checksum will tell
        raise
    with response:
        if done and response.status != http.client.PARTIAL_CONTENT:
            done = 0  # the server began from the start
        length = int(response.headers.get("Content-Length") or 0)
        total = done + length if length else 0
        if length > shutil.disk_usage(part.parent).free:
            raise OSError(28, "no space left on device", str(part))
        with part.open("ab" if done else "wb") as file:
            progress(name, done, total)
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                progress(name, done, total)
        if total and done < total:
            raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _content(path: Path) -> tuple[str, int]:
    """SHA-256 and size of what is inside a gzip (of the file itself, if it is none)."""
    digest, size = hashlib.sha256(), 0
    unpacker = zlib.decompressobj(31)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            while block := file.read(BLOCK):
                data = unpacker.decompress(block) if packed else block
                digest.update(data)
                size += len(data)
        if packed and not unpacker.eof:
            return "", 0
    except zlib.error:
        return "", 0
    return digest.hexdigest(), size


def _put(part: Path, target: Path) -> None:
    """From part to file: on disk first, then renamed, so that no half file ever has the right name."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _host(address: str) -> str:
    return address.split("/")[2] if address.count("/") >= 2 else address


def _reason(error: Exception) -> str:
    """Why it failed, in words for someone without a network."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the name is not known: no network?"
    if isinstance(cause, TimeoutError):
        return f"no answer in {TIMEOUT_S:g} s"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__
