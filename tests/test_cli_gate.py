"""`ovbench gate` and `ovbench ab --file` with invented answers, exact figures and every exit code."""

from __future__ import annotations

import datetime
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ovbench import ab, cli, gating, hosts, machine
from ovbench.agreement import Agreement
from ovbench.comparison import Comparison, Opening, Pair
from ovbench.errors import BadOption, NotWritable
from ovbench.records import read_journal
from ovbench.stats import Estimate

SPREAD = 0.001  # of the pairs' log ratios, in even steps
OPENING = Opening(100, 100, {}, "fake")


@dataclass
class FakeAsk:
    """What ``ab.ask`` is replaced with: the ratio of each comparison, or what else becomes of it."""

    ratios: dict[str, float] = field(default_factory=dict)
    pairs: int = 6
    raises: dict[str, BaseException] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    top1: float | None = None
    asked: list[tuple[ab.Question, int | None]] = field(default_factory=list)

    def __call__(
        self,
        question: ab.Question,
        _cache: Any,
        band: float,
        _progress: Any,
        on_pair: Callable[[ab.Question, Pair], None],
        into: Comparison,
        family: int | None,
    ) -> ab.Answer:
        self.asked.append((question, family))
        if question.name in self.raises:
            raise self.raises[question.name]
        into.failed = self.failed.get(question.name, "")
        rejected = self.rejected.get(question.name, 0)
        for number in range(0 if into.failed else self.pairs):
            log = math.log(self.ratios.get(question.name, 1.0)) + SPREAD * (number - (self.pairs - 1) / 2)
            logs = dict.fromkeys(question.metrics, log)
            into.pairs.append(Pair(number, (OPENING, OPENING), {}, logs, rejected, 10, 0, 1.0))
            on_pair(question, into.pairs[-1])
        share = Estimate(self.top1, self.top1, self.top1, 50) if self.top1 is not None else None
        outputs = None if share is None else ab.Outputs(50, 0.0, Agreement(50, 5, share, share, share, None, None))
        before = ab.Preflight("fake", {}, [], ())
        return ab.judge(question, into, band, outputs, (before, before))


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    error: str
    journal: list[dict[str, Any]]

    @property
    def lines(self) -> list[str]:
        """Printed lines, their spaces collapsed."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAsk:
    fake = FakeAsk()
    monkeypatch.setattr(ab, "ask", fake)
    monkeypatch.setattr(ab, "resolve", lambda *_: None)
    monkeypatch.setattr(
        gating, "reason_to_skip", lambda question: "no such arithmetic" if "skip" in question.name else ""
    )
    monkeypatch.setattr(cli.compare, "today", lambda: datetime.date(2026, 12, 31))
    monkeypatch.setenv(hosts.PROFILES_VARIABLE, str(tmp_path / "profiles"))
    monkeypatch.delenv(gating.SUMMARY_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return fake


@pytest.fixture
def ovbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ovbench", *arguments])
        earlier = set((tmp_path / "results").glob("*.jsonl"))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        journals = set((tmp_path / "results").glob("*.jsonl")) - earlier
        lines = [dict(line) for path in journals for line in read_journal(path)]
        return Ran(int(str(ended.value.code)), told.out, told.err, lines)

    return run


def matrix(*names: str, top: str = 'metrics = ["latency"]') -> str:
    text = "\n".join([top, *(f'[[comparison]]\nname = "{name}"\nb = ["NUM_STREAMS=2"]' for name in names)])
    Path("ab.toml").write_text(text + "\n", encoding="utf-8")
    return "ab.toml"


def test_a_gate_that_holds(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"quick": 0.9}
    ran = ovbench("gate", matrix("same", "quick"))
    assert ran.code == 0
    assert "same latency 1.000 [0.997, 1.003] +3 % SAME" in ran.lines
    assert "1 SAME, 1 FASTER." in ran.lines
    assert [line["kind"] for line in ran.journal].count("pair") == 12
    assert ran.journal[-1]["kind"] == "gate"
    assert [row["answer"] for row in ran.journal[-1]["rows"]] == ["SAME", "FASTER"]


def test_a_slow_down_fails_with_its_figures_everywhere(
    ask: FakeAsk, ovbench: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask.ratios = {"slow": 1.1}
    Path("job.md").write_text("before\n", encoding="utf-8")
    monkeypatch.setenv(gating.SUMMARY_VARIABLE, "job.md")
    ran = ovbench("gate", matrix("same", "slow"), "--summary", "s.md", "--junit", "j.xml")
    assert ran.code == 1
    failed = next(line for line in ran.lines if line.startswith("FAILED"))
    assert failed.startswith("FAILED slow, latency: time B / A 1.100 [1.0")
    assert "reproduce: ovbench ab --b NUM_STREAMS=2 --metric latency" in ran.lines
    page = Path("s.md").read_text(encoding="utf-8")
    assert failed in page
    assert Path("job.md").read_text(encoding="utf-8") == "before\n" + page
    failures = ET.parse("j.xml").findall("testsuite/testcase/failure")
    assert ["FAILED " + each.get("message", "") for each in failures] == [failed]


def test_the_family_is_all_metrics_of_all_that_runs(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ovbench("gate", matrix("a", "b", "skip", top=""))
    assert [(question.name, family) for question, family in ask.asked] == [("a", 4), ("b", 4)]


def test_what_is_slower_alone_is_unsure_among_many(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.0345}
    alone = ovbench("gate", matrix("slow"))
    many = ovbench("gate", matrix("slow", *(f"same {number}" for number in range(30))))
    assert (alone.code, many.code) == (1, 0)
    assert any("it may be chance" in " ".join(many.lines[at : at + 4]) for at in range(len(many.lines)))


def test_unsure_is_reported_or_fails(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.pairs = 4
    assert ovbench("gate", matrix("few")).code == 0
    strict = ovbench("gate", matrix("few"), "--unsure", "fail", "--junit", "j.xml")
    assert strict.code == 6
    assert "4 pairs are too few" in Path("j.xml").read_text(encoding="utf-8")
    assert ovbench("gate", matrix("few"), "--unsure", "perhaps").code == 4


def test_a_busy_machine_gives_unsure_whatever_the_figures(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios, ask.rejected = {"slow": 1.5}, {"slow": 90}
    ran = ovbench("gate", matrix("slow"), "--junit", "j.xml")
    assert ran.code == 0
    assert "the machine was busy" in Path("j.xml").read_text(encoding="utf-8")


def test_a_side_that_dies_fails_and_others_go_on(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.failed = {"dead": "side B: lane died"}
    ran = ovbench("gate", matrix("dead", "same"))
    assert ran.code == 1
    assert "FAILED dead: FAILED: side B: lane died" in ran.lines
    assert "1 SKIPPED, 1 FAILED, 1 SAME." in ran.lines


def test_bad_input_of_one_is_one_line_and_others_go_on(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.raises = {"bad": BadOption("--b python=x: no openvino: install it")}
    ran = ovbench("gate", matrix("bad", "same"), "--junit", "j.xml")
    assert ran.code == 4
    assert [each.get("classname") for each in ET.parse("j.xml").findall("testsuite/testcase[error]")] == ["bad"]
    assert ovbench("gate", matrix("bad")).code == 4
    matrix("bad", "same")
    assert "ovbench: bad: --b python=x: no openvino: install it\n" in ran.error
    assert "1 SKIPPED, 1 SAME." in ran.lines
    ask.ratios = {"same": 1.2}
    assert ovbench("gate", "ab.toml").code == 1


def test_a_journal_that_cannot_be_written_ends_it(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.raises = {"first": NotWritable("cannot write the journal: make room")}
    ran = ovbench("gate", matrix("first", "second"))
    assert (ran.code, [question.name for question, _ in ask.asked]) == (4, ["first"])


def test_an_interrupt_keeps_what_is_done(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    Path("s.md").write_text("all is well, said an earlier run", encoding="utf-8")
    ask.raises = {"second": KeyboardInterrupt()}
    ran = ovbench("gate", matrix("first", "second"), "--summary", "s.md")
    assert ran.code == 130
    assert "interrupted; 0 finished pairs of second in results" in ran.error
    ask.raises = {"first": KeyboardInterrupt()}
    nothing = ovbench("gate", "ab.toml", "--results", "elsewhere")
    assert (nothing.code, nothing.journal) == (130, [])
    assert nothing.error.endswith("interrupted; no pair was finished, nothing is kept\n")
    assert [line["name"] for line in ran.journal if line["kind"] == "comparison"] == ["first"]
    assert Path("s.md").read_text(encoding="utf-8") == ""


def test_sides_that_are_the_same_are_said_with_their_first_pair(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    said = "ovbench: A/B: both sides are the same, and what differs is noise: say with --b what B has instead\n"
    assert ovbench("ab").error == said
    assert "both sides" not in ovbench("ab", "--b", "NUM_STREAMS=2").error


def test_results_that_cannot_be_written_name_the_commands_own_flag(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    Path("file").write_text("", encoding="utf-8")
    for arguments in (("gate", matrix("first")), ("ab", "--b", "NUM_STREAMS=2"), ("selfcheck",)):
        ran = ovbench(*arguments, "--results", "file")
        assert (ran.code, ran.out, ask.asked) == (4, "", [])
        assert ran.error.startswith("ovbench: cannot write to file: ")
        assert ran.error.endswith(", or name another with --results DIR\n")


def test_nothing_to_compare(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    empty = ovbench("gate", matrix())
    assert (empty.code, empty.error.count("\n")) == (5, 1)
    assert ovbench("ab", "--file", matrix()).code == 5
    ran = ovbench("gate", matrix("skip"))
    assert ran.code == 5
    assert "no such arithmetic" in ran.out


def test_agreement_below_its_floor_fails(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.top1 = 0.9
    Path("ovbench.toml").write_text('[floor]\n"*/top1_agreement" = 0.95\n', encoding="utf-8")
    ran = ovbench("gate", matrix("other"))
    assert ran.code == 1
    assert "FAILED other, top-1 agreement: agreement 90.0 %, limit ≥ 95 %: FAILED" in ran.lines
    assert "reproduce: ovbench ab --b NUM_STREAMS=2 --min-agreement 0.95 --metric latency" in ran.lines
    ask.top1 = 0.95
    assert ovbench("gate", "ab.toml").code == 0
    ask.top1 = None
    assert "1 SAME, 1 SKIPPED; limits from" in " ".join(ovbench("gate", "ab.toml").lines)


def policy(text: str, path: str = "ovbench.toml") -> str:
    Path(path).write_text(text, encoding="utf-8")
    return path


def test_a_waiver_holds_to_its_day_and_is_named_after(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.1}
    text = '[[waiver]]\ncomparison = "slow"\nuntil = 2026-12-31\nreason = "issue 7"\n'
    policy(text)
    waived = ovbench("gate", matrix("slow"))
    assert waived.code == 0
    assert any(line.startswith("waived until 2026-12-31: issue 7: slow, latency") for line in waived.lines)
    assert waived.journal[-1]["rows"][0]["waiver"]["until"] == "2026-12-31"
    policy(text.replace("12-31", "12-30"))
    expired = ovbench("gate", "ab.toml")
    assert expired.code == 1
    assert "waiver of slow expired on 2026-12-30: issue 7" in expired.lines


def test_the_flag_beats_the_policy_and_the_policy_the_file(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.1}
    file = matrix("slow", top='metrics = ["latency"]\ntolerance = 0.05')
    assert ovbench("gate", file).code == 1
    other = policy('[tolerance]\n"slow/latency" = 0.2\n', "other.toml")
    assert ovbench("gate", file, "--policy", other).code == 0
    assert ask.asked[-1][0].tolerance_of("latency") == 0.2
    assert ovbench("gate", file, "--policy", other, "--tolerance", "0.03", "--budget", "7s").code == 1
    assert (ask.asked[-1][0].tolerance_of("latency"), ask.asked[-1][0].budget_s) == (0.03, 7.0)


def test_a_tolerance_that_the_host_cannot_hold_is_refused(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    tight = ovbench("gate", matrix("a"), "--tolerance", "0.001")
    assert (tight.code, tight.error.count("\n"), ask.asked) == (4, 1, [])
    assert "a: tolerance 0.1 % is tighter than this host can hold, 2 %" in tight.error
    profile = hosts.Profile(
        fingerprint=machine.fingerprint().fingerprint_id,
        pairs=10,
        pair_sd={"latency": 0.01},
        false_alarms=0,
        comparisons=2,
        band=0.08,
        pair_wall_s=5.0,
        rejected_share=0.0,
        steal_share=None,
        openvino="fake",
    )
    hosts.write_profile(profile)
    noisy = ovbench("gate", "ab.toml")
    assert noisy.code == 4
    assert "tolerance 3 % is tighter than this host can hold, 8 % (as its profile says)" in noisy.error
    hosts.write_profile(replace(profile, band=0.005))
    assert ovbench("gate", "ab.toml", "--tolerance", "0.01").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("gate",),
        ("gate", "missing.toml"),
        ("gate", "ab.toml", "--summary", "no/such/folder.md"),
        ("gate", "ab.toml", "--junit", "."),
        ("gate", "ab.toml", "--policy", "missing.toml"),
        ("gate", "ab.toml", "--tolerance", "much"),
        ("gate", "ab.toml", "--budget", ""),
        ("gate", "ab.toml", "--colour", "red"),
        ("ab", "--file", "missing.toml"),
        ("ab", "--file", "ab.toml", "--model", "m.xml"),
        ("ab", "--file", "ab.toml", "--min-agreement", "0.9"),
    ],
)
def test_usage_errors_are_one_line_before_anything_is_asked(
    arguments: tuple[str, ...], ask: FakeAsk, ovbench: Callable[..., Ran]
) -> None:
    matrix("a")
    ran = ovbench(*arguments)
    assert (ran.code, ran.error.count("\n"), ran.out, ask.asked) == (4, 1, "", [])
    assert ran.error.startswith("ovbench: ")


def test_sides_are_looked_for_before_anything_is_measured(
    ask: FakeAsk, ovbench: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(question: ab.Question, *_: Any) -> None:
        if question.name == "second":
            raise BadOption("--a python=x: no such file: give another")

    monkeypatch.setattr(ab, "resolve", resolve)
    ran = ovbench("gate", matrix("first", "second"))
    assert (ran.code, ran.error, ask.asked) == (4, "ovbench: second: --a python=x: no such file: give another\n", [])


def test_ab_answers_a_file_one_by_one(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.5}
    ran = ovbench("ab", "--file", matrix("slow", "same"), "--budget", "9s")
    assert ran.code == 0
    assert [(question.name, question.budget_s, family) for question, family in ask.asked] == [
        ("slow", 9.0, None),
        ("same", 9.0, None),
    ]
    assert [line["name"] for line in ran.journal if line["kind"] == "comparison"] == ["slow", "same"]
    ask.raises = {"slow": BadOption("one line")}
    refused = ovbench("ab", "--file", "ab.toml")
    assert (refused.code, refused.error) == (4, "ovbench: slow: one line\n")
    ask.failed = {"same": "side A: lane died"}
    assert ovbench("ab", "--file", "ab.toml").code == 1


def test_a_real_gate_end_to_end(
    ovbench: Callable[..., Ran], tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv(hosts.PROFILES_VARIABLE, str(tmp_path / "profiles"))
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(gating.SUMMARY_VARIABLE, raising=False)
    file = tiny_model_path.with_name("ab.toml")
    file.write_text(
        f'budget = "3s"\nmetrics = ["latency"]\nmodel = "{tiny_model_path.name}"\ntolerance = 10\nmin_agreement = 1\n'
        '[[comparison]]\nname = "same"\n',
        encoding="utf-8",
    )
    ran = ovbench("gate", str(file), "--junit", "j.xml")
    assert ran.code == 0, ran.error
    agreement = next(line for line in ran.lines if line.startswith("same top-1"))
    assert agreement == "same top-1 agreement 100.0 % ≥ 100 % HELD"
    assert ran.journal[-1]["rows"][0]["answer"] in ("SAME", "UNSURE")
    assert len(ET.parse("j.xml").findall("testsuite/testcase")) == 2


# ------------------------------------------------------------------------------------------------------------ JSON


def test_one_object_has_what_the_text_tells_of_a_comparison(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.1}
    ask.raises = {"bad": BadOption("--b python=x: no openvino: install it")}
    ran = ovbench("ab", "--file", matrix("slow", "bad"), "--json")
    assert ran.code == 4
    told = json.loads(ran.out)
    (answer,) = told["comparisons"]
    ((metric),) = [each for each in answer["metrics"] if each["metric"] == "latency"]
    assert metric["estimate"]["value"] == pytest.approx(1.1)
    assert (metric["verdict"], answer["pairs"], answer["rounds_kept"]) == ("SLOWER", 6, 60)
    assert told["not_compared"] == [{"name": "bad", "reason": "--b python=x: no openvino: install it"}]
    (kept,) = [line for line in ran.journal if line["kind"] == "comparison"]
    assert answer == {key: kept[key] for key in answer}
    assert Path(told["journal"]).is_file()
    assert ran.error == "ovbench: bad: --b python=x: no openvino: install it\n"


def test_one_object_has_the_rows_of_a_gate_and_its_exit_code(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ask.ratios = {"slow": 1.1}
    ran = ovbench("gate", matrix("slow", "same", "skip"), "--json")
    told = json.loads(ran.out)
    assert ran.code == told["exit_code"] == 1
    assert [(each["target"]["cell"], each["answer"]) for each in told["rows"]] == [
        ("slow", "SLOWER"), ("same", "SAME"), ("skip", "SKIPPED"),
    ]  # fmt: skip
    assert [each["name"] for each in told["comparisons"]] == ["slow", "same"]
    assert told["not_compared"] == [{"name": "skip", "reason": "no such arithmetic"}]
    assert ran.error == ""


def test_nothing_to_compare_prints_no_object(ask: FakeAsk, ovbench: Callable[..., Ran]) -> None:
    ran = ovbench("gate", matrix(), "--json")
    assert (ran.code, ran.out) == (5, "")
