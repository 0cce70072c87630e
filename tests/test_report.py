"""What is printed after a run: 100 columns, nothing cut off, numbers as the reader expects them."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.campaign import Cell, Measurements
from ovbench.config import Cache, Config, Hint, Inputs, Mode, Precision, cell_name
from ovbench.options import Settings
from ovbench.report.numbers import DASH, mebibytes, milliseconds, percent, ratio, significant
from ovbench.report.page import WIDTH
from ovbench.report.progress import progress_bar
from ovbench.report.terminal import summary_text
from ovbench.samples import Block, Replicate
from ovbench.stats import Estimate
from ovbench.suite import Suite, in_matrix_order
from ovbench.verdict import Outcome

PLAIN = Config("tiny")
LONG = Config(
    "a-model-with-a-name-of-its-own", "MULTI:CPU", Precision.BF16, Hint.CUMULATIVE_THROUGHPUT, 128, Cache.WARM,
    threads=256, requests=512, batch=64, inputs=Inputs.COPIED,
)  # fmt: skip


@contextlib.contextmanager
def silent(_title: str):
    yield lambda _share, _doing: None


def measured(tmp_path: Path, *configs: Config, lanes: int = 6) -> Suite:
    """A suite whose cells were measured: one block of 100 inferences in each lane."""
    suite = Suite(Settings(model=("tiny.xml",)), tmp_path, silent)
    effective = {"mac_shares": {"bf16": 0.955, "f32": 0.045}, "streams": 128, "threads": 256, "requests": 512}
    suite.measured = Measurements({config: Cell(config, effective=effective) for config in configs}, lanes=lanes)
    for config in configs:
        speed = 2 if config.precision is Precision.INT8 else 1
        suite.measured.replicates[config] = [
            Replicate(lane, config.mode, (block(round((1234567 + 1000 * lane) / speed)),)) for lane in range(lanes)
        ]
    return suite


def block(each_ns: int) -> Block:
    return Block(0, (each_ns,) * 100, (each_ns,) * 100, 100 * each_ns)


def every_config() -> list[Config]:
    """Cells of every precision and hint, the longest names among them."""
    return [
        Config("tiny", "CPU", precision, hint, streams, cache)
        for precision in Precision
        for hint in Hint
        for streams in ("AUTO", 128)
        for cache in (Cache.OFF, Cache.WARM)
    ]


# ---------------------------------------------------------------------------------------------------------- tables


def test_no_line_is_longer_than_the_page_and_nothing_is_cut_off(tmp_path: Path) -> None:
    suite = measured(tmp_path, *every_config(), LONG, *(Config(precision=each) for each in Precision))
    text = summary_text(suite, [f"only in this run: {', '.join(each.id for each in every_config())}"], coloured=False)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    for part in cell_name(LONG).split():
        assert part in text


def test_a_piped_summary_has_no_escape_codes_and_a_terminals_has(tmp_path: Path) -> None:
    suite = measured(tmp_path, PLAIN)
    assert "\x1b" not in summary_text(suite, [], coloured=False)
    assert "\x1b[" in summary_text(suite, [], coloured=True)


def test_a_row_tells_its_figures_speedup_and_verdict(tmp_path: Path) -> None:
    config = Config("tiny", precision=Precision.INT8)
    suite = measured(tmp_path, PLAIN, config)
    row = next(line for line in summary_text(suite, [], coloured=False).splitlines() if "INT8 lat 1 off" in line)
    assert "2.00 [2.00, 2.00]" in row
    assert "FASTER" in row
    assert "bf1696%" in row.replace(" ", "")


def test_too_few_lanes_give_no_interval_and_it_is_said(tmp_path: Path) -> None:
    suite = measured(tmp_path, PLAIN, Config("tiny", precision=Precision.INT8), lanes=2)
    text = summary_text(suite, [], coloured=False)
    assert "2.00 [?]" in text
    assert "UNSURE" in text
    assert "raise --ov-budget" in text


def test_open_gates_are_told_once_for_all_aliases(tmp_path: Path) -> None:
    config = Config("tiny", precision=Precision.INT8)
    alias = Config("tiny", precision=Precision.INT8, cache=Cache.WARM)
    suite = measured(tmp_path, PLAIN, config)
    suite.measured.cells[alias] = Cell(alias, alias_of=config)
    for each in (config, alias):
        assert suite.hold("speed-up over FP32", each, Estimate(0.99, 0.9, 1.1, 6), 1.0).outcome is Outcome.UNSURE
    text = summary_text(suite, [], coloured=False)
    assert text.count("speed-up over FP32 0.99") == 1
    assert "(+1 alias)" in text
    assert "2 UNSURE" in text


def test_where_a_run_is_kept_is_told_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = measured(tmp_path, PLAIN)
    suite.journal.path = tmp_path / "results" / "here" / "a.jsonl"
    assert "Every sample" not in summary_text(suite, [], coloured=False)
    suite.journal.write("end")
    for folder, told in (
        (tmp_path, "Every sample: results/here/a.jsonl\nWith charts: ovbench report\n"),
        (tmp_path / "results", "Every sample: here/a.jsonl\nWith charts: ovbench report here/a.jsonl\n"),
    ):
        monkeypatch.chdir(folder)
        assert summary_text(suite, [], coloured=False).replace("\\", "/").endswith(told)
    suite.settings = replace(suite.settings, report="page.html")
    assert "ovbench report" not in summary_text(suite, [], coloured=False)


def test_a_fault_is_told_and_not_tabled(tmp_path: Path) -> None:
    suite = measured(tmp_path, PLAIN)
    fault = Config("tiny", hint=Hint.THROUGHPUT)
    suite.measured.cells[fault] = Cell(fault, fault="FP32 row ran bf16 100% of its MACs: it is no FP32 row")
    text = summary_text(suite, [], coloured=False)
    assert f"{fault.id}: FP32 row ran bf16" in text
    assert "FP32 thr" not in text


def test_cell_names_leave_defaults_out_and_differ() -> None:
    assert cell_name(PLAIN) == "FP32 lat 1 off"
    assert cell_name(LONG) == "BF16 cum 128 copied t256 r512 b64 MULTI:CPU"
    assert cell_name(Config("tiny", pinning=False, hyper_threading=True)) == "FP32 lat 1 off nopin ht"
    names = [cell_name(config) for config in every_config()]
    assert len(set(names)) == len(names)


@given(st.permutations(every_config()[:12]))
def test_cells_are_laid_out_like_the_matrix_however_they_come(configs: list[Config]) -> None:
    settings = Settings(model=("tiny.xml",), hint=tuple(Hint), streams=("AUTO", 128))
    ordered = in_matrix_order(settings, configs)
    assert list(ordered) == every_config()[:12]


# --------------------------------------------------------------------------------------------------------- numbers


@given(st.floats(0.001, 1e6))
def test_a_number_is_written_to_a_half_per_cent(value: float) -> None:
    assert abs(float(significant(value)) - value) <= max(0.005 * value, 0.00005)
    assert "e" not in significant(value)


def test_what_cannot_be_said_is_a_dash() -> None:
    assert {milliseconds(None), ratio(None), percent(None), mebibytes(None)} == {DASH}


def test_numbers_with_their_intervals() -> None:
    assert ratio(Estimate(1.5, 1.4, 1.6, 5)) == "1.50 [1.40, 1.60]"
    assert ratio(Estimate(1.5, None, None, 1)) == "1.50 [?]"
    assert percent(Estimate(0.981, 0.971, 0.988, 1000)) == "98.1 % [97.1, 98.8]"
    assert milliseconds(12_300_000) == "12.3"
    assert mebibytes(123 * 2**20) == "123"


# -------------------------------------------------------------------------------------------------------- progress


def test_progress_that_is_piped_is_plain_lines() -> None:
    stream = io.StringIO()
    with progress_bar("Campaign", stream) as advance:
        advance(0.5, "lane 1")
        advance(0.6, "lane 1")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Campaign: lane 1, 50%")
    assert lines[1].startswith("Campaign: done in ")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("columns", [120, 100, 80, 60])
def test_a_bar_keeps_its_figures_and_who_leads_however_long_its_words(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress_bar("Tune", stream) as advance:
        advance(0.4, "finals, lane 3 of 5, [/x] INT8-THROUGHPUT-1-off-requests=2-batch=2 leads")
        drawn = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", stream.getvalue()).strip()
    assert drawn.startswith("Tune: fi")
    assert " leads " in drawn
    assert drawn.endswith(" left")
    assert " 40% 0:00:0" in drawn
    assert len(drawn) <= columns


def test_progress_of_nothing_says_nothing() -> None:
    stream = io.StringIO()
    with progress_bar("Campaign", stream):
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize("mode", list(Mode))
def test_alias_samples_are_its_representatives(tmp_path: Path, mode: Mode) -> None:
    config = Config("tiny", hint=Hint.LATENCY if mode is Mode.SYNC else Hint.THROUGHPUT)
    suite = measured(tmp_path, config)
    alias = Config("tiny", hint=config.hint, streams=4, cache=Cache.WARM)
    suite.measured.cells[alias] = Cell(alias, alias_of=config)
    assert suite.summary(alias) == suite.summary(config)
    assert suite.fault(alias) == ""


def test_a_cell_without_samples_has_a_fault(tmp_path: Path) -> None:
    suite = measured(tmp_path, PLAIN)
    suite.measured.replicates.clear()
    suite.measured.notes.append("lane 1: a lane died")
    assert suite.fault(PLAIN) == "nothing was measured; lane 1: a lane died"
    assert suite.fault(LONG) == "not part of the campaign"
