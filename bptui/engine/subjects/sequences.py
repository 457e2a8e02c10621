"""Layers of sequences and tokens: each kind and each of its options, whole and padded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bptui.engine.base import Batch
from bptui.engine.gradcheck import made
from bptui.engine.subjects.base import Subject, layers
from bptui.spec.base import Activation
from bptui.spec.experiment import CrossEntropy, Dense, Layer
from bptui.spec.layers.attention import Attention, TransformerBlock
from bptui.spec.layers.embedding import Embedding, PositionalEmbedding
from bptui.spec.layers.norm_features import LayerNorm, RMSNorm
from bptui.spec.layers.recurrent import GRU, LSTM, RNN, TimePool

STEPS, FEATURES, CLASSES, VOCABULARY = 5, 4, 3, 7
#: Of six padded samples.
LENGTHS = np.array([5, 2, 3, 1, 5, 4])
#: Has weights of its own below the layer that is checked: their gradient shows its ∂L/∂x.
FIRST = Dense(units=4, activation="tanh")
HEAD = Dense(units=CLASSES)


def _one(name: str, *model: Layer, padded: bool = False, ids: bool = False) -> Subject:
    """A target a sample."""
    shape = (STEPS,) if ids else (STEPS, FEATURES)
    batch = made(CrossEntropy(), shape, (CLASSES,), vocabulary=VOCABULARY - 1 if ids else 0)
    if ids:  # token 0 is the padding: its vector, whose gradient is held at 0, is not read
        batch = Batch(np.where(np.arange(STEPS) < LENGTHS[:, None], batch.x + 1, 0), batch.y)
    return layers(name, model, shape, batch=Batch(batch.x, batch.y, LENGTHS) if padded else batch)


def _each(name: str, layer: Layer, padded: bool = False) -> Subject:
    """A target a step."""
    batch = made(CrossEntropy(), (STEPS, FEATURES), (STEPS, CLASSES))
    if padded:
        y = np.where(np.arange(STEPS) < LENGTHS[:, None], batch.y, -1)
        batch = Batch(batch.x, y, LENGTHS)
    return layers(name, (FIRST, layer, HEAD), (STEPS, FEATURES), batch=batch)


def subjects() -> Iterator[Subject]:
    yield _each("rnn tanh", RNN(units=3))
    yield _each("rnn relu", RNN(units=3, nonlinearity="relu"))
    yield _each("lstm", LSTM(units=3))
    yield _each("gru", GRU(units=3))
    yield _each("lstm stacked, bidirectional", LSTM(units=2, layers=2, bidirectional=True))
    yield _each("gru stacked, bidirectional, padded", GRU(units=2, layers=2, bidirectional=True), padded=True)
    yield _each("lstm padded", LSTM(units=2), padded=True)
    many = LSTM(units=2, layers=2, returns="last")
    yield _one("lstm stacked, many to one, padded", FIRST, many, HEAD, padded=True)
    both = RNN(units=2, returns="last", bidirectional=True)
    yield _one("rnn bidirectional, many to one, padded", FIRST, both, HEAD, padded=True)
    yield _one("gru many to one", FIRST, GRU(units=3, returns="last"), HEAD)
    for how in ("mean", "max", "last"):
        yield _one(f"time_pool {how}, padded", FIRST, TimePool(how=how), HEAD, padded=True)
    table = Embedding(units=4, vocabulary=VOCABULARY, std=0.5)
    yield _one("embedding", table, TimePool(), HEAD, ids=True)
    zero = Embedding(units=3, vocabulary=VOCABULARY, padding=0, std=0.5)
    yield _one("embedding with a padding token", zero, GRU(units=3), TimePool(), HEAD, ids=True, padded=True)
    squash: Activation = "tanh"
    learned = PositionalEmbedding(activation=squash)
    yield _one("positional_embedding learned", FIRST, learned, TimePool(), HEAD)
    fixed = PositionalEmbedding(table="sinusoidal", activation=squash)
    yield _one("positional_embedding sinusoidal", FIRST, fixed, TimePool(), HEAD)
    for causal in (False, True):
        for padded in (False, True):
            name = "attention" + ", causal" * causal + ", padded" * padded
            yield _each(name, Attention(heads=2, causal=causal), padded)
    yield _each("transformer_block pre, layer", TransformerBlock(heads=2, feed=5, causal=True))
    yield _each("transformer_block post, rms", TransformerBlock(heads=1, feed=5, order="post", norm="rms"), padded=True)
    block = TransformerBlock(heads=2, feed=5, norm="rms", feed_activation="silu", dropout=0.3)
    yield _each("transformer_block pre, rms, dropout", block)
    yield _each("transformer_block post, layer, dropout", TransformerBlock(heads=4, feed=5, order="post", dropout=0.3))
    yield _each("layer_norm", LayerNorm(activation=squash))
    yield _each("rms_norm", RMSNorm(activation=squash))
    yield layers("layer_norm of rows", (FIRST, LayerNorm(), HEAD), (FEATURES,))
