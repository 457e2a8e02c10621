"""Single pictures: PNG and the binary PGM/PPM, read with the standard library alone, and scaling to another size.

Source: the PNG specification (W3C, third edition), sections 5 (chunks), 9 (filters) and 11 (IHDR).
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.errors import DataError

Bytes = npt.NDArray[np.uint8]

PNG = b"\x89PNG\r\n\x1a\n"
#: More pixels than this are refused before they are unpacked: a few bytes can claim any size.
MOST_PIXELS = 1 << 26
#: Colour type → samples a pixel; 3 is one index into the palette.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Luminance of red, green and blue (ITU-R BT.601), as other programs turn colours to grey.
_LUMINANCE = (0.299, 0.587, 0.114)


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is a PNG, PGM or PPM."""
    return head.startswith(PNG) or re.match(rb"P[56]\s", head) is not None


def read_picture(path: Path) -> Bytes:
    """``(height, width)`` grey or ``(height, width, 3)``, uint8. DataError names what cannot be read.

    What is transparent becomes black, the background that pictures of digits have.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    try:
        return _png(data, path) if data.startswith(PNG) else _pnm(data, path)
    except (struct.error, zlib.error, IndexError) as error:
        raise DataError(f"{path}: damaged picture ({error})") from None


def grey(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``(height, width)`` of a picture with or without colours."""
    if picture.ndim == 2:
        return picture
    if picture.shape[2] == 1:
        return picture[:, :, 0]
    return np.asarray(np.round(picture[:, :, :3] @ np.array(_LUMINANCE)), picture.dtype)


def resized(pictures: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[np.float64]:
    """``(N, height, width, …)`` of pictures ``(N, h, w, …)``, by a triangle filter as wide as a new pixel."""
    rows = _weights(pictures.shape[1], height)  # (height, h)
    columns = _weights(pictures.shape[2], width)  # (width, w)
    return np.asarray(np.einsum("Hh,nhw...,Ww->nHW...", rows, pictures.astype(np.float64), columns, optimize=True))


def _weights(old: int, new: int) -> npt.NDArray[np.float64]:
    """``(new, old)``: how much each old pixel counts in each new one; rows sum to 1."""
    scale = old / new
    centres = (np.arange(new)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(old)[None, :] + 0.5 - centres) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


# -- PNG -----------------------------------------------------------------------------------------------
def _png(data: bytes, path: Path) -> Bytes:
    header, packed, palette, clear = b"", bytearray(), b"", b""
    at = len(PNG)
    while at + 12 <= len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if len(body) < size or at + 12 + size > len(data):
            raise DataError(f"{path}: cut short inside its {kind.decode('ascii', 'replace')!r} chunk")
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data, at + 8 + size)[0]:
            raise DataError(f"{path}: damaged, wrong checksum of its {kind.decode('ascii', 'replace')!r} chunk")
        at += 12 + size
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed += body
        elif kind == b"PLTE":
            palette = body
        elif kind == b"tRNS":
            clear = body
        elif kind == b"IEND":
            break
    else:
        raise DataError(f"{path}: cut short, the end of the picture is missing")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    _check_size(width, height, path)
    if interlaced:
        raise DataError(f"{path}: an interlaced PNG; save it without interlacing")
    if colour not in _SAMPLES or (depth != 8 and (depth not in (1, 2, 4, 16) or (depth < 8 and colour not in (0, 3)))):
        raise DataError(f"{path}: a PNG of colour type {colour} with {depth} bits, which there is not")
    samples = _SAMPLES[colour]
    stride = (width * samples * depth + 7) // 8
    expected = height * (stride + 1)
    lines = zlib.decompressobj().decompress(bytes(packed), expected + 1)
    if len(lines) != expected:
        raise DataError(f"{path}: damaged, {len(lines):,} bytes of pixels, expected {expected:,}")
    rows = _unfiltered(np.frombuffer(lines, np.uint8).reshape(height, stride + 1), max(1, samples * depth // 8), path)
    pixels = _samples(rows, depth, width * samples).reshape(height, width, samples)
    if colour == 3:
        return _from_palette(pixels[:, :, 0], palette, clear, path)
    if depth < 8:
        pixels = pixels * np.uint8(255 // (2**depth - 1))
    if samples in (2, 4):
        alpha = pixels[:, :, -1:].astype(np.uint16)
        pixels = ((pixels[:, :, :-1] * alpha + 127) // 255).astype(np.uint8)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _unfiltered(lines: Bytes, step: int, path: Path) -> Bytes:
    """Rows of bytes from rows with their filter type in front; ``step``: bytes to the pixel on the left."""
    rows = np.zeros((len(lines), lines.shape[1] - 1), np.uint8)
    above = np.zeros(rows.shape[1], np.uint8)
    for number, line in enumerate(lines):
        kind, raw, row = int(line[0]), line[1:], rows[number]
        if kind == 0:
            row[:] = raw
        elif kind == 1:
            for first in range(step):
                np.add.accumulate(raw[first::step], dtype=np.uint8, out=row[first::step])
        elif kind == 2:
            np.add(raw, above, out=row)
        elif kind in (3, 4):
            row[:] = _predicted(raw.tolist(), above.tolist(), step, paeth=kind == 4)
        else:
            raise DataError(f"{path}: damaged, row {number + 1} has the unknown filter {kind}")
        above = row
    return rows


def _predicted(raw: list[int], above: list[int], step: int, *, paeth: bool) -> list[int]:
    """Filters 3 (average) and 4 (Paeth), in which each byte needs the one before."""
    out = [0] * step + raw
    upper = [0] * step + above
    for at in range(step, len(out)):
        left, up = out[at - step], upper[at]
        if paeth:
            corner = upper[at - step]
            toward_left, toward_up = abs(up - corner), abs(left - corner)
            toward_corner = abs(left + up - 2 * corner)
            if toward_left <= toward_up and toward_left <= toward_corner:
                guess = left
            else:
                guess = up if toward_up <= toward_corner else corner
        else:
            guess = (left + up) // 2
        out[at] = (out[at] + guess) & 255
    return out[step:]


def _samples(rows: Bytes, depth: int, count: int) -> Bytes:
    """``(height, count)`` samples of 1 to 16 bits as bytes; of 16 bits the upper 8."""
    if depth == 16:
        return rows[:, ::2]
    if depth == 8:
        return rows
    bits = np.unpackbits(rows, axis=1)[:, : count * depth].reshape(len(rows), count, depth)
    return np.asarray(bits @ (1 << np.arange(depth)[::-1]), np.uint8)


def _from_palette(indices: Bytes, palette: bytes, clear: bytes, path: Path) -> Bytes:
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3) if len(palette) % 3 == 0 else np.empty((0, 3), np.uint8)
    if not len(colours) or int(indices.max()) >= len(colours):
        raise DataError(f"{path}: damaged, a pixel has no colour in the palette")
    alpha = np.full(len(colours), 255, np.uint16)
    alpha[: len(clear)] = np.frombuffer(clear, np.uint8)[: len(colours)]
    shown = ((colours * alpha[:, None] + 127) // 255).astype(np.uint8)
    return shown[indices]


# -- PGM and PPM ---------------------------------------------------------------------------------------
def _pnm(data: bytes, path: Path) -> Bytes:
    gap = rb"(?:\s|#[^\n]*\n)+"  # one way to match each byte: what is no header is refused in linear time
    head = re.match(rb"P([56])" + gap + rb"(\d{1,9})" + gap + rb"(\d{1,9})" + gap + rb"(\d{1,9})\s", data)
    if head is None:
        raise DataError(f"{path}: damaged, not the header of a binary PGM or PPM")
    kind, width, height, most = (int(group) for group in head.groups())
    _check_size(width, height, path)
    if not 0 < most < 256:
        raise DataError(f"{path}: values up to {most}, expected 8 bits (255)")
    samples = 1 if kind == 5 else 3
    pixels = np.frombuffer(data, np.uint8, offset=head.end())
    if len(pixels) < width * height * samples:
        raise DataError(f"{path}: cut short, {len(pixels):,} bytes of pixels of {width * height * samples:,}")
    pixels = pixels[: width * height * samples]
    if most != 255:
        pixels = np.minimum(np.round(pixels * (255 / most)), 255).astype(np.uint8)
    return pixels.reshape(height, width) if samples == 1 else pixels.reshape(height, width, 3)


def _check_size(width: int, height: int, path: Path) -> None:
    if not width or not height:
        raise DataError(f"{path}: a picture without pixels ({width}×{height})")
    if width * height > MOST_PIXELS:
        raise DataError(f"{path}: {width:,}×{height:,} pixels are more than {MOST_PIXELS:,}")
