"""Own benches: the page's code in an empty project, markers read into cells, and floors held by the fixtures."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.mark.structures import Mark
from _pytest.outcomes import Failed, Skipped
from hypothesis import given
from hypothesis import strategies as st
from sessions import ROOT, Ended, Suite

from ovbench import ab, plugin, worker
from ovbench import suite as suites
from ovbench.campaign import Measurements
from ovbench.comparison import Comparison
from ovbench.config import AUTO, Cache, Config, Hint, Precision, expand
from ovbench.errors import BadOption
from ovbench.options import Settings, Unsure, read_settings, write_settings
from ovbench.own import wishes
from ovbench.own.held import hold_speedup
from ovbench.own.paired import AskPaired
from ovbench.own.session import REMARKS, SMOKE, session_of
from ovbench.policy import Policy
from ovbench.records import read_journal
from ovbench.stats import MIN_REPLICATES, minimum_samples, ratio_estimate
from ovbench.verdict import Outcome, Verdict

PAGE = ROOT / "docs" / "own-benches.md"
INT8 = Config(precision=Precision.INT8)

# The page's budgets are for models that people have: a tiny one need not be measured for so long.
SHORT = """
from dataclasses import replace
import worker_of_many
from ovbench import ab, campaign, lanes
lanes.worker = worker_of_many
make_plan, ask = campaign.make_plan, ab.ask
campaign.make_plan = lambda *given: replace(make_plan(*given), lanes={lanes}, lane_s=0.1)
ab.ask = lambda question, *given: ask(replace(question, budget_s=1.0), *given)
"""


def worker_of_many() -> str:
    """What runs in a lane, but one block has inferences enough for a p99, however busy the machine is."""
    text, replaced = re.subn(
        r"^MIN_INFERENCES_PER_BLOCK = \d+", f"MIN_INFERENCES_PER_BLOCK = {minimum_samples(0.99)}",
        Path(worker.__file__).read_text(encoding="utf-8"), flags=re.M,
    )  # fmt: skip
    assert replaced == 1
    return text


# ------------------------------------------------------------------------------------------- the page, in real sessions


def blocks() -> list[str]:
    """Every block of Python on the page."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@dataclass(frozen=True)
class Project:
    """An empty project that has a model, and the plugin as installed."""

    folder: Path
    suite: Suite

    def run(self, *given: str, lanes: int = 1) -> Ended:
        """pytest in it, without an ini key of ours: the journal lies where pytest-benchmark stores."""
        (self.folder / "worker_of_many.py").write_text(worker_of_many(), encoding="utf-8")
        (self.folder / "short_own.py").write_text(SHORT.format(lanes=lanes))
        options = ("-o", "ov_results=", "-p", "short_own", "--ov-warmup=10ms")
        return self.suite.run(*options, *given, folder=self.folder, PYTHONPATH=str(self.folder))


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path, cache: Path) -> Any:
    def make(*modules: str) -> Project:
        folder = tmp_path_factory.mktemp("project")
        for suffix in (".xml", ".bin"):
            shutil.copy(tiny_model_path.with_suffix(suffix), folder / f"model{suffix}")
        for number, text in enumerate(modules):
            (folder / f"test_block{number}.py").write_text(text)
        return Project(folder, Suite(folder / ".benchmarks", cache, folder / "model.xml"))

    return make


@pytest.fixture(scope="module")
def page(make_project: Any) -> Ended:
    """All blocks of the page in one session; only their absolute times are not held: the machine may be busy."""
    return make_project(*(re.sub(r"_ms < \d+", "_ms < 1e9", each) for each in blocks())).run(
        "-rA", "--benchmark-max-time=0.05", "--strict-markers"
    )


def test_every_block_of_the_page_passes(page: Ended) -> None:
    assert len(blocks()) >= 4
    assert page.code == 0, page.text
    assert all(f"PASSED test_block{number}.py::" in page.out for number in range(len(blocks())))
    assert "SKIPPED" not in page.out


def test_the_first_block_has_five_lines_and_a_floor() -> None:
    lines = [line for line in blocks()[0].splitlines() if line]
    assert len(lines) <= 5
    assert "min_speedup=" in blocks()[0]


def test_the_cells_of_all_tests_are_one_campaign(page: Ended) -> None:
    begun, ended = page.of_kind("session"), page.of_kind("end")
    assert (len(begun), len(ended)) == (1, 1)
    assert begun[0]["settings"]["precision"].startswith("FP32")
    cells = {line["cell"] for line in page.of_kind("cell")}
    assert {"FP32-LATENCY-1-off", "INT8-LATENCY-1-off", "FP32-THROUGHPUT-AUTO-off"} <= cells
    assert {line["cell"] for line in page.of_kind("replicate")} == cells
    assert "over FP32 [95 %]" in page.out
    assert page.out.count("Every sample: ") == 1


def test_too_few_lanes_are_unsure_and_say_so(page: Ended) -> None:
    gates = page.of_kind("floor")
    assert gates
    assert {gate["outcome"] for gate in gates} == {"UNSURE"}
    assert "INT8-LATENCY-1-off: speed-up over FP32" in page.out


def test_a_paired_answer_is_in_the_report_the_summary_and_the_journal(page: Ended) -> None:
    asked = [line["name"] for line in page.of_kind("comparison")]
    assert asked
    assert len(page.of_kind("pair")) >= len(asked)
    assert page.out.count("UNSURE, time B / A") == 2 * len(asked)


def test_a_users_own_rows_stay_his(page: Ended) -> None:
    assert page.stored == []
    assert "benchmark: 1 tests" in page.out


def test_a_floor_that_cannot_hold_fails_with_its_line(make_project: Any) -> None:
    text, replaced = re.subn(r"min_speedup=[\d.]+", "min_speedup=50", blocks()[0])
    assert replaced == 1
    project = make_project(re.sub(r"    assert .*", "    pass", text))  # the floor is the marker's alone
    ended = project.run(lanes=MIN_REPLICATES)
    name = re.findall(r"def (test_\w+)", text)[0]
    assert ended.code == 1, ended.text
    assert re.search(r"^INT8-LATENCY-1-off: speed-up over FP32 .*\[.*\], floor 50.00: FAILED$", ended.out, re.M)
    assert f"  reproduce: pytest 'test_block0.py::{name}[INT8-LATENCY-1-off]'" in ended.out
    assert "1 failed" in ended.out
    assert "Traceback" not in ended.text
    assert [line["outcome"] for line in ended.of_kind("bench")] == ["failed"]


def test_a_smoke_run_measures_nothing_and_skips_with_the_reason(make_project: Any) -> None:
    ended = make_project(*blocks()).run("--benchmark-disable", "-rs")
    assert ended.code == 0, ended.text
    assert "1 passed" in ended.out, "a test of a compiled model alone runs"
    assert SMOKE in ended.out
    assert ended.journal == []


def test_a_compiled_model_alone_measures_nothing(make_project: Any) -> None:
    ended = make_project(*blocks()).run("-k", "own_code", "--benchmark-max-time=0.05")
    assert ended.code == 0, ended.text
    assert "1 passed" in ended.out
    assert ended.journal == []
    assert "over FP32" not in ended.out


UNKNOWN = """
import pytest

@pytest.mark.ovbench(precison="INT8")
def test_speed(ov_campaign):
    pass
"""


def test_a_marker_that_says_nothing_we_know_ends_in_one_line(make_project: Any) -> None:
    ended = make_project(UNKNOWN).run()
    assert ended.code == 4
    names = ", ".join((*wishes.AXES, wishes.FLOOR))
    assert ended.errors() == [f"ERROR: test_block0.py::test_speed: ovbench(precison=...): unknown name: give {names}"]


def worker_of_xdist(*refused: str) -> Any:
    """The config of a worker in which markers were refused."""
    stash = {plugin.SETTINGS: Settings(), plugin.REFUSED: list(refused)}
    return SimpleNamespace(
        stash=stash, workerinput={}, workeroutput={}, _benchmarksession=SimpleNamespace(), getoption=lambda *_: False
    )  # fmt: skip


def test_nothing_is_timed_under_xdist() -> None:
    marker = SimpleNamespace(get_closest_marker=lambda _name: None, nodeid="test_it.py::test_speed")
    paired = SimpleNamespace(**vars(marker), fixturenames=["ov_paired"])
    plain = SimpleNamespace(**vars(marker), fixturenames=["tmp_path"])
    for items, left, said in (([paired, plain], 0, "pytest-xdist is active (-n)"), ([plain], 1, "")):
        config = worker_of_xdist()
        plugin.pytest_collection_modifyitems(config, items)
        assert len(items) == left
        assert config.workeroutput.get(plugin.REFUSED_KEY, "")[: len(said) or None] == said
    config = worker_of_xdist("test_it.py::test_speed: streams=0: ...")
    plugin.pytest_collection_modifyitems(config, [plain])
    assert config.workeroutput[plugin.REFUSED_KEY] == "test_it.py::test_speed: streams=0: ..."


# ------------------------------------------------------------------------------------------------- markers into cells


def node(*markers: Mapping[str, Any], positional: tuple[Any, ...] = (), folder: Path = Path("/project")) -> Any:
    """A test whose markers are these, the nearest first."""
    marks = [Mark(wishes.MARKER, positional, kwargs, _ispytest=True) for kwargs in markers]
    return SimpleNamespace(
        nodeid="test_it.py::test_speed", path=folder / "test_it.py", own_markers=marks[:1],
        iter_markers=lambda name: iter([mark for mark in marks if mark.name == name]),
    )  # fmt: skip


def cells(*markers: Mapping[str, Any], settings: Settings | None = None, given: tuple[str, ...] = ()) -> list[Config]:
    return list(wishes.cells_of(wishes.read_wish(node(*markers)), settings or Settings(), given))


def test_a_test_that_names_nothing_gets_one_cell() -> None:
    assert cells() == [Config("embedded", precision=Precision.INT8, hint=Hint.LATENCY, streams=1, cache=Cache.OFF)]


def test_what_the_marker_leaves_open_is_the_sessions_and_what_it_names_is_not() -> None:
    options = Settings(precision=(Precision.FP32, Precision.BF16), hint=(Hint.THROUGHPUT,), streams=(4,), batch=(8,))
    asked = cells({"precision": "INT8"}, settings=options, given=("precision", "hint", "streams"))
    assert asked == [Config("embedded", precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=4)]


def test_streams_left_open_are_the_hints() -> None:
    assert [cell.streams for cell in cells({"hint": ["LATENCY", "THROUGHPUT"]})] == [1, AUTO]


def test_markers_of_class_and_module_add_up_and_the_nearest_wins() -> None:
    merged = wishes.read_wish(node({"precision": "FP32"}, {"precision": "BF16", "threads": 2}, {"min_speedup": 2}))
    assert merged.axes == {"precision": (Precision.FP32,), "threads": (2,)}
    assert merged.min_speedup == 2.0


def test_a_model_lies_beside_its_test(tmp_path: Path) -> None:
    there = node({"model": ["nets/a.xml", Path("../b.onnx"), "embedded", "resnet-50"]}, folder=tmp_path / "tests")
    nets = (str(tmp_path / "tests/nets/a.xml"), str(tmp_path / "b.onnx"), "embedded", "resnet-50")
    assert wishes.read_wish(there).axes["model"] == nets


AXES = {
    "precision": st.lists(st.sampled_from([each.value for each in Precision]), min_size=1, unique=True),
    "hint": st.lists(st.sampled_from([each.value for each in Hint]), min_size=1, unique=True),
    "streams": st.lists(st.sampled_from([1, 2, AUTO]), min_size=1, unique=True),
    "threads": st.integers(0, 64),
    "requests": st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
    "batch": st.integers(0, 64),
    "cache": st.lists(st.sampled_from(["off", "warm"]), min_size=1, unique=True),
}


@given(st.fixed_dictionaries({}, optional=AXES))
def test_cells_are_the_axes_crossed_each_once(axes: dict[str, Any]) -> None:
    asked = cells(axes)
    count = 1
    for name, values in axes.items():
        written = values if isinstance(values, list) else [values]
        count *= len(written)
        assert {getattr(getattr(cell, name), "value", getattr(cell, name)) for cell in asked} == set(written)
    assert len(asked) == len(set(asked)) == count
    assert len(set(wishes.ids_of(asked))) == count


@given(st.fixed_dictionaries({}, optional=AXES))
def test_a_sessions_settings_hold_every_own_cell(axes: dict[str, Any]) -> None:
    asked = cells({"model": ["/a/net.xml", "/b/net.xml"], **axes})
    settings, names = session_of(Settings(), asked, beside_suite=False)
    assert names == {"/a/net.xml": "a-net", "/b/net.xml": "b-net"}
    assert read_settings(write_settings(settings)) == settings
    named = [Config.from_axes({**cell.axes, "model": names[cell.model]}) for cell in asked]
    assert set(named) <= set(expand(settings.matrix(list(names.values()))))


def test_beside_the_suite_its_models_and_axes_stay() -> None:
    settings, names = session_of(Settings(), cells({"model": "net.xml", "precision": "W8"}), beside_suite=True)
    assert settings.model == ("embedded", "/project/net.xml")
    assert names["/project/net.xml"] == "net"
    assert settings.precision == (*Settings().precision, Precision.W8)
    assert (settings.hint, settings.streams) == (Settings().hint, None)


def test_an_own_model_may_not_rename_the_suites() -> None:
    with pytest.raises(
        BadOption, match=r"^--ov-model other/net.xml: an own bench has another model of the name net: run them"
    ):
        session_of(Settings(model=("other/net.xml",)), cells({"model": "net.xml"}), beside_suite=True)


WHERE = "test_it.py::test_speed: "


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"precision": "INT9"}, "precision='INT9': not one of FP32, BF16, FP16, W8, INT8, INT8-BF16"),
        ({"precision": []}, "precision=[]: give one value, or a list of some"),
        ({"model": ""}, "model='': give one value, or a list of some"),
        ({"model": 3}, "model=3: give 'embedded', a file, a folder or the name of a model"),
        ({"streams": 0}, "streams=0: give AUTO or a number of streams of at least 1"),
        ({"threads": True}, "threads=True: give a whole number of at least 0 (0: OpenVINO's choice)"),
        ({"cache": "cold"}, "cache='cold': not one of off, warm"),
        ({"min_speedup": "fast"}, "min_speedup='fast': give a ratio such as 1.5"),
        ({"min_speedup": float("nan")}, "min_speedup=nan: give a ratio such as 1.5"),
    ],
)
def test_bad_values_are_refused_in_one_line(said: dict[str, Any], line: str) -> None:
    with pytest.raises(BadOption, match=f"^{re.escape(WHERE + line)}$"):
        wishes.read_wish(node(said))


def test_a_value_without_a_name_is_refused() -> None:
    with pytest.raises(BadOption, match=r"ovbench\('INT8'\): give it a name, such as precision='INT8'$"):
        wishes.read_wish(node({}, positional=("INT8",)))


@pytest.mark.parametrize(
    ("markers", "fixtures", "line"),
    [
        (({"min_speedup": 2},), (), "min_speedup without a figure to hold it: take ov_campaign or ov_paired as an arg"),
        (({"min_speedup": 2},), ("ov_compiled",), "min_speedup without a figure"),
        (({"min_speedup": 2, "precision": "FP32"},), ("ov_campaign",), "min_speedup of FP32, over which"),
        (({}, {"min_speedup": 2, "precision": "FP32"}), ("ov_campaign",), "min_speedup of FP32, over which"),
    ],
)  # fmt: skip
def test_a_floor_that_nothing_would_hold_is_refused(markers: Any, fixtures: tuple[str, ...], line: str) -> None:
    test = node(*markers)
    wish = wishes.read_wish(test)
    with pytest.raises(BadOption, match=re.escape(WHERE + line)):
        wishes.check_held(test, wish, fixtures, wishes.cells_of(wish, Settings(), ()))


@pytest.mark.parametrize(
    ("markers", "fixtures"),
    [
        (({"min_speedup": 2},), ("ov_campaign",)),
        (({"min_speedup": 2, "precision": "FP32"},), ("ov_paired",)),
        (({}, {"min_speedup": 2}), ()),  # a module's floor: its other tests need not hold it
    ],
)
def test_a_floor_that_something_holds_is_not(markers: Any, fixtures: tuple[str, ...]) -> None:
    test = node(*markers)
    wish = wishes.read_wish(test)
    wishes.check_held(test, wish, fixtures, wishes.cells_of(wish, Settings(), ()))
    assert wish.min_speedup == 2


def test_a_marker_on_a_parameter_is_refused() -> None:
    plain = SimpleNamespace(nodeid="a", callspec=SimpleNamespace(marks=[Mark("slow", (), {}, _ispytest=True)]))
    marked = SimpleNamespace(nodeid="b[1]", callspec=SimpleNamespace(marks=[Mark("ovbench", (), {}, _ispytest=True)]))
    assert wishes.misplaced([SimpleNamespace(nodeid="none"), plain]) == ""
    assert wishes.misplaced([plain, marked]).startswith("b[1]: ovbench(...) on a parameter: give it to the test")


# ------------------------------------------------------------------------------------------------------------- floors


@pytest.fixture
def suite(tmp_path: Path) -> suites.Suite:
    return suites.Suite(Settings(), tmp_path, progress=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratios", "busy", "outcome", "fails"),
    [
        ([2.0, 2.1, 2.0, 2.1, 2.0], False, Outcome.HELD, False),
        ([1.2, 1.3, 1.2, 1.3, 1.2], False, Outcome.FAILED, True),
        ([1.2, 1.3, 1.2, 1.3, 1.2], True, Outcome.UNSURE, False),
        ([1.2, 1.3], False, Outcome.UNSURE, False),
    ],
)
def test_the_tests_own_floor_goes_before_the_options_and_the_policys(
    suite: suites.Suite, monkeypatch: pytest.MonkeyPatch, ratios: list[float], busy: bool, outcome: Outcome, fails: bool
) -> None:
    suite.settings, suite.policy = Settings(min_speedup=100), Policy(floors=(("*", 100.0),))
    estimate = ratio_estimate([math.log(each) for each in ratios])
    monkeypatch.setattr(suites.Suite, "speedup", lambda _suite, _config: estimate)
    monkeypatch.setattr(Measurements, "busy", busy)
    gate = hold_speedup(suite, INT8, 1.5)
    assert gate is not None
    assert (gate.floor, gate.outcome, gate.fails) == (1.5, outcome, fails)
    assert hold_speedup(suite, INT8, 1.5) == gate, "by another test of the same cell"
    assert suite.gates == [gate]
    assert [line["kind"] for line in read_journal(suite.journal.path)] == ["floor"]
    assert suite.unsure is (outcome is Outcome.UNSURE)


def test_no_figure_is_no_gate(suite: suites.Suite) -> None:
    assert hold_speedup(suite, INT8, 1.5) is None
    assert suite.gates == []


@dataclass
class Item:
    """A test that asks for a paired comparison."""

    marker: Mapping[str, Any]
    sections: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        plain = node(self.marker)
        self.nodeid, self.path, self.iter_markers = plain.nodeid, plain.path, plain.iter_markers
        self.config = SimpleNamespace(stash={REMARKS: []})

    def add_report_section(self, when: str, key: str, content: str) -> None:
        self.sections.append((when, key, content))


@pytest.fixture
def asked(suite: suites.Suite, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask a test's paired question; the ratios of time B / A are given, one a pair."""

    def ask(marker: Mapping[str, Any], ratios: list[float], *, reason: str = "", failed: str = "", **more: Any) -> Any:
        item = Item(marker)
        questions = []

        def answer(question: ab.Question, *_given: Any) -> ab.Answer:
            questions.append(question)
            estimate = ratio_estimate([math.log(each) for each in ratios], ab.CONFIDENCE) if ratios else None
            verdict = Verdict.UNSURE if reason or not ratios else ab.compare(estimate, 0.03)
            metric = ab.MetricAnswer(question.metrics[0], estimate, 0.03, verdict, None, reason)
            return ab.Answer(question, Comparison("test", failed=failed), (metric,), None, None, None)

        monkeypatch.setattr(ab, "ask", answer)
        sides = more.pop("sides", ({"precision": "FP32"}, {"precision": "INT8"}))
        try:
            return AskPaired(item, suite)(*sides, **more), questions, item  # type: ignore[arg-type]
        except (Failed, Skipped) as outcome:
            return outcome, questions, item

    return ask


TWICE = [0.5, 0.51, 0.5, 0.51, 0.5]


def test_an_answer_has_its_figures_and_its_line(asked: Any, suite: suites.Suite) -> None:
    answer, questions, item = asked({"model": "net.xml"}, TWICE, metric="throughput", budget=90)
    assert answer.low < 0.5039 < answer.high
    assert answer.ratio == pytest.approx(0.504, abs=1e-3)
    assert answer.verdict == "FASTER"
    assert str(answer).startswith("throughput: B is FASTER, time B / A 0.504 [0.")
    assert str(answer).endswith("], 5 pairs, band ±3.0 %")
    assert item.sections == [("call", "ovbench", str(answer))]
    assert item.config.stash[REMARKS] == [f"test_it.py::test_speed: {answer}"]
    asked_for = questions[0]
    assert (asked_for.model, asked_for.precision) == ("/project/net.xml", Precision.FP32)
    assert (asked_for.metrics, asked_for.budget_s) == (("throughput",), 90.0)
    assert [line["kind"] for line in read_journal(suite.journal.path)] == ["session", "comparison"]


def test_sides_are_tables_or_lists_and_models_lie_beside_the_test(asked: Any) -> None:
    sides = (["model=old.xml", "NUM_STREAMS=2"], {"model": "new.xml", "env": {"A": "1"}, "ENABLE_CPU_PINNING": True})
    _, questions, _ = asked({"precision": "INT8"}, TWICE, sides=sides)
    a, b = questions[0].a, questions[0].b
    assert (a.model, a.properties) == ("/project/old.xml", (("NUM_STREAMS", "2"),))
    assert (b.model, b.environment, b.properties) == (
        "/project/new.xml", (("A", "1"),), (("ENABLE_CPU_PINNING", "YES"),)
    )  # fmt: skip
    assert questions[0].precision is Precision.INT8


def test_a_paired_floor_is_of_the_speed_up_of_b(asked: Any, suite: suites.Suite) -> None:
    answer, _, _ = asked({"min_speedup": 1.9}, TWICE)
    assert answer.verdict == "FASTER"
    failed, _, _ = asked({"min_speedup": 2.5}, TWICE)
    lines = str(failed).splitlines()
    what = "speed-up of precision=INT8 over precision=FP32"
    assert re.fullmatch(rf"INT8-LATENCY-1-off: {what} 1\.98 \[.*\], floor 2\.50: FAILED", lines[0])
    assert lines[1].startswith("  reproduce: ovbench ab --a precision=FP32 --b precision=INT8")
    unsure, _, _ = asked({"min_speedup": 2.5}, TWICE, reason="the machine was busy")
    assert unsure.verdict == "UNSURE"
    assert [gate.outcome for gate in suite.gates] == [Outcome.HELD, Outcome.FAILED, Outcome.UNSURE]
    assert suite.unsure


def test_no_round_at_all_is_no_evidence_unless_that_fails(asked: Any, suite: suites.Suite) -> None:
    outcome, _, _ = asked({"min_speedup": 2}, [], reason="the machine was busy")
    assert isinstance(outcome, Skipped)
    assert str(outcome) == "UNSURE, the machine was busy: nothing to hold the floor of 2 against"
    suite.settings = Settings(unsure=Unsure.FAIL)
    assert isinstance(asked({"min_speedup": 2}, [], reason="the machine was busy")[0], Failed)


def test_a_side_that_dies_fails_the_test(asked: Any) -> None:
    outcome, _, _ = asked({}, [], failed="side B: its process is gone")
    assert isinstance(outcome, Failed)
    assert str(outcome) == "FAILED: side B: its process is gone"


@pytest.mark.parametrize(
    ("marker", "more", "line"),
    [
        ({}, {"metric": "speed"}, "ov_paired: metric='speed': give latency or throughput"),
        ({}, {"budget": "soon"}, "ov_paired: budget='soon': give a duration such as 40s, 90, 500ms or 2m, of at most"),
        ({"precision": ["FP32", "INT8"]}, {}, "ov_paired: 2 values of precision: give the marker one, or precision on"),
        ({}, {"sides": ({}, {"precison": "INT8"})}, "ov_paired b precison=INT8: unknown key 'precison': give python"),
        ({}, {"sides": ({}, "INT8")}, "ov_paired b: 'INT8': give a list such as [\"precision=INT8\"], or a table"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_refused(asked: Any, marker: Any, more: dict[str, Any], line: str) -> None:
    outcome, _, _ = asked(marker, TWICE, **more)
    assert isinstance(outcome, Failed)
    assert str(outcome).startswith(WHERE + line)
    assert "\n" not in str(outcome)
