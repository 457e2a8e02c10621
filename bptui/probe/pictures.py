"""Sheets of small pictures of a layer, as an inspector asks for them: its maps, δ at each place, its kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: Most cells of one sheet that travel; what is more goes to further pages.
MOST_CELLS = 1 << 15
#: Most cells each way of one picture; of a larger one every so many-th is shown.
_MOST_SIDE = 256


class Pictures(NamedTuple):
    array: Array
    """``(samples, pages, pictures, rows, columns)``; what belongs to no sample has one."""
    picture: str
    """What one picture is: ``channel``, ``unit``."""
    page: str
    """What one page is."""


def maps(array: Array) -> Pictures:
    """Of ``(samples, channels, rows, columns)``."""
    return Pictures(array[:, None], "channel", "channels")


def kernels(weight: Array, *, transposed: bool = False) -> Pictures:
    """Of a convolution's ``(units, inputs, rows, columns)``; ``transposed``: ``(inputs, units, rows, columns)``.

    A page is an input; of a sequence ``(units, inputs, steps)`` there is one, and its inputs are the rows.
    """
    if weight.ndim == 3:
        pages = (weight.swapaxes(0, 1) if transposed else weight)[None]
    else:
        pages = weight if transposed else weight.swapaxes(0, 1)
    return Pictures(pages[None], "unit", "input")


class Page(NamedTuple):
    """One page of the pictures of one sample."""

    values: Array
    """(pictures · rows, columns): one below the other."""
    told: dict[str, Any]
    """What a face has to know of it, by the names of ``protocol.messages.Insides``."""


def page_of(pictures: Pictures, sample: int, page: int) -> Page:
    """Of another sample or page than there is, the nearest."""
    samples, pages, count, rows, columns = pictures.array.shape
    fit = max(1, MOST_CELLS // max(1, rows * columns))
    parts = -(-count // fit)
    sample = max(0, min(sample, samples - 1))
    page = max(0, min(page, pages * parts - 1))
    whole, part = divmod(page, parts)
    first = part * fit
    shown = pictures.array[sample, whole, first : first + fit]
    zoom = max(1, -(-max(rows, columns) // _MOST_SIDE))
    shown = shown[:, ::zoom, ::zoom]
    told = {
        "axes": (pictures.picture, "place"), "tile": shown.shape[1], "zoom": zoom, "sample": sample,
        "samples": samples, "page": page, "pages": pages * parts, "page_name": pictures.page,
        "row_names": tuple(str(first + at) for at in range(len(shown))),
    }  # fmt: skip
    return Page(np.ascontiguousarray(shown.reshape(-1, shown.shape[2])), told)
