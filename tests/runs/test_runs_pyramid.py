"""The pyramid against brute force, and its budgets."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.runs.pyramid import MAX_GAP, Pyramid, Sparse


def brute(steps, values, first, last, columns):
    low, high = np.full(columns, np.nan, np.float32), np.full(columns, np.nan, np.float32)
    bad = np.zeros(columns, int)
    edges = [first + i * (last - first) // columns for i in range(columns + 1)]
    for i in range(columns):
        part = [v for s, v in zip(steps, values, strict=True) if edges[i] <= s < edges[i + 1]]
        finite = [np.float32(v) for v in part if np.isfinite(v)]
        if finite:
            low[i], high[i] = min(finite), max(finite)
        bad[i] = len(part) - len(finite)
    return low, high, bad


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


VALUE = st.one_of(st.floats(-1e30, 1e30), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_reduce_is_what_brute_force_gives(data):
    size = data.draw(st.integers(1, 1500))
    start = data.draw(st.integers(0, 50))
    values = np.random.default_rng(size).normal(size=size)
    for at in data.draw(st.lists(st.integers(0, size - 1), max_size=8)):
        values[at] = data.draw(VALUE)
    pyramid, sparse, at = Pyramid(), Sparse(), 0
    while at < size:
        count = data.draw(st.integers(1, 400))
        pyramid.append(start + at, values[at : at + count])
        piece = values[at : at + count]
        sparse.append(np.arange(start + at, start + at + len(piece)), piece)
        at += count
    first = data.draw(st.integers(0, size + 60))
    last = data.draw(st.integers(first + 1, first + size + 60))
    columns = data.draw(st.integers(1, 60))
    expected = brute(range(start, start + size), values, first, last, columns)
    same(pyramid.reduce(first, last, columns), expected)
    same(sparse.reduce(first, last, columns), expected)
    assert pyramid.bad == sparse.bad == int((~np.isfinite(values)).sum())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 300)), min_size=1, max_size=6))
def test_gaps_and_rewinds(pieces):
    pyramid, truth = Pyramid(), {}
    for turn, (step, count) in enumerate(pieces):
        if truth and step < min(truth):
            truth.clear()
        truth = {k: v for k, v in truth.items() if k < step}
        values = np.linspace(turn, turn + 1, count)
        values[::7] = np.nan
        truth.update(zip(range(step, step + count), values, strict=True))
        pyramid.append(step, values)
    same(pyramid.reduce(0, 1000, 37), brute(truth.keys(), truth.values(), 0, 1000, 37))
    assert pyramid.bad == sum(np.isnan(v) for v in truth.values())
    assert pyramid.end == max(truth) + 1


def test_finite_values_too_large_for_float32_are_not_shown_as_infinite():
    pyramid = Pyramid()
    pyramid.append(0, np.array([1e300, -1e300]))
    assert pyramid.bad == 0 and np.isfinite(pyramid.values(0, 2)).all()


def test_a_gap_that_is_damage_is_refused():
    pyramid = Pyramid()
    pyramid.append(0, np.zeros(3))
    with pytest.raises(ValueError, match="missing"):
        pyramid.append(MAX_GAP + 10, np.zeros(3))


def test_empty_and_senseless_questions():
    pyramid = Pyramid()
    assert np.isnan(pyramid.reduce(0, 10, 5).low).all() and pyramid.last() is None
    pyramid.append(5, np.array([1.0]))
    assert len(pyramid.reduce(3, 3, 4).low) == 4 and len(pyramid.reduce(0, 9, 0).low) == 0
    assert pyramid.last() == (5, 1.0)


def test_ten_million_points_fit_the_budgets():
    pyramid, chunk = Pyramid(), np.random.default_rng(0).normal(size=100_000)
    for start in range(0, 10_000_000, 100_000):
        pyramid.append(start, chunk)
    assert pyramid.nbytes <= 64e6
    times = []
    for first, last in [(0, 10_000_000), (1_234_567, 9_876_543), (9_990_000, 10_000_000)] * 3:
        began = time.perf_counter()
        pyramid.reduce(first, last, 400)
        times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 0.008
