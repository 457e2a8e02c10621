"""Folders of pictures: a class a folder (or a piece of each name), all of one size or scaled to one.

PNG and the binary PGM and PPM are read with the standard library alone; Pillow (``pip install bptui[images]``), where
it is there, reads them faster, and JPEG and others too.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from bptui.data import cache
from bptui.data.errors import DataError
from bptui.data.folders import Listing, PartName
from bptui.data.pictures import MOST_PIXELS, Bytes, grey, is_picture, read_picture, resized
from bptui.data.raw import Raw, Rows, Values
from bptui.spec.experiment import Data


def read_images(found: Listing, data: Data) -> Raw:
    """The pictures of a folder as bytes, ``(N, C·H·W)``, colours first."""
    first = decoded(found.samples[0].path)
    scale = data.height is not None or data.width is not None
    height, width = (data.height or data.width, data.width or data.height) if scale else first.shape[:2]
    assert height is not None and width is not None
    if min(height, width) < 1:
        raise DataError(f"data.height = {height}, data.width = {width}: expected at least 1")
    channels = 1 if data.grey or all(_grey(sample.path) for sample in found.samples) else 3
    shape = (channels, height, width)
    parts: dict[PartName, Rows] = {}
    mapped = False
    for part in ("train", "validation", "test"):
        samples = found.of(part)
        if not samples:
            continue
        paths = [sample.path for sample in samples]

        def fill(into: Values, paths: list[Path] = paths) -> None:
            for row, path in enumerate(paths):
                into[row] = _fitted(path, shape, scale=scale).reshape(-1)

        x, large = cache.made(
            lambda paths=paths: cache.key_of(paths, "images", shape),  # type: ignore[misc]
            (len(paths), channels * height * width), np.uint8, fill,
        )  # fmt: skip
        mapped = mapped or large
        parts[part] = Rows(x, np.array([sample.label for sample in samples]))
    size = f"{height}×{width}" + ("" if channels == 1 else " in colour")
    notes = [*found.notes, f"pictures of {size}{', scaled' if scale else ''}"]
    return Raw(
        name=found.folder.name, train=parts["train"], validation=parts.get("validation"), test=parts.get("test"),
        task="classification", shape=shape, label="class", mapped=mapped, notes=tuple(notes),
    )  # fmt: skip


def _fitted(path: Path, shape: tuple[int, int, int], *, scale: bool) -> Bytes:
    """``(C, H, W)`` of one file, scaled if asked; DataError if it is of another size and must not be."""
    channels, height, width = shape
    picture = decoded(path)
    if picture.shape[:2] != (height, width):
        if not scale:
            high, wide = picture.shape[:2]
            raise DataError(
                f"{path}: {high}×{wide} pixels, the first picture has {height}×{width};"
                f" data.height = {height} and data.width = {width} scale them all"
            )
        picture = np.clip(np.round(resized(picture[None], height, width)[0]), 0, 255).astype(np.uint8)
    if channels == 1:
        return grey(picture)[None]
    coloured = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    return np.moveaxis(coloured, 2, 0)


# -- one file ------------------------------------------------------------------------------------------
def decoded(path: Path) -> Bytes:
    """``(height, width)`` grey or ``(height, width, 3)``, uint8."""
    _check(path)
    return _by_pillow(path) if _pillow() else read_picture(path)


def _grey(path: Path) -> bool:
    """Whether a file holds a picture without colours; of most, the head tells."""
    if not _pillow():
        return decoded(path).ndim == 2
    from PIL import Image

    _check(path)
    try:
        with Image.open(path) as image:
            return image.mode in _GREY
    except Exception as error:
        raise _broken(path, error) from None


_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")


def _pillow() -> bool:
    return importlib.util.find_spec("PIL") is not None


def _check(path: Path) -> None:
    """What can be said before a decoder sees the file."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    if not head:
        raise DataError(f"{path}: the picture is empty (0 bytes)")
    if not _pillow() and not is_picture(head):
        raise DataError(f"{path}: not a PNG, PGM or PPM; others need Pillow: pip install 'bptui[images]'")


def _by_pillow(path: Path) -> Bytes:
    """What is transparent becomes black, as ``read_picture`` has it."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DataError(f"{path}: {opened.width:,}×{opened.height:,} pixels are more than {MOST_PIXELS:,}")
            image: Any = ImageOps.exif_transpose(opened)
            if image.mode in ("I", "I;16", "I;16B"):
                return (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
            if image.mode == "P" or (image.mode in ("L", "RGB") and "transparency" in image.info):
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            if image.mode not in ("L", "LA", "RGB", "RGBA"):
                image = image.convert("L" if image.mode in _GREY else "RGB")
            pixels = np.asarray(image)
    except DataError:
        raise
    except Exception as error:  # decoders of many formats raise as many kinds
        raise _broken(path, error) from None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1:].astype(np.uint16)
        pixels = ((pixels[:, :, :-1] * alpha + 127) // 255).astype(np.uint8)
    return pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: not a readable picture ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    )
