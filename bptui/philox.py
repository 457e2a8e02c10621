"""Everything random, from a counter-based generator: Philox4x64, raw words, keyed by (seed, stream, index).

The same key gives the same words in every process, engine and NumPy release (only the raw bit stream is
used, never ``Generator`` methods). ``index`` is an epoch or a step, so that any place of a run can be
drawn again without drawing what came before.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt


class Stream:
    """One named stream of a seed: ``Stream(seed, "dense1.weight").normal(0, n)``."""

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.Philox(key=np.array([seed % 2**64, zlib.crc32(name.encode())], dtype=np.uint64))
        self._state = self._bits.state

    def words(self, index: int, count: int) -> npt.NDArray[np.uint64]:
        """``count`` raw 64-bit words of place ``index``."""
        self._state["state"]["counter"][:] = (0, 0, index, 0)
        self._state["buffer_pos"] = 4
        self._bits.state = self._state
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)

    def uniform(self, index: int, count: int) -> npt.NDArray[np.float64]:
        """``count`` floats in [0, 1), with 53 random bits each."""
        return (self.words(index, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, index: int, count: int) -> npt.NDArray[np.float64]:
        """``count`` standard normals (Box–Muller)."""
        half = (count + 1) // 2
        u = self.uniform(index, 2 * half)
        radius = np.sqrt(-2.0 * np.log1p(-u[:half]))
        angle = 2.0 * np.pi * u[half:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]

    def permutation(self, index: int, count: int) -> npt.NDArray[np.intp]:
        """A permutation of ``range(count)``."""
        return np.argsort(self.words(index, count), kind="stable")
