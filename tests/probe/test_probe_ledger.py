"""The ledger, ranked rows and sheets, against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bptui.expr import ConditionError
from bptui.expr.cells import parse_cells
from bptui.probe.ledger import account, ledger, relative_error
from bptui.probe.ranked import ranked
from bptui.probe.sheet import Order, Sheet, Window

DRAW = np.random.default_rng(3)


def plain_norm(values: np.ndarray) -> float:  # type: ignore[type-arg]
    return math.sqrt(math.fsum(float(v) ** 2 for v in values.ravel()))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_accounts_and_ratios(dtype: str) -> None:
    layers = []
    for units in (5, 4, 3):
        upstream = DRAW.normal(size=(7, units)).astype(dtype) * np.asarray(1e-25, dtype)
        gate = (DRAW.random((7, units)) < 0.6).astype(dtype)
        layers.append((upstream * gate, upstream, gate))
    layers[-1] = (layers[-1][0], None, None)
    accounts = ledger(layers)
    for (delta, upstream, gate), entry in zip(layers, accounts, strict=True):
        assert entry.delta == pytest.approx(plain_norm(delta), rel=1e-6)
        if upstream is None:
            assert (entry.upstream, entry.gate, entry.stopped, entry.closed) == (None,) * 4
            continue
        assert entry.stopped == pytest.approx(1 - plain_norm(delta) / plain_norm(upstream), rel=1e-6)
        assert entry.closed == sum(float(g) == 0 for g in gate.ravel()) / gate.size
    assert accounts[0].ratio == pytest.approx(plain_norm(layers[0][0]) / plain_norm(layers[1][0]), rel=1e-6)
    assert accounts[2].ratio is None


def test_what_is_not_there_yet_is_none() -> None:
    assert account(None, np.ones((2, 2)), None) == account(None, np.ones((2, 2)), None)
    entry = account(None, np.ones((2, 2)), None)
    assert entry.upstream == 2.0 and entry.delta is entry.stopped is entry.ratio is None
    assert account(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))).stopped is None
    assert relative_error(np.array([1.0]), np.array([0.0])) == math.inf
    assert relative_error(np.zeros(2), np.zeros(2)) == 0


def test_rows_ranked_by_what_they_give_add_up_to_the_gradient() -> None:
    inputs, delta = DRAW.normal(size=(9, 6)), DRAW.normal(size=(9, 4))
    found = ranked(inputs, delta, 2)
    total = [math.fsum(inputs[n, i] * delta[n, 2] for n in range(9)) for i in range(6)]
    size = math.sqrt(math.fsum(v * v for v in total))
    given = {n: abs(delta[n, 2]) * math.sqrt(math.fsum(v * v for v in inputs[n])) for n in range(9)}
    assert found.rows.tolist() == sorted(given, key=lambda n: -given[n])
    assert found.given.tolist() == pytest.approx([given[n] for n in found.rows.tolist()])
    assert found.gradient == pytest.approx(size)
    assert math.fsum(found.along) == pytest.approx(1.0)
    first = int(found.rows[0])
    assert found.along[0] == pytest.approx(
        math.fsum(inputs[first, i] * delta[first, 2] * total[i] for i in range(6)) / size**2
    )


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3),
    st.sampled_from(["", "norm", "value"]), st.sampled_from(["", "norm", "value"]), st.booleans(), st.randoms(),
)  # fmt: skip
def test_a_window_is_what_plain_python_finds(
    rows: int, columns: int, zoom: int, top: int, left: int, by: str, across: str, ascending: bool, random: object
) -> None:
    draw = random.gauss  # type: ignore[attr-defined]
    values = [[round(draw(0, 1), 1) for _ in range(columns)] for _ in range(rows)]
    sheet = Sheet(np.array(values))

    def order(lines: list[list[float]], kind: str) -> list[int]:
        keys = {"": lambda i: i, "norm": lambda i: sum(v * v for v in lines[i]), "value": lambda i: lines[i][0]}[kind]
        if not kind:
            return list(range(len(lines)))
        return sorted(range(len(lines)), key=lambda i: (keys(i) if ascending else -keys(i)))

    row_ids = order(values, by)
    column_ids = order([list(column) for column in zip(*values, strict=True)], across)
    seen = sheet.window(
        Window(top, left, 3, 2, zoom), Order(by, 0, ascending), Order(across, 0, ascending), parse_cells("> 0.5")
    )
    row_blocks = [row_ids[i : i + zoom] for i in range(top * zoom, min(rows, (top + 3) * zoom), zoom)]
    column_blocks = [column_ids[i : i + zoom] for i in range(left * zoom, min(columns, (left + 2) * zoom), zoom)]
    assert seen.rows.tolist() == [block[0] for block in row_blocks]
    assert seen.columns.tolist() == [block[0] for block in column_blocks]
    for i, block in enumerate(row_blocks):
        for j, across_block in enumerate(column_blocks):
            cells = [values[r][c] for r in block for c in across_block]
            assert abs(seen.values[i, j]) == max(map(abs, cells)) and seen.values[i, j] in cells
            assert bool(seen.matches[i, j]) == any(cell > 0.5 for cell in cells)
    assert sheet.matched(parse_cells("> 0.5")) == sum(v > 0.5 for row in values for v in row)


def test_matches_are_found_one_after_another_in_the_order_that_is_shown() -> None:
    sheet = Sheet(np.array([[0.0, 2.0], [3.0, 0.0], [0.0, 5.0]]))
    largest = Order("norm")
    condition = parse_cells("> 1")
    places, place = [], (0, -1)
    for _ in range(4):
        place = sheet.next_match(condition, (largest, Order()), place)
        places.append(place)
    assert places == [(0, 1), (1, 0), (2, 1), (0, 1)]
    assert sheet.next_match(parse_cells("> 9"), (Order(), Order()), (0, 0)) is None
    assert [sheet.place(0, largest, number) for number in range(3)] == [2, 1, 0]


def test_facts_and_values_that_are_not_finite() -> None:
    sheet = Sheet(np.array([[0.0, math.nan, 2.0], [-3.0, math.inf, 1.0]]))
    facts = sheet.facts()
    assert (facts.low, facts.high, facts.mean, facts.zeros, facts.not_finite) == (-3.0, 2.0, 0.0, 1, 2)
    assert sheet.order(0, Order("norm")) is not None
    seen = sheet.window(Window(0, 0, 1, 1, 3))
    assert math.isnan(seen.values[0, 0])
    assert Sheet(np.arange(4.0)).shape == (1, 4)
    with pytest.raises(ValueError, match="no column 9"):
        sheet.order(0, Order("value", 9))


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("< 0", [-2.0, -math.inf]), ("== 0", [0.0]), ("abs > 1e-3", [-2.0, 0.5, math.inf, -math.inf]),
        ("not finite", [math.inf, -math.inf, math.nan]), ("finite and >= 0", [0.0, 0.5]), ("nan or < -1",
        [-2.0, -math.inf, math.nan]), ("abs <= .5", [0.0, 0.5]), ("not abs > 1", [0.0, 0.5, math.nan]),
    ],
)  # fmt: skip
def test_conditions_on_cells(text: str, met: list[float]) -> None:
    values = [-2.0, 0.0, 0.5, math.inf, -math.inf, math.nan]
    condition = parse_cells(text)
    held = condition.test(np.array(values)).tolist()
    assert held == [any(v == m or (v != v and m != m) for m in met) for v in values]
    assert held == [bool(condition.test(v)) for v in values]


@pytest.mark.parametrize(
    ("text", "told", "at"),
    [("", "empty", 0), ("< ", "a number at the end", 1), ("abs 3", "such as > 1 at character 5", 4),
     ("> 1 2", "'and', 'or' or the end", 4), ("finite and", "at the end", 10), ("> 1 & < 2", "cannot read", 4)],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_place(text: str, told: str, at: int) -> None:
    with pytest.raises(ConditionError, match=told) as caught:
        parse_cells(text)
    assert caught.value.at == at
