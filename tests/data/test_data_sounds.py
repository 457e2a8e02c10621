"""WAV files of every kind, log-mel features, and folders of sounds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bptui.data import Batches, DataError, cache, load, sound
from bptui.data.catalogue import describe
from bptui.data.sound import fft_size, log_mel, mel_filters, resampled
from bptui.data.wav import read_wav
from bptui.spec.experiment import Data

PCM, FLOAT, MU_LAW = 1, 3, 7


def tone(hertz: float, seconds: float = 0.1, rate: int = 8000) -> npt.NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def wav(
    samples: npt.NDArray[np.float64], bits: int = 16, code: int = PCM, rate: int = 8000, *, wide: bool = False
) -> bytes:
    """A file of (T,) or (T, channels) samples in [−1, 1)."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    flat = samples.reshape(-1)
    if code == FLOAT:
        body = flat.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        body = np.round(flat * 128 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(flat * (1 << (bits - 1))).astype("<i4")
        body = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    form = struct.pack(
        "<HHIIHH", 0xFFFE if wide else code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits
    )
    if wide:
        form += struct.pack("<HHIH14s", 22, bits, 0, code, bytes(14))
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST\x04\0\0\0abcd"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(("bits", "code"), [(8, PCM), (16, PCM), (24, PCM), (32, PCM), (32, FLOAT), (64, FLOAT)])
@pytest.mark.parametrize("wide", [False, True])
def test_samples_of_every_width(tmp_path: Path, bits: int, code: int, wide: bool) -> None:
    samples = tone(440)
    (tmp_path / "a.wav").write_bytes(wav(samples, bits, code, 22050, wide=wide))
    found, rate = read_wav(tmp_path / "a.wav")
    assert rate == 22050 and found.dtype == np.float32
    np.testing.assert_allclose(found, samples, atol=1e-6 + 0.51 / (1 << min(bits, 24) - 1))


def test_stereo_becomes_mono(tmp_path: Path) -> None:
    both = np.stack([tone(440), -tone(440) + 0.25], axis=1)
    (tmp_path / "a.wav").write_bytes(wav(both, 24))
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[0], 0.125, atol=1e-6)


def test_mu_law_is_that_of_g711(tmp_path: Path) -> None:
    # Codes and values of ITU-T G.711, table 2a: ±8031 of 8159 (14 bits), the smallest steps, and zero.
    body = bytes([0x80, 0x00, 0xFF, 0x7F, 0xFE])
    form = struct.pack("<HHIIHH", MU_LAW, 1, 8000, 8000, 1, 8)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(body)) + body
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE" + chunks)
    assert (read_wav(tmp_path / "a.wav")[0] * (1 << 15)).tolist() == [32124, -32124, 0, 0, 8]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a.wav: the sound is empty \(0 bytes\)"),
        (b"ID3\x04 mp3", "a.wav: not a WAV file"),
        (wav(tone(440))[:-10], "a.wav: cut short, 1,590 bytes of sound of 1,600"),
        (wav(tone(440))[:30], "a.wav: damaged"),
        (wav(np.empty(0)), "a.wav: holds no sound"),
        (wav(np.array([np.nan]), 32, FLOAT), "a.wav: a sample is not finite"),
        (wav(tone(440), 16, 2), "a.wav: ADPCM samples of 16 bits; save it as 16-bit PCM"),
    ],
)
def test_a_bad_wav_is_told_in_a_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_wav(tmp_path / "a.wav")


def test_a_tone_is_loudest_in_its_band() -> None:
    rate, bands = 8000, 40
    filters = mel_filters(rate, bands)
    assert filters.shape == (fft_size(rate) // 2 + 1, bands) and (filters.sum(axis=0) > 0).all()
    for hertz in (300.0, 1000.0, 3000.0):
        features = log_mel(tone(hertz, 0.3).astype(np.float32), rate, bands)
        loudest = filters[:, int(features.mean(axis=0).argmax())]
        frequencies = np.arange(len(filters)) * rate / fft_size(rate)
        low, high = frequencies[loudest > 0][[0, -1]]
        assert low <= hertz <= high and features.shape == (28, bands)


def test_resampling_keeps_a_tone() -> None:
    twice = tone(440, 0.1, 16000).astype(np.float32)
    np.testing.assert_allclose(resampled(twice, 16000, 8000)[50:-50], tone(440)[50:-50], atol=0.01)


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    folder = tmp_path / "spoken"
    folder.mkdir()
    for digit, hertz in enumerate((300, 900, 2000)):
        for speaker in ("ann", "bob"):
            for take in range(4):
                seconds = 0.1 + 0.02 * take
                (folder / f"{digit}_{speaker}_{take}.wav").write_bytes(wav(tone(hertz, seconds)))
    return folder


def test_sounds_are_padded_sequences(spoken: Path) -> None:
    data = load(Data(source=str(spoken), mels=20, validation=0.25), seed=1)
    frames = 14
    assert (data.shape, data.sequence, data.class_names) == ((frames, 20), True, ("0", "1", "2"))
    assert data.train.lengths is not None and set(data.train.lengths.tolist()) <= {8, 10, 12, 14}
    x = np.asarray(data.train.x).reshape(-1, frames, 20)
    there = np.arange(frames) < data.train.lengths[:, None]
    assert not x[~there].any()
    np.testing.assert_allclose(x[there].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x[there].std(axis=0), 1, atol=1e-3)
    batch = Batches(data.train, 5, seed=0).next()
    assert batch.lengths is not None
    assert [not row.reshape(frames, 20)[length:].any() for row, length in zip(batch.x, batch.lengths, strict=True)] == [
        True
    ] * 5
    blocks = list(data.train.blocks(7))
    assert np.array_equal(np.concatenate([b.lengths for b in blocks if b.lengths is not None]), data.train.lengths)


def test_longer_sounds_are_cut_and_a_speaker_is_held_out(spoken: Path) -> None:
    data = load(Data(source=str(spoken), window=10, hold_out="bob", validation=0.25))
    assert data.shape == (10, 40) and data.test is not None
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 9, "validation": 3, "test": 12}
    assert any("12 of 24 sounds are longer and were cut" in note for note in data.notes)


def test_mixed_rates_are_told_and_converted_when_asked(spoken: Path) -> None:
    (spoken / "1_ann_9.wav").write_bytes(wav(tone(900, 0.1, 16000), rate=16000))
    with pytest.raises(
        DataError, match=r"1_ann_9.wav: 16,000 samples a second, 0_ann_0.wav has 8,000; data.sample_rate = 8000"
    ):
        load(Data(source=str(spoken)))
    assert len(load(Data(source=str(spoken), sample_rate=8000, validation=0)).train) == 25


def test_an_empty_sound_in_a_folder_is_named(spoken: Path) -> None:
    (spoken / "2_bob_3.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"2_bob_3.wav: the sound is empty \(0 bytes\)"):
        load(Data(source=str(spoken)))


@pytest.mark.parametrize("rate", [1, 16, 50])
def test_a_rate_in_kilohertz_is_told(spoken: Path, rate: int) -> None:
    with pytest.raises(DataError, match=rf"{rate} samples a second; expected at least 100 \(Hz, not kHz\)"):
        load(Data(source=str(spoken), sample_rate=rate))
    assert len(load(Data(source=str(spoken), sample_rate=100, validation=0)).train) == 24


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a hundred short sounds, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "many"
    folder.mkdir()
    for at in range(100):
        (folder / f"{at % 2}_ann_{at}.wav").write_bytes(wav(tone(300 + 500 * (at % 2) + at, 0.03)))
    return folder


def _features(folder: Path, **keys: Any) -> Any:
    return np.asarray(load(Data(source=str(folder), validation=0, scale="none", **keys)).train.x)


def test_features_of_many_sounds_are_made_once(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, read = _features(kept), []
    monkeypatch.setattr(sound, "read_wav", lambda path: read.append(path) or read_wav(path))
    assert np.array_equal(_features(kept), first) and not read
    _features(kept, mels=20)
    assert len(read) == 100  # other features are made anew
    _features(kept, mels=20)
    _features(kept, window=2)  # the window cuts what is kept
    assert len(read) == 100
    (kept / "0_ann_0.wav").write_bytes(wav(tone(2000, 0.03)))
    changed = _features(kept)
    assert len(read) == 200 and not np.array_equal(changed[0], first[0]) and np.array_equal(changed[1:], first[1:])


@pytest.mark.parametrize("damage", [lambda b: b[:-200], lambda b: b"", lambda b: b[:3000] + b"\xff" * 9 + b[3009:]])
def test_a_damaged_file_of_features_is_made_again(kept: Path, damage: Callable[[bytes], bytes]) -> None:
    first = _features(kept)
    (file,) = cache.folder().iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert np.array_equal(_features(kept), first) and [p.name for p in cache.folder().iterdir()] == [file.name]
    assert np.array_equal(_features(kept), first) and len(file.read_bytes()) == len(whole)


def test_where_nothing_can_be_kept_features_are_made_each_time(kept: Path) -> None:
    cache.folder().parent.write_text("a file where the folder should be")
    assert np.array_equal(_features(kept), _features(kept))


def test_a_look_counts_no_padding_as_missing(spoken: Path) -> None:
    look = describe(str(spoken))
    assert {column.missing for column in look.columns} == {0} and len(look.columns) == 40
    x, lengths = np.full((2, 3, 1), np.nan), np.array([1, 3])
    x[0, 0], x[1] = 5, [[1], [2], [np.nan]]
    np.savez(spoken.parent / "gap.npz", x=np.where(np.isnan(x), 9, x), y=np.array([0, 1]), lengths=lengths)
    (column,) = describe(str(spoken.parent / "gap.npz")).columns
    assert (column.minimum, column.maximum, column.missing, column.distinct) == (1.0, 9.0, 0, 4)
