"""Multi-head attention and the transformer block: sequences (T, D) in and out."""

from __future__ import annotations

from typing import ClassVar, Literal

from bptui.spec.base import Activation, Initialiser
from bptui.spec.layers.base import Geometry, Misfit, Parameter, Shape, Weighted
from bptui.spec.layers.norm_features import norm_parameters
from bptui.spec.layers.recurrent import sequence

#: ε of the norms inside a block, those that the layers of their own begin with.
NORM_EPS = {"layer": 1e-5, "rms": 1e-6}


class Attention(Weighted, frozen=True, tag="attention", kw_only=True):
    """``softmax(QKᵀ/√d)·V`` for each head, side by side, then one product; Q, K and V are products of the input."""

    heads: int = 4
    """Into how many parts of D / heads features the input is split; D must be a multiple of it."""
    causal: bool = False
    """Whether a step sees only itself and those before."""


class TransformerBlock(Weighted, frozen=True, tag="transformer_block", kw_only=True):
    """Attention and a network of two dense layers for each step, both with a norm and a residual connection.

    Dropout acts on what either branch gives, before the sum (Vaswani and others 2017, section 5.4).
    """

    heads: int = 4
    """Heads of the attention; the number of features must be a multiple of it."""
    feed: int | None = None
    """Units of the hidden dense layer; empty: four times the features."""
    feed_activation: Activation = "gelu"
    """g of the hidden dense layer."""
    causal: bool = False
    """Whether a step sees only itself and those before."""
    order: Literal["pre", "post"] = "pre"
    """``pre``: x + f(norm(x)), which trains without warmup; ``post``: norm(x + f(x)), the first published form."""
    norm: Literal["layer", "rms"] = "layer"
    """Which norm."""
    dropout: float = 0.0
    """Share of what each branch gives that is zeroed in training, before it is added to the stream."""
    branches: ClassVar[tuple[str, ...]] = ("attention", "feed")
    init: Initialiser = "glorot_uniform"
    """How the four weight matrices begin."""


def attention(layer: Attention, inputs: tuple[Shape, ...]) -> Geometry:
    steps, features = _headed(layer.heads, inputs[0])
    return Geometry((steps, features), attention_parameters(features))


def transformer_block(layer: TransformerBlock, inputs: tuple[Shape, ...]) -> Geometry:
    steps, features = _headed(layer.heads, inputs[0])
    hidden = 4 * features if layer.feed is None else layer.feed
    if hidden < 1:
        raise Misfit("feed needs at least 1 unit")
    parameters = (
        *norm_parameters(features, layer.norm, "norm1."),
        *attention_parameters(features, "attention."),
        *norm_parameters(features, layer.norm, "norm2."),
        Parameter("feed.up", (features, hidden), features, hidden),
        Parameter("feed.up_bias", (hidden,), features, hidden, "zeros"),
        Parameter("feed.down", (hidden, features), hidden, features),
        Parameter("feed.down_bias", (features,), hidden, features, "zeros"),
    )
    return Geometry((steps, features), parameters)


def attention_parameters(features: int, prefix: str = "") -> tuple[Parameter, ...]:
    """One product for Q, K and V, one for the heads' outputs."""
    return (
        Parameter(f"{prefix}qkv", (features, 3 * features), features, features),
        Parameter(f"{prefix}qkv_bias", (3 * features,), features, features, "zeros"),
        Parameter(f"{prefix}out", (features, features), features, features),
        Parameter(f"{prefix}out_bias", (features,), features, features, "zeros"),
    )


def _headed(heads: int, shape: Shape) -> tuple[int, int]:
    steps, features = sequence(shape)
    if heads < 1 or features % heads:
        raise Misfit(f"needs a number of features that {heads} heads can share, got {features}")
    return steps, features
