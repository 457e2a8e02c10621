"""Recurrent layers, attention and norms against torch.nn and torch.nn.functional; whole networks in both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bptui.engine import create  # noqa: E402
from bptui.engine.base import Batch  # noqa: E402
from bptui.engine.numpy.nodes import NODES, attention  # noqa: E402
from bptui.engine.numpy.nodes.base import Context, Node  # noqa: E402
from bptui.spec.experiment import Adam, CrossEntropy, Data, Dense, Experiment, Layer  # noqa: E402
from bptui.spec.layers.attention import Attention, TransformerBlock  # noqa: E402
from bptui.spec.layers.conv import Conv1d  # noqa: E402
from bptui.spec.layers.embedding import Embedding, PositionalEmbedding  # noqa: E402
from bptui.spec.layers.norm_features import LayerNorm, RMSNorm  # noqa: E402
from bptui.spec.layers.pool import AveragePool, MaxPool  # noqa: E402
from bptui.spec.layers.recurrent import GRU, LSTM, RNN, TimePool  # noqa: E402
from bptui.spec.layers.shape import Add, Flatten, Reshape  # noqa: E402
from bptui.spec.shapes import ends_of, infer  # noqa: E402

F = torch.nn.functional
N, T, D = 5, 7, 6
Arrays = dict[str, np.ndarray[Any, Any]]


def _node(layer: Layer, shape: tuple[int, ...], ids: bool = False) -> tuple[Node, Arrays, Arrays]:
    """A node with normal parameters in float64; its gradients begin as nan, so that one not written is seen."""
    (place,) = infer([layer], shape, ids)
    draw = np.random.default_rng(0)
    values = {each.name: 0.3 * draw.normal(size=each.shape) for each in place.geometry.parameters}
    gradients = {name: np.full_like(value, np.nan) for name, value in values.items()}
    return NODES[place.kind](place, values, gradients, {}), values, gradients


def _lengths(padded: bool, draw: np.random.Generator) -> np.ndarray[Any, Any] | None:
    return draw.integers(1, T + 1, N) if padded else None


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("returns", ["sequence", "last"])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}])
@pytest.mark.parametrize(
    ("layer", "module"),
    [(RNN(units=4), "RNN"), (RNN(units=4, nonlinearity="relu"), "RNN"), (LSTM(units=4), "LSTM"), (GRU(units=4), "GRU")],
)
def test_recurrent_layers_give_what_torch_nn_gives(
    layer: Any, module: str, options: dict[str, Any], returns: Any, padded: bool
) -> None:
    from msgspec.structs import replace

    layer = replace(layer, returns=returns, **options)
    node, values, gradients = _node(layer, (T, D))
    keys = {"nonlinearity": layer.nonlinearity} if module == "RNN" else {}
    reference = getattr(torch.nn, module)(
        D, 4, num_layers=layer.layers, bidirectional=layer.bidirectional, batch_first=True, dtype=torch.float64, **keys
    )
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            parameter.copy_(torch.from_numpy(values[name].T))
    for seed in range(2):  # twice: arrays of the first time are used again
        draw = np.random.default_rng(seed)
        x, lengths = draw.normal(size=(N, T, D)), _lengths(padded, draw)
        leaf = torch.from_numpy(x).requires_grad_()
        if lengths is None:
            states, last = reference(leaf)
        else:
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                leaf, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
            )
            given, last = reference(packed)
            states, _ = torch.nn.utils.rnn.pad_packed_sequence(given, batch_first=True, total_length=T)
        last = last[0] if module == "LSTM" else last
        expected = states if returns == "sequence" else torch.cat(list(last[-2 if layer.bidirectional else -1 :]), 1)
        upstream = draw.normal(size=expected.shape)
        wanted = torch.autograd.grad(expected, [leaf, *reference.parameters()], torch.from_numpy(upstream))
        got = node.forward((x,), Context(True, lengths))
        (below,) = node.backward(upstream, True)
        np.testing.assert_allclose(got, expected.detach(), atol=1e-12)
        np.testing.assert_allclose(below, wanted[0], atol=1e-12)
        for (name, _), gradient in zip(reference.named_parameters(), wanted[1:], strict=True):
            np.testing.assert_allclose(gradients[name], gradient.numpy().T, atol=1e-11, err_msg=name)


def _attention(x: Any, values: dict[str, Any], heads: int, mask: Any, prefix: str = "") -> Any:
    """Written out, without torch's own attention, which the torch engine uses."""
    parts = (x @ values[f"{prefix}qkv"] + values[f"{prefix}qkv_bias"]).view(N, T, 3, heads, D // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4)
    scores = (query @ key.transpose(-1, -2)) / (D // heads) ** 0.5
    heard = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ value
    return heard.transpose(1, 2).reshape(N, T, D) @ values[f"{prefix}out"] + values[f"{prefix}out_bias"]


def _normed(x: Any, values: dict[str, Any], prefix: str, kind: str) -> Any:
    centred = x - x.mean(-1, keepdim=True) if kind == "layer" else x
    eps = 1e-5 if kind == "layer" else 1e-6
    y = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * values[f"{prefix}weight"]
    return y + values[f"{prefix}bias"] if kind == "layer" else y


def _expected(layer: Any, x: Any, values: dict[str, Any], mask: Any) -> Any:
    if isinstance(layer, Attention):
        return _attention(x, values, layer.heads, mask)
    if isinstance(layer, LayerNorm | RMSNorm):
        return _normed(x, values, "", "layer" if isinstance(layer, LayerNorm) else "rms")

    def feed(u: Any) -> Any:
        hidden = F.gelu(u @ values["feed.up"] + values["feed.up_bias"])
        return hidden @ values["feed.down"] + values["feed.down_bias"]

    if layer.order == "pre":
        x = x + _attention(_normed(x, values, "norm1.", layer.norm), values, layer.heads, mask, "attention.")
        return x + feed(_normed(x, values, "norm2.", layer.norm))
    x = _normed(x + _attention(x, values, layer.heads, mask, "attention."), values, "norm1.", layer.norm)
    return _normed(x + feed(x), values, "norm2.", layer.norm)


@pytest.mark.parametrize("block", [1 << 18, 3 * T * 8, T * T * 8])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        LayerNorm(), RMSNorm(), Attention(heads=1), Attention(heads=2, causal=True), TransformerBlock(heads=2),
        TransformerBlock(heads=3, order="post", norm="rms", causal=True),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_attention_and_norms_give_what_the_formulas_give(
    layer: Any, padded: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the blocks in which scores are computed: many samples, one head, or some rows of it."""
    monkeypatch.setattr(attention, "BLOCK", block)
    node, values, gradients = _node(layer, (T, D))
    draw = np.random.default_rng(1)
    x, lengths = draw.normal(size=(N, T, D)), _lengths(padded, draw)
    mask = torch.ones(N, 1, T, T, dtype=torch.bool)
    if getattr(layer, "causal", False):
        mask = mask.tril()
    if lengths is not None:
        mask = mask & (torch.arange(T) < torch.from_numpy(lengths)[:, None])[:, None, None]
    leaf = torch.from_numpy(x).requires_grad_()
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in values.items()}
    expected = _expected(layer, leaf, leaves, mask)
    upstream = draw.normal(size=expected.shape)
    wanted = torch.autograd.grad(expected, [leaf, *leaves.values()], torch.from_numpy(upstream))
    got = node.forward((x,), Context(True, lengths))
    (below,) = node.backward(upstream, True)
    np.testing.assert_allclose(got, expected.detach(), atol=1e-11)
    np.testing.assert_allclose(below, wanted[0], atol=1e-11)
    for name, gradient in zip(leaves, wanted[1:], strict=True):
        np.testing.assert_allclose(gradients[name], gradient, atol=1e-10, err_msg=name)
    if "attention" in node.views():
        maps = np.concatenate([node.views(sample)["attention"] for sample in range(len(x))])
        np.testing.assert_allclose(maps.sum(-1), 1.0)
        assert not maps[~np.broadcast_to(mask.numpy(), maps.shape)].any()


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "layers",
    [
        (LSTM(units=3, bidirectional=True, layers=2),), (GRU(units=4),), (TransformerBlock(heads=2),),
        (RNN(units=4, returns="last"),), (TimePool(how="max"),), (TimePool(how="last"),), (TimePool(),),
    ],
    ids=lambda layers: type(layers[0]).__name__,
)  # fmt: skip
def test_what_lies_beyond_a_samples_end_changes_nothing(layers: tuple[Layer, ...], engine: Any) -> None:
    """Outputs of real steps and every gradient are those of the same samples with other padding."""
    tail = () if isinstance(layers[0], TimePool) or getattr(layers[0], "returns", "") == "last" else (TimePool(),)
    model = (Dense(units=4), *layers, *tail, Dense(units=3))
    experiment = Experiment(data=Data(source="made"), model=model, loss=CrossEntropy())
    draw = np.random.default_rng(3)
    x, lengths = draw.normal(size=(N, T, 2)), np.array([1, 3, 7, 2, 3])
    other = np.where(np.arange(T)[:, None] < lengths[:, None, None], x, 99.0)
    y = draw.integers(0, 3, N)
    states = []
    for padded in (x, other):
        made = create(experiment, T * 2, 3, engine=engine, dtype="f64", shape=(T, 2))
        losses = [made.train_step(Batch(padded.reshape(N, -1), y, lengths), step, 0.1) for step in range(2)]
        states.append([*losses, *made.state().values()])
    for first, second in zip(*states, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "read"),
    [
        ((Conv1d(units=2, kernel=2, stride=2), TimePool()), [[1, 4, 8], [1, 2, 4]]),
        ((Conv1d(units=2, kernel=3, padding="same"), LSTM(units=2), TimePool()), [[1, 4, 8]] * 3),
        ((MaxPool(kernel=3, stride=1), AveragePool(), TimePool()), [[1, 4, 8], [1, 2, 6], [1, 1, 3]]),
        ((Reshape(shape=(4, 6)), TimePool()), [[1, 4, 8], [1, 2, 4]]),
        ((Reshape(shape=(-1, 1)), TimePool()), [[1, 4, 8], [3, 12, 24]]),
        ((Dense(units=3), Add(of=("input",)), Flatten(), Dense(units=2)), [[1, 4, 8]] * 3 + [None]),
    ],
    ids=lambda value: "-".join(type(layer).__name__ for layer in value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_each_layer_reads_the_lengths_of_its_own_input(layers: tuple[Layer, ...], read: list[list[int] | None]) -> None:
    found = [ends.read for ends in ends_of(infer(layers, (8, 3)), np.array([1, 4, 8]))]
    assert [None if each is None else each.tolist() for each in found] == read


@pytest.mark.parametrize("end", [TimePool(), GRU(units=3, returns="last"), TimePool(how="last")])
def test_a_padded_sample_is_what_it_is_alone_beyond_strides_and_pools(end: Layer) -> None:
    """In both engines, which agree over two updates."""
    model = (Conv1d(units=4, kernel=2, stride=2), Dense(units=4, activation="tanh"), MaxPool(), end, Dense(units=3))
    experiment = Experiment(data=Data(source="made"), model=model, loss=CrossEntropy())
    draw, lengths = np.random.default_rng(4), np.array([4, 16, 9, 13])
    x, y = draw.normal(size=(4, 16, 2)), draw.integers(0, 3, 4)
    states = []
    for engine in ("numpy", "torch"):
        made = create(experiment, 32, 3, engine=engine, dtype="f64", shape=(16, 2))  # type: ignore[arg-type]
        losses = [made.train_step(Batch(x.reshape(4, -1), y, lengths), step, 0.1) for step in range(2)]
        together = made.predict(x.reshape(4, -1), lengths)
        for row, steps in enumerate(lengths.tolist()):
            alone = create(experiment, 2 * steps, 3, engine=engine, dtype="f64", shape=(steps, 2))  # type: ignore[arg-type]
            alone.load_state(made.state())
            np.testing.assert_allclose(alone.predict(x[row, :steps].reshape(1, -1))[0], together[row], atol=1e-12)
        states.append([*losses, together, *made.state().values()])
    for first, second in zip(*states, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-10)


def _network(seed: int) -> tuple[tuple[Layer, ...], tuple[int, ...], bool, bool]:
    """A random network: layers, shape of a sample, whether that is of tokens, whether each step has a target."""
    draw = np.random.default_rng(seed)
    ids, steps = bool(draw.integers(2)), int(draw.integers(3, 8))
    blocks = [
        lambda: RNN(units=6, nonlinearity=str(draw.choice(["tanh", "relu"])), layers=int(draw.integers(1, 3))),  # type: ignore[arg-type]
        lambda: LSTM(units=3, bidirectional=True, layers=int(draw.integers(1, 3))),
        lambda: GRU(units=6, layers=int(draw.integers(1, 3)), dropout=0.2),
        lambda: Attention(heads=2, causal=bool(draw.integers(2))),
        lambda: TransformerBlock(heads=3, order=str(draw.choice(["pre", "post"])), causal=bool(draw.integers(2))),  # type: ignore[arg-type]
        lambda: TransformerBlock(heads=2, norm="rms", feed=5, feed_activation="silu"),
        LayerNorm,
        lambda: RMSNorm(activation="tanh"),
    ]
    model: list[Layer] = [Embedding(units=6, vocabulary=11, padding=0) if ids else Dense(units=6)]
    if draw.integers(2):
        model.append(PositionalEmbedding(table=str(draw.choice(["learned", "sinusoidal"]))))  # type: ignore[arg-type]
    model += [blocks[int(draw.integers(len(blocks)))]() for _ in range(int(draw.integers(1, 4)))]  # type: ignore[misc]
    end = int(draw.integers(3))
    if end == 0:
        model.append(TimePool(how=str(draw.choice(["mean", "max", "last"]))))  # type: ignore[arg-type]
    elif end == 1:
        model.append(LSTM(units=5, returns="last", bidirectional=bool(draw.integers(2))))
    return (*model, Dense(units=4)), (steps,) if ids else (steps, 3), ids, end == 2


@pytest.mark.parametrize("seed", range(10))
def test_random_networks_agree_between_the_engines(seed: int) -> None:
    """100 steps of Adam on batches of any size and lengths: losses, parameters and predictions within 1e-8."""
    model, shape, ids, many = _network(seed)
    experiment = Experiment(
        data=Data(source="made"), model=model, loss=CrossEntropy(), optimizer=Adam(lr=0.01, clip_norm=1.0)
    )
    steps, features = shape[0], int(np.prod(shape))
    engines = [
        create(experiment, features, 4, engine=engine, dtype="f64", seed=seed, shape=shape, ids=ids)  # type: ignore[arg-type]
        for engine in ("numpy", "torch")
    ]
    draw = np.random.default_rng(seed)
    for step in range(100):
        rows = int(draw.integers(2, 6))
        lengths = draw.integers(1, steps + 1, rows) if seed % 2 else None
        x = draw.integers(0, 11, (rows, steps)) if ids else draw.normal(size=(rows, features))
        y = draw.integers(0, 4, (rows, steps) if many else rows)
        if many and lengths is not None:
            y = np.where(np.arange(steps) < lengths[:, None], y, -1)
        losses = [engine.train_step(Batch(x, y, lengths), step, 0.01) for engine in engines]
        assert losses[0] == pytest.approx(losses[1], abs=1e-8)
    first, second = (engine.state() for engine in engines)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], atol=1e-8, err_msg=name)
    outputs = [engine.predict(x, lengths) for engine in engines]
    np.testing.assert_allclose(*outputs, atol=1e-8)
    for layer in range(len(model)):
        for kind in ("a", "delta", "grad_W"):
            ours, theirs = (engine.tensor(kind, layer) for engine in engines)  # type: ignore[arg-type]
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                np.testing.assert_allclose(ours, theirs, atol=1e-8, err_msg=f"{kind} of layer {layer}")


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.0)])
@pytest.mark.parametrize("model", [(Dense(units=3),), (Embedding(units=4, vocabulary=9), GRU(units=3), Dense(units=3))])
def test_a_batch_in_which_no_target_counts_costs_nothing(
    model: tuple[Layer, ...], weights: Any, smooth: float, engine: Any
) -> None:
    """No step of it has a target, or every one is of a class with weight 0: no nan, and no update."""
    ids = len(model) > 1
    if weights is None and not ids:
        return
    loss = CrossEntropy(class_weights=weights, label_smoothing=smooth)
    experiment = Experiment(data=Data(source="made"), model=model, loss=loss, optimizer=Adam(lr=0.01))
    made = create(experiment, 5, 3, engine=engine, shape=(5,) if ids else None, ids=ids)
    before = made.state()
    x = np.array([[1, 2, 3, 4, 5], [3, 3, 1, 0, 0]])
    y = np.full((2, 5), -1 if weights is None else 1) if ids else np.array([1, 1])
    assert made.train_step(Batch(x if ids else x.astype(float), y), 0, 0.01) == 0.0
    for name, value in made.state().items():
        if name != "optimizer.step":
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_predicting_leaves_the_step_as_it_is() -> None:
    model = (Embedding(units=4, vocabulary=9), LSTM(units=4), TransformerBlock(heads=2), TimePool(), Dense(units=2))
    experiment = Experiment(data=Data(source="made"), model=model, loss=CrossEntropy())
    engine = create(experiment, T, 2, engine="numpy", shape=(T,), ids=True)
    draw = np.random.default_rng(0)
    engine.begin(Batch(draw.integers(0, 9, (N, T)), draw.integers(0, 2, N)), 0)
    for layer in range(len(model)):
        engine.forward(layer)
    engine.predict(draw.integers(0, 9, (N, T)))
    kept = [engine.tensor("a", layer) for layer in range(len(model))]
    engine.loss()
    for layer in reversed(range(len(model))):
        engine.backward(layer)
    for layer, before in enumerate(kept):
        np.testing.assert_array_equal(engine.tensor("a", layer), before)
    views = engine.views(1)
    assert {"gate.forget", "cell", "delta.time"} <= set(views)
    state = engine.tensor("a", 1)
    assert state is not None
    np.testing.assert_allclose(views["gate.output"] * np.tanh(views["cell"]), state, rtol=1e-5)


@pytest.mark.parametrize("order", ["pre", "post"])
def test_dropout_of_a_block_acts_on_its_branches_and_leaves_the_stream(order: Any) -> None:
    """With all but everything dropped a block gives its input (normalised, where its norms come last)."""
    block = TransformerBlock(heads=2, feed=5, order=order, dropout=0.9)
    experiment = Experiment(data=Data(source="made"), model=(Dense(units=4), block), loss=CrossEntropy())
    draw = np.random.default_rng(1)
    batch = Batch(draw.normal(size=(N, T * 4)), draw.integers(0, 4, (N, T)))
    outputs, kept = [], None
    for name in ("numpy", "torch"):
        engine = create(experiment, T * 4, 4, engine=name, dtype="f64", shape=(T, 4))  # type: ignore[arg-type]
        for step in (3, 4, 3):
            engine.train_step(batch, step, 0.0)
            outputs.append(engine.tensor("a", 1))
        stream = engine.tensor("a", 0)
        assert stream is not None and outputs[-1] is not None
        if order == "post":
            for _ in range(2):
                stream = stream - stream.mean(axis=-1, keepdims=True)
                stream = stream / np.sqrt((stream**2).mean(axis=-1, keepdims=True) + 1e-5)
        kept = np.isclose(outputs[-1], stream, atol=1e-12)
        whole = kept if order == "pre" else kept.all(axis=-1)
        assert (0.65 if order == "pre" else 0.25) < whole.mean() < 0.95
        assert engine.settings()["dropout.transformer_block1"] == 0.9
        engine.set("dropout.transformer_block1", 0.0)
        engine.train_step(batch, 3, 0.0)
        assert not np.isclose(engine.tensor("a", 1), outputs[-1]).all()
    np.testing.assert_array_equal(outputs[0], outputs[2])  # the same step again
    assert not np.isclose(outputs[0], outputs[1]).all()
    for ours, torchs in zip(outputs[:3], outputs[3:], strict=True):
        np.testing.assert_allclose(ours, torchs, atol=1e-12)


def test_a_padding_token_stays_zero() -> None:
    model = (Embedding(units=4, vocabulary=5, padding=0), TimePool(), Dense(units=2))
    experiment = Experiment(data=Data(source="made"), model=model, loss=CrossEntropy())
    for name in ("numpy", "torch"):
        engine = create(experiment, 3, 2, engine=name, shape=(3,), ids=True)  # type: ignore[arg-type]
        for step in range(3):
            engine.train_step(Batch(np.array([[1, 0, 0], [2, 3, 0]]), np.array([0, 1])), step, 0.5)
        table = engine.state()["embedding1.weight"]
        assert not table[0].any() and table[1].any()


def test_a_forget_gate_begins_open_and_each_gate_orthogonal() -> None:
    experiment = Experiment(
        data=Data(source="made"), model=(LSTM(units=3, forget_bias=2.0, returns="last"), Dense(units=2)),
        loss=CrossEntropy(),
    )  # fmt: skip
    state = create(experiment, 8, 2, engine="numpy", dtype="f64", shape=(4, 2)).state()
    assert state["lstm1.bias_ih_l0"].tolist() == [0.0] * 3 + [2.0] * 3 + [0.0] * 6
    for gate in np.split(state["lstm1.weight_hh_l0"], 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(3), atol=1e-12)
