"""The pytest plugin: options, hooks and fixtures. Inert in every session that collects no ovbench bench."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovbench import config as matrix
from ovbench.config import Config, Mode, Precision
from ovbench.errors import BadInput, OvbenchError
from ovbench.models.names import names_of
from ovbench.options import OPTIONS, Settings, Unsure, given_flags, read_settings, write_settings
from ovbench.own import wishes
from ovbench.own.fixtures import (  # pytest finds a plugin's fixtures in its module
    SUITE,
    ov_campaign,
    ov_compiled,
    ov_config,
    ov_model_path,
    ov_paired,
    ov_suite,
)
from ovbench.own.held import hold_speedup
from ovbench.own.session import NAMES, REMARKS, cell_of, session_of

if TYPE_CHECKING:  # sessions without our benches import nothing of it
    from ovbench.suite import Suite

__all__ = ["SUITE", "ov_campaign", "ov_compiled", "ov_config", "ov_model_path", "ov_paired", "ov_suite"]
RESULTS_KEY = "ov_results"
SETTINGS = pytest.StashKey[Settings]()
OUTCOMES = pytest.StashKey[dict[str, str]]()
STORED = pytest.StashKey[list[Path]]()
REFUSED = pytest.StashKey[list[str]]()
OURS = pytest.StashKey[bool]()  # whether the suite's benches run, whose rows we store: a user's own rows are his
# pytest-benchmark's options that say how its table looks, with their defaults: any other value asks for that table.
DISPLAY_DEFAULTS = {
    "benchmark_verbose": False,
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_columns": None,
    "benchmark_sort": "min",
    "benchmark_group_by": "group",
    "benchmark_name": "normal",
    "benchmark_histogram": [],
    "benchmark_time_unit": None,
    "benchmark_cprofile": None,
}
BASELINE_KIND = "baseline"
REFERENCE_KIND = "reference"
OWN_KIND = "own"  # an own bench whose cell is measured in the campaign
MODEL_KIND = "model"  # an own bench that takes no more than a compiled model
DEFAULT_STORAGE = "file://./.benchmarks"
LINE_WIDTH = 100
REFUSED_KEY = "ovbench_refused"
SESSION_FIXTURES = {"ov_precision", "ov_hint", "ov_streams", "ov_cache", "ov_model_path", "ov_compiled"}


# --------------------------------------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare every option as a flag and an ini key."""
    group = parser.getgroup("ovbench", "OpenVINO benchmarks (ovbench); each is also an ini key: ov_budget = 60s")
    for option in OPTIONS:
        text = option.text.replace("%", "%%")
        if option.switch:
            group.addoption(option.flag, action="store_const", const="true", default=None, dest=option.key, help=text)
        elif option.repeated:
            group.addoption(option.flag, metavar="VALUE", action="append", default=None, dest=option.key, help=text)
        else:
            group.addoption(option.flag, metavar="VALUE", default=None, dest=option.key, help=text)
        parser.addini(option.key, option.text, default=None)
    parser.addini(RESULTS_KEY, "Folder of results, relative to the ini file; empty leaves pytest-benchmark's storage.")


def given_options(config: pytest.Config) -> dict[str, str | None]:
    """The text of each option that was given, flag before ini key."""
    given: dict[str, str | None] = {}
    for option in OPTIONS:
        flag = config.getoption(option.key)
        if isinstance(flag, list):
            flag = "\n".join(flag)
        given[option.name] = flag if flag is not None else (config.getini(option.key) or None)
    return given


def results_folder(config: pytest.Config) -> Path | None:
    """Where results lie; None in sessions that do not say so."""
    named = config.getini(RESULTS_KEY)
    if not named:
        return None
    base = config.inipath.parent if config.inipath else config.rootpath
    return (base / str(named)).resolve()


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and give pytest-benchmark its storage; it configures itself after us."""
    config.addinivalue_line("markers", "ov_cells(kind): which cells of the matrix a bench runs on: "
                            "all, sync, async, pairs, precisions, startup, baseline or reference")  # fmt: skip
    names = "=, ".join((*wishes.AXES, wishes.FLOOR))
    config.addinivalue_line("markers", f"{wishes.MARKER}({names}=): the cell of an own bench and its floor; "
                            "see docs/own-benches.md")  # fmt: skip
    config.stash[OUTCOMES] = {}
    config.stash[REMARKS] = []
    config.stash[REFUSED] = []
    try:
        config.stash[SETTINGS] = read_settings(given_options(config))
        names_of(config.stash[SETTINGS].model)
    except BadInput as error:
        raise pytest.UsageError(str(error)) from None
    results = results_folder(config)
    if results is None or not config.pluginmanager.hasplugin("benchmark"):
        return
    option = config.option
    if option.benchmark_storage == DEFAULT_STORAGE:
        option.benchmark_storage = f"file://{results}"
    if option.benchmark_compare and option.benchmark_storage.startswith("file://"):
        storage = Path(option.benchmark_storage.removeprefix("file://"))
        if option.benchmark_compare is True:
            _compare_with_last_passed(config, storage)
        _gate_what_is_compared(config, storage)


def _compare_with_last_passed(config: pytest.Config, storage: Path) -> None:
    """Turn a bare --benchmark-compare into the last session that passed, and load that one alone."""
    from pytest_benchmark.utils import get_machine_id

    from ovbench.recording import last_passed

    option = config.option
    last = last_passed(storage / get_machine_id())
    option.benchmark_compare = last.stem if last else []
    if last is None:
        option.benchmark_compare_fail = None  # it needs something to compare with
        config.stash[REMARKS].append(
            "--benchmark-compare: nothing is stored yet that passed, so nothing is compared; "
            "this run will be stored if it passes."
        )


def _gate_what_is_compared(config: pytest.Config, storage: Path) -> None:
    """Take the session that --benchmark-compare shows as the baseline, unless --ov-baseline names another."""
    from pytest_benchmark.utils import get_machine_id

    from ovbench.sessions import find_passed

    compared = config.option.benchmark_compare
    if config.stash[SETTINGS].baseline or not isinstance(compared, str):
        return
    path = find_passed(storage / get_machine_id(), compared)
    if path is not None:
        config.stash[SETTINGS] = replace(config.stash[SETTINGS], baseline=str(path))


# ------------------------------------------------------------------------------------------------------ collection


def cells_of_kind(settings: Settings, kind: str) -> tuple[Config, ...]:
    """The configs that a bench of this kind is parametrized with."""
    axes = settings.matrix(list(names_of(settings.model).values()))
    if kind == "precisions":
        return matrix.one_per_precision(axes)
    if kind == "startup":
        return matrix.startup_cells(axes)
    if kind == REFERENCE_KIND:
        return matrix.most_used(axes)
    cells = matrix.expand(axes)
    if kind in ("sync", "async"):
        return matrix.of_mode(cells, Mode(kind))
    if kind == "pairs":
        return tuple(cell for cell in cells if cell.precision is not Precision.FP32)
    if kind in ("all", BASELINE_KIND):
        return cells
    raise pytest.UsageError(
        f"ov_cells({kind!r}): give all, sync, async, pairs, precisions, startup, baseline or reference"
    )


def cell_id(kind: str, cell: Config, several_models: bool) -> str:
    """What pytest shows in brackets: only the axes that vary within the kind, the model where there are several."""
    name = cell.id
    if kind == "precisions":
        name = cell.precision.value
    if kind == "startup":
        name = f"{cell.precision.value}-{cell.cache.value}"
    return f"{cell.model}-{name}" if several_models else name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every bench that asks for ``ov_config`` on the cells of its kind, or of its own marker."""
    marker = metafunc.definition.get_closest_marker("ov_cells")
    if marker is None:
        try:
            cells, ids = _own_cells(metafunc)
        except BadInput as error:
            metafunc.config.stash[REFUSED].append(str(error))  # raised here it would be a module's error, of many lines
            return
    elif "ov_config" in metafunc.fixturenames:
        kind = str(marker.args[0])
        settings = metafunc.config.stash[SETTINGS]
        cells = cells_of_kind(settings, kind)
        ids = [cell_id(kind, cell, len(settings.model) > 1) for cell in cells]
    if "ov_config" not in metafunc.fixturenames:
        return
    # Per test unless something compiled is shared between tests: pytest reorders benches by session-scoped parameters.
    scope = "session" if SESSION_FIXTURES & set(metafunc.fixturenames) else "function"
    metafunc.parametrize("ov_config", cells, ids=ids, indirect=True, scope=scope)  # type: ignore[arg-type]


def _own_cells(metafunc: pytest.Metafunc) -> tuple[tuple[Config, ...], list[str]]:
    """The cells of an own bench and their ids, its marker checked; none for a test without one. Raises BadOption."""
    definition, fixtures = metafunc.definition, metafunc.fixturenames
    if "ov_config" not in fixtures and definition.get_closest_marker(wishes.MARKER) is None:
        return (), []
    wish = wishes.read_wish(definition)
    given = {name for name, text in given_options(metafunc.config).items() if text is not None}
    cells = wishes.cells_of(wish, metafunc.config.stash[SETTINGS], given)
    wishes.check_held(definition, wish, fixtures, cells)
    return cells, wishes.ids_of(cells)


def _fixtures_of(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


def _kind(item: pytest.Item) -> str:
    marker = item.get_closest_marker("ov_cells")
    if marker is not None:
        return str(marker.args[0])
    return OWN_KIND if wishes.CAMPAIGN in _fixtures_of(item) else MODEL_KIND


def items_by_kind(items: Sequence[pytest.Item]) -> dict[str, list[Config]]:
    """The configs that the selected benches need, by kind; empty where no ovbench bench is selected."""
    kinds: dict[str, list[Config]] = {}
    for item in items:
        cell = cell_of(item)
        if cell is not None:
            kinds.setdefault(_kind(item), []).append(cell)
    return {kind: list(dict.fromkeys(cells)) for kind, cells in kinds.items()}


def _measures(items: Sequence[pytest.Item]) -> bool:
    """Whether anything is timed for these tests, before the first or in one of them."""
    return bool(items_by_kind(items).keys() - {MODEL_KIND}) or _compares(items)


def _compares(items: Sequence[pytest.Item]) -> bool:
    """Whether any of these tests compares two sides."""
    return any(wishes.PAIRED in _fixtures_of(item) and item.get_closest_marker("skip") is None for item in items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what nobody asked for: a baseline, a reference. Refuse a marker that says nothing we know, in one line.

    In a worker of pytest-xdist, where nothing can be measured: run nothing, say why.
    """
    settings = config.stash[SETTINGS]
    asked = {BASELINE_KIND: bool(settings.baseline), REFERENCE_KIND: settings.reference}
    items[:] = [item for item in items if asked.get(_kind(item), True)]
    refusal = (*config.stash[REFUSED], wishes.misplaced(items))[0]
    if not hasattr(config, "workerinput"):
        if refusal:
            raise pytest.UsageError(refusal)
        return
    if not refusal and (not _measures(items) or _skips_benches(config)):
        return
    config.workeroutput[REFUSED_KEY] = refusal or (  # type: ignore[attr-defined]
        "pytest-xdist is active (-n), and benches that run in parallel measure each other: "
        "run without -n, or with -p no:xdist"
    )
    config._benchmarksession.xdist_benchmark_found = False  # type: ignore[attr-defined]  # else it warns besides
    items.clear()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the controller of pytest-xdist: say what a worker has refused, once; one line, exit 4."""
    refusal = (getattr(node, "workeroutput", None) or {}).get(REFUSED_KEY)
    if refusal:
        raise pytest.UsageError(refusal)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep hypothesis out of sessions of benches: its plugin ends by importing all of it, a second, used or not."""
    if items_by_kind(session.items) and "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


# --------------------------------------------------------------------------------------------------------- running


def _skips_benches(config: pytest.Config) -> bool:
    return bool(config.getoption("benchmark_skip", False) and not config.getoption("benchmark_only", False))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object | None:
    """Before the first bench: check everything, measure everything. A plan is printed and ends the session."""
    config = session.config
    option = config.option
    broken = session.testsfailed and not option.continue_on_collection_errors
    if option.collectonly or broken or getattr(option, "setupplan", False) or _skips_benches(config):
        return None
    kinds = items_by_kind(session.items)
    if not kinds and not _compares(session.items):
        return None
    benchmark_session = _benchmark_session(config)
    config.stash[OURS] = bool(kinds.keys() - {OWN_KIND, MODEL_KIND})
    from ovbench.suite import Suite

    results = results_folder(config) or Path(benchmark_session.storage.path)
    from ovbench.policy import find_policy

    settings = config.stash[SETTINGS]
    try:
        policy = find_policy(config.rootpath)
        cells = [*kinds.get(OWN_KIND, []), *kinds.get(MODEL_KIND, [])]
        if cells:
            settings, config.stash[NAMES] = session_of(settings, cells, config.stash[OURS])
            kinds = items_by_kind(session.items)
    except BadInput as error:
        raise pytest.UsageError(str(error)) from None
    suite = Suite(
        settings=settings,
        policy=policy,
        results=results / benchmark_session.machine_id,
        progress=_progress(config),
        smoke=bool(benchmark_session.disabled),
    )
    config.stash[SUITE] = suite
    try:
        return _prepare_and_measure(config, suite, kinds)
    except BadInput as error:
        del config.stash[SUITE]
        suite.close()
        _save_nothing(benchmark_session)
        raise pytest.UsageError(str(error)) from None
    except OvbenchError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)


def _benchmark_session(config: pytest.Config) -> Any:
    """pytest-benchmark's session. Raises pytest.UsageError where it is missing or could not save what it is told to."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("-p no:benchmark: the benches need pytest-benchmark: run without that option")
    session = config._benchmarksession  # type: ignore[attr-defined]
    path = Path(session.json).absolute() if session.json else None
    if path and not path.parent.is_dir():
        _save_nothing(session)
        raise pytest.UsageError(f"--benchmark-json {path}: there is no folder {path.parent}: make it first")
    if session.histogram and importlib.util.find_spec("pygal") is None:
        _save_nothing(session)
        raise pytest.UsageError("--benchmark-histogram: pygal, which draws it, is not installed: pip install pygal")
    report = config.stash[SETTINGS].report
    folder = Path(report).absolute().parent
    if report and not (folder.is_dir() and os.access(folder, os.W_OK)):
        _save_nothing(session)
        raise pytest.UsageError(f"--ov-report {report}: no file can be made in {folder}: make it, or name another")
    return session


def _save_nothing(benchmark_session: Any) -> None:
    """Keep pytest-benchmark from warning that there is nothing to save."""
    benchmark_session.save = benchmark_session.autosave = benchmark_session.json = None


def _prepare_and_measure(config: pytest.Config, suite: Suite, kinds: dict[str, list[Config]]) -> object | None:
    """What happens before the first bench; True where nothing is to follow."""
    measured = [cell for kind in ("all", "sync", "async", "pairs") for cell in kinds.get(kind, [])]
    if not suite.smoke:
        measured += kinds.get(OWN_KIND, [])
    judged = kinds.get("precisions", [])
    others = [*judged, *map(matrix.fp32_partner, judged), *kinds.get("startup", []), *kinds.get(MODEL_KIND, [])]
    starts = with_uncached(kinds.get("startup", []))
    compared, referenced = kinds.get(BASELINE_KIND, []), kinds.get(REFERENCE_KIND, [])
    if any((measured, others, compared, referenced)):
        suite.prepare(dict.fromkeys(measured), others, compared, referenced)
    if suite.settings.plan:
        from ovbench.report.terminal import plan_text

        suite.close()
        _write(config, plan_text(suite, starts, "precisions" in kinds))
        return True
    if config.stash[OURS]:
        _store_rows(config, suite.smoke)
    if config.stash[OURS] or measured:
        suite.measure(starts)
    return None


def _store_rows(config: pytest.Config, smoke: bool) -> None:
    """Let pytest-benchmark save the suite's rows, and show its own table of them only where it is asked for."""
    benchmark_session = _benchmark_session(config)
    if not smoke and not benchmark_session.save and not benchmark_session.autosave:
        from pytest_benchmark.utils import get_tag

        benchmark_session.autosave = get_tag()
    if not _asks_for_table(config):
        benchmark_session.quiet = True


def with_uncached(starts: Sequence[Config]) -> list[Config]:
    """Start-up cells and the uncached ones that warm rows are compared with."""
    wanted = [each for cell in starts for each in (matrix.uncached_twin(cell), cell)]
    return list(dict.fromkeys(wanted))


def _asks_for_table(config: pytest.Config) -> bool:
    """Whether pytest-benchmark's own table was asked for, by any of its options of display or comparison."""
    return any(getattr(config.option, name, default) != default for name, default in DISPLAY_DEFAULTS.items())


def _progress(config: pytest.Config) -> Any:
    """Progress bars that pytest's capture does not swallow."""
    from ovbench.report.progress import progress_bar

    capture = config.pluginmanager.getplugin("capturemanager")

    @contextlib.contextmanager
    def bar(title: str) -> Iterator[Any]:
        uncaptured = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
        with uncaptured, progress_bar(title) as advance:
            yield advance

    return bar


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Hold an own bench's floor: judged before the test, so that a test that fails hides nothing, failed after it."""
    failure = _broken_floor(item)
    result = yield
    if failure:
        pytest.fail(failure, pytrace=False)
    return result


def _broken_floor(item: pytest.Item) -> str:
    """What the floor of an own bench's marker says against its cell; "" where it holds, or there is none."""
    suite = item.config.stash.get(SUITE, None)
    if suite is None or wishes.CAMPAIGN not in _fixtures_of(item):
        return ""
    cell, floor = cell_of(item), wishes.read_wish(item).min_speedup
    if cell is None or floor is None or cell.precision is Precision.FP32:
        return ""
    gate = hold_speedup(suite, cell, floor)
    if gate is None:
        return f"{cell.id}: there is no speed-up over FP32 to hold its floor of {floor:g}"
    from ovbench.report.gates import failure_text

    return failure_text(suite, gate, reproduce_command(item)) if gate.fails else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Write one journal line per finished bench."""
    report = yield
    suite = item.config.stash.get(SUITE, None)
    cell = cell_of(item)
    if suite is None or cell is None:
        return report
    if report.when == "call" or report.outcome != "passed":
        fixture = getattr(item, "funcargs", {}).get("benchmark")
        fullname = getattr(fixture, "fullname", item.nodeid)
        item.config.stash[OUTCOMES][fullname] = report.outcome
        reason = "" if report.outcome == "passed" else str(getattr(call.excinfo, "value", ""))
        if _kind(item) != MODEL_KIND:
            suite.write_bench(item.nodeid, fullname, report.outcome, cell, reason)
    return report


# ---------------------------------------------------------------------------------------------------------- ending


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
    """Say how the session ended before pytest-benchmark saves it."""
    config = session.config
    suite = config.stash.get(SUITE, None)
    if suite is None:
        return (yield)
    if exitstatus == pytest.ExitCode.OK and suite.unsure and suite.settings.unsure is Unsure.FAIL:
        from ovbench.gate import ExitCode

        session.exitstatus = exitstatus = ExitCode.UNSURE
    suite.finish(int(exitstatus))
    benchmark_session = config._benchmarksession  # type: ignore[attr-defined]
    if not benchmark_session.benchmarks:
        _save_nothing(benchmark_session)
    config.stash[STORED] = _stored(benchmark_session)
    return (yield)


def _stored(benchmark_session: Any) -> list[Path]:
    """The sessions in pytest-benchmark's storage, if that is a folder."""
    query = getattr(benchmark_session.storage, "query", None)
    return list(query("[0-9][0-9][0-9][0-9]_")) if query else []


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Store only rows that passed, and whether the session did."""
    suite = config.stash.get(SUITE, None)
    if suite is None or not config.stash[OURS]:
        return
    from ovbench.recording import mark_session

    outcomes = config.stash[OUTCOMES]
    passed = {name for name, outcome in outcomes.items() if outcome == "passed"}
    mark_session(output_json, suite.exit_status == 0, passed, suite.facts())


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: Any, compared_benchmark: Any
) -> Generator[None, Any, Any]:
    """Replace pytest-benchmark's warning of several thousand characters by the names of what differs."""
    if results_folder(config) is not None:
        from ovbench.recording import machine_differences

        different = machine_differences(machine_info, compared_benchmark["machine_info"])
        compared_benchmark["machine_info"] = machine_info
        if different:
            config.stash[REMARKS].append(
                f"the compared session is from another machine ({', '.join(different)}): trust no absolute time in it"
            )
    return (yield)


@pytest.hookimpl(tryfirst=True)  # pytest-benchmark raises from its own when something regressed
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Our table, before pytest-benchmark's if that was asked for."""
    for remark in config.stash.get(REMARKS, []):
        _write(config, textwrap.fill(remark, LINE_WIDTH))
    suite = config.stash.get(SUITE, None)
    if suite is None or suite.settings.plan or not (suite.sources or suite.smoke or suite.journal.path.exists()):
        return
    from ovbench.report.terminal import summary_text

    before = config.stash[STORED]
    suite.saved = next((path for path in _stored(_benchmark_session(config)) if path not in before), None)
    terminalreporter.ensure_newline()
    _write(config, summary_text(suite, _unmatched(config), _is_terminal(config)))
    if suite.settings.report and not suite.smoke:
        _write(config, _reported(suite))


def _reported(suite: Suite) -> str:
    """Write the report that --ov-report asks for, from the journal; a line that names it, or says why there is none."""
    from ovbench.report.written import write_report

    file = Path(suite.settings.report)
    try:
        write_report([suite.journal.path], file)
    except BadInput as error:
        return f"No report: {error}"
    return f"Report: {file}"


def _unmatched(config: pytest.Config) -> list[str]:
    """Rows that a comparison has no partner for, one line for each side."""
    session = config._benchmarksession  # type: ignore[attr-defined]
    if not session.compared_mapping or not config.stash[OURS]:
        return []
    stored = {name for rows in session.compared_mapping.values() for name in rows}
    now = {row.fullname for row in session.benchmarks if row and not row.fullname.startswith(f"{BASELINE_KIND}/")}
    sides = {"in this run": sorted(now - stored), "in the stored run": sorted(stored - now)}
    return [f"only {side}: {', '.join(names)}" for side, names in sides.items() if names]


def _is_terminal(config: pytest.Config) -> bool:
    return bool(config.get_terminal_writer().hasmarkup)


def _write(config: pytest.Config, text: str) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    for line in io.StringIO(text):
        reporter.write_line(line.rstrip())


def reproduce_command(item: pytest.Item) -> str:
    """The command that measures one bench again, from where this session was started, with this session's options."""
    place = os.path.relpath(item.path, item.config.invocation_params.dir) + _within_module(item)
    words = ["pytest", place, *given_flags(write_settings(item.config.stash[SETTINGS]))]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _within_module(item: pytest.Item) -> str:
    _path, separator, rest = item.nodeid.partition("::")
    return separator + rest
