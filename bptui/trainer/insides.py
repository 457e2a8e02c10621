"""What is inside a layer at the paused place: gates over time, attention of each head, where δ dies in time.

An engine gives arrays by name, the samples of the batch first (``Engine.views``). Shown is one sample: a plane of rows
and columns, of those that it has (one a head), or a line over the steps of the sequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.probe.pictures import page_of
from bptui.protocol import messages as m
from bptui.protocol.framing import Body
from bptui.trainer import tables
from bptui.trainer.sheets import lines, sheets

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer

Array = npt.NDArray[Any]
#: Most cells of a plane that travel: a larger one comes in blocks, each its largest magnitude.
MOST_CELLS = 1 << 16
#: Longest name of a token.
LONGEST = 24


class Axes(NamedTuple):
    """What lies along the axes of an array after the samples'."""

    page: str
    row: str
    column: str
    turned: bool = False
    """Whether rows and columns change places to be shown: time runs to the right."""


#: Names that begin so → their axes; others by their number of axes.
AXES: dict[str, Axes] = {
    "attention": Axes("head", "query", "key"),
    "gate": Axes("", "unit", "step", turned=True),
    "cell": Axes("", "unit", "step", turned=True),
    "state": Axes("", "unit", "step", turned=True),
    "delta": Axes("", "", "step"),
    "branch": Axes("", "", "unit"),
    "share": Axes("", "", "step"),
}
_OTHERS = {2: Axes("", "", "place"), 3: Axes("", "row", "column"), 4: Axes("page", "row", "column")}
_TIMES = frozenset({"query", "key", "step"})


def axes_of(name: str, array: Array) -> Axes | None:
    """None: an array that cannot be shown."""
    for word in reversed(name.split(".")):
        if word in AXES:
            return AXES[word]
    return _OTHERS.get(array.ndim)


def insides(trainer: Trainer, request: m.Inside) -> tuple[m.Insides, bytes]:
    """Answer one ``Inside``; of another sample or page than there is, the nearest."""
    from bptui.trainer.inspect import missing, note, tensor

    common: dict[str, Any] = {
        "id": request.id, "step": trainer.step, "micro": trainer.micro_text, "layer": request.layer,
    }  # fmt: skip
    x = tensor(trainer, "x", 0)
    samples = 1 if x is None else len(x)
    sample = max(0, min(request.sample, samples - 1))
    views = {**trainer.engine.views(request.layer, sample), **lines(trainer.engine, request.layer)}
    shown = {name: array for name, array in views.items() if axes_of(name, array) is not None}
    pictures = sheets(trainer.engine, request.layer)
    rows = tables.tables(trainer.engine, request.layer)
    names = (*shown, *pictures, *rows)
    name = request.name if request.name in names else next(iter(names), "")
    if not name:
        wait = missing(trainer, "a", request.layer)
        info = trainer.engine.layers[request.layer]
        why = "" if wait else f"{info.name}: a layer of type {info.kind} has nothing inside but z and a"
        return m.Insides(**common, missing=wait, note=why), b""
    body = Body()
    if name in pictures:
        values, told = page_of(pictures[name], request.sample, request.page)
        arrays = {"values": body.add(values)}
        return m.Insides(
            **common, **told, names=names, name=name, arrays=arrays, note=note(trainer)
        ), body.bytes()  # fmt: skip
    if name in rows:
        return tables.answer(trainer, request, name, rows[name], {**common, "names": names})
    array, axes = shown[name], axes_of(name, shown[name])
    assert axes is not None
    lengths = trainer.engine.steps_read(request.layer)
    length = None if lengths is None else int(lengths[sample])
    pages = array.shape[1] if array.ndim == 4 else 1
    page = max(0, min(request.page, pages - 1))
    own = array[sample if len(array) == samples else 0]  # some are there of this sample alone
    plane = own[page] if array.ndim == 4 else np.atleast_2d(own)
    plane = _cut(plane.T if axes.turned else plane, axes, length)
    values, zoom = _fitting(plane)
    arrays = {"values": body.add(np.ascontiguousarray(values))}
    if array.ndim == 2:
        arrays["mean"] = body.add(_mean(array, lengths if axes.column in _TIMES else None)[: plane.shape[1]])
    taken = trainer.engine.layers[request.layer].taken
    by_token = x is not None and taken and taken[0][0] == x.shape[-1]  # not behind a stride: a step is several tokens
    words = _words(trainer, x, sample) if by_token and zoom == 1 else ()
    labels = [words[:count] if axis in _TIMES else () for axis, count in zip(axes[1:3], plane.shape, strict=True)]
    return m.Insides(
        **common, names=names, name=name, axes=(axes.row, axes.column), row_names=labels[0],
        column_names=labels[1], arrays=arrays, zoom=zoom, sample=sample, samples=samples, page=page, pages=pages,
        page_name=axes.page, note=note(trainer),
    ), body.bytes()  # fmt: skip


def _cut(plane: Array, axes: Axes, length: int | None) -> Array:
    """Without what lies beyond the sample's end."""
    if length is None:
        return plane
    rows = length if axes.row in _TIMES else len(plane)
    columns = length if axes.column in _TIMES else plane.shape[1]
    return plane[:rows, :columns]


def _fitting(plane: Array) -> tuple[Array, int]:
    """The plane, or its blocks of zoom² cells, each the value of the largest magnitude."""
    zoom = 1
    while -(-plane.shape[0] // zoom) * -(-plane.shape[1] // zoom) > MOST_CELLS:
        zoom += 1
    if zoom == 1:
        return plane, 1
    rows, columns = (-(-count // zoom) for count in plane.shape)
    whole = np.zeros((rows * zoom, columns * zoom), plane.dtype)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    blocks = whole.reshape(rows, zoom, columns, zoom).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    largest = np.abs(blocks).argmax(-1)[..., None]
    return np.take_along_axis(blocks, largest, -1)[..., 0], zoom


def _mean(array: Array, lengths: Array | None) -> Array:
    """Mean over the samples; with ``lengths`` (N,): over those that run so long, nan where there is none."""
    if lengths is None:
        return np.asarray(array.mean(axis=0), np.float64)
    real = np.arange(array.shape[1]) < np.maximum(lengths, 1)[: len(array), None]
    counts = real.sum(axis=0)
    total = np.where(real, array, 0.0).sum(axis=0)
    mean: Array = np.divide(total, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return mean


def _words(trainer: Trainer, x: Array | None, sample: int) -> tuple[str, ...]:
    """The sample's tokens, where it has them."""
    vocabulary = trainer.setup.data.vocabulary
    if vocabulary is None or x is None or x.dtype.kind not in "iu" or sample >= len(x):
        return ()
    return tuple(vocabulary[token][:LONGEST] if 0 <= token < len(vocabulary) else "?" for token in x[sample])
