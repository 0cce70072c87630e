"""A tuning on the terminal: the pick first, then the tables, who was tried, and what to do next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_lane import order_for
from made_races import ASYNC, FOUR, INT8, MS, SYNC, TWO, race_of

from ovbench.config import Precision
from ovbench.machine import Isa, Machine
from ovbench.models.source import Source
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.race import Entrant, Goal, Race
from ovbench.records import Journal
from ovbench.report.objects import object_text
from ovbench.report.page import WIDTH
from ovbench.report.tune import known_so_far, status_text, tuned_json, tuned_text
from ovbench.tune.asked import Aim, Constraints, Limit
from ovbench.tune.choice import pareto, pick
from ovbench.tune.gains import what_axes_bought
from ovbench.tune.limits import Status, statuses
from ovbench.tune.preparing import ModelFiles
from ovbench.tune.tuned import Decision, Tuned
from ovbench.verdict import Outcome

HOST = Machine(
    cpu_brand="A CPU", cpu_model=None, isa=Isa.AVX2, compute_flags=(), architecture="x86_64", system="Linux", cores=2,
    cpu_quota_cores=None, memory_total_bytes=None, kernel="", python="", unreadable=(),
)  # fmt: skip
PICK = replace(FOUR, precision=Precision.INT8, pinning=False)
BESIDE = replace(PICK, requests=0)
FILES = ModelFiles(
    Source("net", Path("net.xml"), notes=("input of net: 3x224x224",)),
    {each: Variant(each, Path("net.xml"), False) for each in (Precision.FP32, Precision.INT8)},
    dict.fromkeys((Precision.BF16, Precision.INT8_BF16), "CPU has no bf16 arithmetic"),
)


def raced(goal: Goal = Goal.THROUGHPUT) -> Race:
    wobble = {PICK: [1.0, 1.01, 0.99, 1.0, 1.0], BESIDE: [1.0, 0.99, 1.01, 1.0, 1.0]}
    race = race_of({PICK: 2.0, BESIDE: 2.4, SYNC: 4.0, INT8: 3.0, TWO: 9.0}, [PICK, BESIDE], noise=wobble, goal=goal)
    for config in (SYNC, INT8, TWO):
        race.entrants[config].dropped = f"dominated by {PICK.id}"
    race.entrants[TWO].dropped = "100% of its inferences take longer than 5 ms"
    race.entrants[ASYNC] = Entrant(ASYNC, alias_of=TWO)
    for entrant in race.entrants.values():
        entrant.effective = {**entrant.effective, "requests": entrant.config.requests or 2, "mac_shares": {"i8": 1.0}}
    race.wall_s = 59.6
    return race


def tuned_of(tmp_path: Path, race: Race, constraints: Constraints = Constraints()) -> Tuned:  # noqa: B008
    """A tuning that has ended with this race."""
    found, peak_bytes = pick(race, constraints), 121_000_000
    decision = Decision(
        found,
        {"effective": {"requests": 4, "streams": 2}, "signature": []},
        peak_bytes,
        statuses(race, constraints, found.config, {}, peak_bytes),
        pareto(race),
        what_axes_bought(race, constraints, found.config),
    )
    return Tuned(
        Aim(Settings(), race.goal, constraints), Journal(tmp_path / "none.jsonl"), race, host=HOST,
        files=FILES, order=order_for(), decision=decision,
    )  # fmt: skip


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_whole_page(tmp_path: Path) -> None:
    constraints = Constraints(p99_ns=5 * MS, max_memory_bytes=10**9, max_threads=2)
    assert lines(tuned_text(tuned_of(tmp_path, raced(), constraints), [], coloured=False)) == [
        "Deploy INT8 thr 2 r4 nopin for throughput of net on A CPU",
        "  500 [496, 504] images/s, p50 2.00 ms, peak memory 121.0 MB",
        "  FASTER than the runner-up, INT8 thr 2 nopin: 1.200 [1.179, 1.221] times as fast",
        "  --p99 5ms: HELD, 2.02 ms (slow rounds and all)",
        "  --max-memory 1000MB: HELD, 121 MB",
        "  --max-threads 2: HELD, 2",
        "",
        "Pareto front, by estimate: nobody beats these in both, latency and images a second",
        "",
        " candidate            ran as       p50 ms   p99  images/s  rounds",
        " " + "─" * 72,
        " INT8 thr 2 r4 nopin  i8 2s 2t 4r    2.00  2.02       500      24  picked",
        "",
        "What each axis bought: the pick against the best that leaves the axis alone",
        "",
        " axis       pick        best without      times as fast [95 %]  rounds",
        " " + "─" * 69,
        " precision  INT8        FP32 lat 1        2.000 [?]                  4",
        " hint       THROUGHPUT  INT8 lat 1        1.500 [?]                  4",
        " streams    2           INT8 lat 1        1.500 [?]                  4",
        " requests   4           INT8 thr 2 nopin  1.200 [1.179, 1.221]      24",
        " pinning    off         INT8 lat 1        1.500 [?]                  4",
        "",
        "5 of 6 candidates raced, 1 broke a constraint, 2 beaten, 2 in the finals, 1 alias.",
        "24 rounds in 60 s, finals in 5 fresh lanes.",
        "BF16, INT8-BF16: not tried, CPU has no bf16 arithmetic",
        "input of net: 3x224x224",
    ]


def test_a_race_for_latency_has_its_interval_there(tmp_path: Path) -> None:
    told = lines(tuned_text(tuned_of(tmp_path, raced(Goal.LATENCY)), [], coloured=False))
    assert told[0] == "Deploy INT8 thr 2 r4 nopin for latency of net on A CPU"
    assert told[1] == "  500 images/s, p50 2.00 [1.98, 2.02] ms, p99 2.02 ms, peak memory 121.0 MB"


def test_without_a_runner_up_it_is_said_why(tmp_path: Path) -> None:
    alone = race_of({FOUR: 2.0}, [FOUR])
    others_break = race_of({FOUR: 2.0, TWO: 9.0}, [FOUR, TWO])
    for race, said in (
        (alone, "  nobody else was measured"),
        (others_break, "  nobody else that was measured holds the constraints"),
    ):
        for entrant in race.entrants.values():
            entrant.effective = {**entrant.effective, "requests": 2}
        assert lines(tuned_text(tuned_of(tmp_path, race, Constraints(p99_ns=5 * MS)), [], coloured=False))[2] == said


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    wobble = [0.97, 1.03, 1.0, 0.98, 1.02]
    race = race_of({TWO: 2.01, FOUR: 2.0}, [TWO, FOUR], lanes=5, noise={TWO: wobble})
    for entrant in race.entrants.values():
        entrant.effective = {**entrant.effective, "requests": 2}
    tuned = tuned_of(tmp_path, race)
    told = lines(tuned_text(tuned, [], coloured=False))
    assert told[2:5] == [
        "  no difference that can be shown from the runner-up, FP32 thr 2 r4: 0.995 [0.964, 1.027] times as",
        "fast",
        "  simpler than FP32 thr 2 r4, from which nothing tells it apart",
    ]
    race.rejected = {(lane, number) for lane in range(6) for number in range(3)}
    race.leader = TWO
    busy = lines(tuned_text(tuned, [], coloured=False))
    assert busy[2].startswith("  no verdict, the machine was busy, against the runner-up, FP32 thr 2 r4: 0.995")
    assert "18 of 24 rounds lost a tenth of the cores to others: no verdict is given." in busy
    assert known_so_far(race) == "FP32 thr 2 leads after 24 rounds: 498 images/s, p50 2.01 ms"


def test_few_lanes_faults_and_hostile_names_stay_on_the_page(tmp_path: Path) -> None:
    race = race_of({INT8: 2.0, SYNC: 4.0}, [INT8, SYNC], lanes=2)
    race.entrants[TWO] = Entrant(TWO, fault="[red]refused[/red] " + "for long reasons " * 9)
    race.exhausted = "a lane died"
    for config in (INT8, SYNC):
        race.entrants[config].effective = {**race.entrants[config].effective, "requests": 1}
        race.entrants[config].proof_warning = "no layer tells its kernel"
    tuned = tuned_of(tmp_path, race)
    fp32 = {Precision.FP32: FILES.variants[Precision.FP32]}
    tuned = replace(tuned, files=ModelFiles(Source("[bold]net[/bold]", Path("net.xml")), fp32))
    text = tuned_text(tuned, [], coloured=False)
    assert "for throughput of [bold]net[/bold] on" in text
    assert "Fewer than 5 lanes give no interval: raise --budget." in text
    assert "INT8: not tried, give --images DIR" in text
    assert "[red]refused[/red]" in text
    assert "the race ended early: a lane died" in text
    assert text.count("warning: no layer tells its kernel") == 1
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    assert "\x1b[" in tuned_text(tuned, [], coloured=True)


def test_nothing_is_known_before_the_first_round() -> None:
    assert known_so_far(Race()) == "nothing is known yet"
    assert known_so_far(Race(entrants={PICK: Entrant(PICK)})) == "nothing is known yet, 1 candidates"


def test_a_constraint_that_is_not_shown_says_why() -> None:
    unsure = Status(Limit.P99, 5 * MS, None, Outcome.UNSURE, "0.50% were late, and up to 3.7% may be")
    assert status_text(unsure) == "--p99 5ms: UNSURE: 0.50% were late, and up to 3.7% may be"
    held = Status(Limit.AGREEMENT, 0.98, 0.985, Outcome.HELD)
    assert status_text(held) == "--min-agreement 0.98: HELD, 0.9850"


def test_json_tells_the_decision_and_every_candidate(tmp_path: Path) -> None:
    told = json.loads(object_text(tuned_json(tuned_of(tmp_path, raced()), [])))
    assert told["pick"] == PICK.id
    assert told["margin"]["value"] == pytest.approx(1.2, rel=0.01)
    assert [each["cell"] for each in told["candidates"]] == [
        config.id for config in (PICK, BESIDE, SYNC, INT8, TWO, ASYNC)
    ]
    assert told["candidates"][-1]["alias_of"] == TWO.id
    assert told["candidates"][-1]["figures"] is None
    assert told["candidates"][0]["figures"]["images_per_s"] == pytest.approx(500, rel=0.01)
    assert told["left_out"] == dict.fromkeys(("BF16", "INT8-BF16"), "CPU has no bf16 arithmetic")
