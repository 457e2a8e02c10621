"""Sounds as log-mel features, and folders of them: a class a folder, or a piece of each name (``7_george_3.wav``).

Frames of 25 ms every 10 ms, Hann window, power spectrum, triangles on the mel scale, logarithm. Sources: Davis and
Mermelstein (1980), *Comparison of parametric representations for monosyllabic word recognition*, IEEE Trans. ASSP 28;
mel(f) = 2595·log₁₀(1 + f/700) after O'Shaughnessy (1987).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bptui.data import cache
from bptui.data.errors import DataError
from bptui.data.folders import Listing, PartName
from bptui.data.raw import Raw, Rows, Values
from bptui.data.wav import Sound, read_wav
from bptui.spec.experiment import Data

FRAME_S, HOP_S = 0.025, 0.010
#: Fewer samples a second have no frame of 25 ms: a rate that was meant in kHz.
LEAST_RATE = 100
#: Power that is added before the logarithm: that of a hiss of the last bit of 16.
FLOOR = 1e-7
#: Where ``data.window`` does not say how long a sample is: so many of a hundred samples are not cut.
WHOLE = 95
#: Features of a folder with so many sounds are kept in a file.
WORTH_KEEPING = 100


@lru_cache
def mel_filters(rate: int, bands: int) -> npt.NDArray[np.float32]:
    """``(bins, bands)``: triangles between 20 Hz and half the rate, evenly spaced in mel, each of height 1."""
    bins = fft_size(rate) // 2 + 1
    low, high = _mel(20.0), _mel(rate / 2)
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    frequencies = np.arange(bins) * rate / fft_size(rate)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - left) / (centre - left)
    falling = (right - frequencies[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def fft_size(rate: int) -> int:
    """Points of the transform: twice the power of two above a frame, so that even the lowest band has a bin."""
    return 2 * int(2 ** np.ceil(np.log2(FRAME_S * rate)))


def log_mel(sound: Sound, rate: int, bands: int) -> npt.NDArray[np.float32]:
    """``(T, bands)`` of samples in [−1, 1]: the logarithm of each band's power, frame by frame."""
    frame, hop = round(FRAME_S * rate), round(HOP_S * rate)
    if len(sound) < frame:
        sound = np.pad(sound, (0, frame - len(sound)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, frame)[::hop]
    spectrum = np.fft.rfft(frames * np.hanning(frame + 2)[1:-1].astype(np.float32), fft_size(rate), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.asarray(np.log(power @ mel_filters(rate, bands) + FLOOR * frame), np.float32)


def resampled(sound: Sound, rate: int, wanted: int) -> Sound:
    """The same sound with ``wanted`` samples a second: its spectrum, cut or filled up."""
    if rate == wanted:
        return sound
    count = max(1, round(len(sound) * wanted / rate))
    spectrum = np.fft.rfft(sound.astype(np.float64))
    kept = np.zeros(count // 2 + 1, np.complex128)
    both = min(len(spectrum), len(kept))
    kept[:both] = spectrum[:both]
    return (np.fft.irfft(kept, count) * (count / len(sound))).astype(np.float32)


def read_sounds(found: Listing, data: Data) -> Raw:
    """The sounds of a folder as sequences of log-mel frames ``(N, T·mels)``, NaN after the end of each."""
    if not 1 <= data.mels <= 512:
        raise DataError(f"data.mels = {data.mels}: expected 1 to 512")
    rate, features = _all(found, data)
    window = data.window if data.window is not None else usual(list(map(len, features)))
    notes = [*found.notes, f"log-mel: {data.mels} bands of {window} frames (10 ms), {rate:,} Hz"]
    if cut := sum(len(one) > window for one in features):
        notes.append(f"{cut:,} of {len(features):,} sounds are longer and were cut")
    parts: dict[PartName, Rows] = {}
    for part in ("train", "validation", "test"):
        chosen = [(sample, one) for sample, one in zip(found.samples, features, strict=True) if sample.part == part]
        if chosen:
            x, lengths = padded([one for _, one in chosen], window)
            parts[part] = Rows(x, np.array([sample.label for sample, _ in chosen]), lengths)
    return Raw(
        name=found.folder.name, train=parts["train"], validation=parts.get("validation"), test=parts.get("test"),
        task="classification", shape=(window, data.mels), label="class", notes=tuple(notes),
        sample_rate=rate, feature_names=tuple(f"mel{band + 1}" for band in range(data.mels)),
    )  # fmt: skip


def _all(found: Listing, data: Data) -> tuple[int, list[npt.NDArray[np.float32]]]:
    """The one rate, and the features of each sound: of many from the cache, where they have been made before."""
    if len(found.samples) < WORTH_KEEPING:
        return _made(found, data)

    def make() -> dict[str, Values]:
        rate, features = _made(found, data)
        lengths = np.array([len(one) for one in features])
        return {"rate": np.array(rate), "lengths": lengths, "frames": np.concatenate(features)}

    how = ("log-mel", data.mels, data.sample_rate, FRAME_S, HOP_S, FLOOR)
    kept = cache.kept(cache.key_of((sample.path for sample in found.samples), *how), make)
    return int(kept["rate"]), np.split(kept["frames"], np.cumsum(kept["lengths"])[:-1])


def _made(found: Listing, data: Data) -> tuple[int, list[npt.NDArray[np.float32]]]:
    """Read and computed."""
    rate = data.sample_rate
    first, features = "", []
    rates: Counter[int] = Counter()
    for sample in found.samples:
        sound, own = read_wav(sample.path)
        rates[own] += 1
        if rate is None:
            rate, first = own, sample.path.name
        if own != rate and data.sample_rate is None:
            raise DataError(
                f"{sample.path}: {own:,} samples a second, {first} has {rate:,};"
                f" data.sample_rate = {min(own, rate)} converts them all"
            )
        if rate < LEAST_RATE:
            raise DataError(f"{sample.path}: {rate} samples a second; expected at least {LEAST_RATE} (Hz, not kHz)")
        features.append(log_mel(resampled(sound, own, rate), rate, data.mels))
    assert rate is not None
    return rate, features


def usual(lengths: list[int]) -> int:
    """The length that 95 of 100 samples do not exceed."""
    return max(1, int(np.ceil(np.percentile(lengths, WHOLE))))


def padded(sequences: list[npt.NDArray[np.float32]], window: int) -> tuple[Values, npt.NDArray[np.intp]]:
    """``(N, window·F)``, NaN after the end of each, and the lengths (N,)."""
    width = sequences[0].shape[1]
    x = np.full((len(sequences), window, width), np.nan, np.float32)
    lengths = np.empty(len(sequences), np.intp)
    for row, sequence in enumerate(sequences):
        lengths[row] = min(len(sequence), window)
        x[row, : lengths[row]] = sequence[:window]
    return x.reshape(len(sequences), -1), lengths
