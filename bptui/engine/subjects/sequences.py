"""Layers of sequences and tokens: each kind and each of its options, whole and padded."""

from __future__ import annotations

from bptui.engine.subjects.base import Samples, Subject, head, subject
from bptui.spec.experiment import CrossEntropy, Dense
from bptui.spec.layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Embedding,
    Layer,
    LayerNorm,
    PositionalEmbedding,
    RMSNorm,
    TimePool,
    TransformerBlock,
)

SEQUENCE = Samples((5, 4), 3)
STEPS = Samples((5, 4), 3, steps=5)
TOKENS = Samples((5,), 3, ids=7)
#: Has weights of its own below the layer that is checked: their gradient shows its ∂L/∂x.
FIRST = Dense(units=4, activation="tanh")


def _padded(samples: Samples) -> Samples:
    return samples._replace(lengths=True)


def _pooled(name: str, *layers: Layer, samples: Samples = SEQUENCE) -> Subject:
    return subject(name, samples, FIRST, *layers, TimePool(), head(), loss=CrossEntropy())


def _each_step(name: str, *layers: Layer, samples: Samples = STEPS) -> Subject:
    return subject(name, samples, FIRST, *layers, head(), loss=CrossEntropy())


SUBJECTS: list[Subject] = [
    _each_step("rnn tanh", RNN(units=3)),
    _each_step("rnn relu", RNN(units=3, nonlinearity="relu")),
    _each_step("lstm", LSTM(units=3)),
    _each_step("gru", GRU(units=3)),
    _each_step("lstm stacked, bidirectional", LSTM(units=2, layers=2, bidirectional=True)),
    _each_step("gru stacked, bidirectional", GRU(units=2, layers=2, bidirectional=True)),
    _each_step("lstm bidirectional, padded", LSTM(units=2, bidirectional=True), samples=_padded(STEPS)),
    _each_step("gru bidirectional, padded", GRU(units=2, bidirectional=True), samples=_padded(STEPS)),
    subject(
        "lstm many to one, padded", _padded(SEQUENCE), FIRST, LSTM(units=3, returns="last", layers=2), head(),
        loss=CrossEntropy(),
    ),
    subject(
        "rnn many to one, bidirectional", _padded(SEQUENCE), FIRST, RNN(units=2, returns="last", bidirectional=True),
        head(), loss=CrossEntropy(),
    ),
    subject("gru many to one", SEQUENCE, FIRST, GRU(units=3, returns="last"), head(), loss=CrossEntropy()),
    _pooled("time_pool mean, padded", samples=_padded(SEQUENCE)),
    subject("time_pool last, padded", _padded(SEQUENCE), FIRST, TimePool(how="last"), head()),
    subject("time_pool max, padded", _padded(SEQUENCE), FIRST, TimePool(how="max"), head()),
    subject("embedding", TOKENS, Embedding(units=4, vocabulary=7), TimePool(), head(), loss=CrossEntropy()),
    subject(
        "embedding with a padding token", _padded(TOKENS), Embedding(units=4, vocabulary=7, padding=0, std=0.5),
        LSTM(units=3), TimePool(), head(), loss=CrossEntropy(),
    ),
    _pooled("positional_embedding learned", PositionalEmbedding(activation="tanh")),
    _pooled("positional_embedding sinusoidal", PositionalEmbedding(table="sinusoidal", activation="tanh")),
    _each_step("attention", Attention(heads=2)),
    _each_step("attention causal", Attention(heads=2, causal=True)),
    _each_step("attention padded", Attention(heads=2), samples=_padded(STEPS)),
    _each_step("attention causal, padded", Attention(heads=1, causal=True), samples=_padded(STEPS)),
    *(
        _each_step(f"transformer_block {order}, {norm}", TransformerBlock(heads=2, order=order, norm=norm, causal=True))
        for order in ("pre", "post") for norm in ("layer", "rms")
    ),
    _each_step("transformer_block padded", TransformerBlock(heads=2, feed=6), samples=_padded(STEPS)),
    _each_step("layer_norm", LayerNorm(activation="tanh")),
    _each_step("rms_norm", RMSNorm(activation="tanh")),
    subject("layer_norm of rows", Samples((4,), 3), Dense(units=5), LayerNorm(), head(), loss=CrossEntropy()),
]  # fmt: skip
