"""What the charts are made of: axes, dots, columns, changed spans, numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from fake_session import LogWriter, histograms, losses
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from bptui.protocol.framing import Frame
from bptui.protocol.messages import LogChunk
from bptui.tui.axis import Range, log_ticks, nice_above, steps_end, ticks
from bptui.tui.cells import cells, changed
from bptui.tui.curves import HistoryCurves
from bptui.tui.glyphs import ASCII, BLOCK, BRAILLE
from bptui.tui.store import ModelView, Snapshot, Store, exponents
from bptui.tui.text import clean, count, fit, loss_text, small, wrap
from bptui.tui.widgets.gradients import columns
from bptui.tui.widgets.loss import LossChart
from bptui.tui.widgets.raster import FIRST, SECOND, Raster

STYLES = ("text", "first", "second")


def feed(curves: HistoryCurves, frame: Frame) -> None:
    assert isinstance(frame.message, LogChunk)
    curves.feed(frame.message.offset, bytes(frame.raw(frame.message.data)))


@given(st.floats(1e-300, 1e300))
def test_a_nice_end_is_at_or_above_and_at_least_three_quarters_used(value: float) -> None:
    end = nice_above(value)
    assert value <= end * (1 + 1e-9) and value >= 0.75 * end * (1 - 1e-9)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 12))
def test_ticks_lie_within_and_are_few(low: float, span: float, most: int) -> None:
    values = ticks(low, low + span, most)
    assert len(values) <= most + 1
    slack = span * 1e-6 + abs(low) * 1e-9
    assert all(low - slack <= v <= low + span + slack for v in values)


@given(st.floats(1e-30, 1e30), st.floats(1.5, 1e12), st.integers(2, 9))
def test_logarithmic_ticks_lie_within(low: float, ratio: float, most: int) -> None:
    assert all(low * 0.999 <= v <= low * ratio * 1.001 for v in log_ticks(low, low * ratio, most))


def test_the_axis_of_steps_changes_rarely() -> None:
    ends = [steps_end(step, None) for step in range(10_000)]
    assert len(set(ends)) < 35
    assert all(end >= step for step, end in enumerate(ends))
    assert steps_end(500, 900) == 500 and steps_end(600, 900) == 900 and steps_end(1200, 900) == 1200


def test_the_axis_of_values_changes_rarely() -> None:
    axis = Range()
    ends = {axis.include(min(losses(300)[: k + 1]), max(losses(300)[: k + 1]), False) for k in range(300)}
    assert len(ends) <= 6
    low, high = axis.include(0.5, 3.0, True)
    assert 0 < low <= 0.5 and high >= 3.0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=20))
def test_no_finite_values_break_an_axis(values: list[float]) -> None:
    axis = Range()
    for value in values:
        value = max(-1e300, min(1e300, value))
        low, high = axis.include(value, value, False)
        assert low <= value <= high and low < high


def test_dots_of_each_glyph_set() -> None:
    assert Raster(1, 1, BRAILLE).drawn(STYLES) == [[(" ", "text")]]
    braille = Raster(1, 1, BRAILLE)
    for place in ((0, 0), (1, 3)):
        braille.dot(*place, FIRST)
    assert braille.drawn(STYLES)[0] == [("⢁", "first")]
    block = Raster(1, 1, BLOCK)
    block.dot(0, 1, SECOND)
    assert block.drawn(STYLES)[0] == [("▄", "second")]
    plain = Raster(2, 1, ASCII)
    plain.dot(0, 0, FIRST)
    plain.dot(1, 0, SECOND)
    assert plain.drawn(STYLES)[0] == [("*", "first"), ("o", "second")]


def test_the_second_series_shows_over_the_first() -> None:
    raster = Raster(1, 1, BRAILLE)
    raster.span(0, 0, 3, FIRST)
    raster.dot(1, 2, SECOND)
    raster.span(0, 0, 3, FIRST)
    assert raster.drawn(STYLES)[0] == [("⠠", "second")]


@given(st.integers(0, 19), st.integers(0, 11), st.integers(0, 19), st.integers(0, 11))
def test_a_line_has_no_holes(x0: int, y0: int, x1: int, y1: int) -> None:
    raster = Raster(20, 12, ASCII)
    raster.line((min(x0, x1), y0), (max(x0, x1), y1), FIRST)
    rows = [{x for x, c in enumerate("".join(t for t, _ in row)) if c != " "} for row in raster.drawn(STYLES)]
    dots = {(x, y) for y, row in enumerate(rows) for x in row}
    assert (min(x0, x1), y0) in dots and (max(x0, x1), y1) in dots
    for x in range(min(x0, x1), max(x0, x1)):
        here, there = ({y for a, y in dots if a == x}, {y for a, y in dots if a == x + 1})
        assert min(abs(p - q) for p in here for q in there) <= 1


def test_curves_take_a_log_cut_anywhere_and_skip_what_they_know() -> None:
    writer = LogWriter()
    first, second = writer.losses(0, [3.0, 2.0]), writer.losses(2, [math.nan, 1.0])
    curves = HistoryCurves()
    for frame in (first, first, second, second):
        feed(curves, frame)
    assert curves.last_step == 3 and curves.latest("loss") == 1.0 and curves.bad("loss") == 1
    reduced = curves.reduce("loss", 0, 3, 2)
    assert list(reduced.low) == [2.0, 1.0] and list(reduced.high) == [3.0, 1.0] and list(reduced.bad) == [False, True]
    assert curves.reduce("val_loss", 0, 3, 2).bad == [False, False]
    assert curves.latest("val_loss") is None and curves.points("val_loss") == ([], [])


def strip(*pieces: tuple[str, str]) -> Strip:
    return Strip([Segment(text, Style.parse(colour)) for text, colour in pieces])


def test_changed_spans_are_the_cells_that_differ() -> None:
    def spans(before: str, after: str) -> list[tuple[int, int]]:
        return changed(cells(strip((before, "red"))), cells(strip((after, "red"))))

    assert spans("abc", "abc") == []
    assert spans("a" * 30, "ab" + "a" * 27 + "b") == [(1, 2), (29, 30)]
    assert spans("step 1", "step 2") == [(5, 6)]
    assert spans("日本", "日木") == [(2, 3)]


row_of_cells = st.lists(st.tuples(st.sampled_from("a⠁█─ \u0400"), st.sampled_from(("red", "blue"))), min_size=1)


@given(row_of_cells, st.data())
def test_changed_spans_are_those_of_a_look_at_each_cell(before: list[tuple[str, str]], data: st.DataObject) -> None:
    after = list(before)
    for place in data.draw(st.lists(st.integers(0, len(before) - 1), max_size=6)):
        after[place] = data.draw(st.tuples(st.sampled_from("b⣿ "), st.sampled_from(("red", "blue"))))
    spans = changed(cells(strip(*before)), cells(strip(*after)))
    differ = {at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other}
    covered = {at for first, end in spans for at in range(first, end)}
    assert differ <= covered and all(first in differ and end - 1 in differ for first, end in spans)
    inside = sorted(differ)
    assert all(b - a <= 9 for first, end in spans for a, b in pairwise([d for d in inside if first <= d < end]))
    assert all(right[0] - left[1] > 8 for left, right in pairwise(spans))


@given(st.integers(6, 250), st.integers(1, 60))
def test_columns_of_the_gradients_never_exceed_the_pane(width: int, longest: int) -> None:
    at = columns(width, longest)
    used = 2 + at.name + at.norm + at.ratio + at.dead + (2 + at.bars if at.bars else 0) + at.note
    assert used <= max(width, 22)


@given(st.text())
def test_clean_text_has_no_control_characters(value: str) -> None:
    assert clean(clean(value)) == clean(value)
    assert all(c.isprintable() or c == "\u00a0" or not c.isascii() for c in clean(value))
    assert not any(c in clean(value) for c in "\x1b\r\n\t\x7f\x9b\u202e\u2028")


@given(st.text(max_size=60).map(clean), st.integers(0, 40))
def test_fitted_text_has_just_that_width(value: str, width: int) -> None:
    assert cell_len(fit(value, width)) == width


@given(st.text(max_size=200).map(clean), st.integers(4, 40), st.integers(1, 4))
def test_wrapped_text_stays_within(value: str, width: int, most: int) -> None:
    parts = wrap(value, width, most)
    assert len(parts) <= most and all(cell_len(part) <= width for part in parts)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.03125, "3.1e-2"),
        (1.2468, "1.25"),
        (0.1, "1.0e-1"),
        (0.0, "0"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (1e-300, "1.0e-300"),
    ],
)
def test_magnitudes(value: float, shown: str) -> None:
    assert small(value) == shown


def test_counts_and_losses() -> None:
    assert [count(n) for n in (0, 999, 2080, 101_770, 1_300_000)] == ["0", "999", "2.1k", "102k", "1.3M"]
    assert [loss_text(v) for v in (2.3026, 0.0312, 4.2e-6, 41.23, math.nan)] == [
        "2.303",
        "0.0312",
        "4.2e-6",
        "41.23",
        "nan",
    ]


def test_the_exponent_axis_covers_all_layers() -> None:
    store = Store(None, "", HistoryCurves)
    store.apply(histograms(3))
    found = exponents(store.snapshot.histogram("grad_W"))
    assert found is not None and found[0] <= -20 and found[1] >= -4
    assert exponents(()) is None


def test_a_policy_shows_its_return_and_other_networks_their_loss() -> None:
    chart = LossChart(Snapshot())
    assert chart.title == "Loss"
    chart.show(Snapshot(model=ModelView(task="policy")))
    assert (chart.title, chart.family.series) == ("Mean return", ("train_return", "val_return"))
    chart.turn_metric()
    assert chart.title == "Loss"
    chart.show(Snapshot(model=ModelView(task="policy")))  # what a user chose stays
    assert chart.title == "Loss"
    assert LossChart(Snapshot(model=ModelView(task="policy"))).title == "Mean return"
