"""Sessions read back from their journals: the live suite's own figures, what is cut off, what they say together."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_lane import FakeMachine
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sessions import HOST, make_journal

from ovbench import suite as suites
from ovbench.agreement import measure_agreement
from ovbench.baseline import MIN_SESSIONS
from ovbench.config import Config, Hint, Precision, fp32_partner
from ovbench.errors import BadInput
from ovbench.machine import Contention, Isa
from ovbench.options import Settings, given_flags, read_settings, write_settings
from ovbench.pipeline import Pipeline, Round, Way
from ovbench.startup import PROCESSES
from ovbench.story import lines
from ovbench.story.beside import compare
from ovbench.story.facts import Beside, Story
from ovbench.story.finding import journal_at, journal_named, newest_journal
from ovbench.story.reading import read_story, stored_number
from ovbench.suite import Suite
from ovbench.verdict import SPEEDUP, TIME, Verdict


@contextlib.contextmanager
def silent(_title: str) -> Iterator[Callable[[float, str], None]]:
    yield lambda _share, _doing: None


def refusal(call: Callable[[], object]) -> str:
    """The one line with which bad input is refused."""
    with pytest.raises(BadInput) as caught:
        call()
    (line,) = str(caught.value).splitlines()
    return line


# -------------------------------------------------------------------------------------------- the live suite's figures


WOBBLES = np.random.default_rng(0)


def wobbling(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """Times that differ from block to block, so that no two figures are equal by accident."""
    if order["do"] == "block":
        count = len(answer["wall_ns"]) // 8
        times = WOBBLES.integers(800_000, 1_200_000, count) // (2 if Precision.FP16.value in order["key"] else 1)
        answer["wall_ns"] = answer["latency_ns"] = struct.pack(f"<{count}q", *times.tolist())
        answer["window_ns"] = int(times.sum())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> tuple[Suite, Story]:
    """A session of invented lanes, every third round of which others disturbed, and its story."""
    folder = tmp_path_factory.mktemp("told")
    machine = FakeMachine(changes=wobbling)
    looks = iter(range(10**9))

    def contention() -> Contention:
        number = next(looks)  # two looks at each round: before it and after it
        return Contention(steal_s=100.0 * (number // 6), pressure_us=0, throttled_periods=0, throttled_us=0)

    asked = read_settings({"model": str(tiny_model_path), "precision": "FP32,FP16", "budget": "20s"})
    suite = Suite(asked, folder, silent)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OVBENCH_CACHE_DIR", str(folder / "cache"))
        patched.setattr(suites, "Lane", machine.open_lane)
        patched.setattr(suites, "time", SimpleNamespace(monotonic=machine.clock))
        measure = suites.campaign.measure
        patched.setattr(suites.campaign, "measure", lambda *given: measure(*given, read_contention=contention))
        axes = asked.matrix([tiny_model_path.stem])
        cells = suites.expand(axes)
        suite.prepare(cells, [])
        suite.measure(suites.startup_cells(axes))
    for config in cells:
        speedup = suite.speedup(config)
        if speedup is not None:
            suite.hold(SPEEDUP, config, speedup, 1.5)
        suite.write_bench(f"bench_latency[{config.id}]", f"latency/{config.id}", "passed", config, "")
    ways = {way: 1_000_000 * number for number, way in enumerate(Way, 1)}
    suite.keep_pipeline(cells[0], Pipeline((Round(16, ways),) * 6))
    suite.measured.notes.append("a note of the campaign")
    suite.finish(1)
    return suite, read_story(suite.journal.path)


def test_every_figure_is_the_live_suites_own(told: tuple[Suite, Story]) -> None:
    suite, story = told
    assert [each.config for each in story.cells] == list(suite.measured.cells)
    assert len(story.cells) > 8
    assert any(each.speedup for each in story.cells)
    for each in story.cells:
        assert each.summary == suite.summary(each.config)
        assert each.speedup == suite.speedup(each.config)
        assert each.verdict == suite.verdict(each.config)
        live = suite.measured.cells[each.config]
        assert (each.effective, each.alias_of, each.digest, each.fault) == (
            live.effective, live.alias_of, live.digest, live.fault,
        )  # fmt: skip


def test_rounds_that_others_disturbed_are_known_and_left_out_of_the_same_figures(told: tuple[Suite, Story]) -> None:
    suite, story = told
    assert story.measured.rejected == suite.measured.rejected
    assert 0 < len(story.measured.rejected) < story.measured.rounds / 2
    assert (story.measured.rounds, story.measured.lanes) == (suite.measured.rounds, suite.measured.lanes)
    for each in (cell for cell in story.cells if cell.measured):
        assert {(cost.lane, cost.round) for cost in each.costs if cost.rejected} <= story.measured.rejected
        assert any(cost.rejected for cost in each.costs)
        assert len(each.calls_ns) == each.summary.inferences
        assert list(each.calls_ns) == sorted(each.calls_ns)
        assert set(each.lane_medians_ns) == {cost.lane for cost in each.costs if not cost.rejected}


def test_starts_gates_and_pipelines_are_the_live_suites_own(told: tuple[Suite, Story]) -> None:
    suite, story = told
    assert {each.config: list(each.starts) for each in story.starts} == suite.starts
    for each in story.starts:
        assert len(each.starts) == PROCESSES
        assert (each.gain, each.fault) == (suite.cache_gain(each.config), suite.start_fault(each.config))
    assert any(each.gain for each in story.starts)
    assert list(story.gates) == suite.gates
    assert story.pipelines == suite.pipelines
    assert (story.exit_status, story.notes) == (1, ("a note of the campaign",))
    assert (story.machine, story.fingerprint) == (suite.host, suite.host.fingerprint_id)
    assert {each.outcome for each in story.benches} == {"passed"}


def test_sizes_of_files_and_the_command_are_told(told: tuple[Suite, Story], tiny_model_path: Path) -> None:
    _suite, story = told
    (model,) = story.models
    assert set(model.sizes_bytes) == {Precision.FP32, Precision.FP16}
    assert all(size > 0 for size in model.sizes_bytes.values())
    assert story.command == (f"ovbench run --ov-model={tiny_model_path} --ov-precision=FP32,FP16 --ov-budget=20.0")


def test_the_command_asks_for_the_same_settings_again() -> None:
    asked = Settings(model=("a b.xml", "c.xml"), budget=7.0, profile=True, report="x.html", streams=(1, "AUTO"))
    flags = given_flags(write_settings(asked))
    assert flags == [
        "--ov-model=a b.xml", "--ov-model=c.xml", "--ov-streams=1,AUTO", "--ov-budget=7.0", "--ov-profile",
    ]  # fmt: skip
    assert given_flags({"precision": "FP32", "of a later ovbench": "yes"}) == ["--ov-precision=FP32"]


def test_agreements_come_back_as_they_were_judged() -> None:
    random = np.random.default_rng(3)
    theirs = random.normal(size=(60, 7))
    ours = theirs + random.normal(scale=0.5, size=theirs.shape)
    ours[3] = np.nan
    for labels in (None, random.integers(0, 7, 60)):
        agreement = measure_agreement(ours, theirs, labels)
        assert agreement.worst
        assert lines.agreement_from(json.loads(json.dumps(dataclasses.asdict(agreement)))) == agreement


# ------------------------------------------------------------------------------------------------------- any journal


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with a line of every kind."""
    return make_journal(tmp_path_factory.mktemp("whole") / "a.jsonl", references=True, baseline=True, lanes=5, rounds=4)


def test_a_journal_tells_all_that_it_holds(whole: Path) -> None:
    story = read_story(whole)
    assert (len(story.cells), len(story.benches), len(story.references)) == (9, 8, 8)
    assert story.baseline is not None
    assert [each.waiver is not None for each in story.baseline.judged].count(True) == 1
    assert [each.subject.config.precision for each in story.layers] == [Precision.INT8]
    assert {each.precision for each in story.accuracy} == {Precision.FP32, Precision.INT8, Precision.BF16}
    assert story.accuracy[1].max_drop == 0.01
    assert not story.accuracy[1].gated
    assert story.skipped == {("made", Precision.FP16): "made: nothing runs in FP16 here"}
    alias = story.cells[-1]
    assert (alias.alias_of, story.cells[0].aliases) == (story.cells[0].config, (alias.config,))
    assert (alias.summary, alias.measured) == (story.cells[0].summary, False)
    assert story.ended_s > story.began_s


@settings(max_examples=25)
@given(cut=st.integers(1, 120_000))
def test_wherever_a_kill_cuts_it_off_the_whole_lines_are_read_and_the_rest_is_said(whole: Path, cut: int) -> None:
    written = whole.read_bytes()
    cut = min(cut, len(written) - len(written.partition(b"\n")[0]) - 1)
    part = whole.with_name("cut.jsonl")
    left = written[:-cut]
    part.write_bytes(left)
    story = read_story(part)
    told = f"the last line was cut off by a kill: {left.count(10)} whole lines read"
    assert (told in story.notes) is (not left.endswith(b"\n"))
    assert story.exit_status is None
    assert story.notes[0].startswith("the session was killed")


def test_a_later_line_of_a_cell_is_its_fault(whole: Path) -> None:
    written = whole.read_text().splitlines(keepends=True)
    cell = next(json.loads(line) for line in written if '"kind": "cell"' in line)
    path = whole.with_name("fault.jsonl")
    path.write_text("".join([*written, json.dumps({**cell, "fault": "three lanes died of it"}) + "\n"]))
    story = read_story(path)
    assert story.cells[0].fault == "three lanes died of it"
    assert len(story.cells) == 9


def test_a_journal_of_an_earlier_ovbench_is_read_without_what_it_lacks(whole: Path) -> None:
    """As 0.1.0 wrote them: no floors, baseline, pipelines or skipped precisions; fewer fields in the other lines."""
    old = []
    for line in map(json.loads, whole.read_text().splitlines()):
        if line["kind"] in ("floor", "baseline", "pipeline", "skipped", "end"):
            continue
        for name in ("rejected", "sizes_bytes", "max_drop"):
            line.pop(name, None)
        old.append(json.dumps(line) + "\n")
    path = whole.with_name("old.jsonl")
    path.write_text("".join(old))
    story, now = read_story(path), read_story(whole)
    assert (story.gates, story.baseline, story.pipelines, story.skipped) == ((), None, {}, {})
    assert [each.speedup for each in story.cells] == [each.speedup for each in now.cells]
    assert story.accuracy == now.accuracy
    assert [each.size_bytes for each in story.cells] == [None] * 9
    assert "which rounds others disturbed is not known of it: all of them count" in story.notes


def test_kinds_that_a_later_ovbench_adds_are_left_alone(whole: Path) -> None:
    path = whole.with_name("more.jsonl")
    path.write_text(whole.read_text() + '{"format": 1, "kind": "of tomorrow", "time": 0}\n')
    assert read_story(path).cells == read_story(whole).cells


def test_a_broken_line_is_named(whole: Path) -> None:
    written = whole.read_text().splitlines(keepends=True)
    path = whole.with_name("broken.jsonl")
    path.write_text("".join([*written[:6], "{broken\n", *written[6:]]))
    assert refusal(lambda: read_story(path)).startswith(f"line 7 of {path} is none of a journal: ")
    lacking = json.dumps({"format": 1, "kind": "replicate", "time": 0.0, "cell": "x"}) + "\n"
    path.write_text("".join([*written[:6], lacking]))
    assert refusal(lambda: read_story(path)).startswith(f"line 7 of {path}, a 'replicate', lacks what it should have")


def test_a_newer_format_is_refused(whole: Path) -> None:
    path = whole.with_name("newer.jsonl")
    path.write_text(whole.read_text().replace('"format": 1', '"format": 2'))
    line = refusal(lambda: read_story(path))
    assert line == f"{path} is of the journal's format 2, this ovbench reads up to 1: upgrade ovbench"


def test_what_is_no_journal_of_a_suite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = {"format": 1, "kind": "session", "time": 0.0, "machine": {}}
    for more, whose in (
        ({"kind": "comparison"}, "ovbench ab"),
        ({"kind": "selfcheck"}, "ovbench selfcheck"),
        ({"kind": "unheard of"}, "another command"),
    ):
        path.write_text("".join(json.dumps({**first, **each}) + "\n" for each in ({}, more)))
        assert f"{path} is a journal of {whose}, and" in refusal(lambda: read_story(path))
    path.write_text("".join(json.dumps({**first, **each}) + "\n" for each in ({"settings": {}, "tool": "tune"},
                                                                             {"kind": "tuned"})))  # fmt: skip
    assert f"{path} is a journal of ovbench tune, and" in refusal(lambda: read_story(path))
    for text in ("", '{"format": 1, "kind": "sess'):
        path.write_text(text)
        assert "holds no whole line" in refusal(lambda: read_story(path))
    assert "No such file" in refusal(lambda: read_story(tmp_path / "absent.jsonl"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert f"line 1 of {path} is none of a journal" in refusal(lambda: read_story(path))


# ------------------------------------------------------------------------------------------------ beside each other


def made(folder: Path, name: str, **given: Any) -> Story:
    return read_story(make_journal(folder / f"{name}.jsonl", starts=False, accuracy=False, layers=False,
                                   pipelines=False, rounds=4, noise=0.002, **given))  # fmt: skip


def verdicts(stories: list[Story], what: str) -> set[tuple[Verdict, str]]:
    """What the last session's cells are judged, and why."""
    told = [each for row in compare(stories).rows for each in row.beside[-1:] if each is not None]
    judged = [each.time if what == TIME else each.speedup for each in told]
    return {(each.verdict, each.reason) for each in judged if each is not None}


def test_times_of_one_machine_need_stored_sessions_and_speedups_do_not(tmp_path: Path) -> None:
    stories = [made(tmp_path, "then"), made(tmp_path, "now", seed=1)]
    assert verdicts(stories, SPEEDUP) == {(Verdict.SAME, "")}
    reason = f"a between-session band needs {MIN_SESSIONS} stored sessions of this machine; so far: 0"
    assert verdicts(stories, TIME) == {(Verdict.UNSURE, reason)}
    beside = compare(stories).rows[0].beside[0]
    assert beside is not None
    assert beside.time.estimate is not None
    assert beside.time.estimate.value == pytest.approx(1.0, abs=0.02)
    assert beside.time.estimate.low is None


def store(story: Story, number: int, times_s: Mapping[Config, float]) -> None:
    """A stored session as pytest-benchmark leaves it, of the story's machine."""
    rows = [
        {"fullname": f"{'latency' if config.hint is Hint.LATENCY else 'throughput'}/{config.key}",
         "params": config.axes, "stats": {"median": time_s}, "extra_info": {}}
        for config, time_s in times_s.items()
    ]  # fmt: skip
    said = {"passed": True, "fingerprint": story.fingerprint, "journal": f"{number}.jsonl"}
    path = story.path.with_name(f"{number:04}_made.json")
    path.write_text(json.dumps({"datetime": "2026-11-23", "ovbench": said, "benchmarks": rows}))


def test_times_are_judged_once_enough_sessions_are_stored(tmp_path: Path) -> None:
    then = made(tmp_path, "then")
    times_s = {each.config: 0.005 for each in then.cells}
    for number in range(MIN_SESSIONS):
        store(then, number, {config: time_s * (1 + 0.0005 * (number % 3)) for config, time_s in times_s.items()})
    assert verdicts([then, made(tmp_path, "same", seed=1)], TIME) == {(Verdict.SAME, "")}
    assert verdicts([then, made(tmp_path, "slow", speed=0.8)], TIME) == {(Verdict.SLOWER, "")}
    assert verdicts([then, made(tmp_path, "fast", speed=1.25)], TIME) == {(Verdict.FASTER, "")}


def test_another_machines_times_are_unsure_and_its_speedups_compare(tmp_path: Path) -> None:
    stories = [made(tmp_path, "here"), made(tmp_path, "there", seed=1, host=replace(HOST, isa=Isa.AMX, cores=64))]
    ((verdict, reason),) = verdicts(stories, TIME)
    assert verdict is Verdict.UNSURE
    assert reason.startswith("absolute times of another machine")
    assert verdicts(stories, SPEEDUP) == {(Verdict.SAME, "of other CPUs: AVX512_VNNI on 8 cores, AMX on 64 cores")}
    differences = {each.what: each.values for each in compare(stories).differences}
    assert differences["instruction set"] == ("AVX512_VNNI", "AMX")
    assert differences["cores"] == ("8", "64")
    assert "openvino" not in differences


def test_a_busy_session_is_unsure_of_everything(tmp_path: Path) -> None:
    rejected = [(lane, number) for lane in range(6) for number in range(3)]
    stories = [made(tmp_path, "then"), made(tmp_path, "busy", rejected=rejected)]
    assert stories[1].busy
    for what in (TIME, SPEEDUP):
        assert verdicts(stories, what) == {(Verdict.UNSURE, "the machine was busy in busy")}


def test_every_session_stands_beside_the_first_and_cells_that_one_lacks_beside_nothing(tmp_path: Path) -> None:
    stories = [made(tmp_path, "few", cells=3), made(tmp_path, "more", cells=6), made(tmp_path, "other", cells=1)]
    compared = compare(stories)
    assert len(compared.rows) == 6
    present = [[cell is not None for cell in row.cells] for row in compared.rows]
    assert present == [[True, True, True]] + [[True, True, False]] * 2 + [[False, True, False]] * 3
    judged = [[isinstance(each, Beside) for each in row.beside] for row in compared.rows]
    assert judged == [[True, True]] + [[True, False]] * 2 + [[False, False]] * 3
    assert compared.rows[0].beside[0].speedup is None  # FP32 is what the others are measured against
    assert fp32_partner(compared.rows[1].config) == compared.rows[0].config


# ---------------------------------------------------------------------------------------------------------- finding


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Two sessions of the suite, one of them stored as 0007, and a newer journal of another command."""
    for name in ("20261101T000000-aaaaaa", "20261102T000000-bbbbbb"):
        make_journal(tmp_path / f"{name}.jsonl", cells=1, lanes=1, rounds=1)
    said = {"passed": True, "journal": "20261101T000000-aaaaaa.jsonl"}
    (tmp_path / "0007_made.json").write_text(json.dumps({"datetime": "", "ovbench": said, "benchmarks": []}))
    (tmp_path / "20261103T000000-cccccc.jsonl").write_text('{"format": 1, "kind": "session", "time": 0}\n')
    return tmp_path


def test_a_session_is_found_by_number_name_or_path(stored: Path) -> None:
    first = stored / "20261101T000000-aaaaaa.jsonl"
    for name in ("7", "0007", "0007_made", first.stem, first.name):
        assert journal_named(name, stored) == first
    assert journal_at(str(stored / "0007_made.json")) == first
    assert journal_at(str(first)) == first
    assert journal_at("0007") is None
    assert "absent/a.jsonl: no such file" in refusal(lambda: journal_at("absent/a.jsonl"))
    assert (stored_number(first), read_story(first).label) == ("0007", "session 0007")
    assert read_story(stored / "20261102T000000-bbbbbb.jsonl").label == "20261102T000000-bbbbbb"


def test_the_newest_is_that_of_a_suite(stored: Path) -> None:
    assert newest_journal(stored).name == "20261102T000000-bbbbbb.jsonl"
    (stored / "20261104T000000-dddddd.jsonl").write_text('{"format": 1, "kind')  # not passed over in silence
    assert newest_journal(stored).name == "20261104T000000-dddddd.jsonl"
    (stored / "20261105T000000-eeeeee.jsonl").mkdir()
    assert newest_journal(stored).name == "20261105T000000-eeeeee.jsonl", "it is refused by its name, not passed over"


def test_an_unknown_session_names_the_nearest(stored: Path) -> None:
    line = refusal(lambda: journal_named("0070", stored))
    assert line.startswith(f"SESSION 0070: no such session in {stored}: the nearest are 0007")
    assert line.endswith("; `ovbench sessions` lists them")
    line = refusal(lambda: journal_named("20261101T000000", stored))
    near = line.partition("the nearest are ")[2].partition("; ")[0].split(", ")
    assert sorted(near) == ["0007", "20261102T000000-bbbbbb", "20261103T000000-cccccc"], "each once, by its number"
    empty = stored / "empty"
    empty.mkdir()
    assert "there are none" in refusal(lambda: journal_named("1", empty))
    assert refusal(lambda: newest_journal(empty)).startswith(f"no suite has run in {empty}: run `ovbench run` first")


def test_a_stored_session_without_its_journal_says_so(stored: Path) -> None:
    (stored / "20261101T000000-aaaaaa.jsonl").unlink()
    assert "has no journal beside it: it was moved or pruned" in refusal(lambda: journal_named("7", stored))
