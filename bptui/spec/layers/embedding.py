"""Embeddings: a vector a token, and a vector a position."""

from __future__ import annotations

from typing import Literal

from bptui.spec.base import Initialiser
from bptui.spec.layers.base import Geometry, Misfit, Parameter, Shape, Weighted, words
from bptui.spec.layers.recurrent import sequence


class Embedding(Weighted, frozen=True, tag="embedding", kw_only=True):
    """Tokens (T,) → (T, units): row ``x_t`` of a table; with ``column`` that token's alone; torch's ``Embedding``."""

    units: int
    """Values of each token's vector."""
    vocabulary: int
    """How many tokens there are; ids lie from 0 to vocabulary − 1."""
    padding: int | None = None
    """Token that means nothing: its vector begins at 0 and is never trained; empty: none."""
    column: int | None = None
    """Which of a sample's tokens is read, from 0 (of ratings the user, the item): its vector (units,); empty: all."""
    init: Initialiser = "normal"
    """How the table begins."""
    std: float = 0.1
    """Spread (standard deviation) of the initial vectors, for init ``normal``."""


class PositionalEmbedding(Weighted, frozen=True, tag="positional_embedding", kw_only=True):
    """Adds to each step a vector of its place: (T, F) → (T, F)."""

    table: Literal["learned", "sinusoidal"] = "learned"
    """``learned``: one trained vector a place; ``sinusoidal``: fixed waves (Vaswani and others 2017)."""
    init: Initialiser = "normal"
    """How a learned table begins."""
    std: float = 0.02
    """Spread (standard deviation) of the initial vectors, for init ``normal``."""


def embedding(layer: Embedding, inputs: tuple[Shape, ...]) -> Geometry:
    if len(inputs[0]) != 1:
        raise Misfit(f"needs tokens T, got {words(inputs[0])}")
    if layer.vocabulary < 1 or layer.units < 1:
        raise Misfit("needs a vocabulary of at least 1 and at least 1 unit")
    if layer.padding is not None and not 0 <= layer.padding < layer.vocabulary:
        raise Misfit(f"padding {layer.padding} is no token: they are 0 to {layer.vocabulary - 1}")
    tokens = inputs[0][0]
    if layer.column is not None and not 0 <= layer.column < tokens:
        raise Misfit(f"expected 0 to {tokens - 1} of {tokens} tokens a sample, got {layer.column}", "column")
    read = inputs[0] if layer.column is None else ()
    table = Parameter("weight", (layer.vocabulary, layer.units), layer.vocabulary, layer.units, "padded")
    return Geometry((*read, layer.units), (table,))


def positional_embedding(layer: PositionalEmbedding, inputs: tuple[Shape, ...]) -> Geometry:
    steps, features = sequence(inputs[0])
    if layer.table == "sinusoidal":
        return Geometry((steps, features))
    return Geometry((steps, features), (Parameter("weight", (steps, features), steps, features, "init"),))
