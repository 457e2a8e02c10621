"""RIFF WAVE: linear samples of 8 to 32 bits, floats of 32 and 64, µ-law; several channels become their mean.

Source: Microsoft and IBM, *Multimedia Programming Interface and Data Specifications 1.0* (1991), and ITU-T G.711 for
µ-law. Written here because Python's ``wave`` knows neither floats nor 24 bits, and ``audioop`` is gone from 3.13.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.data.errors import DataError

Sound = npt.NDArray[np.float32]

_PCM, _FLOAT, _MU_LAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
#: Sizes that a program writes which does not know how long the sound will be.
_OPEN_ENDS = (0, 0x7FFFFFFF, 0xFFFFFFFF)


def read_wav(path: Path) -> tuple[Sound, int]:
    """The samples (T,) in [−1, 1], and how many there are a second. DataError in one line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    if not data:
        raise DataError(f"{path}: the sound is empty (0 bytes)")
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise DataError(f"{path}: not a WAV file (it begins with {data[:4]!r}, expected b'RIFF')")
    form, body = _chunks(data, path)
    if len(form) < 16:
        raise DataError(f"{path}: damaged, its format takes {len(form)} bytes, expected at least 16")
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if code == _EXTENSIBLE and len(form) >= 26:
        (code,) = struct.unpack_from("<H", form, 24)
    if not channels or not rate or not 1 <= rate <= 1 << 20:
        raise DataError(f"{path}: damaged, {channels} channels of {rate} samples a second")
    if block != channels * (bits // 8) or not block:
        raise DataError(f"{path}: damaged, {block} bytes a frame of {channels} × {bits} bits")
    frames = len(body) // block
    if not frames:
        raise DataError(f"{path}: holds no sound, its data have {len(body)} bytes")
    values = _values(body[: frames * block], code, bits, path)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: a sample is not finite")
    mono = values if channels == 1 else values.reshape(frames, channels).mean(axis=1, dtype=np.float64)
    return mono.astype(np.float32, copy=False), rate


def _chunks(data: bytes, path: Path) -> tuple[bytes, bytes]:
    """The bodies of ``fmt `` and ``data``."""
    at, form = 12, b""
    while at + 8 <= len(data):
        kind, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        at += 8
        if kind == b"data":
            rest = len(data) - at
            if size > rest and size not in _OPEN_ENDS:
                raise DataError(f"{path}: cut short, {rest:,} bytes of sound of {size:,}")
            if not form:
                break
            return form, data[at : at + size] if size not in _OPEN_ENDS else data[at:]
        if kind == b"fmt ":
            form = data[at : at + size]
        at += size + size % 2
    missing = "'data'" if form else "'fmt '"
    raise DataError(f"{path}: damaged, the part {missing} is missing")


def _values(body: bytes, code: int, bits: int, path: Path) -> npt.NDArray[np.floating]:
    if code == _PCM and bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
    if code == _PCM and bits == 16:
        return np.frombuffer(body, "<i2").astype(np.float32) / (1 << 15)
    if code == _PCM and bits == 24:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / (1 << 31)).astype(np.float32)
    if code == _PCM and bits == 32:
        return (np.frombuffer(body, "<i4") / (1 << 31)).astype(np.float32)
    if code == _FLOAT and bits in (32, 64):
        return np.frombuffer(body, f"<f{bits // 8}").astype(np.float32)
    if code == _MU_LAW and bits == 8:
        return mu_law(np.frombuffer(body, np.uint8))
    name = {_PCM: "linear", _FLOAT: "float", 2: "ADPCM", 6: "A-law", 0x55: "MP3"}.get(code, f"kind {code}")
    raise DataError(f"{path}: {name} samples of {bits} bits; save it as 16-bit PCM")


def mu_law(codes: npt.NDArray[np.uint8]) -> Sound:
    """G.711 µ-law bytes as samples in (−1, 1)."""
    flipped = ~codes
    exponent, mantissa = (flipped >> 4) & 7, (flipped & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return (np.where(flipped & 128, -magnitude, magnitude) / (1 << 15)).astype(np.float32)
