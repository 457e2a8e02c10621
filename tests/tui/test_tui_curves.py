"""Chart maths against brute force: columns, exact values, smoothing, windows, marks, heat and ridges."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from fake_session import LogWriter, losses
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.protocol.framing import Frame
from bptui.protocol.messages import LogChunk
from bptui.runs import log
from bptui.runs.pyramid import Sparse
from bptui.runs.records import CELLS, LOW_EXPONENT, TABLE_COLUMNS
from bptui.tui.curves import HistoryCurves
from bptui.tui.families import families
from bptui.tui.glyphs import BRAILLE
from bptui.tui.marks import Mark, axis_row, epoch_ends
from bptui.tui.ramps import CLASSES, LEVELS, VIRIDIS, amount, mark, painted, texture
from bptui.tui.smooth import smoothed
from bptui.tui.text import change_text
from bptui.tui.widgets import bins
from bptui.tui.widgets.pane import width_of
from bptui.tui.widgets.plot import Frame as PlotFrame
from bptui.tui.widgets.plot import Plot
from bptui.tui.window import Window

values_of = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])), min_size=1, max_size=300
)


def fed(*frames: Frame) -> HistoryCurves:
    curves = HistoryCurves()
    for frame in frames:
        assert isinstance(frame.message, LogChunk)
        curves.feed(frame.message.offset, bytes(frame.raw(frame.message.data)))
    return curves


# -- columns ---------------------------------------------------------------------------------------
@settings(deadline=None)
@given(values_of, st.integers(0, 200), st.integers(1, 300), st.integers(1, 120))
def test_a_trace_is_what_brute_force_finds(values: list[float], first: int, span: int, columns: int) -> None:
    curves = fed(LogWriter().losses(0, values))
    last = first + span
    trace = curves.trace("loss", first, last, columns)
    narrow = np.array(values, np.float64).astype(np.float32)
    if span < columns:  # a step a point, each in its place
        steps = range(first, min(last, len(values) - 1) + 1)
        assert list(trace.places) == [round((step - first) / span * (columns - 1)) for step in steps]
        groups = [[step] for step in steps]
    else:
        assert list(trace.places) == list(range(columns))
        total = last + 1 - first
        edges = [first + i * total // columns for i in range(columns + 1)]
        groups = [list(range(a, min(b, len(values)))) for a, b in itertools.pairwise(edges)]
    for low, high, bad, group in zip(trace.low, trace.high, trace.bad, groups, strict=True):
        finite = [float(narrow[step]) for step in group if np.isfinite(narrow[step])]
        assert bad == any(not np.isfinite(narrow[step]) for step in group)
        assert (low, high) == (min(finite), max(finite)) if finite else math.isnan(low) and math.isnan(high)


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(-1e3, 1e3)), min_size=1, max_size=60),
       st.integers(0, 400), st.integers(1, 200), st.integers(1, 50))  # fmt: skip
def test_a_sparse_series_is_reduced_as_by_brute_force(
    points: list[tuple[int, float]], first: int, span: int, columns: int
) -> None:
    every = dict(sorted(points))
    series = Sparse()
    series.append(np.array(list(every), np.uint64), np.array(list(every.values())))
    found = series.reduce(first, first + span, columns)
    edges = [first + i * span // columns for i in range(columns + 1)]
    for column in range(columns):
        inside = [np.float32(v) for step, v in every.items() if edges[column] <= step < edges[column + 1]]
        if inside:
            assert (found.low[column], found.high[column]) == (min(inside), max(inside))
        else:
            assert math.isnan(found.low[column])


def test_a_line_between_few_points_goes_on_to_both_edges() -> None:
    curves = fed(LogWriter().points("val_loss", [0, 100, 200], [2.0, 1.0, 3.0]))
    trace = curves.trace("val_loss", 50, 150, 101)
    assert list(trace.places) == [0, 50, 100] and list(trace.low) == [1.5, 1.0, 2.0]


def test_values_are_read_exactly_at_or_before_a_step() -> None:
    writer = LogWriter()
    curves = fed(writer.losses(5, losses(100)), writer.points("val_loss", [10, 50], [0.123456789, 0.2]))
    assert curves.at("loss", 7) == (7, float(np.float32(losses(100)[2])))
    assert curves.at("loss", 4) is None and curves.at("loss", 10_000) == (104, float(np.float32(losses(100)[99])))
    assert curves.at("val_loss", 49) == (10, 0.123456789) and curves.at("val_loss", 9) is None
    assert curves.at("nothing", 9) is None


# -- a plot ----------------------------------------------------------------------------------------
def drawn(values: list[float], **fields: object) -> list[str]:
    frame = PlotFrame(**{"first": 0, "last": len(values) - 1, "width": 60, "height": 12, **fields})  # type: ignore[arg-type]
    lines = Plot(BRAILLE).lines(fed(LogWriter().losses(0, values)), families([])[0], frame)
    assert all(width_of(line) == 60 for line in lines) and len(lines) == 12
    return ["".join(text for text, _ in line) for line in lines]


def test_what_is_not_finite_is_a_gap_with_a_mark_and_nothing_is_drawn_across() -> None:
    values = [1.0] * 40 + [math.nan] + [math.inf] + [1.0] * 40
    rows = drawn(values)
    gaps = [x for x, cell in enumerate(rows[10]) if cell == "×"]
    place = 8 + round(40 / 81 * 103) // 2
    assert gaps and all(abs(x - place) <= 1 for x in gaps)
    curve = next(row for row in rows[:10] if any("⠀" < cell <= "⣿" for cell in row[8:]))
    assert curve[place] in " ⠂⠄⠁⡀⠈⠐⠠⢀"
    assert "⠀" < curve[place - 3] <= "⣿" and "⠀" < curve[place + 3] <= "⣿"


def test_on_a_logarithmic_axis_a_decade_has_the_same_height_everywhere() -> None:
    rows = drawn([1000.0, 100.0, 10.0, 1.0, 0.1, 0.01], log=True, height=12, width=60)
    tops = {}
    for x in range(8, 60):
        for y, row in enumerate(rows[:-1]):
            if "⠀" < row[x] <= "⣿":
                tops.setdefault(x, y)
    steps = [min(tops[x] for x in (8 + round(k * 103 / 5) // 2,) if x in tops) for k in range(6)]
    heights = [b - a for a, b in itertools.pairwise(steps)]
    assert max(heights) - min(heights) <= 1 and steps[0] == 0 and steps[-1] == 10


def test_the_raw_curve_stays_when_it_is_smoothed() -> None:
    frame = PlotFrame(0, 199, 80, 12, smooth=0.9)
    lines = Plot(BRAILLE).lines(fed(LogWriter().losses(0, losses(200))), families([])[0], frame)
    styles = {style for line in lines for text, style in line[2:] if text.strip()}
    assert {"dim", "first"} <= styles


@given(values_of, st.sampled_from([0.0, 0.6, 0.9, 0.97]))
def test_smoothing_is_the_weighted_mean_of_what_came_since_the_last_gap(values: list[float], weight: float) -> None:
    bad = [not math.isfinite(v) for v in values]
    found = smoothed(values, values, bad, weight)
    start = 0
    for index, value in enumerate(values):
        if bad[index]:
            assert math.isnan(found[index])
            start = index + 1
            continue
        assert math.isfinite(value)
        weights = [weight ** (index - k) for k in range(start, index + 1)]
        mean = sum(w * values[k] for w, k in zip(weights, range(start, index + 1), strict=True)) / sum(weights)
        assert found[index] == pytest.approx(mean, rel=1e-9, abs=1e-6)


# -- windows ---------------------------------------------------------------------------------------
@given(st.lists(st.sampled_from(["in", "out", "left", "right", "home", "end", "grow"]), max_size=60), st.data())
def test_a_window_stays_within_the_run_whatever_is_pressed(keys: list[str], data: st.DataObject) -> None:
    window, head = Window(), 1000
    for key in keys:
        window.ends(head, None)
        about = data.draw(st.integers(0, head)) if key in ("in", "out") else 0
        if key in ("in", "out"):
            window.zoom(0.5 if key == "in" else 2.0, about, head)
        elif key in ("left", "right"):
            window.pan(0.25 if key == "right" else -0.25, head)
        elif key == "home":
            window.home()
        elif key == "end":
            window.end(head)
        head += 500 if key == "grow" else 0
        first, last = window.ends(head, None)
        assert 0 <= first < last and last - first >= 8
        assert window.whole or last <= head + (last - first)
        assert not window.follow or first <= head <= last
        assert not window.whole or (first == 0 and last >= head)


def test_zooming_keeps_the_place_under_the_crosshair() -> None:
    window = Window()
    window.ends(10_000, None)
    window.zoom(0.5, 5000, 10_000)
    share = (5000 - window.first) / (window.last - window.first)
    window.zoom(0.5, 5000, 10_000)
    assert (5000 - window.first) / (window.last - window.first) == pytest.approx(share, abs=0.01)
    assert not window.follow


# -- marks -----------------------------------------------------------------------------------------
def test_ends_of_epochs_are_thinned_and_stay_multiples() -> None:
    assert epoch_ends(45, 0, 300, 70) == [45, 90, 135, 180, 225, 270]
    for last in (300, 3_000, 300_000, 10_000_000):
        found = epoch_ends(45, 0, last, 70)
        assert 1 <= len(found) <= 18 and all(step % 45 == 0 for step in found)
    assert epoch_ends(0, 0, 300, 70) == []


def test_marks_lie_where_their_step_is_and_changes_cover_epochs() -> None:
    marks = [Mark(50, "change", "lr"), Mark(100, "finding", "dead"), Mark(500, "change", "outside")]
    cells, kinds = axis_row(marks, [50, 75], 0, 100, 101, BRAILLE)
    assert kinds == {"change", "finding", "epoch"} and len(cells) == 101
    assert (cells[50][0], cells[75][0], cells[100][0], cells[0][0]) == ("◆", "┴", "▲", "─")


def test_a_change_in_words() -> None:
    assert change_text("lr", 0.1, 0.05) == "lr 0.1→0.05"
    assert change_text("stop", None, "no face is left") == "stop no face is left"
    assert change_text("kill", None, None) == "kill"


# -- heat, ridge, bins -----------------------------------------------------------------------------
def test_heat_holds_the_last_table_of_each_column_and_stops_at_the_head() -> None:
    writer = LogWriter()
    frames = [writer.losses(0, [1.0] * 80)]
    for step in (10, 11, 40):
        values = np.full((2, len(TABLE_COLUMNS)), np.nan, np.float32)
        values[:, 0] = (step, math.nan)
        frames.append(writer.chunk(log.table(0, step, 0.0, values)))
    heat = fed(*frames).heat("grad_norm", 0, 99, 10)
    assert heat.steps == [-1, 11, 11, 11, 40, 40, 40, 40, -1, -1]
    assert heat.values[0][1:8] == [11, 11, 11, 40, 40, 40, 40] and all(math.isnan(v) for v in heat.values[1])


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_ridge_begins_with_the_first_and_ends_with_the_last(kept: int, most: int) -> None:
    writer = LogWriter()
    frames = []
    for step in range(kept):
        counts = np.full((2, CELLS), step, np.uint32)
        frames.append(writer.chunk(log.histogram(0, step * 10, 0.0, 0, counts)))
    rows = fed(*frames).ridge("grad_W", 1, most)
    steps = [step for step, _ in rows]
    assert steps == sorted(set(steps)) and len(steps) <= most and steps[-1] == (kept - 1) * 10
    assert most == 1 or steps[0] == 0
    assert all(list(cells) == [step // 10] * CELLS for step, cells in rows)


@given(st.lists(st.integers(0, 1000), min_size=64, max_size=64), st.integers(4, 200))
def test_bars_cover_all_values_in_order(cells: list[int], width: int) -> None:
    at = bins.axis([cells], width)
    if at is None:
        assert not any(cells)
        return
    assert at.cells <= width and (at.scale == 1 or at.group == 1)
    shown = cells[at.low - LOW_EXPONENT : at.high + 1 - LOW_EXPONENT]
    assert sum(shown) == sum(cells)
    tops = bins.heights(cells, at, 24)
    grouped = [sum(shown[i : i + at.group]) for i in range(0, len(shown), at.group)]
    assert max(tops) == 24 and [bool(t) for t in tops] == [bool(g) for g in grouped]
    rows = bins.bars(cells, at, width, 3, BRAILLE)
    assert len(rows) == 3 and all(len(row) == width for row in rows)


# -- what colours say is also said by glyphs ---------------------------------------------------------
def luminance(colour: tuple[int, int, int]) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def test_the_ramp_grows_brighter_step_by_step() -> None:
    brightness = [luminance(colour) for colour in VIRIDIS]
    assert brightness == sorted(brightness) and len(brightness) == LEVELS
    heights = [amount(level, BRAILLE) for level in range(LEVELS)]
    assert heights == sorted(heights)


def test_classes_differ_in_mark_texture_and_colour() -> None:
    for of in (mark, texture):
        assert len({of(label, BRAILLE) for label in range(len(CLASSES))}) == len(CLASSES)
    assert len(set(CLASSES)) == len(CLASSES)


@pytest.mark.parametrize("ground", [(18, 18, 18), (245, 245, 245)])
def test_numbers_can_be_read_on_every_step_of_the_ramp(ground: tuple[int, int, int]) -> None:
    for level in range(LEVELS):
        style = painted(f"count{level}", ground)
        assert style is not None and style.color is not None and style.bgcolor is not None
        ink, paper = style.color.triplet, style.bgcolor.triplet
        assert ink is not None and paper is not None
        assert abs(luminance(tuple(ink)) - luminance(tuple(paper))) > 60
