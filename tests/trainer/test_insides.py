"""Inside a layer of a paused run, in both engines: gates, attention, δ through time, with the tokens of the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rewind import Driver

from bptui.protocol import messages as m
from bptui.protocol.framing import Frame
from bptui.trainer.inspect import see
from bptui.trainer.setup import SetupError

SPEC = """
[data]
source = "romeo-and-juliet"
window = 12
[[model]]
type = "embedding"
units = 4
vocabulary = 62
[[model]]
type = "lstm"
units = 4
[[model]]
type = "attention"
heads = 2
causal = true
[[model]]
type = "dense"
units = 62
[loss]
name = "cross_entropy"
[stop]
epochs = 1
"""


@pytest.fixture(params=["numpy", "torch"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "torch":
        pytest.importorskip("torch")
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC)
    made = Driver(tmp_path / "run", str(request.param), [], spec=str(spec))
    yield made
    made.close()


def asked(driver: Driver, **fields: Any) -> tuple[m.Insides, dict[str, np.ndarray[Any, Any]]]:
    message, body = see(driver.trainer, m.Inside(**fields))
    assert isinstance(message, m.Insides)
    return message, {name: Frame(message, body).array(ref) for name, ref in message.arrays.items()}


def test_gates_attention_and_delta_of_one_sample(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    first, arrays = asked(driver, layer=1)
    assert (first.name, first.axes, first.samples) == ("gate.input", ("unit", "step"), 16)
    assert arrays["values"].shape == (4, 12) and 0 < arrays["values"].min() < arrays["values"].max() < 1
    vocabulary, batch = driver.trainer.setup.data.vocabulary, driver.trainer.engine.tensor("x", 0)
    assert vocabulary is not None and batch is not None
    for sample in (0, 5):
        reply, arrays = asked(driver, layer=1, name="state", sample=sample)
        assert reply.column_names == tuple(vocabulary[token] for token in batch[sample])
        state = driver.trainer.engine.tensor("a", 1)
        assert state is not None
        np.testing.assert_allclose(arrays["values"], state[sample].T, atol=1e-6)
    _, arrays = asked(driver, layer=1, name="delta.time", sample=5)
    assert arrays["values"].shape == (1, 12) and arrays["mean"].shape == (12,) and (arrays["values"] > 0).all()
    reply, arrays = asked(driver, layer=2, page=1)
    assert (reply.name, reply.page, reply.pages, reply.page_name) == ("attention", 1, 2, "head")
    assert reply.row_names == reply.column_names and not arrays["values"][np.triu_indices(12, 1)].any()
    np.testing.assert_allclose(arrays["values"].sum(1), 1.0, rtol=1e-5)


def test_layers_and_moments_that_have_nothing_say_so(driver: Driver) -> None:
    driver.ask(m.Step())
    reply, arrays = asked(driver, layer=3)
    assert not arrays and "type dense has nothing inside" in reply.note
    for _ in range(2):  # the batch, and the embedding's forward
        driver.ask(m.MicroStep())
    driver.trainer.seen.forget()
    reply, arrays = asked(driver, layer=1)
    assert not arrays and reply.missing == 1
    driver.ask(m.MicroStep())
    reply, _ = asked(driver, layer=1)
    assert "gate.forget" in reply.names and "delta.time" not in reply.names


def test_more_tokens_than_an_embedding_has_rows_are_one_clear_line(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC)
    with pytest.raises(SetupError, match=r"^\[model.embedding1\] vocabulary: .* has 62 tokens, got 50$"):
        Driver(tmp_path / "run", "numpy", ["model.embedding1.vocabulary=50"], spec=str(spec))


def test_a_frozen_layer_shows_its_inside_but_no_delta(driver: Driver) -> None:
    for layer in ("embedding1", "lstm1"):
        driver.ask(m.Set(key=f"freeze.{layer}", value=1.0))
    driver.ask(m.Step())
    reply, arrays = asked(driver, layer=1, name="state")
    state = driver.trainer.engine.tensor("a", 1)
    assert state is not None and "delta.time" not in reply.names
    np.testing.assert_allclose(arrays["values"], state[0].T, atol=1e-6)


def test_the_mean_over_samples_is_cut_by_their_lengths_only_along_time(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 6, 4)).astype(np.float32)
    np.savez(tmp_path / "short.npz", x=x, y=np.arange(40) % 2, lengths=np.full(40, 2))
    (tmp_path / "spec.toml").write_text(
        f'[data]\nsource = "{tmp_path / "short.npz"}"\n[[model]]\ntype = "dense"\nunits = 4\n'
        '[[model]]\ntype = "add"\nof = ["input"]\n[[model]]\ntype = "time_pool"\n'
        '[[model]]\ntype = "dense"\nunits = 2\n[loss]\nname = "cross_entropy"\n[stop]\nepochs = 1\n'
    )
    driver = Driver(tmp_path / "run", "numpy", ["data.samples=40"], spec=str(tmp_path / "spec.toml"))
    driver.ask(m.Step())
    reply, arrays = asked(driver, layer=1)
    assert (reply.name, reply.axes) == ("share.branch", ("", "unit"))
    assert arrays["mean"].shape == (4,) and (arrays["mean"] > 0).all()
    driver.close()


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_behind_a_stride_a_sample_ends_where_the_layer_ends_it(tmp_path: Path, engine: str) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(40, 12, 3)).astype(np.float32)
    np.savez(tmp_path / "short.npz", x=x, y=np.arange(40) % 2, lengths=np.arange(40) % 12 + 1)
    (tmp_path / "spec.toml").write_text(
        f'[data]\nsource = "{tmp_path / "short.npz"}"\n[[model]]\ntype = "conv1d"\nunits = 4\nkernel = 2\nstride = 2\n'
        '[[model]]\ntype = "lstm"\nunits = 2\n[[model]]\ntype = "attention"\nheads = 1\n[[model]]\ntype = "time_pool"\n'
        '[[model]]\ntype = "dense"\nunits = 2\n[loss]\nname = "cross_entropy"\n[stop]\nepochs = 1\n'
    )
    driver = Driver(tmp_path / "run", engine, [], spec=str(tmp_path / "spec.toml"))
    driver.ask(m.Step())
    asked(driver, layer=1)  # which looks at the coming batch
    lengths = driver.trainer.engine.lengths
    assert lengths is not None
    for sample, steps in enumerate(np.maximum(lengths // 2, 1)[:8].tolist()):
        _, arrays = asked(driver, layer=1, name="state", sample=sample)
        assert arrays["values"].shape == (2, steps) and arrays["values"].any(axis=0).all()
        _, arrays = asked(driver, layer=2, sample=sample)
        assert arrays["values"].shape == (steps, steps)
        np.testing.assert_allclose(arrays["values"].sum(1), 1.0, rtol=1e-5)
    driver.close()


RATED = """
[data]
source = "ratings"
samples = 600
batch_size = 8
[[model]]
type = "embedding"
name = "user"
units = 40
vocabulary = 501
column = 0
[[model]]
type = "embedding"
name = "item"
input = "input"
units = 40
vocabulary = 201
column = 1
padding = 0
[[model]]
type = "dot"
of = ["user"]
[loss]
name = "mse"
[stop]
epochs = 1
"""


def test_a_table_is_shown_by_the_names_of_its_rows_a_page_at_a_time(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(RATED)
    driver = Driver(tmp_path / "run", "numpy", [], spec=str(spec))
    try:
        driver.ask(m.Step(count=2))
        engine, known = driver.trainer.engine, driver.trainer.setup.data.vocabularies
        assert known is not None
        reply, arrays = asked(driver, layer=1)
        assert (reply.name, reply.names, reply.axes) == ("table", ("table", "table.gradient"), ("item", "unit"))
        assert reply.row_names[: len(known[1])] == known[1] and (reply.pages, reply.samples) == (1, 1)
        np.testing.assert_array_equal(arrays["values"], engine.tensor_of("weight", 1))
        reply, arrays = asked(driver, layer=0, page=1)  # of 40 units 409 rows go on a page
        assert (reply.pages, reply.page, len(arrays["values"])) == (2, 1, 92)
        assert reply.row_names[0] == (*known[0], *map(str, range(len(known[0]), 501)))[409]
        _, arrays = asked(driver, layer=1, name="table.gradient")
        batch = engine.tensor("x", 0)
        assert batch is not None
        assert set(np.flatnonzero(arrays["values"].any(axis=1))) == set(batch[:, 1].tolist()) - {0}
    finally:
        driver.close()


def test_an_embedding_that_lacks_rows_for_a_column_names_the_column(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(RATED)
    said = r"^\[model.item\] vocabulary: ratings has \d+ ids of 'item', the unknown one among them, got 90$"
    with pytest.raises(SetupError, match=said):
        Driver(tmp_path / "run", "numpy", ["model.item.vocabulary=90"], spec=str(spec))
