"""Makes ``spoken-digits-espeak.npz``: ten digits in many synthetic voices, as log-mel frames.

    python make.py                needs espeak-ng (Debian: apt install espeak-ng) and bptui; a minute

Each sample is a digit, a base voice (an English of some place), a variant of it (a throat), a speed and a pitch. Speed
and pitch are drawn by the sample's own name, so that the same espeak-ng makes the same file. The test part has base
voices that the training part does not have.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.data.sound import log_mel, resampled
from bptui.data.wav import read_wav

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAIN_VOICES = ("en-gb", "en-us", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "en-gb-x-gbcwmd")
TEST_VOICES = ("en-gb-scotland", "en-us-nyc")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
TAKES = {"train": 2, "test": 1}
RATE, BANDS, FRAMES = 8000, 40, 64
#: A byte is (log-mel + OFFSET) · STEPS: from −11, the floor, to 10 in steps of 1/6.
OFFSET, STEPS = 11.0, 6.0
#: What is quieter than this share of a sound's loudest sample, before and after it, is silence.
SILENCE = 0.01


def drawn(name: str, low: int, high: int) -> int:
    """A number from ``low`` to ``high`` that follows from ``name`` alone."""
    return low + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % (high - low + 1)


def spoken(word: str, voice: str, variant: str, take: int, folder: Path) -> npt.NDArray[np.uint8]:
    """``(T, BANDS)`` bytes of one sample."""
    name = f"{word} {voice}+{variant} {take}"
    speed, pitch = drawn(f"speed {name}", 120, 220), drawn(f"pitch {name}", 20, 80)
    path = folder / "sample.wav"
    command = ["espeak-ng", "-v", f"{voice}+{variant}", "-s", str(speed), "-p", str(pitch), "-w", str(path), word]
    subprocess.run(command, check=True)
    sound, rate = read_wav(path)
    loud = np.flatnonzero(np.abs(sound) > SILENCE * np.abs(sound).max())
    features = log_mel(resampled(sound[loud[0] : loud[-1] + 1], rate, RATE), RATE, BANDS)[:FRAMES]
    return np.asarray(np.clip(np.round((features + OFFSET) * STEPS), 0, 255), np.uint8)


def main() -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part, voices in (("train", TRAIN_VOICES), ("test", TEST_VOICES)):
            keys = [
                (digit, voice, variant, take)
                for voice in voices
                for variant in VARIANTS
                for take in range(TAKES[part])
                for digit in range(10)
            ]
            samples = [spoken(WORDS[digit], *rest, Path(folder)) for digit, *rest in keys]  # type: ignore[arg-type]
            x = np.zeros((len(samples), FRAMES, BANDS), np.uint8)
            for row, sample in enumerate(samples):
                x[row, : len(sample)] = sample
            arrays[f"x_{part}"] = x
            arrays[f"y_{part}"] = np.array([digit for digit, *_ in keys], np.uint8)
            arrays[f"lengths_{part}"] = np.array([len(sample) for sample in samples], np.uint8)
            arrays[f"voice_{part}"] = np.array([f"{voice}+{variant}" for _, voice, variant, _ in keys])
            print(f"{part}: {len(samples):,} samples", file=sys.stderr)
    np.savez_compressed(Path(__file__).with_name("spoken-digits-espeak.npz"), **arrays)


if __name__ == "__main__":
    main()
