"""PNG, PGM and PPM as pillow reads them; damage is one line."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bptui.data.errors import DataError
from bptui.data.pictures import grey, read_picture, resized

SAMPLES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def smooth(height: int, width: int, samples: int) -> npt.NDArray[np.uint8]:
    """A picture for which an encoder picks every kind of filter."""
    steps = np.random.default_rng(width).integers(0, 9, (height, width, samples))
    return (steps.cumsum(axis=0).cumsum(axis=1) % 256).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (61, 40)])
@pytest.mark.parametrize("mode", SAMPLES)
def test_a_png_is_read_as_pillow_reads_it(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    pixels = smooth(*size, SAMPLES[mode])
    Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode if mode == "LA" else None).save(tmp_path / "p.png")
    wanted = pixels
    if mode in ("LA", "RGBA"):  # what is transparent is black
        wanted = ((pixels[:, :, :-1].astype(int) * pixels[:, :, -1:] + 127) // 255).astype(np.uint8)
    assert np.array_equal(read_picture(tmp_path / "p.png"), wanted[:, :, 0] if mode in ("L", "LA") else wanted)


@pytest.mark.parametrize("mode", ["1", "P", "I;16"])
def test_other_depths_and_palettes(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(smooth(9, 13, 3))
    if mode == "I;16":
        picture = Image.fromarray(smooth(9, 13, 1)[:, :, 0].astype(np.uint16) * 257)
        wanted = np.asarray(picture) // 257
    else:
        picture = picture.convert(mode, **({"palette": Image.Palette.ADAPTIVE} if mode == "P" else {}))
        wanted = np.asarray(picture.convert("L" if mode == "1" else "RGB"))
    picture.save(tmp_path / "p.png")
    assert np.array_equal(read_picture(tmp_path / "p.png"), wanted)


def test_pgm_and_ppm(tmp_path: Path) -> None:
    for mode, name in (("L", "p.pgm"), ("RGB", "p.ppm")):
        pixels = smooth(6, 4, SAMPLES[mode])
        Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels).save(tmp_path / name)
        assert np.array_equal(read_picture(tmp_path / name), pixels[:, :, 0] if mode == "L" else pixels)
    (tmp_path / "few.pgm").write_bytes(b"P5 # of few values\n2 1\n15\n\x00\x0f")
    assert read_picture(tmp_path / "few.pgm").tolist() == [[0, 255]]


@pytest.mark.parametrize("size", [(8, 8), (40, 50), (28, 9)])
def test_resizing_is_pillows_bilinear_up_to_rounding(size: tuple[int, int]) -> None:
    picture = smooth(28, 28, 1)[:, :, 0]
    wanted = np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(resized(picture[None], *size)[0] - wanted).max() <= 1.01


def test_grey_is_the_luminance_that_pillow_takes() -> None:
    pixels = smooth(5, 5, 3)
    assert np.abs(grey(pixels).astype(int) - np.asarray(Image.fromarray(pixels).convert("L"))).max() <= 1


def png(tmp_path: Path, change: str) -> Path:
    path = tmp_path / f"{change}.png"
    Image.fromarray(smooth(9, 9, 1)[:, :, 0]).save(path)
    data = path.read_bytes()
    at = data.index(b"IDAT")
    damaged = {
        "cut": data[: at + 20],
        "flipped": data[: at + 8] + bytes([data[at + 8] ^ 255]) + data[at + 9 :],
        "no-end": data[:-12],
        "huge": chunk(data, b"\x00\xff\xff\xff\x00\xff\xff\xff\x08\x00\x00\x00\x00"),
        "interlaced": chunk(data, data[16:28] + b"\x01"),
        "nothing-like-it": data[:8],
    }
    path.write_bytes(damaged[change])
    return path


def chunk(data: bytes, header: bytes) -> bytes:
    """The picture with another header."""
    return data[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize("change", ["cut", "flipped", "no-end", "huge", "interlaced", "nothing-like-it"])
def test_damage_is_one_line(tmp_path: Path, change: str) -> None:
    path = png(tmp_path, change)
    with pytest.raises(DataError, match=rf"{change}\.png: ") as told:
        read_picture(path)
    assert "\n" not in str(told.value)


def test_a_cut_pgm_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "p.pgm").write_bytes(b"P5 9 9 255\n\x00\x00")
    with pytest.raises(DataError, match="cut short, 2 bytes of pixels of 81"):
        read_picture(tmp_path / "p.pgm")


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_are_it_is_a_picture_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["L", "RGBA", "P", "1", "pgm"]))
    buffer = io.BytesIO()
    picture = Image.fromarray(smooth(5, 6, 4)).convert("L" if kind == "pgm" else kind)
    picture.save(buffer, "PPM" if kind == "pgm" else "PNG")
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    if kind != "pgm" and data.draw(st.booleans()):
        content = bytearray(with_right_checksums(bytes(content)))
    path = tmp_path / "p.png"
    path.write_bytes(content)
    try:
        found = read_picture(path)
    except DataError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert found.dtype == np.uint8
        assert found.ndim in (2, 3)


def with_right_checksums(data: bytes) -> bytes:
    """As far as its chunks can be followed, each with the checksum of what it now holds."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + size
    return bytes(out)


@pytest.mark.parametrize("rest", [b" " * 20_000, b" #\n" * 7_000, b"1 " * 10_000])
def test_what_is_no_header_is_refused_at_once(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "p.pgm").write_bytes(b"P5" + rest + b"x")
    with pytest.raises(DataError, match="damaged"):
        read_picture(tmp_path / "p.pgm")
