"""Layers of pictures in both engines: whole random networks step by step, and each kind against torch's own module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptui.engine import create
from bptui.engine.base import Batch, Engine
from bptui.engine.errors import EngineError
from bptui.engine.subjects.pictures import OVER_PICTURES, OVER_SEQUENCES
from bptui.spec.experiment import SGD, Adam, CrossEntropy, Data, Dense, Experiment
from bptui.spec.layers import Layer
from bptui.spec.layers.base import Shape, size
from bptui.spec.layers.conv import Conv1d, Conv2d, ConvTranspose2d
from bptui.spec.layers.norm import BatchNorm, GroupNorm
from bptui.spec.layers.pool import AveragePool, GlobalPool, MaxPool, Upsample
from bptui.spec.layers.shape import Add, Concat, Flatten
from bptui.spec.shapes import infer, layer_names

CLASSES = 4
#: What a random network is made of: (layer from a generator of random numbers), for pictures and for sequences.
PICTURE_BLOCKS: list[Any] = [
    lambda draw: Conv2d(units=4, kernel=3, padding="same", activation="tanh"),
    lambda draw: Conv2d(units=4, kernel=(3, 1), stride=int(draw.integers(1, 3)), padding=1, activation="silu"),
    lambda draw: Conv2d(units=4, groups=4, padding=2, dilation=2, activation="gelu"),
    lambda draw: ConvTranspose2d(units=4, stride=2, padding=1, activation="tanh"),
    lambda draw: MaxPool(kernel=3, stride=2, padding=1),
    lambda draw: AveragePool(kernel=2, stride=1),
    lambda draw: Upsample(mode=("nearest", "bilinear")[draw.integers(2)]),
    lambda draw: BatchNorm(activation="relu"),
    lambda draw: GroupNorm(groups=2, activation="elu", dropout=0.1),
]
SEQUENCE_BLOCKS: list[Any] = [
    lambda draw: Conv1d(units=4, kernel=3, padding="same", activation="tanh"),
    lambda draw: Conv1d(units=4, stride=2, groups=2, padding=1, activation="softplus"),
    lambda draw: MaxPool(kernel=2, stride=1),
    lambda draw: AveragePool(kernel=3, stride=1, padding=1),
    lambda draw: BatchNorm(activation="tanh"),
    lambda draw: GroupNorm(groups=2),
]


def random_network(seed: int) -> tuple[tuple[Layer, ...], Shape]:
    """Five blocks, a residual or a skip connection around one of them where shapes allow it, and a head."""
    draw = np.random.default_rng(seed)
    pictures = bool(seed % 3)
    shape: Shape = (2, 7, 6) if pictures else (9, 3)
    blocks = PICTURE_BLOCKS if pictures else SEQUENCE_BLOCKS
    first: Layer = Conv2d(units=4, padding=1) if pictures else Conv1d(units=4, padding=1)
    model: list[Layer] = [first]
    for _ in range(5):
        model.append(blocks[draw.integers(len(blocks))](draw))
    shapes = [place.geometry.output for place in infer(tuple(model), shape)]
    alike = [i for i in range(len(shapes) - 1) if shapes[i] == shapes[-1]]
    if alike:
        model.append((Add, Concat)[draw.integers(2)](of=(layer_names(model)[alike[0]],), activation="tanh"))
    model.append(GlobalPool(mode="max") if pictures and draw.integers(2) else Flatten())
    return (*model, Dense(units=CLASSES)), shape


def made(model: tuple[Layer, ...], shape: Shape, engine: Any, **keys: Any) -> Engine:
    experiment = Experiment(data=Data(source="made"), model=model, loss=CrossEntropy(), **keys)
    return create(experiment, size(shape), CLASSES, engine=engine, dtype="f64", seed=1, shape=shape)


def batches(shape: Shape, count: int, rows: int = 6) -> list[Batch]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        x = draw.normal(size=(rows, size(shape)))
        found.append(Batch(x, np.abs(x[:, :CLASSES]).argmax(axis=1)))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_stay_together_for_a_hundred_steps(seed: int) -> None:
    pytest.importorskip("torch")
    model, shape = random_network(seed)
    rule = Adam(lr=0.002) if seed % 2 else SGD(lr=0.02, momentum=0.5)
    ours, theirs = (made(model, shape, name, optimizer=rule) for name in ("numpy", "torch"))
    given = batches(shape, 10)
    for step in range(100):
        batch = given[step % 10]
        assert ours.train_step(batch, step, rule.lr) == pytest.approx(theirs.train_step(batch, step, rule.lr), abs=1e-8)
    mine, others = ours.state(), theirs.state()
    assert mine.keys() == others.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(value, others[name], rtol=0, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(ours.predict(given[0].x), theirs.predict(given[0].x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [*OVER_PICTURES, *OVER_SEQUENCES])
def test_every_tensor_of_a_step_is_that_of_torch(name: str) -> None:
    pytest.importorskip("torch")
    pictures = name in OVER_PICTURES
    first: Layer = Conv2d(units=4, padding=1) if pictures else Conv1d(units=4, padding=1)
    model = (first, *(OVER_PICTURES if pictures else OVER_SEQUENCES)[name], Flatten(), Dense(units=CLASSES))
    shape: Shape = (2, 6, 5) if pictures else (7, 4)
    ours, theirs = (made(model, shape, engine) for engine in ("numpy", "torch"))
    for rows in (5, 2, 5):  # the shorter batch at the end of an epoch leaves nothing behind
        (batch,) = batches(shape, 1, rows)
        for engine in (ours, theirs):
            engine.begin(batch, 0)
            for layer in range(len(model)):
                engine.forward(layer)
            engine.loss()
            for layer in reversed(range(len(model))):
                engine.backward(layer)
    for layer in range(len(model)):
        for kind in ("z", "a", "delta", "upstream", "grad_W", "grad_b"):
            mine, other = ours.tensor(kind, layer), theirs.tensor(kind, layer)  # type: ignore[arg-type]
            assert (mine is None) == (other is None), (kind, layer)
            if mine is not None and other is not None:
                np.testing.assert_allclose(mine, other, rtol=0, atol=1e-10, err_msg=f"{kind} {layer}")


def test_batch_norm_trains_with_the_batch_and_answers_with_what_it_has_seen(engine_name: str) -> None:
    model = (BatchNorm(momentum=0.5), Flatten(), Dense(units=CLASSES))
    shape = (3, 4, 4)
    engine = made(model, shape, engine_name)
    draw = np.random.default_rng(3)
    x = 5.0 + 2.0 * draw.normal(size=(8, size(shape)))
    channels = x.reshape(8, 3, -1)
    mean, variance = channels.mean(axis=(0, 2)), channels.transpose(1, 0, 2).reshape(3, -1).var(axis=1, ddof=1)
    batch = Batch(x, np.zeros(8, np.int64))
    engine.begin(batch, 0)
    engine.forward(0)
    z = engine.tensor("z", 0)
    assert z is not None
    np.testing.assert_allclose(z.mean(axis=(0, 2, 3)), 0.0, atol=1e-12)  # of this batch: centred
    np.testing.assert_array_equal(engine.state()["batch_norm1.running_mean"], 0.0)  # a look in advance changes nothing
    engine.train_step(batch, 0, 0.0)
    state = engine.state()
    np.testing.assert_allclose(state["batch_norm1.running_mean"], 0.5 * mean)
    np.testing.assert_allclose(state["batch_norm1.running_var"], 0.5 + 0.5 * variance)
    before = engine.predict(x)
    engine.predict(x[:3])
    np.testing.assert_array_equal(engine.predict(x), before)  # and answers leave it as it is
    np.testing.assert_allclose(engine.predict(x[:1]), before[:1])  # each sample by itself


def test_batch_norm_of_a_batch_of_one_row_gives_its_height_alone(engine_name: str) -> None:
    model = (BatchNorm(), Dense(units=CLASSES))
    engine = made(model, (3,), engine_name)
    engine.train_step(Batch(np.ones((1, 3)), np.zeros(1, np.int64)), 0, 0.1)
    assert all(np.isfinite(value).all() for value in engine.state().values())


def test_a_tie_of_a_window_gives_delta_to_its_first_place(engine_name: str) -> None:
    model = (Conv2d(units=1, kernel=1), MaxPool(), Flatten(), Dense(units=CLASSES))
    engine = made(model, (1, 2, 2), engine_name)
    engine.begin(Batch(np.zeros((1, 4)), np.zeros(1, np.int64)), 0)
    for layer in range(4):
        engine.forward(layer)
    engine.loss()
    for layer in reversed(range(4)):
        engine.backward(layer)
    delta = engine.tensor("delta", 0)
    assert delta is not None
    assert delta[0, 0, 0, 0] != 0.0 and np.count_nonzero(delta) == 1


@pytest.mark.parametrize(
    ("model", "shape", "says"),
    [
        ((Conv2d(units=2),), (4,), "takes pictures C×H×W, got 4: add a reshape before it"),
        ((Conv2d(units=2, kernel=9),), (1, 8, 8), "a window of 9×9 does not fit into 8×8"),
        ((Conv2d(units=3, groups=2),), (4, 8, 8), "groups: 3 units do not fall into 2 groups"),
        ((Conv2d(units=4, groups=3),), (4, 8, 8), "groups: 4 channels do not fall into 3 groups"),
        ((Conv2d(units=4, kernel=2, padding="same"),), (4, 8, 8), "padding: 'same' needs an odd kernel"),
        ((Conv2d(units=4, stride=0),), (4, 8, 8), "stride: expected at least 1"),
        ((Conv1d(units=2),), (1, 8, 8), "takes sequences T×F, got 1×8×8"),
        ((ConvTranspose2d(units=2, output_padding=1),), (1, 8, 8), "output_padding: expected less than stride"),
        ((MaxPool(kernel=2, padding=2),), (1, 8, 8), "padding: expected at most half of the kernel 2×2"),
        ((GlobalPool(),), (9, 3), "takes pictures C×H×W, got 9×3"),
        ((GroupNorm(groups=3),), (4, 8, 8), "groups: 4 channels do not fall into 3 groups"),
        ((BatchNorm(momentum=0.0),), (4,), "momentum: expected above 0"),
    ],
)
def test_a_layer_that_does_not_fit_says_why_in_one_line(model: tuple[Layer, ...], shape: Shape, says: str) -> None:
    with pytest.raises(EngineError) as raised:
        made((*model, Flatten(), Dense(units=CLASSES)), shape, "numpy")
    assert says in str(raised.value) and "\n" not in str(raised.value)
