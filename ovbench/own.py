"""Own benches: what a user's test asks for with ``@pytest.mark.ovbench``, and the fixtures that answer it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovbench.config import AUTO, TUTORIAL_STREAMS, Cache, Config, Hint, Mode, Precision
from ovbench.errors import BadInput, BadModel, BadOption
from ovbench.models.names import EMBEDDED, FILE_SUFFIXES, name_of, names_of
from ovbench.options import BY_NAME, Settings, Unsure

if TYPE_CHECKING:  # sessions without our fixtures import nothing of it
    import openvino

    from ovbench.ab import Answer, Question
    from ovbench.floors import Gate
    from ovbench.stats import Estimate
    from ovbench.suite import Suite

MARKER = "ovbench"
AXES = ("model", "precision", "hint", "streams", "threads", "requests", "batch", "cache")
FLOOR = "min_speedup"
# What a test that names nothing is about, where the session's options name nothing either: the one cell that has a
# partner to be faster than. Streams are the tutorial's first for the hint.
DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "precision": (Precision.INT8,),
    "hint": (Hint.LATENCY,),
    "threads": (0,),
    "requests": (0,),
    "batch": (0,),
    "cache": (Cache.OFF,),
}
CAMPAIGN, COMPILED, PAIRED = "ov_campaign", "ov_compiled", "ov_paired"
SMOKE = "--benchmark-disable: nothing is measured in a smoke run"
SKIPPED = "--benchmark-skip: own benches are skipped too"

SUITE = pytest.StashKey["Suite"]()
NAMES = pytest.StashKey[dict[str, str]]()  # model as a test gave it -> what rows call it
REMARKS = pytest.StashKey[list[str]]()  # lines that are printed after the run


# ------------------------------------------------------------------------------------------------- what a test asks


@dataclass(frozen=True)
class Wish:
    """What the markers of one test say; an axis that is not in ``axes`` is left open."""

    where: str
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    min_speedup: float | None = None


def read_wish(node: pytest.Item) -> Wish:
    """The markers ``ovbench`` of a test, its class and its module as one, the nearest first. Raises BadOption."""
    where = node.nodeid
    said: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):
        if marker.args:
            raise BadOption(
                f"{where}: ovbench({marker.args[0]!r}): give it a name, such as precision={marker.args[0]!r}"
            )
        said = {**marker.kwargs, **said}
    for name in said:
        if name not in (*AXES, FLOOR):
            raise BadOption(f"{where}: ovbench({name}=...): unknown name: give {', '.join((*AXES, FLOOR))}")
    axes = {name: _read_axis(where, name, said[name], node.path.parent) for name in AXES if name in said}
    floor = _parsed(where, FLOOR, said[FLOOR], str(said[FLOOR])) if FLOOR in said else None
    return Wish(where, axes, floor)


def _read_axis(where: str, name: str, value: Any, folder: Path) -> tuple[Any, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or "" in values:
        raise BadOption(f"{where}: {name}={value!r}: give one value, or a list of some")
    if name != "model":
        parsed: tuple[Any, ...] = _parsed(where, name, value, ",".join(str(getattr(e, "value", e)) for e in values))
        return parsed
    if not all(isinstance(each, str | os.PathLike) for each in values):
        raise BadOption(f"{where}: model={value!r}: give 'embedded', a file, a folder or the name of a model")
    return tuple(dict.fromkeys(rooted(os.fspath(each), folder) for each in values))


def _parsed(where: str, name: str, value: Any, text: str) -> Any:
    try:
        return BY_NAME[name].parse(text)
    except ValueError as error:
        raise BadOption(f"{where}: {name}={value!r}: {error}") from None


def rooted(given: str, folder: Path) -> str:
    """A model's file or folder as a whole path, from ``folder``; ``embedded`` and names of models stay as they are."""
    path = folder / given
    if given == EMBEDDED or not (path.exists() or path.suffix in FILE_SUFFIXES):
        return given
    return os.path.abspath(path)  # noqa: PTH100  (Path.absolute keeps "..", resolve follows links and renames the model)


def check_held(node: pytest.Item, wish: Wish, fixtures: Collection[str], cells: Sequence[Config]) -> None:
    """Raise BadOption for a floor that nothing could hold: it would seem to be held."""
    if wish.min_speedup is None:
        return
    own = any(marker.name == MARKER and FLOOR in marker.kwargs for marker in node.own_markers)
    if own and not {CAMPAIGN, PAIRED} & set(fixtures):
        raise BadOption(
            f"{wish.where}: {FLOOR} without a figure to hold it: take {CAMPAIGN} or {PAIRED} as an argument"
        )
    if CAMPAIGN in fixtures and all(cell.precision is Precision.FP32 for cell in cells):
        raise BadOption(f"{wish.where}: {FLOOR} of FP32, over which a speed-up is taken: give another precision")


def cells_of(wish: Wish, settings: Settings, given: Collection[str]) -> tuple[Config, ...]:
    """The cells of a test: the marker's axes, else those of the options in ``given``, else the default's.

    ``model`` of each is the model as it was given, not yet its name (see ``session_of``).
    """

    def axis(name: str) -> tuple[Any, ...]:
        left_open: tuple[Any, ...] = getattr(settings, name) if name in given else DEFAULTS[name]
        return wish.axes.get(name, left_open)

    models = wish.axes.get("model") or tuple(rooted(each, Path.cwd()) for each in settings.model)
    return tuple(
        Config(model, settings.device, precision, hint, *numbers)
        for model, precision, hint in itertools.product(models, axis("precision"), axis("hint"))
        for numbers in itertools.product(
            wish.axes.get("streams") or settings.streams or TUTORIAL_STREAMS[hint][:1],
            *map(axis, ("cache", "threads", "requests", "batch")),
        )
    )


def ids_of(cells: Sequence[Config]) -> list[str]:
    """What pytest shows in brackets: the cell, its model before it where there are several."""
    names = names_of(list(dict.fromkeys(cell.model for cell in cells)))
    return [cell.id if len(names) == 1 else f"{names[cell.model]}-{cell.id}" for cell in cells]


# ------------------------------------------------------------------------------------------------ what a session asks


def session_of(settings: Settings, cells: Sequence[Config], beside_suite: bool) -> tuple[Settings, dict[str, str]]:
    """The settings that all own cells of a session add up to, and what rows call each of their models.

    ``beside_suite``: the suite's benches run in the same session, so its models and axes stay. Raises BadOption.
    """
    suites = tuple(rooted(each, Path.cwd()) for each in settings.model) if beside_suite else ()
    models = tuple(dict.fromkeys([*suites, *(cell.model for cell in cells)]))
    names = names_of(models)
    if beside_suite:
        for given, name in names_of(settings.model).items():
            if names[rooted(given, Path.cwd())] != name:
                raise BadOption(
                    f"--ov-model {given}: an own bench has another model of the name {name}: run them one by one"
                )

    def union(axis: str, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys([*(getattr(settings, axis) if beside_suite else ()), *values]))

    known = settings.streams or not beside_suite
    return replace(
        settings,
        model=models,
        precision=union("precision", sorted((cell.precision for cell in cells), key=list(Precision).index)),
        hint=union("hint", sorted((cell.hint for cell in cells), key=list(Hint).index)),
        streams=union("streams", [cell.streams for cell in cells]) if known else None,
        threads=union("threads", [cell.threads for cell in cells]),
        requests=union("requests", [cell.requests for cell in cells]),
        batch=union("batch", [cell.batch for cell in cells]),
        cache=union("cache", [cell.cache for cell in cells]),
    ), names


def named(config: pytest.Config, cell: Config) -> Config:
    """A cell whose model has the name that this session gives it."""
    names = config.stash.get(NAMES, {})
    return replace(cell, model=names.get(cell.model, cell.model))


def cell_of(item: pytest.Item) -> Config | None:
    """The cell that a test takes; None for a test that takes none, and for one that a marker skips."""
    cell = getattr(getattr(item, "callspec", None), "params", {}).get("ov_config")
    if not isinstance(cell, Config) or item.get_closest_marker("skip") is not None:
        return None
    return named(item.config, cell)


def misplaced(items: Sequence[pytest.Item]) -> str:
    """What to say of a marker on a parameter, where it would be read too late to say which cells there are; or ""."""
    for item in items:
        if any(mark.name == MARKER for mark in getattr(getattr(item, "callspec", None), "marks", ())):
            return f"{item.nodeid}: ovbench(...) on a parameter: give it to the test, its class or its module"
    return ""


# ---------------------------------------------------------------------------------------------------- the fixtures


@pytest.fixture(scope="session")
def ov_config(request: pytest.FixtureRequest) -> Config:
    """The cell at hand: of the matrix for the suite's benches, of ``@pytest.mark.ovbench`` for own ones."""
    return named(request.config, request.param)


@pytest.fixture(scope="session")
def ov_suite(request: pytest.FixtureRequest) -> Suite:
    """This session: settings, models, variants and all that was measured before the first test."""
    suite = request.config.stash.get(SUITE, None)
    if suite is None and request.config.getoption("benchmark_skip", False):
        pytest.skip(SKIPPED)
    if suite is None:
        pytest.fail("nothing was measured: no selected bench takes a cell of the matrix (ov_config)", pytrace=False)
    return suite


@pytest.fixture(scope="session")
def ov_model_path(ov_suite: Suite, ov_config: Config) -> Path:
    """The file behind the precision at hand; skips with the reason where this machine cannot run it."""
    reason = ov_suite.why_not(ov_config)
    if reason:
        pytest.skip(reason)
    return ov_suite.variants[ov_config.model, ov_config.precision].path


@pytest.fixture(scope="session")
def ov_compiled(
    ov_suite: Suite, ov_config: Config, ov_model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> openvino.CompiledModel:
    """A plain ``ov.CompiledModel`` of the cell at hand, for ``benchmark(...)`` or anything else."""
    folder = tmp_path_factory.mktemp("model-cache") if ov_config.cache is not Cache.OFF else None
    try:
        if ov_config.cache is Cache.WARM:
            ov_suite.compile(ov_config, ov_model_path, folder)
        return ov_suite.compile(ov_config, ov_model_path, folder)
    except BadModel as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@dataclass(frozen=True)
class Figures:
    """What the session's campaign found of one cell; None for a figure that cannot be told.

    Percentiles are of the time of one inference, under load in async cells. ``speedup_over_fp32`` has ``value``, and
    ``low`` and ``high`` of its 95 % interval; ``verdict`` is FASTER, SLOWER, SAME or UNSURE against FP32.
    ``effective`` is what the compiled model says of itself: streams, threads, requests, shares of MACs by kernel.
    """

    cell: str
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    images_per_s: float
    speedup_over_fp32: Estimate | None
    verdict: str | None
    effective: Mapping[str, Any] = field(repr=False)


@pytest.fixture
def ov_campaign(ov_suite: Suite, ov_config: Config) -> Figures:
    """The cell at hand as the session's campaign measured it, before the first test, in turns with its FP32 partner."""
    reason = SMOKE if ov_suite.smoke else ov_suite.why_not(ov_config)
    if reason:
        pytest.skip(reason)
    fault = ov_suite.fault(ov_config)
    if fault:
        pytest.fail(f"{ov_config.id}: {fault}", pytrace=False)
    summary, verdict = ov_suite.summary(ov_config), ov_suite.verdict(ov_config)
    assert summary is not None, "a cell without samples is a fault"
    return Figures(
        cell=ov_config.id,
        p50_ms=_milliseconds(summary.p50_ns),
        p95_ms=_milliseconds(summary.p95_ns),
        p99_ms=_milliseconds(summary.p99_ns),
        images_per_s=summary.frames_per_second,
        speedup_over_fp32=ov_suite.speedup(ov_config),
        verdict=None if verdict is None else verdict.value,
        effective=ov_suite.measured.cells[ov_config].effective,
    )


def _milliseconds(time_ns: float | None) -> float | None:
    return None if time_ns is None else time_ns / 1e6


def hold_speedup(suite: Suite, config: Config, floor: float) -> Gate | None:
    """Hold a cell's speed-up over FP32 against the floor that its test names; None where there is no figure.

    The test is the nearest to it, so its floor goes before --ov-min-speedup and the policy file, whose waivers hold.
    """
    from ovbench.floors import SPEEDUP, Rules
    from ovbench.verdict import Outcome

    estimate = suite.speedup(config)
    if estimate is None:
        return None
    rules = Rules(replace(suite.settings, min_speedup=floor), suite.policy, suite.today)
    gate = rules.hold(SPEEDUP, config, estimate, floor, Outcome.UNSURE if suite.measured.busy else None)
    _keep(suite, gate)
    return gate


def _keep(suite: Suite, gate: Gate) -> None:
    """For the end of the run, and for later reports; once, where several tests hold one cell to the same floor."""
    from ovbench.story.lines import gate_fields

    if gate not in suite.gates:
        suite.gates.append(gate)
        suite.journal.write("floor", **gate_fields(gate))


# ------------------------------------------------------------------------------------------------ paired comparisons


@dataclass(frozen=True)
class Paired:
    """The answer of one paired comparison: time B / A (above 1, B is slower), its 99 % interval, the verdict on B.

    ``ratio`` is None where nothing could be measured, ``low`` and ``high`` where the pairs are too few; ``verdict`` is
    FASTER, SLOWER, SAME or UNSURE.
    """

    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


class AskPaired:
    """Callable ``ov_paired(a, b, metric="latency", budget="20s")``: is B slower or faster than A?"""

    def __init__(self, item: pytest.Item, suite: Suite) -> None:
        self.item, self.suite = item, suite

    def __call__(
        self,
        a: dict[str, Any] | list[str],
        b: dict[str, Any] | list[str],
        metric: str = "latency",
        budget: str | float = "20s",
    ) -> Paired:
        """Measure both sides in fresh pairs of processes until the answer is clear or ``budget`` is spent.

        Sides are what ``ovbench ab --a`` and ``--b`` take, as a table or a list of KEY=VALUE. Fails the test, in one
        line, where something given cannot be used or a side cannot run, and where B is on evidence less than the
        marker's ``min_speedup`` times as fast as A.
        """
        if self.suite.smoke:
            pytest.skip(SMOKE)
        wish = read_wish(self.item)
        try:
            answer = self._answer(self._question(wish, a, b, metric, budget))
        except BadInput as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        from ovbench.report.own import paired_text

        text = paired_text(answer)
        self.item.add_report_section("call", MARKER, text)
        self.item.config.stash[REMARKS].append(f"{self.item.nodeid}: {text}")
        if answer.comparison.failed:
            pytest.fail(text, pytrace=False)
        if wish.min_speedup is not None:
            self._hold(answer, wish.min_speedup)
        found = answer.metrics[0]
        estimate = found.estimate
        return Paired(
            ratio=None if estimate is None else estimate.value,
            low=None if estimate is None else estimate.low,
            high=None if estimate is None else estimate.high,
            verdict=found.verdict.value,
            text=text,
        )

    def _question(self, wish: Wish, a: Any, b: Any, metric: str, budget: str | float) -> Question:
        """What a side leaves open is the marker's model and precision; without one, FP32 as of ``ovbench ab``."""
        from ovbench.ab import METRICS, Question
        from ovbench.questions import read_side

        settings = self.suite.settings
        where = f"{wish.where}: {PAIRED}"
        if metric not in METRICS:
            raise BadOption(f"{where}: metric={metric!r}: give {' or '.join(METRICS)}")
        models = wish.axes.get("model") or tuple(rooted(each, Path.cwd()) for each in settings.model)
        precisions = wish.axes.get("precision") or (Precision.FP32,)
        for name, values in (("model", models), ("precision", precisions)):
            if len(values) > 1:
                raise BadOption(f"{where}: {len(values)} values of {name}: give the marker one, or {name} on each side")
        folder = self.item.path.parent
        return Question(
            name=self.item.nodeid,
            a=read_side(f"{where} a", a, folder),
            b=read_side(f"{where} b", b, folder),
            model=models[0],
            precision=precisions[0],
            device=settings.device,
            metrics=(metric,),
            tolerance=settings.tolerance,
            budget_s=_parsed(where, "budget", budget, str(budget)),
            seed=settings.seed,
        )

    def _answer(self, question: Question) -> Answer:
        from ovbench import ab, hosts
        from ovbench.comparison import pair_fields
        from ovbench.report.comparison import answer_fields

        suite = self.suite
        if not suite.journal.path.exists():
            suite.write_header()
        answer = ab.ask(
            question,
            suite.cache,
            hosts.band_of(hosts.read_profile(suite.host.fingerprint_id)),
            suite.progress,
            lambda asked, pair: suite.journal.write("pair", comparison=asked.name, **pair_fields(pair)),
        )
        suite.journal.write("comparison", **answer_fields(answer))
        return answer

    def _hold(self, answer: Answer, floor: float) -> None:
        from ovbench.ab import METRICS
        from ovbench.floors import FLOOR_OPTIONS, SPEEDUP, Gate
        from ovbench.policy import Target
        from ovbench.questions import command
        from ovbench.report.gates import gate_text
        from ovbench.story.figures import inverse
        from ovbench.verdict import Outcome, check_floor

        question, found = answer.question, answer.metrics[0]
        if found.estimate is None:  # no round was kept: no evidence, so no failure unless that is asked for
            give_up = pytest.fail if self.suite.settings.unsure is Unsure.FAIL else pytest.skip
            give_up(f"UNSURE, {found.reason}: nothing to hold the floor of {floor:g} against")
        synchronous = METRICS[found.metric] is Mode.SYNC
        config = Config(
            model=name_of(question.b.model or question.model),
            device=question.device,
            precision=question.b.precision or question.precision,
            hint=Hint.LATENCY if synchronous else Hint.THROUGHPUT,
            streams=1 if synchronous else AUTO,
        )
        speedup = inverse(found.estimate)
        outcome = Outcome.UNSURE if found.reason else check_floor(speedup, floor)
        target = Target(config.model, config.id, FLOOR_OPTIONS[SPEEDUP].removeprefix("min_"))
        waiver = self.suite.policy.waiver(target, self.suite.today) if outcome is Outcome.FAILED else None
        gate = Gate(f"speed-up of {question.b.text} over {question.a.text}", config, speedup, floor, outcome, waiver)
        _keep(self.suite, gate)
        if gate.fails:
            pytest.fail(f"{gate_text(gate)}\n  reproduce: {command(question, found.metric)}", pytrace=False)


@pytest.fixture
def ov_paired(request: pytest.FixtureRequest, ov_suite: Suite) -> AskPaired:
    """Callable ``ov_paired(a, b, metric="latency", budget="20s")``: is B slower or faster than A, in fresh pairs?"""
    return AskPaired(request.node, ov_suite)
