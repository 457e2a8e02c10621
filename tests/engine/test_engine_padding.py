"""Padding is nothing: a sample gives the same in a batch of any width, in both engines, through layers of any kind.

Outputs at real steps, the loss and the gradient of every parameter are those of the same samples with more padding
and, where no statistics of the batch are taken, of each sample alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bptui.engine import create  # noqa: E402
from bptui.engine.base import Batch, Engine  # noqa: E402
from bptui.engine.measure import data_loss  # noqa: E402
from bptui.spec.experiment import SGD, CrossEntropy, Data, Dense, Experiment, Layer, MeanSquaredError  # noqa: E402
from bptui.spec.layers import GEOMETRY  # noqa: E402
from bptui.spec.layers.attention import Attention, TransformerBlock  # noqa: E402
from bptui.spec.layers.conv import Conv1d  # noqa: E402
from bptui.spec.layers.embedding import Embedding, PositionalEmbedding  # noqa: E402
from bptui.spec.layers.norm import BatchNorm, GroupNorm  # noqa: E402
from bptui.spec.layers.norm_features import LayerNorm, RMSNorm  # noqa: E402
from bptui.spec.layers.pool import AveragePool, MaxPool  # noqa: E402
from bptui.spec.layers.recurrent import GRU, LSTM, RNN, TimePool  # noqa: E402
from bptui.spec.layers.shape import Add, Concat, Dot, Multiply, Reshape  # noqa: E402
from bptui.spec.shapes import ends_of, infer, kind_of  # noqa: E402

LENGTHS = np.array([4, 12, 7, 9])
NARROW, WIDE = 12, 20
FEATURES = 4

#: One layer of every kind that gives a sequence, or reads one; after it stands a kernel that reads over the end.
SEQUENCES: tuple[Layer, ...] = (
    Dense(units=4, activation="softplus"),
    Conv1d(units=4, padding="same", activation="sigmoid"),
    Conv1d(units=4, kernel=3, padding=2, dilation=2, stride=2),
    MaxPool(kernel=3, stride=1, padding=1),
    MaxPool(kernel=2, activation="sigmoid"),
    AveragePool(kernel=3, stride=2, padding=1),
    BatchNorm(activation="sigmoid"),
    GroupNorm(groups=2),
    GroupNorm(),
    LayerNorm(activation="softplus"),
    RMSNorm(),
    RNN(units=4, nonlinearity="relu", activation="sigmoid"),
    LSTM(units=2, bidirectional=True, layers=2),
    GRU(units=4),
    Attention(heads=2),
    Attention(heads=2, causal=True, activation="sigmoid"),
    TransformerBlock(heads=2),
    TransformerBlock(heads=2, order="post", norm="rms"),
    PositionalEmbedding(),
    PositionalEmbedding(table="sinusoidal"),
    Reshape(shape=(-1, 2)),
    Add(of=("first",)),
    Concat(of=("first",)),
    Multiply(of=("first",), activation="sigmoid"),
    Dot(of=("first",)),
)
ENDS: tuple[Layer, ...] = (
    TimePool(), TimePool(how="max"), TimePool(how="last"), LSTM(units=3, bidirectional=True, returns="last"),
)  # fmt: skip


def _engine(engine: str, model: tuple[Layer, ...], steps: int, loss: Any, outputs: int, ids: bool = False) -> Engine:
    experiment = Experiment(data=Data(source="made"), model=model, loss=loss, optimizer=SGD())
    shape = (steps,) if ids else (steps, FEATURES)
    made = create(
        experiment, int(np.prod(shape)), outputs, engine=engine, dtype="f64", shape=shape, ids=ids  # type: ignore[arg-type]
    )  # fmt: skip
    draw, state = np.random.default_rng(5), made.state()
    for name, value in state.items():
        if not name.startswith("optimizer"):
            whole = draw.normal(size=(WIDE, *value.shape[1:])) if name.startswith("positional") else None
            fresh = draw.normal(size=value.shape) if whole is None else whole[:steps]
            state[name] = np.abs(fresh) if name.endswith("var") else 0.5 * fresh
    made.load_state(state)
    return made


def _rows(samples: list[Any], steps: int, nothing: float) -> Any:
    """Samples (T, …) side by side, filled up."""
    rows = np.full((len(samples), steps, *samples[0].shape[1:]), nothing, samples[0].dtype)
    for row, sample in zip(rows, samples, strict=True):
        row[: len(sample)] = sample
    return rows.reshape(len(rows), -1)


def _seen(made: Engine, batch: Batch, real: list[int] | None, loss: Any) -> list[Any]:
    """What a step gives: outputs (real steps), both losses, all parameters and buffers after it."""
    outputs = made.predict(batch.x, batch.lengths)
    shown = [out[:steps] for out, steps in zip(outputs, real, strict=True)] if real else [outputs]
    value = made.train_step(batch, 0, 0.3)
    return [*shown, data_loss(loss, outputs, batch.y), value, *_cut(made.state())]


def _cut(state: dict[str, Any]) -> list[Any]:
    return [value[:NARROW] if name.startswith("positional") else value for name, value in state.items()]


def _same(first: list[Any], second: list[Any]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_every_kind_for_sequences_is_among_them() -> None:
    pictures = {"conv2d", "conv_transpose2d", "global_pool", "upsample"}
    tried = {kind_of(layer) for layer in (*SEQUENCES, *ENDS)} | {"embedding", "flatten"}  # below
    assert tried | pictures == set(GEOMETRY)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("layer", SEQUENCES, ids=lambda layer: kind_of(layer))
def test_more_padding_changes_nothing(layer: Layer, engine: str) -> None:
    """Each step has a class; a kernel on either side reads over the end, whatever stands there."""
    first = Conv1d(name="first", units=4, padding="same")
    model = (first, layer, Conv1d(units=3, padding="same"))
    draw, loss = np.random.default_rng(1), CrossEntropy(label_smoothing=0.1)
    samples = [draw.normal(size=(steps, FEATURES)) for steps in LENGTHS]
    places = infer(model, (NARROW, FEATURES))
    ends = ends_of(places, LENGTHS)[-1].given.tolist()
    targets = [draw.integers(0, 3, steps) for steps in ends]
    found = []
    for steps, nothing in ((NARROW, 0.0), (WIDE, 77.0)):
        out = infer(model, (steps, FEATURES))[-1].geometry.output[0]
        batch = Batch(_rows(samples, steps, nothing), _rows(targets, out, -1), LENGTHS)
        found.append(_seen(_engine(engine, model, steps, loss, 3), batch, ends, loss))
    _same(*found)
    for row in (0, 2):
        alone = _engine(engine, model, len(samples[row]), loss, 3)
        output = alone.predict(samples[row].reshape(1, -1))[0]
        np.testing.assert_allclose(output[: ends[row]], found[0][row], atol=1e-11)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("layer", ENDS, ids=lambda layer: kind_of(layer))
def test_more_padding_changes_nothing_of_one_answer_a_sample(layer: Layer, engine: str) -> None:
    model = (Embedding(units=4, vocabulary=9, padding=0), Conv1d(units=4, padding="same"), layer, Dense(units=3))
    draw, loss = np.random.default_rng(2), CrossEntropy()
    samples, y = [draw.integers(1, 9, steps) for steps in LENGTHS], draw.integers(0, 3, len(LENGTHS))
    found = [
        _seen(_engine(engine, model, steps, loss, 3, ids=True), Batch(_rows(samples, steps, 0), y, LENGTHS), None, loss)
        for steps in (NARROW, WIDE)
    ]
    _same(*found)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("flat", [False, True])
def test_an_autoencoder_is_not_asked_for_padding(engine: str, flat: bool) -> None:
    """Targets beyond the end are nan: the loss is the mean over what is real, also where the outputs are one row."""
    from bptui.spec.layers.shape import Flatten

    draw, loss = np.random.default_rng(3), MeanSquaredError()
    samples = [draw.normal(size=(steps, FEATURES)) for steps in LENGTHS]
    found = []
    for steps in (NARROW, WIDE):
        tail: tuple[Layer, ...] = (Flatten(),) if flat else ()
        model = (GRU(units=3), Dense(units=FEATURES), *tail)
        made = _engine(engine, model, steps, loss, steps * FEATURES)
        batch = Batch(_rows(samples, steps, 0.0), _rows(samples, steps, np.nan), LENGTHS)
        outputs = made.predict(batch.x, LENGTHS).reshape(len(samples), steps, -1)
        off = [out[: len(sample)] - sample for out, sample in zip(outputs, samples, strict=True)]
        wanted = float(np.square(np.concatenate(off)).mean())
        assert data_loss(loss, outputs.reshape(len(samples), -1), batch.y) == pytest.approx(wanted, rel=1e-12)
        weights = np.array([1.0, -2.0, 0.5, 3.0])
        each = [np.square(part).sum() * weight for part, weight in zip(off, weights, strict=True)]
        weighed = _engine(engine, model, steps, loss, steps * FEATURES)
        weighed.begin(Batch(batch.x, batch.y, LENGTHS, weights), 0)
        for layer in range(len(model)):
            weighed.forward(layer)
        assert weighed.loss() == pytest.approx(sum(each) / (FEATURES * LENGTHS.sum()), rel=1e-9)
        value = made.train_step(batch, 0, 0.3)
        assert value == pytest.approx(wanted, rel=1e-12)
        found.append([value, *made.state().values()])
    _same(*found)
