"""Which kinds of layer fit behind a place of the network: what ``a`` offers, the kind meant most likely first."""

from __future__ import annotations

from typing import Any, NamedTuple

from bptui.spec.describe import Row
from bptui.spec.experiment import Experiment, Layer
from bptui.spec.fields import BEGINNINGS, TAGGED, about
from bptui.spec.layers import TAKES_IDS
from bptui.spec.layers.base import Joining, Shape, Weighted, activation_of
from bptui.spec.shapes import BATCH_NAME, kind_of
from bptui.spec.sources import source_of
from bptui.tui import shapes
from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.builder.dialogs import Choice
from bptui.tui.screens.builder.draft import NEW_UNITS, Draft
from bptui.tui.text import clean, fit

#: Kinds that do a network's work, and by the axes of what they read, the one to begin with.
CORE = ("dense", "conv1d", "conv2d", "conv_transpose2d", "rnn", "lstm", "gru", "attention", "transformer_block")
USUAL = {1: "dense", 2: "lstm", 3: "conv2d"}
BENT = ("dense", "conv1d", "conv2d", "conv_transpose2d")
"""Kinds that are seldom without an activation."""

#: Kinds that are seldom meant where others fit too.
RARE = ("reshape", "concat", "multiply", "dot", "conv_transpose2d", "upsample")
#: Keys that a new layer takes from the nearest of its kind; sizes are made to fit.
KEPT = ("kernel", "activation", "init", "std", "dilation", "bidirectional", "heads", "causal", "order", "norm")


class Offer(NamedTuple):
    """One kind at the place."""

    kind: str
    layer: Layer
    shape: Shape
    """What it gives on; empty where only the data can tell, and where it does not fit."""
    misfit: str
    """Why it cannot stand there; empty: it can."""
    later: str
    """Which layer behind it would not fit any more, and why; empty: all do."""


def offers(draft: Draft, after: int) -> list[Offer]:
    """Every kind behind layer ``after`` (−1: the batch): first those with which all fits, then those that fit there."""
    place, rows = draft.place(after), draft.rows()
    given = _given(draft, rows, place)
    found = [_offer(draft, kind, place, given) for kind in TAGGED["model"][1]]
    fitting = {offer.kind for offer in found if not offer.misfit and not offer.later}
    first = _usual(draft.experiment, place, fitting, given)
    return sorted(
        found, key=lambda offer: (bool(offer.misfit), bool(offer.later), offer.kind != first, offer.kind in RARE)
    )


def _given(draft: Draft, rows: tuple[Row, ...], place: int) -> Shape:
    """The shape of what a layer at ``place`` reads; empty: not known."""
    if place:
        return rows[place - 1].shape
    source = source_of(draft.experiment.data)
    if source is not None:
        return source.shape or (source.features,)
    return draft.sample or ((draft.features,) if draft.features else ())


def _offer(draft: Draft, kind: str, place: int, given: Shape) -> Offer:
    layer = begun(draft, kind, place, given)
    changed = draft.with_layer(layer, place)
    problems = [problem for problem in changed.problems() if problem.table.startswith("model")]
    row = changed.rows()[place]
    own = next((p.message for p in problems if p.table == f"model.{row.name}"), "")
    source = source_of(draft.experiment.data)
    if kind in TAKES_IDS and (place or (source is not None and not source.ids)):
        own = own or "reads the data's tokens; here are numbers"
    later = next((f"{p.table.removeprefix('model.')}: {p.message}" for p in problems if not own), "")
    return Offer(kind, layer, () if own else row.shape, own, later)


def _usual(experiment: Experiment, place: int, fitting: set[str], given: Shape) -> str:
    """The working kind nearest to the place, of those that fit; before it counts as nearer than behind it."""
    near = sorted(range(len(experiment.model)), key=lambda index: (abs(place - 0.6 - index), index))
    kinds = [kind for index in near if (kind := kind_of(experiment.model[index])) in CORE and kind in fitting]
    usual = USUAL.get(len(given), "dense")
    return kinds[0] if kinds else usual if usual in fitting else ""


def begun(draft: Draft, kind: str, place: int, given: Shape) -> Layer:
    """A layer of this kind that changes what it is given as little as may be, with what the nearest of its kind has."""
    model = draft.experiment.model
    struct: Any = TAGGED["model"][1][kind]
    alike = [index for index in range(len(model) - 1) if kind_of(model[index]) == kind]
    nearest: Any = model[min(alike, key=lambda index: abs(place - 0.6 - index))] if alike else None
    beside = model[place - 1] if place else None
    channels = 0 if not given else given[0] if len(given) == 3 else given[-1] if kind != "embedding" else 0
    values: dict[str, Any] = {key: BEGINNINGS[key] for key in struct.__struct_fields__ if key in BEGINNINGS}
    if nearest is not None:
        for key in KEPT:
            if hasattr(nearest, key):
                values[key] = getattr(nearest, key)
    elif kind in BENT:
        own = activation_of(beside) if beside is not None else "identity"
        values["activation"] = "relu" if own == "identity" else own
    if kind == "dense":
        values["units"] = int(getattr(beside, "units", getattr(nearest, "units", NEW_UNITS)))
        if beside is not None and activation_of(beside) != "identity":
            values["activation"] = activation_of(beside)
    elif "units" in values:
        values["units"] = getattr(nearest, "units", NEW_UNITS) if kind == "embedding" else channels or NEW_UNITS
    if values.get("bidirectional"):
        values["units"] = max(1, values["units"] // 2)
    if kind in ("conv1d", "conv2d"):
        values["padding"] = "same"
    elif kind == "conv_transpose2d":
        values["padding"] = 1
    elif kind == "reshape":
        values["shape"] = given or (1,)
    elif kind == "embedding":
        source = source_of(draft.experiment.data)
        values["vocabulary"] = (source.known if source else 0) or BEGINNINGS["vocabulary"]
    elif kind in ("attention", "transformer_block") and nearest is None:
        values["heads"] = next(heads for heads in (4, 2, 1) if channels % heads == 0)
    if issubclass(struct, Joining):
        values["of"] = _joined(draft.rows(), model, place, same=kind != "concat")
    layer: Layer = struct(**values)
    return layer


def _joined(rows: tuple[Row, ...], model: tuple[Layer, ...], place: int, *, same: bool) -> tuple[str, ...]:
    """What a joint adds to the layer before it: what the working layer before it was given, as in a residual block."""
    if place < 1 or not rows[place - 1].shape:
        return ()
    working = [index for index in range(place) if isinstance(model[index], Weighted)]
    given = [source for index in working[-1:] for source in rows[index].sources[:1]]
    earlier = [*given, *range(place - 2, -1, -1)]
    for index in earlier:
        if index < 0:
            continue
        if index < place - 1 and (not same or rows[index].shape == rows[place - 1].shape):
            return (rows[index].name,)
    return (BATCH_NAME,) if given == [-1] and not same else ()


def kind_choice(draft: Draft, after: int, glyphs: Glyphs) -> tuple[Choice, dict[str, Layer]]:
    """The list of kinds, and the layer that each stands for."""
    place, rows = draft.place(after), draft.rows()
    found = offers(draft, after)
    given = _given(draft, rows, place)
    arrow = "->" if glyphs.name == "ascii" else "→"
    before = shapes.batch(given, glyphs)
    wide = max(len(offer.kind) for offer in found) + 2
    choices = []
    for offer in found:
        said = about(TAGGED["model"][1][offer.kind])
        if offer.misfit:
            text, said = clean(offer.misfit), f"It does not fit here: {offer.misfit}."
        else:
            text = f"{before} {arrow} {shapes.batch(offer.shape, glyphs)}" if given and offer.shape else said
            if isinstance(offer.layer, Joining):
                text += f" of {', '.join(offer.layer.of)}"
            if offer.later:
                text, said = f"{text}, then not {offer.later.partition(':')[0]}", f"Then {offer.later}."
        choices.append((offer.kind, fit(offer.kind, wide) + fit(clean(text), 47).rstrip(), clean(said, 300)))
    title = f"Add a layer behind {clean(rows[place - 1].name, 40) if place else 'the data'}"
    return Choice(title, choices), {offer.kind: offer.layer for offer in found}


