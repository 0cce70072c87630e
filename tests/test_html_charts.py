"""Charts of the page: axes that hold their values, texts that stay apart, marks that lie on what they stand for."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ovbench.config import Precision
from ovbench.report.html.axes import (
    LEAST_TICKS,
    LINE_PX,
    TICK_GAP_PX,
    Scale,
    closed,
    fit_scale,
    linear_ticks,
    log_ticks,
    nice_step,
)
from ovbench.report.html.axes import tick_texts as texts_of
from ovbench.report.html.bars import Bar, Stretch, paired_chart, stacked_chart
from ovbench.report.html.curves import (
    BEYOND_P95,
    DASHES,
    MOST_POINTS,
    TOLERANCE_PX,
    Distribution,
    Drift,
    Turn,
    beyond,
    ecdf_chart,
    latency_ends,
    rounds_chart,
    thinned,
)
from ovbench.report.html.intervals import Row, intervals_chart, values_of
from ovbench.report.html.scatter import MARK_PX, Point, pareto_front, scatter_chart
from ovbench.report.html.svg import (
    COLOURS,
    NARROW,
    SHAPES,
    WIDE,
    Chart,
    Key,
    box_swatch,
    fitted,
    label,
    legend,
    number,
    polyline,
    simplified,
    text_width,
)
from ovbench.stats import Estimate

POSITIVE = st.floats(1e-4, 1e7)
VALUES = st.lists(st.floats(-1e6, 1e6).map(lambda each: round(each, 3)), min_size=1, max_size=20)
PRECISIONS = st.sampled_from(list(Precision))
FEW = settings(max_examples=25)  # what draws a whole chart is slow
WRITTEN = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
HOSTILE = "</text><script>alert('x')</script>\"&amp;"


def drawn(chart: Chart) -> ElementTree.Element:
    """The chart as a tree; that it is one shows that every text in it is escaped."""
    return ElementTree.fromstring(str(chart.svg("c1")))


def marked(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [each for each in tree.iter("path") if f"data-{name}" in each.attrib]


def start_of(path: ElementTree.Element) -> tuple[float, float]:
    """Where its data begin: for a mark, the value's place."""
    found = re.match(r"M(-?[\d.]+) (-?[\d.]+)", path.attrib["d"])
    assert found is not None
    return float(found[1]), float(found[2])


def axis_of(tree: ElementTree.Element, axis: str) -> Scale:
    """An axis as a reader takes it from the ticks: the first and the last tell where all other values lie."""
    group = next(each for each in tree.iter("g") if each.get("data-axis") == axis)
    ticks = [(float(each.attrib[axis]), float(each.text or "")) for each in group]
    (start, low), (end, high) = ticks[0], ticks[-1]
    return Scale(low, high, start, end, group.attrib["data-scale"] == "log", ())


def value_at(scale: Scale, place: float) -> float:
    """The inverse of ``Scale.at``, beyond its ends too."""
    share = (place - scale.start) / (scale.end - scale.start)
    if scale.logarithmic:
        return scale.low * (scale.high / scale.low) ** share
    return scale.low + share * (scale.high - scale.low)


def points_of(data: str) -> list[tuple[float, float]]:
    """Path data of lines as places."""
    places: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([Ml])([^Ml]*)", data):
        x, y = (float(each) for each in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", numbers))
        places.append((x, y) if command == "M" else (places[-1][0] + x, places[-1][1] + y))
    return places


# ------------------------------------------------------------------------------------------------------------- axes


@pytest.mark.parametrize(
    ("span", "parts", "step"), [(10, 5, 2), (10, 4, 5), (1, 10, 0.1), (0.07, 5, 0.02), (30, 3, 10), (9, 9, 1)]
)
def test_a_step_is_the_smallest_round_one_that_is_long_enough(span: float, parts: int, step: float) -> None:
    assert nice_step(span, parts) == pytest.approx(step)


@FEW
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(2, 9))
def test_linear_ticks_are_round_evenly_apart_and_few(low: float, span: float, most: int) -> None:
    ticks = linear_ticks(low, low + span, most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * span <= each <= low + span * (1 + 1e-6) for each in ticks)
    steps = {round(after - before, 6) for before, after in itertools.pairwise(ticks)}
    mantissas = {f"{each:.0e}"[0] for each in steps}
    assert mantissas <= {"1", "2", "5"}


@FEW
@given(low=POSITIVE, decades=st.floats(0.5, 9), most=st.integers(3, 9))
def test_log_ticks_are_round_within_and_few(low: float, decades: float, most: int) -> None:
    high = low * 10**decades
    ticks = log_ticks(low, high, most)
    assert len(ticks) <= most
    assert all(low * 0.999 <= each <= high * 1.001 for each in ticks)
    assert {f"{each:.0e}"[0] for each in ticks} <= {"1", "2", "3", "5"}


@FEW
@given(values=VALUES, zero=st.booleans(), upright=st.booleans())
def test_a_scale_holds_every_value_and_its_ticks_stay_apart(values: list[float], zero: bool, upright: bool) -> None:
    start, end = (200.0, 20.0) if upright else (30.0, 320.0)
    scale = fit_scale(values, start, end, zero)
    assert scale.low <= min(values)
    assert max(values) <= scale.high
    assert not zero or scale.low <= 0 <= scale.high
    places = [scale.at(each) for each in scale.ticks]
    assert len(places) >= 2
    assert all(min(start, end) - 1e-6 <= each <= max(start, end) + 1e-6 for each in places)
    assert_apart(scale, places, upright)


@FEW
@given(low=POSITIVE, factor=st.floats(10.5, 1e6))
def test_a_wide_range_is_logarithmic_and_its_ticks_stay_apart(low: float, factor: float) -> None:
    scale = fit_scale([low, low * factor], 30, 320)
    assert scale.logarithmic
    assert scale.at(low) < scale.at(low * math.sqrt(factor)) < scale.at(low * factor)
    assert scale.at(low * math.sqrt(factor)) == pytest.approx(175, abs=0.5)
    places = [scale.at(each) for each in scale.ticks]
    assert len(places) >= 2
    assert_apart(scale, places, False)


def assert_apart(scale: Scale, places: Sequence[float], upright: bool) -> None:
    """No two texts of ticks touch."""
    told = zip(places, scale.texts, strict=True)
    for (before, text), (after, other) in itertools.pairwise(told):
        room = LINE_PX if upright else (text_width(text) + text_width(other)) / 2 + TICK_GAP_PX
        assert abs(after - before) >= room


@FEW
@given(low=st.floats(-1e3, 1e3), span=st.floats(0.1, 1e3))
def test_a_closed_scale_ends_where_it_is_told_and_can_be_read(low: float, span: float) -> None:
    scale = closed(fit_scale([low, low + span], 30, 320, logarithmic=False), low, low + span)
    assert len(scale.ticks) >= LEAST_TICKS
    assert all(scale.low <= each <= scale.high for each in scale.ticks)
    if (scale.low, scale.high) == (low, low + span):
        assert (scale.at(low), scale.at(low + span)) == pytest.approx((30, 320))
    else:
        assert scale == fit_scale([low, low + span], 30, 320, logarithmic=False)


def test_a_scale_reaches_its_ends_and_goes_no_further() -> None:
    scale = fit_scale([0, 10], 30, 330)
    assert (scale.at(0), scale.at(10), scale.at(5)) == (30, 330, 180)
    assert (scale.at(-5), scale.at(99)) == (30, 330)
    assert scale.places([10, -5, 5, 0, 99]) == [330, 30, 180, 30, 330]


@FEW
@given(values=VALUES)
def test_ticks_read_as_what_they_are(values: list[float]) -> None:
    scale = fit_scale(values, 30, 320)
    assert [float(each) for each in scale.texts] == pytest.approx(list(scale.ticks), rel=1e-9, abs=1e-9)
    assert len(set(scale.texts)) == len(scale.texts)
    assert not any("e" in each for each in scale.texts)


def test_ticks_have_as_many_decimals_as_tell_them_apart() -> None:
    assert texts_of((0, 0.5, 1)) == ("0.0", "0.5", "1.0")
    assert texts_of((0, 20, 40)) == ("0", "20", "40")
    assert texts_of((0.5, 1, 2, 5, 10)) == ("0.5", "1", "2", "5", "10")


# -------------------------------------------------------------------------------------------------------------- text


@FEW
@given(WRITTEN)
def test_every_text_is_escaped(text: str) -> None:
    assert (ElementTree.fromstring(label(0, 0, text)).text or "") == text


@FEW
@given(text=WRITTEN, room=st.floats(20, 400))
def test_a_text_that_is_too_long_loses_its_middle(text: str, room: float) -> None:
    cut = fitted(text, room)
    assert text_width(cut) <= room or len(cut) <= 1
    if cut != text:
        head, _, tail = cut.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_a_text_that_fits_is_left_alone() -> None:
    assert fitted("INT8 thr AUTO off", 200) == "INT8 thr AUTO off"
    assert fitted("iiiiiiiiii", text_width("iiiiiiiiii")) == "iiiiiiiiii"


def test_wide_letters_are_taken_for_wide_and_marks_for_nothing() -> None:
    assert text_width("漢") > text_width("m") > text_width("a") > text_width("i")
    assert text_width("e\u0301\u202e") == text_width("e")


@FEW
@given(st.floats(-5000, 5000))
def test_a_coordinate_is_short_and_right_to_a_tenth(value: float) -> None:
    text = number(value)
    assert float(text) == pytest.approx(value, abs=0.051)
    assert re.fullmatch(r"-?(\d+(\.[1-9])?|\.[1-9])", text)
    assert text != "-0"


@FEW
@given(st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=1, max_size=40))
def test_a_line_leads_through_its_points(points: list[tuple[float, float]]) -> None:
    wanted = [(round(10 * x) / 10, round(10 * y) / 10) for x, y in points]
    kept = [each for place, each in enumerate(wanted) if not place or each != wanted[place - 1]]
    found = points_of(polyline(points))
    assert len(found) == len(kept)
    for (x, y), (right, down) in zip(kept, found, strict=True):
        assert (x, y) == pytest.approx((right, down), abs=0.001)


@FEW
@given(st.lists(st.floats(0, 100), min_size=2, max_size=60), st.floats(0.1, 3))
def test_points_that_are_left_out_of_a_line_lie_on_it(heights: list[float], tolerance: float) -> None:
    points = [(float(place), height) for place, height in enumerate(heights)]
    kept = simplified(points, tolerance)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert set(kept) <= set(points)
    for x, y in points:
        after = next(place for place, each in enumerate(kept) if each[0] >= x)
        (left, low), (right, high) = kept[max(0, after - 1)], kept[after]
        length = math.hypot(right - left, high - low) or 1.0
        assert abs((right - left) * (y - low) - (high - low) * (x - left)) / length <= tolerance + 1e-9


@FEW
@given(st.lists(st.text("abcmW ", min_size=1, max_size=30), min_size=1, max_size=8))
def test_a_legend_stays_in_its_width_and_grows_downwards(names: list[str]) -> None:
    drawing, height = legend([Key(box_swatch("#000"), each) for each in names], 100, NARROW)
    texts = list(ElementTree.fromstring(f"<g>{drawing}</g>").iter("text"))
    assert len(texts) == len(names)
    for each in texts:
        assert float(each.attrib["x"]) + text_width(each.text or "") <= NARROW + 1e-6
        assert 100 <= float(each.attrib["y"]) <= 100 + height


def test_every_precision_has_a_shape_and_a_colour_of_its_own() -> None:
    assert len(set(SHAPES.values())) == len(set(COLOURS.values())) == len(Precision)
    assert SHAPES.keys() == COLOURS.keys() == set(Precision)


# ----------------------------------------------------------------------------------------------------------- scatter

POINTS = st.lists(
    st.builds(Point, st.text("abc 123", min_size=1, max_size=30), PRECISIONS, POSITIVE, POSITIVE, st.just("said")),
    min_size=1,
    max_size=25,
)


@FEW
@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[Point]) -> None:
    front = pareto_front(points)
    for point in points:
        beaten = any(
            other.x <= point.x and other.y >= point.y and (other.x, other.y) != (point.x, point.y) for other in points
        )
        assert (point in front) is not beaten


@FEW
@given(POINTS)
def test_marks_lie_where_the_axes_say_and_names_touch_nothing(points: list[Point]) -> None:
    chart = scatter_chart("A chart", points, (), "ms", "FPS")
    tree = drawn(chart)
    marks = marked(tree, "mark")
    assert len(marks) == len(points)
    x_axis, y_axis = axis_of(tree, "x"), axis_of(tree, "y")
    for point, mark in zip(points, marks, strict=True):
        x, y = start_of(mark)
        assert 0 <= x <= chart.width
        assert 0 <= y <= chart.height
        assert_at(x_axis, x, point.x)
        assert_at(y_axis, y, point.y)
    front = pareto_front(points)
    assert [mark.get("fill") is not None for mark in marks] == [point in front for point in points]
    assert_names_apart(tree, chart, [start_of(mark) for mark in marks])


def assert_at(axis: Scale, place: float, value: float) -> None:
    """The value that is read at the place is the value, as near as places in tenths of a pixel can tell.

    The place and both ticks are rounded by up to half a tenth; how much a tick's rounding moves the value grows with
    the distance to the other.
    """
    share = (place - axis.start) / (axis.end - axis.start)
    off = 0.05 * (1 + abs(share) + abs(1 - share)) + 0.01
    near = sorted((value_at(axis, place - off), value_at(axis, place + off)))
    assert near[0] <= value <= near[1]


def assert_names_apart(tree: ElementTree.Element, chart: Chart, marks: Sequence[tuple[float, float]]) -> None:
    """Names of the front lie in the chart, and touch neither a mark nor each other."""
    group = next(each for each in tree.findall("g") if each.get("dominant-baseline") and not each.get("data-axis"))
    boxes = [(float(each.attrib["x"]), float(each.attrib["y"]), text_width(each.text or "")) for each in group]
    for place, (left, middle, width) in enumerate(boxes):
        assert left >= 0
        assert left + width <= chart.width + 0.1
        for x, y in marks:
            assert abs(y - middle) >= MARK_PX or not left - MARK_PX < x < left + width + MARK_PX
        for other, y, other_width in boxes[place + 1 :]:
            assert abs(y - middle) >= 12 or other >= left + width - 0.1 or left >= other + other_width - 0.1


def test_the_ends_of_the_front_are_named() -> None:
    points = [Point(f"p{each}", Precision.INT8, each, each, "") for each in (1.0, 2.0, 3.0)]
    tree = drawn(scatter_chart("A chart", points, (), "ms", "FPS"))
    assert {"p1.0", "p3.0"} <= {each.text for each in tree.iter("text")}


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_no_name_is_struck_through_by_the_stairs_of_the_front(width: float) -> None:
    points = [Point(f"INT8 thr {each}", Precision.INT8, each, 100 * each, "") for each in (1, 4, 8)]
    tree = drawn(scatter_chart("A chart", points, (), "ms", "FPS", width))
    places = [start_of(each) for each in marked(tree, "mark")]
    names = [each for each in tree.iter("text") if (each.text or "").startswith("INT8 thr")]
    assert len(names) == len(points)
    for (x, y), (next_x, next_y) in itertools.pairwise(places):
        for name in names:
            left, middle = float(name.attrib["x"]), float(name.attrib["y"])
            assert abs(middle - y) >= 7 or left >= next_x or left + text_width(name.text or "") <= x
            assert not left < next_x < left + text_width(name.text or "") or not next_y - 7 < middle < y + 7


def test_names_that_have_no_room_are_left_out() -> None:
    points = [Point(f"long name {each}", Precision.INT8, 5 + each / 1000, 5 + each / 1000, "") for each in range(40)]
    tree = drawn(scatter_chart("A chart", points, (), "ms", "FPS"))
    named = [each.text for each in tree.iter("text") if (each.text or "").startswith("long name")]
    assert "long name 0" in named
    assert len(named) < 40


# ------------------------------------------------------------------------------------------------------------ curves

LATENCIES = st.lists(st.floats(0.5, 50), min_size=1, max_size=600).map(sorted)


@FEW
@given(LATENCIES)
def test_a_thinned_distribution_has_few_points_and_all_of_them_true(values: list[float]) -> None:
    curve = thinned(values)
    assert len(curve) <= MOST_POINTS
    assert (curve[0][0], curve[-1]) == (values[0], (values[-1], 1.0))
    for value, share in curve:
        place = round(share * len(values))
        assert share == pytest.approx(place / len(values))
        assert values[place - 1] == value


@FEW
@given(LATENCIES)
def test_a_distribution_s_line_passes_its_median(values: list[float]) -> None:
    assume(values[-1] > 1.01 * values[0])
    tree = drawn(ecdf_chart("A chart", [Distribution("one", Precision.INT8, 0, values)], latency_ends([values]), "ms"))
    (line,) = marked(tree, "line")
    x_axis, y_axis = axis_of(tree, "x"), axis_of(tree, "y")
    places = points_of(line.attrib["d"])
    assert value_at(y_axis, places[0][1]) == pytest.approx(0, abs=0.1)
    assert all(before[0] <= after[0] + 0.11 for before, after in itertools.pairwise(places))
    # Of the calls up to any point of the line at least, and before it at most, its share: to the line's own tolerance.
    slack = 3 * TOLERANCE_PX
    for x, y in places:
        share = value_at(y_axis, y) / 100
        within = sum(each <= value_at(x_axis, x + slack) * (1 + 1e-9) for each in values) / len(values)
        below = sum(each < value_at(x_axis, x - slack) * (1 - 1e-9) for each in values) / len(values)
        assert below - 0.01 <= share <= within + 0.01


def test_one_outlier_does_not_flatten_a_distribution() -> None:
    steady = [5.0 + place / 1000 for place in range(999)] + [900.0]
    assert latency_ends([steady]) == pytest.approx((5.0, BEYOND_P95 * 5.949))
    assert latency_ends([[5.0, 6.0], [4.0, 5.0]]) == (4.0, 6.0)


def test_lines_of_one_precision_differ_by_their_dashes() -> None:
    lines = [Distribution(f"line {rank}", Precision.INT8, rank, [1.0, 2.0 + rank]) for rank in range(len(DASHES))]
    paths = marked(drawn(ecdf_chart("A chart", lines, (1, 6), "ms")), "line")
    assert len({each.get("stroke-dasharray", "") for each in paths}) == len(DASHES)
    assert {each.attrib["stroke"] for each in paths} == {COLOURS[Precision.INT8]}


def test_a_precision_is_told_by_its_sign_at_the_median_too() -> None:
    line = Distribution("one", Precision.INT8, 0, [1.0, 3.0, 5.0])
    tree = drawn(ecdf_chart("A chart", [line], (1, 5), "ms"))
    signs = [each for each in tree.findall("path") if each.attrib["d"].endswith(SHAPES[Precision.INT8])]
    assert [each.attrib["fill"] for each in signs] == [COLOURS[Precision.INT8]]
    x, y = start_of(signs[0])
    assert value_at(axis_of(tree, "x"), x) == pytest.approx(3, abs=0.02)
    assert value_at(axis_of(tree, "y"), y) == pytest.approx(50, abs=0.1)


def drift_of(relatives: Sequence[float], lanes: int, rejected: Sequence[int] = ()) -> Drift:
    each = math.ceil(len(relatives) / lanes)
    turns = [Turn(place // each, relative, place in rejected) for place, relative in enumerate(relatives)]
    return Drift("one", Precision.INT8, 0, turns)


@FEW
@given(
    relatives=st.lists(st.floats(0.6, 1.9), min_size=1, max_size=300), lanes=st.integers(1, 8), share=st.floats(0, 0.5)
)
def test_a_bold_line_passes_the_medians_of_the_lanes(relatives: list[float], lanes: int, share: float) -> None:
    drift = drift_of(relatives, lanes, range(int(share * len(relatives))))
    tree = drawn(rounds_chart("A chart", [drift]))
    (line,) = marked(tree, "line")
    axis = axis_of(tree, "y")
    medians = list(drift.lane_medians().values())
    found = [value_at(axis, y) for _x, y in points_of(line.attrib["d"])]
    if len(medians) == 1:
        medians *= 2
    assert found == pytest.approx(medians, abs=1.5 / 160 * (axis.high - axis.low))


def test_rejected_rounds_are_crossed_and_count_for_no_median() -> None:
    drift = drift_of([1.0, 1.0, 1.9, 1.0, 1.2, 1.2], 2, [2])
    assert drift.lane_medians() == {0: 1.0, 1: 1.2}
    crosses = [each for each in drawn(rounds_chart("A chart", [drift])).iter("path") if each.find("title") is not None]
    assert [each.attrib["d"].count("M") for each in crosses if each.findtext("title") == "rejected rounds"] == [1]
    assert drift_of([1.5, 1.7], 1, [0, 1]).lane_medians() == {0: statistics.median([1.5, 1.7])}


def test_rounds_far_off_are_counted_as_drawn_at_the_edge() -> None:
    drift = drift_of([1.0, 30.0, 0.2, 1.1], 1)
    assert beyond([drift]) == 2
    assert axis_of(drawn(rounds_chart("A chart", [drift])), "y").high <= 2.5


# ------------------------------------------------------------------------------------------------ bars and intervals


@FEW
@given(st.lists(st.lists(st.floats(0, 500), min_size=4, max_size=4), min_size=1, max_size=6))
def test_stacked_bars_follow_each_other_and_are_as_long_as_their_values(lengths: list[list[float]]) -> None:
    assume(max(map(sum, lengths)) > 1)
    bars = [Bar("cache off", "1 ms", tuple(Stretch(each, "#000", "said") for each in parts)) for parts in lengths]
    tree = drawn(stacked_chart("A chart", bars, [("all", "#000")], max(map(sum, lengths)), "ms"))
    axis = axis_of(tree, "x")
    boxes = iter(marked(tree, "bar"))
    for parts in lengths:
        end = axis.start
        for length in parts:
            found = re.match(r"M(-?[\d.]+) [\d.]+h(-?[\d.]+)v", next(boxes).attrib["d"])
            assert found is not None
            assert float(found[1]) == pytest.approx(end, abs=0.3)
            width = length / (axis.high - axis.low) * (axis.end - axis.start)
            assert float(found[2]) == pytest.approx(width, abs=0.11)
            end += width
    assert next(boxes, None) is None


def test_paired_bars_all_begin_at_nothing() -> None:
    bars = [Bar("layer", "0.5×", (Stretch(40, "#000", "a"), Stretch(20, "#111", "b")))]
    boxes = marked(drawn(paired_chart("A chart", bars, [("FP32", "#000"), ("INT8", "#111")], "µs")), "bar")
    assert [start_of(each)[0] for each in boxes] == [0, 0]
    widths = [float(re.findall(r"h([\d.]+)", each.attrib["d"])[0]) for each in boxes]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)


# A ratio's interval is made of logarithms: it never comes as near to 0 as a difference does.
ESTIMATES = st.tuples(st.floats(0.3, 3), st.floats(1, 100), st.floats(1, 100), st.booleans()).map(
    lambda each: (
        Estimate(each[0], each[0] / each[1], each[0] * each[2], 5) if each[3] else Estimate(each[0], None, None, 1)
    )
)


@FEW
@given(st.lists(ESTIMATES, min_size=1, max_size=12))
def test_dots_and_whiskers_lie_on_their_values(estimates: list[Estimate]) -> None:
    rows = [Row(f"row {place}", Precision.INT8, each, "1.00", 1.1) for place, each in enumerate(estimates)]
    tree = drawn(intervals_chart("A chart", rows, "times", values_of(rows), (0.97, 1.03)))
    axis = axis_of(tree, "x")
    marks, whiskers = marked(tree, "mark"), iter(marked(tree, "whisker"))
    assert len(marks) == len(rows)
    for each, mark in zip(estimates, marks, strict=True):
        assert_at(axis, start_of(mark)[0], each.value)
        assert (mark.get("fill") is not None) is (each.low is not None)
        if each.low is not None and each.high is not None:
            found = re.match(r"M(-?[\d.]+) [\d.]+H(-?[\d.]+)M", next(whiskers).attrib["d"])
            assert found is not None
            assert_at(axis, float(found[1]), each.low)
            assert_at(axis, float(found[2]), each.high)
    assert next(whiskers, None) is None


def test_a_long_name_gives_way_to_the_figure_beside_it() -> None:
    rows = [Row("x" * 300, Precision.INT8, Estimate(1.0, 0.9, 1.1, 5), "1.00 [0.90, 1.10] UNSURE")]
    tree = drawn(intervals_chart("A chart", rows, "times", values_of(rows)))
    name = next(each.text for each in tree.iter("text") if "…" in (each.text or ""))
    assert text_width(name or "") + text_width(rows[0].figure) < NARROW


def test_hostile_names_are_texts_and_nothing_else() -> None:
    charts = [
        scatter_chart(HOSTILE, [Point(HOSTILE, Precision.INT8, 1, 1, HOSTILE)], (), HOSTILE, HOSTILE),
        ecdf_chart(HOSTILE, [Distribution(HOSTILE, Precision.INT8, 0, [1.0, 2.0])], (1, 2), HOSTILE),
        rounds_chart(HOSTILE, [Drift(HOSTILE, Precision.INT8, 0, [Turn(0, 1.0, True)])]),
        stacked_chart(HOSTILE, [Bar(HOSTILE, "1", (Stretch(1, "#000", HOSTILE),))], [(HOSTILE, "#000")], 1, HOSTILE),
        intervals_chart(HOSTILE, [Row(HOSTILE, Precision.INT8, Estimate(1, None, None, 1), HOSTILE)], HOSTILE, [1]),
    ]
    for chart in charts:
        tree = drawn(chart)
        assert {each.tag for each in tree.iter()} <= {"svg", "title", "desc", "g", "path", "text"}
        assert tree.findtext("title") == HOSTILE


def test_nothing_is_drawn_by_a_style_sheet() -> None:
    tree = drawn(scatter_chart("A chart", [Point("one", Precision.INT8, 1, 1, "said")], (), "ms", "FPS"))
    assert not any({"style", "class"} & each.attrib.keys() for each in tree.iter())
    assert tree.get("aria-labelledby") == f"{tree[0].attrib['id']} {tree[1].attrib['id']}"
    assert (tree[0].tag, tree[1].tag, tree.get("role")) == ("title", "desc", "img")
