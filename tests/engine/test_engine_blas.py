"""NumPy's BLAS called by ourselves: the same numbers with it and without, watched or not, and threads that fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.engine import create, threads
from bptui.engine.numpy.blas import BLAS, Blas
from bptui.spec.experiment import SGD, Adam, AdamW, RMSprop


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 3), st.sampled_from([np.float32, np.float64]),
    st.floats(-2, 2), st.sampled_from([0.0, 1.0, 0.9]),
)  # fmt: skip
def test_a_product_is_numpys_product(
    sizes: tuple[int, int, int], turned: int, dtype: Any, alpha: float, beta: float
) -> None:
    m, k, n = sizes
    draw = np.random.default_rng(0)
    a = draw.normal(size=(k, m)).astype(dtype).T if turned & 1 else draw.normal(size=(m, k)).astype(dtype)
    b = draw.normal(size=(n, k)).astype(dtype).T if turned & 2 else draw.normal(size=(k, n)).astype(dtype)
    out = draw.normal(size=(m, n)).astype(dtype)
    expected = alpha * (a @ b) + beta * out
    for blas in (BLAS, Blas()):
        given_out, number = out.copy(), np.array(0.0, dtype)
        operation = blas.product(a, b, given_out, number, np.array(beta, dtype))
        number[()] = alpha  # numbers are read when the operation runs
        operation()
        np.testing.assert_allclose(given_out, expected, rtol=1e-4, atol=1e-5)


def test_beta_zero_forgets_what_was_there() -> None:
    for blas in (BLAS, Blas()):
        out = np.full((2, 2), np.nan)
        blas.product(np.eye(2), np.eye(2), out, np.array(1.0), np.array(0.0))()
        np.testing.assert_array_equal(out, np.eye(2))


RULES = (
    SGD(lr=0.1),
    SGD(lr=0.1, weight_decay=0.01),
    SGD(lr=0.1, momentum=0.9),
    SGD(lr=0.1, momentum=0.9, weight_decay=0.01, dampening=0.2),
    SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(lr=0.01),
    AdamW(lr=0.01),
    RMSprop(lr=0.01, momentum=0.5, centered=True),
)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_without_the_library_it_trains_alike(
    network: Any, batches: Any, rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, data = network((8, 6, 4), optimizer=rule), batches(5, 9, 5, 4)
    ours = create(experiment, 5, 4, engine="numpy", dtype="f64")
    for module in ("optimisers", "tape"):
        monkeypatch.setattr(f"bptui.engine.numpy.{module}.BLAS", Blas())
    plain = create(experiment, 5, 4, engine="numpy", dtype="f64")
    for step in range(20):
        expected = plain.train_step(data[step % 5], step, 0.05)
        assert ours.train_step(data[step % 5], step, 0.05) == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(ours.tensor("grad_W", 0), plain.tensor("grad_W", 0), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_who_looks_at_the_gradient_changes_no_bit(network: Any, batches: Any, rule: Any, dtype: Any) -> None:
    experiment = network((8, 6, 4), optimizer=rule, dropout=0.1)
    data = [type(b)(b.x.astype({"f32": np.float32, "f64": np.float64}[dtype]), b.y) for b in batches(5, 9, 5, 4)]
    plain, looked, stepped = (create(experiment, 5, 4, engine="numpy", dtype=dtype) for _ in range(3))
    for step in range(12):
        batch = data[step % 5]
        loss = plain.train_step(batch, step, 0.1)
        looked.watch(True)
        assert looked.train_step(batch, step, 0.1) == loss
        stepped.begin(batch, step)
        for layer in range(3):
            stepped.forward(layer)
        assert stepped.loss() == loss
        for layer in (2, 1, 0):
            stepped.backward(layer)
            gradients = [stepped.tensor("grad_W", each) for each in range(layer, 3)]
            assert all(gradient is not None for gradient in gradients)
        stepped.clip()
        stepped.update(0.1)
        for each in range(3):
            expected = gradients[each]
            assert expected is not None
            np.testing.assert_array_equal(looked.tensor("grad_W", each), expected)
            np.testing.assert_array_equal(plain.tensor("grad_W", each), expected)
        states = [engine.state() for engine in (plain, looked, stepped)]
        for name, value in states[0].items():
            for other in states[1:]:
                np.testing.assert_array_equal(value, other[name])


def test_threads_fit_the_network_unless_the_environment_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads.fitting(threads.of_widths([64, 32, 16, 10]), 32, cores=16) == 1
    assert threads.fitting(threads.of_widths([784, 256, 128, 10]), 64, cores=2) == 2
    assert threads.fitting(threads.of_widths([784, 256, 128, 10]), 64, cores=64) == threads.MOST
    head = threads.of_layer("dense", [128 * 66], 128)
    block = threads.of_layer("transformer_block", [128 * 384, 128 * 128, 128 * 512, 512 * 128], 128)
    assert threads.fitting(threads.in_numpy({"dense"}, [head]), 16, cores=2) == 2
    assert threads.fitting(threads.in_numpy({"dense", "transformer_block"}, [head, block]), 16, cores=2) == 1
    assert threads.fitting(threads.in_numpy({"dense", "transformer_block"}, [head, block]), 512, cores=2) == 2
    assert threads.of_layer("embedding", [50_000 * 64], 128) == 0
    before = BLAS.threads()
    if before is None:
        pytest.skip("this BLAS does not tell its threads")
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    try:
        threads.set_threads("numpy", [16], 8)
        assert threads.threads("numpy") == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        threads.set_threads("numpy", [784 * 256], 64)
        assert threads.threads("numpy") == 1
    finally:
        BLAS.set_threads(before)
