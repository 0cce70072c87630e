"""A gate's outcome for people and for CI servers: table, Markdown, JUnit."""

from __future__ import annotations

import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.gate import Row
from ovbench.policy import Target, Waiver
from ovbench.questions import AGREEMENT
from ovbench.report.junit import junit_xml
from ovbench.report.summary import summary_markdown, summary_text
from ovbench.stats import Estimate
from ovbench.verdict import Outcome, Verdict

WAIVER = Waiver("int8*", datetime.date(2026, 12, 31), "issue 7")
OLD = Waiver("old", datetime.date(2026, 1, 31), "issue 1")
SLOW = Estimate(1.0921, 1.0849, 1.0994, 6)
ROWS = (
    Row(Target("embedded", "upgrade", "latency"), Verdict.SLOWER, SLOW, 0.03, command="ovbench ab --b X=1"),
    Row(Target("embedded", "upgrade", "throughput"), Verdict.SAME, Estimate(1.001, 0.995, 1.007, 6), 0.03),
    Row(Target("embedded", "upgrade", AGREEMENT), Outcome.FAILED, Estimate(0.9, 0.8, 0.95, 50), 0.95, command="again"),
    Row(Target("m", "int8 | <b>", "latency"), Verdict.SLOWER, SLOW, 0.05, command="x", waiver=WAIVER),
    Row(Target("m", "int8 | <b>"), Outcome.FAILED, reason="side B: lane died", command="y"),
    Row(Target("m", "bf16", "latency"), Verdict.SKIPPED, None, 0.03, "CPU has no bf16 arithmetic"),
    Row(Target("m", "noisy", "latency"), Verdict.UNSURE, Estimate(1.02, 0.99, 1.05, 6), 0.03, "neither"),
)


def test_the_table_has_ratio_interval_limit_and_verdict() -> None:
    text = summary_text(ROWS, [OLD], Path("ovbench.toml"), coloured=False)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "upgrade latency 1.092 [1.085, 1.099] +3 % SLOWER" in lines
    assert "upgrade throughput 1.001 [0.995, 1.007] +3 % SAME" in lines
    assert "upgrade top-1 agreement 90.0 % ≥ 95 % FAILED" in lines
    assert any(line.startswith("int8 | <b> latency 1.092 [1.085, 1.099] +5 % SLOWER, waived") for line in lines)
    assert any(line.startswith("bf16 latency – +3 % SKIPPED (CPU has no bf16") for line in lines)
    assert "FAILED upgrade, latency: time B / A 1.092 [1.085, 1.099], limit +3 %: SLOWER" in lines
    assert lines[lines.index("reproduce: ovbench ab --b X=1") - 1].startswith("FAILED upgrade, latency")
    assert "FAILED int8 | <b>: FAILED: side B: lane died" in lines
    assert any(line.startswith("waived until 2026-12-31: issue 7: int8 | <b>, latency: time B / A") for line in lines)
    assert "waiver of old expired on 2026-01-31: issue 1" in lines
    assert "1 SLOWER, 1 SAME, 2 FAILED, 1 waived, 1 SKIPPED, 1 UNSURE; limits from ovbench.toml." in lines
    assert "\x1b" not in text
    assert "\x1b" in summary_text(ROWS, [], None, coloured=True)


def test_markdown_says_the_same_and_escapes() -> None:
    page = summary_markdown("ovbench gate ab.toml", ROWS, [OLD], None)
    assert page.startswith("## ovbench gate ab.toml\n")
    assert r"| upgrade | latency | 1.092 \[1.085, 1.099\] | +3 % | SLOWER |" in page
    assert r"| int8 \| \<b\> | latency |" in page
    assert (
        "FAILED upgrade, latency: time B / A 1.092 [1.085, 1.099], limit +3 %: SLOWER\n  reproduce: ovbench ab" in page
    )
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len(table) == len(ROWS) + 2
    assert page.count("```") == 2
    assert "```" not in summary_markdown("t", ROWS[1:2], [], None)


def test_junit_has_a_testcase_per_row_with_the_ratio_in_the_failure() -> None:
    suite = ET.fromstring(junit_xml("gate", ROWS)).find("testsuite")
    assert suite is not None
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["7", "3", "0", "3"]
    cases = suite.findall("testcase")
    assert [case[0].tag for case in cases] == [
        *("failure", "system-out", "failure", "skipped", "failure", "skipped", "skipped"),
    ]
    assert (cases[0].get("classname"), cases[0].get("name")) == ("upgrade", "latency")
    assert "1.092 [1.085, 1.099]" in cases[0][0].get("message", "")
    assert "ovbench ab --b X=1" in (cases[0][0].text or "")
    assert "waived until 2026-12-31: issue 7" in cases[3][0].get("message", "")


def test_unsure_is_a_failure_of_junit_where_it_fails_the_gate() -> None:
    suite = ET.fromstring(junit_xml("gate", ROWS, fail_on_unsure=True)).find("testsuite")
    assert suite is not None
    assert suite.findall("testcase")[-1][0].tag == "failure"


@given(st.text(), st.text())
def test_any_text_makes_valid_xml(name: str, reason: str) -> None:
    row = Row(Target("m", name), Outcome.FAILED, reason=reason, command=reason)
    case = ET.fromstring(junit_xml(name, [row]).encode()).find("testsuite/testcase")
    assert case is not None
    kept = case.get("classname", "")
    assert len(kept) == len(name)
    assert all(ours == theirs or ours == "\ufffd" for ours, theirs in zip(kept, name, strict=True))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_reason_stays_in_its_cell(reason: str) -> None:
    page = summary_markdown("t", [Row(Target("m", "x", "latency"), Verdict.SKIPPED, reason=reason)], [], None)
    rows = [line for line in page.split("\n") if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].endswith(" |")


@pytest.mark.parametrize("coloured", [False, True])
def test_square_brackets_of_a_name_are_no_markup(coloured: bool) -> None:
    row = Row(Target("m", "[red]x[/nope]", "latency"), Verdict.SAME)
    assert "[red]x[/nope]" in summary_text([row], [], None, coloured=coloured)
