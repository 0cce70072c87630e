"""The pipeline: four ways over the same pictures in each round, ratios taken inside rounds, and how it is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_images import Numbers
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from sessions import Suite

from ovbench import pipeline, runtime
from ovbench.errors import BadImages, NotWritable, UnreadableImage
from ovbench.images.folder import open_images
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.pipeline import (
    BLOCK_S,
    LEAST_IMAGES,
    MOST_IMAGES,
    ROUNDS,
    Parts,
    Pipeline,
    Round,
    Way,
    measure,
    run_overlapped,
    run_sync,
    write_pictures,
)
from ovbench.preprocessing import Preprocessing
from ovbench.report.page import WIDTH, open_page
from ovbench.report.pipeline import pipeline_notes, pipelines_table
from ovbench.stats import MIN_REPLICATES

COST_NS = {Way.SYNC: 4_000_000, Way.OVERLAPPED: 2_000_000, Way.PREPARATION: 500_000, Way.INFERENCE: 1_500_000}


@dataclass
class FakeWays:
    """Takes the place of the four ways: each picture costs what COST_NS says on a clock of its own."""

    scale: int = 1
    now_ns: int = 0
    asked: list[tuple[Way, tuple[int, ...]]] = field(default_factory=list)

    def clock_ns(self) -> int:
        return self.now_ns

    def run(self, way: Way, indexes: Sequence[int]) -> None:
        self.asked.append((way, tuple(indexes)))
        self.now_ns += self.scale * COST_NS[way] * len(indexes)

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pipeline, "run_sync", lambda _parts, indexes: self.run(Way.SYNC, indexes))
        monkeypatch.setattr(pipeline, "run_overlapped", lambda _parts, indexes: self.run(Way.OVERLAPPED, indexes))
        monkeypatch.setattr(pipeline, "decode_only", lambda _parts, indexes: self.run(Way.PREPARATION, indexes))
        monkeypatch.setattr(
            pipeline, "infer_only", lambda _parts, inputs: self.run(Way.INFERENCE, [index for index, _ in inputs])
        )


def parts(images: Any) -> Parts:
    return Parts(images, lambda image: image, None, None)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> FakeWays:
    fake = FakeWays()
    fake.put_in(monkeypatch)
    return fake


# ---------------------------------------------------------------------------------------------------------- rounds


def test_every_round_runs_all_ways_over_the_same_pictures(ways: FakeWays) -> None:
    done: list[int] = []
    found = measure(parts(Numbers(10)), seed=1, rounds=6, images_each=4, clock_ns=ways.clock_ns, on_round=done.append)
    rounds = [ways.asked[place : place + 4] for place in range(0, 24, 4)]
    assert len(ways.asked) == 24
    assert all({way for way, _ in each} == set(Way) for each in rounds)
    slices = [{indexes for _, indexes in each} for each in rounds]
    assert slices[:3] == [{(0, 1, 2, 3)}, {(4, 5, 6, 7)}, {(8, 9, 0, 1)}]
    assert len({tuple(way for way, _ in each) for each in rounds}) > 1, "the order of the ways is shuffled"
    assert done == [1, 2, 3, 4, 5, 6]
    assert {way: found.images_per_s(way).value for way in Way} == pytest.approx(
        {Way.SYNC: 250, Way.OVERLAPPED: 500, Way.PREPARATION: 2000, Way.INFERENCE: 1000 / 1.5}
    )
    assert found.over_bound.value == pytest.approx(1.0)
    assert found.over_limit.value == pytest.approx(0.75)
    assert found.over_sync.value == pytest.approx(2.0)
    assert found.overlapped_s == pytest.approx([0.002] * 6)
    assert found.over_bound.low == pytest.approx(1.0)


def test_the_order_is_the_seeds(ways: FakeWays) -> None:
    orders = []
    for seed in (1, 1, 2):
        measure(parts(Numbers(4)), seed, rounds=5, images_each=4, clock_ns=ways.clock_ns)
        orders.append([way for way, _ in ways.asked])
        ways.asked.clear()
    assert orders[0] == orders[1] != orders[2]


def test_what_cannot_be_read_is_left_out_of_every_way_and_named(ways: FakeWays) -> None:
    images = Numbers(6, frozenset({1, 4, 5}))
    found = measure(parts(images), seed=0, rounds=4, images_each=2, clock_ns=ways.clock_ns)
    assert [each.images for each in found.rounds] == [1, 2, 1], "4 and 5 were a round of their own"
    assert {indexes for _, indexes in ways.asked} == {(0,), (2, 3)}
    assert [str(each).split()[1] for each in found.unreadable] == ["1", "4", "5"]
    assert found.images_per_s(Way.SYNC).value == pytest.approx(250)


def test_nothing_readable_is_one_line(ways: FakeWays) -> None:
    with pytest.raises(BadImages, match=r"^none of 3 images of numbers can be read: give others$"):
        measure(parts(Numbers(3, frozenset(range(3)))), seed=0, clock_ns=ways.clock_ns)


@pytest.mark.parametrize(
    ("scale", "images"), [(1, 50), (1000, LEAST_IMAGES), (0, MOST_IMAGES)], ids=["fits", "slow", "no time at all"]
)
def test_a_slice_takes_the_time_of_a_block_within_its_bounds(ways: FakeWays, scale: int, images: int) -> None:
    ways.scale = scale
    if scale == 1:
        assert images * COST_NS[Way.OVERLAPPED] / 1e9 == pytest.approx(BLOCK_S)
    assert pipeline._slice_size(parts(Numbers(1000)), ways.clock_ns) == images


def test_few_pictures_are_one_slice(ways: FakeWays) -> None:
    found = measure(parts(Numbers(3)), seed=0, rounds=2, clock_ns=ways.clock_ns)
    assert [each.images for each in found.rounds] == [3, 3]


@given(st.tuples(*[st.integers(1, 10**12)] * 4), st.integers(1, 1000))
def test_ratios_are_those_of_the_rates(elapsed: tuple[int, ...], images: int) -> None:
    one = Round(images, dict(zip(Way, elapsed, strict=True)))
    found = Pipeline((one,))
    sync, overlapped, decode, inference = (found.images_per_s(way).value for way in Way)
    assert found.over_bound.value == pytest.approx(overlapped / (1 / (1 / decode + 1 / inference)))
    assert found.over_limit.value == pytest.approx(overlapped / min(decode, inference))
    assert found.over_sync.value == pytest.approx(overlapped / sync)
    assert found.over_bound.low is None


@given(st.lists(st.floats(0.5, 2.0), min_size=MIN_REPLICATES, max_size=12))
def test_a_round_in_which_everything_is_slower_changes_no_ratio(slower: list[float]) -> None:
    rounds = [Round(8, {way: round(cost * 1000 * each) for way, cost in COST_NS.items()}) for each in slower]
    found = Pipeline(tuple(rounds))
    assert found.over_bound.low == pytest.approx(1.0, abs=1e-6)
    assert found.over_bound.high == pytest.approx(1.0, abs=1e-6)
    assert found.over_sync.value == pytest.approx(2.0, abs=1e-6)


# ------------------------------------------------------------------------------------------------------ real ways


def test_overlapped_gives_the_classes_that_sync_gives(tiny_model_path: Path, tmp_path: Path) -> None:
    write_pictures(Scenes(Subset.EVALUATION, 12, size=40), tmp_path)
    images = open_images(tmp_path).draw(0, None, 0).evaluation
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    core = runtime.core()
    real = Parts(
        images,
        Preprocessing(16, 16, mean=(120.0, 120.0, 120.0), scale=(60.0, 60.0, 60.0)).to_input,
        core.compile_model(str(tiny_model_path), "CPU", {**precision, "PERFORMANCE_HINT": "THROUGHPUT"}),
        core.compile_model(str(tiny_model_path), "CPU", {**precision, "PERFORMANCE_HINT": "LATENCY"}),
    )
    indexes = [3, 0, 11, 7, 7]
    ranked = run_sync(real, indexes)
    assert ranked.shape == (5, 5)
    assert np.array_equal(ranked[3], ranked[4])
    assert np.array_equal(run_overlapped(real, indexes), ranked)
    found = measure(real, seed=0, rounds=2, images_each=5)
    assert [each.images for each in found.rounds] == [5, 5]
    assert all(set(each.elapsed_ns) == set(Way) and min(each.elapsed_ns.values()) > 0 for each in found.rounds)


def test_written_pictures_are_those_of_the_set(tmp_path: Path) -> None:
    scenes = Scenes(Subset.EVALUATION, 3, size=64)
    write_pictures(scenes, tmp_path)
    pictures = open_images(tmp_path)
    assert [pictures.image_name(number) for number in range(3)] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    for number in range(3):
        read = pictures.image(number).astype(int)
        distances = [np.abs(read - scenes.image(other)).mean() for other in range(3)]
        assert distances.index(min(distances)) == number


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match=r"^.*nowhere cannot be written, No such file or directory: make room there$"):
        write_pictures(Scenes(Subset.EVALUATION, 1, size=16), tmp_path / "nowhere")


# -------------------------------------------------------------------------------------------------------- a session


def test_a_session_stores_all_rates_and_shows_the_table(tmp_path: Path, tiny_model_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_pictures(Scenes(Subset.EVALUATION, 6, size=32), pictures)
    (pictures / "empty.jpg").touch()
    ended = Suite(tmp_path / "results", tmp_path / "cache", tiny_model_path).run(
        "benches", "-k", "bench_pipeline", "--ov-precision=FP32", f"--ov-images={pictures}"
    )
    assert ended.code == 0, ended.text
    (row,) = ended.stored[-1]["benchmarks"]
    extra = row["extra_info"]
    assert set(extra["images_per_s"]) == {way.value for way in Way}
    assert all(0 < each["low"] <= each["value"] <= each["high"] for each in extra["images_per_s"].values())
    assert extra["images_by_round"] == [6] * ROUNDS
    overlapped = extra["images_per_s"]["overlapped"]["value"]
    assert row["stats"]["rounds"] == ROUNDS
    assert row["stats"]["min"] <= 1 / overlapped <= row["stats"]["max"], "the row's time is a picture's, overlapped"
    assert "From file to top-5, images/s [95 %]" in ended.out


# ------------------------------------------------------------------------------------------------------------ text


def text_of(table: Table) -> str:
    console, stream = open_page(False)
    console.print(table)
    return stream.getvalue()


def steady(scale: float, rounds: int = 6, **given: Any) -> Pipeline:
    """Rounds that differ by half a percent up and down."""
    return Pipeline(
        tuple(
            Round(64, {way: round(64 * cost * scale * (1 + 0.005 * (-1) ** place)) for way, cost in COST_NS.items()})
            for place in range(rounds)
        ),
        **given,
    )


def test_the_table_tells_all_four_rates_and_the_bound() -> None:
    lines = text_of(pipelines_table({"FP32": steady(1.0), "INT8": steady(0.4)})).splitlines()
    assert [line.rstrip() for line in lines] == [
        "From file to top-5, images/s [95 %]",
        "",
        "       sync            overlapped         decode alone       inference alone    overlapped / bound",
        " " + "─" * 97,
        " FP32  250 [249, 251]  500 [497, 503]     2000 [1989, 2012]  667 [663, 671]     1.00 [1.00, 1.00]",
        " INT8  625 [621, 629]  1250 [1243, 1257]  5000 [4971, 5029]  1667 [1657, 1676]  1.00 [1.00, 1.00]",
        "",
    ]


def test_without_intervals_it_says_so_and_stays_on_the_page() -> None:
    text = text_of(pipelines_table({"a-model-with-a-name INT8-BF16": steady(0.001, rounds=2)}))
    assert "[?]" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_notes_say_which_half_is_slower_and_what_was_left_out() -> None:
    lost = tuple(UnreadableImage(f"image {name}.jpg cannot be read, it is empty: remove it") for name in "ab")
    notes = pipeline_notes({"FP32": steady(1.0, unreadable=lost), "INT8": steady(0.4, unreadable=lost)})
    told = "overlapped is 2.00 [2.00, 2.00] of sync and 0.75 [0.75, 0.75] of inference alone, the slower half"
    assert notes[1:] == [
        f"FP32: 6 rounds of 64 pictures; {told}",
        f"INT8: 6 rounds of 64 pictures; {told}",
        "2 pictures left out: image a.jpg cannot be read, it is empty: remove it; and 1 more",
    ]


def test_a_pipeline_whose_every_way_takes_as_long_is_no_gain() -> None:
    flat = Pipeline(tuple(Round(8, dict.fromkeys(Way, 8_000_000)) for _ in range(5)))
    assert flat.over_sync.value == 1
    assert flat.over_bound.value == pytest.approx(2)
    assert math.isclose(flat.images_per_s(Way.SYNC).value, 1000)
