"""Scaling of features, learned on the training rows only and applied to every part alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bptui.data.raw import Indices, Values

Kind = Literal["standard", "global", "minmax", "none"]
Floats = npt.NDArray[np.floating[Any]]

#: Values converted at once: small enough to stay in the cache between the passes over them.
BLOCK_VALUES = 1 << 18
#: A feature whose σ is below this share of its largest magnitude is constant but for rounding. (Time stamps, about
#: 1.7e9 with a σ of seconds, are not.)
NEARLY_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True)
class Scaler:
    """``x → (x − mean) / scale``; both ``(features,)`` float64. ``fill`` stands in for missing (NaN) values first."""

    kind: Kind
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    fill: npt.NDArray[np.float64] | None = None

    @staticmethod
    def learn(kind: Kind, x: Values, rows: Indices, *, fill_missing: bool = False, step: int | None = None) -> Scaler:
        """Learn from ``x[rows]`` alone. Near-constant features keep scale 1.

        ``step``: rows are sequences of steps of that many features; each step is scaled alike, and what is not
        there (NaN, the padding) counts for nothing and becomes the mean, that is 0.
        """
        features = x.shape[1]
        if step is not None:
            mean, scale, middle = of_steps(kind, x, rows, step)
            tiled = [np.tile(each, features // step) for each in (mean, scale, middle)]
            return Scaler(kind, tiled[0], tiled[1], tiled[2] if fill_missing else None)
        fill = _means(x, rows) if fill_missing else None
        mean, scale = np.zeros(features), np.ones(features)
        if kind == "standard":
            mean, scale = _moments(x, rows, fill)
        elif kind == "global":
            mean, scale = _global_moments(x, rows, fill)
        elif kind == "minmax":
            low, high = _extremes(x, rows, fill)
            mean, scale = low, np.where(high > low, high - low, 1.0)
        return Scaler(kind, mean, scale, fill)

    def apply(self, x: Values, dtype: npt.DTypeLike = np.float32) -> Floats:
        """``x`` (N, features), scaled, as a new array of ``dtype``."""
        out = np.empty(x.shape, dtype)
        self.apply_into(x, out)
        return out

    def gather(self, x: Values, rows: Indices, dtype: npt.DTypeLike) -> Floats:
        """``apply(x[rows])``, a block at a time, so that no second copy of the raw rows is ever made."""
        out = np.empty((len(rows), x.shape[1]), dtype)
        for start, block in blocks_of(x, rows):
            self.apply_into(block, out[start : start + len(block)])
        return out

    def apply_into(self, x: Values, out: Floats) -> None:
        """Scale ``x`` into ``out`` (both (N, features))."""
        if self.fill is not None and x.dtype.kind == "f":
            x = np.where(np.isnan(x), self.fill, x)
        if self.kind == "none":
            out[:] = x
        elif x.dtype.itemsize <= 2 and x.dtype.kind in "ui":
            # Small integers are exact in float32, and the narrow path is three times as fast.
            out[:] = x
            mean, scale = self.mean.astype(out.dtype), self.scale.astype(out.dtype)
            out -= mean[0] if self.kind == "global" else mean
            out /= scale[0] if self.kind == "global" else scale
        else:
            # In float64 first: a year or a time stamp minus its mean would lose its digits in float32.
            centred = np.subtract(x, self.mean, dtype=np.float64)
            np.divide(centred, self.scale, out=out, casting="same_kind")

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """As arrays, for a file of tensors: ``kind`` (bytes), ``mean``, ``scale`` and, where there is one, ``fill``."""
        state: dict[str, npt.NDArray[Any]] = {
            "kind": np.frombuffer(self.kind.encode(), np.uint8).copy(),
            "mean": self.mean.copy(),
            "scale": self.scale.copy(),
        }
        if self.fill is not None:
            state["fill"] = self.fill.copy()
        return state

    @staticmethod
    def from_state(state: Mapping[str, npt.NDArray[Any]]) -> Scaler:
        """The scaler that ``state()`` described; ValueError names what is missing or does not fit."""
        for key in ("kind", "mean", "scale"):
            if key not in state:
                raise ValueError(f"scaler: {key!r} is missing")
        kind = bytes(np.asarray(state["kind"], np.uint8)).decode("ascii", "replace")
        if kind not in ("standard", "global", "minmax", "none"):
            raise ValueError(f"scaler: unknown kind {kind!r}")
        mean, scale = (np.array(state[key], np.float64) for key in ("mean", "scale"))
        fill = np.array(state["fill"], np.float64) if "fill" in state else None
        if mean.ndim != 1 or scale.shape != mean.shape or (fill is not None and fill.shape != mean.shape):
            raise ValueError("scaler: mean, scale and fill have different shapes")
        return Scaler(kind, mean, scale, fill)  # type: ignore[arg-type]


def blocks_of(x: Values, rows: Indices) -> Iterator[tuple[int, Values]]:
    """``(position in rows, x[those rows])`` in cache-sized blocks; contiguous rows come as views."""
    height = max(1, BLOCK_VALUES // max(1, x.shape[1]))
    contiguous = len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool(np.all(np.diff(rows) == 1))
    for start in range(0, len(rows), height):
        if contiguous:
            first = int(rows[0]) + start
            yield start, x[first : first + min(height, len(rows) - start)]
        else:
            # Not np.take: of a view (all columns but the label) it would copy the whole first.
            yield start, x[rows[start : start + height]]


def of_steps(
    kind: Kind, x: Values, rows: Indices, step: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What is taken off, what is divided by, and what stands in for padding: (step,) each, over the steps there are."""
    count, total, squares = np.zeros(step), np.zeros(step), np.zeros(step)
    low, high = np.full(step, np.inf), np.full(step, -np.inf)
    for block in _steps(x, rows, step):
        count += (there := ~np.isnan(block)).sum(axis=0)
        total += np.where(there, block, 0).sum(axis=0)
        np.fmin(low, np.fmin.reduce(block, axis=0), out=low)
        np.fmax(high, np.fmax.reduce(block, axis=0), out=high)
    if kind == "global":
        count, total = np.full(step, count.sum()), np.full(step, total.sum())
    mean = total / np.maximum(count, 1)
    if kind == "none":
        return np.zeros(step), np.ones(step), np.zeros(step)
    if kind == "minmax":
        return low, np.where(high > low, high - low, 1.0), low
    for block in _steps(x, rows, step):
        squares += np.square(np.where(np.isnan(block), 0, block - mean)).sum(axis=0)
    if kind == "global":
        squares = np.full(step, squares.sum())
    sigma = np.sqrt(squares / np.maximum(count, 1))
    largest = np.maximum(np.abs(low), np.abs(high))
    return mean, np.where(sigma > NEARLY_CONSTANT * largest, sigma, 1.0), mean


def _steps(x: Values, rows: Indices, step: int) -> Iterator[npt.NDArray[np.float64]]:
    """Blocks of single steps (n, step), NaN where there is none."""
    for _, block in blocks_of(x, rows):
        yield block.astype(np.float64).reshape(-1, step)


def _filled(block: Values, fill: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    values = block.astype(np.float64)
    return values if fill is None else np.where(np.isnan(values), fill, values)


def _means(x: Values, rows: Indices) -> npt.NDArray[np.float64]:
    """Mean a feature over the values that are there; 0 where a feature has none."""
    total, count = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for _, block in blocks_of(x, rows):
        there = ~np.isnan(block) if block.dtype.kind == "f" else np.ones(block.shape, bool)
        total += np.where(there, block, 0).sum(axis=0, dtype=np.float64)
        count += there.sum(axis=0)
    return total / np.maximum(count, 1)


def _moments(
    x: Values, rows: Indices, fill: npt.NDArray[np.float64] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and σ (of the population) a feature, in two passes: the one-pass formula loses σ beside a large mean."""
    total, squares, largest = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for _, block in blocks_of(x, rows):
        values = _filled(block, fill)
        total += values.sum(axis=0)
        np.maximum(largest, np.abs(values).max(axis=0), out=largest)
    mean = total / len(rows)
    for _, block in blocks_of(x, rows):
        centred = _filled(block, fill) - mean
        squares += np.einsum("nf,nf->f", centred, centred)
    sigma = np.sqrt(squares / len(rows))
    return mean, np.where(sigma > NEARLY_CONSTANT * largest, sigma, 1.0)


def _global_moments(
    x: Values, rows: Indices, fill: npt.NDArray[np.float64] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """One mean and σ over all values; exact integer sums for bytes, so that every machine gets the same bits."""
    features, count = x.shape[1], len(rows) * x.shape[1]
    if x.dtype == np.uint8:
        mean, variance = _byte_moments(x, rows, count)
    else:
        total = sum(float(_filled(block, fill).sum()) for _, block in blocks_of(x, rows))
        mean = total / count
        variance = sum(float(np.square(_filled(block, fill) - mean).sum()) for _, block in blocks_of(x, rows)) / count
    sigma = float(np.sqrt(variance))
    return np.full(features, mean), np.full(features, sigma if sigma > NEARLY_CONSTANT * abs(mean) else 1.0)


def _byte_moments(x: Values, rows: Indices, count: int) -> tuple[float, float]:
    """Mean and variance of uint8 values; the sums are whole numbers below 2⁵³ a block, exact in float64."""
    total = squares = 0
    for _, block in blocks_of(x, rows):
        flat = block.ravel().astype(np.float64)
        total += int(flat.sum())
        squares += int(np.dot(flat, flat))
    mean = total / count
    return mean, max(0.0, (squares - total * total / count) / count)


def _extremes(
    x: Values, rows: Indices, fill: npt.NDArray[np.float64] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low, high = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    for _, block in blocks_of(x, rows):
        values = _filled(block, fill)
        np.minimum(low, values.min(axis=0), out=low)
        np.maximum(high, values.max(axis=0), out=high)
    return low, high
