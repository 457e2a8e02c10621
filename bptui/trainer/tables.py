"""What an embedding has inside: its table, a row a token, and the gradient of each row, named by the data's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptui.protocol import messages as m
from bptui.protocol.framing import Body
from bptui.spec.shapes import BATCH

if TYPE_CHECKING:
    from bptui.engine.base import Engine
    from bptui.trainer.loop import Trainer

Array = npt.NDArray[Any]
#: Most cells and rows of a page of a table.
MOST_CELLS, MOST_ROWS = 1 << 14, 1 << 9
#: Longest name of a token.
LONGEST = 24


def tables(engine: Engine, layer: int) -> dict[str, Array]:
    """``table`` (tokens, units), and ``table.gradient`` once backward has been there; empty for other kinds."""
    if engine.layers[layer].kind != "embedding":
        return {}
    found = {
        "table": engine.tensor_of("weight", layer), "table.gradient": engine.tensor_of("weight", layer, "gradient")
    }  # fmt: skip
    return {name: table for name, table in found.items() if table is not None}


def answer(
    trainer: Trainer, request: m.Inside, name: str, table: Array, common: dict[str, Any]
) -> tuple[m.Insides, bytes]:
    """One page of its rows."""
    from bptui.trainer.inspect import note

    rows = max(1, min(MOST_ROWS, MOST_CELLS // table.shape[1]))
    pages = -(-len(table) // rows)
    page = max(0, min(request.page, pages - 1))
    shown = table[page * rows : (page + 1) * rows]
    what, tokens = _tokens(trainer, request.layer)
    names = tuple(tokens[at][:LONGEST] if at < len(tokens) else str(at) for at in range(page * rows, len(table)))
    body = Body()
    return m.Insides(
        **common, name=name, axes=(what, "unit"), row_names=names[: len(shown)],
        arrays={"values": body.add(np.ascontiguousarray(shown))}, samples=1, page=page, pages=pages,
        page_name=f"{what}s", note=note(trainer),
    ), body.bytes()  # fmt: skip


def _tokens(trainer: Trainer, layer: int) -> tuple[str, tuple[str, ...]]:
    """What a row of the table is, and what each is called where the data tell: of ratings the users, or the items."""
    data, info = trainer.setup.data, trainer.engine.layers[layer]
    if BATCH not in info.sources:
        return "token", ()
    if data.vocabularies is None:
        return "token", data.vocabulary or ()
    column = getattr(trainer.setup.experiment.model[layer], "column", None)
    if column is None:
        return "id", ()
    return data.feature_names[column] if data.feature_names else "id", data.vocabularies[column]
