from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import warm_python
from fake_sides import LATENCY, QUIET, THROUGHPUT, FakeSides
from hypothesis import given
from hypothesis import strategies as st

from ovbench import ab, machine, selfcheck
from ovbench.artifacts import ArtifactCache
from ovbench.comparison import MIN_PAIRS
from ovbench.errors import BadOption, NothingMeasured
from ovbench.hosts import alarm_bound, noise_band, read_profile
from ovbench.machine import Contention, Isa, Machine
from ovbench.report.objects import object_text
from ovbench.report.page import WIDTH
from ovbench.report.selfcheck import selfcheck_fields, selfcheck_text
from ovbench.selfcheck import Measured
from ovbench.sides import Side

HOST = Machine("Example 9000", "x-1-2-3", Isa.AVX2, ("avx2",), "x86_64", "Linux", 2, None, 2**33, "6.1", "3.11", ())
STEADY = (1e8, 1.01e8, 0.99e8, 1e8)


def measured(
    pair_sd: float = 0.011, pairs: int = 24, contention: Callable[[int], Contention] = lambda _reading: QUIET
) -> Measured:
    """Unchanged sides whose pairs differ by chance alone, in throughput half as much."""
    shares = np.random.default_rng(3).normal(0.0, pair_sd, pairs)
    sides = FakeSides(
        lambda side, key, lane: 1e6 * np.exp((side == "B") * shares[lane] * (1.0 if key == LATENCY.key else 0.5)),
        contention=contention,
    )
    comparison = sides.run(
        lambda so_far, left: left if len(so_far.pairs) < pairs else [], (LATENCY, THROUGHPUT), budget_s=1000.0
    )
    taken = Contention(0.5, 0, 0, 0, 100.0)
    return Measured(comparison, taken, STEADY, comparison.wall_s, "2026.4.1-123-abc")


def test_what_a_quiet_host_shows_of_itself() -> None:
    seen = measured()
    profile = selfcheck.think(seen, HOST, "performance")
    assert profile.fingerprint == HOST.fingerprint_id
    assert profile.pairs == 24
    for metric in ("latency", "throughput"):
        assert profile.pair_sd[metric] == pytest.approx(np.std(seen.comparison.log_ratios(metric), ddof=1))
    assert profile.pair_wall_s == pytest.approx(seen.comparison.wall_s / 24, rel=0.01)
    assert profile.band == pytest.approx(noise_band(max(profile.pair_sd.values()), profile.pairs_within(60.0)))
    assert profile.comparisons == 2 * (24 // MIN_PAIRS)
    assert profile.false_alarms == 0
    assert profile.steal_share == pytest.approx(0.5 / (2 * seen.wall_s))
    assert profile.rejected_share == 0.0
    assert profile.speed_sd == pytest.approx(0.0082, rel=0.01)
    assert (profile.openvino, profile.quota_cores, profile.governor) == ("2026.4.1-123-abc", None, "performance")


def test_alarms_are_counted_in_consecutive_pairs_that_do_not_overlap() -> None:
    quiet, shifted = [0.0, 0.001, -0.001, 0.0005, 0.0], [0.100, 0.101, 0.099, 0.1005, 0.1]
    replayed = selfcheck.replay({"latency": (*quiet, *shifted, *quiet, *shifted[:4])}, 0.03)
    assert [each.verdict.value for each in replayed] == ["SAME", "SLOWER", "SAME"]


@given(st.integers(0, 200), st.integers(0, 200))
def test_so_many_comparisons_as_pairs_allow(pairs: int, more: int) -> None:
    logs = {"latency": (0.0,) * pairs, "throughput": (0.0,) * more}
    assert len(selfcheck.replay(logs, 0.03)) == pairs // MIN_PAIRS + more // MIN_PAIRS


def test_a_noisier_host_has_a_wider_band_and_finds_less() -> None:
    calm, noisy = (selfcheck.think(measured(sd), HOST, None) for sd in (0.005, 0.03))
    assert noisy.band > calm.band
    little, much = calm.smallest_slowdown(60.0, 0.03), noisy.smallest_slowdown(60.0, 0.03)
    assert little is not None
    assert much is not None
    assert much > little


def test_a_busy_machine_gets_no_profile() -> None:
    def stolen(reading: int) -> Contention:  # in two rounds of three
        return Contention(float(sum(1 for each in range(reading + 1) if each % 6 in (1, 3))), 0, 0, 0, 0.0)

    with pytest.raises(NothingMeasured, match=r"the machine was busy: 6\d% of the rounds were rejected: .* quiet"):
        selfcheck.think(measured(pairs=10, contention=stolen), HOST, None)


def test_too_few_pairs_give_no_profile() -> None:
    with pytest.raises(NothingMeasured, match="9 pairs fitted, a profile needs 10: raise --budget"):
        selfcheck.think(measured(pairs=9), HOST, None)


def told(**changes: object) -> list[str]:
    seen = measured()
    profile = dataclasses.replace(selfcheck.think(seen, HOST, None), **changes)  # type: ignore[arg-type]
    return selfcheck_text(profile, seen, HOST, Path("/profiles/0123456789ab.json"), coloured=False).splitlines()


def test_what_is_printed_fits_a_screen_and_says_all() -> None:
    lines = told()
    assert len(lines) <= 30
    assert all(len(line) <= WIDTH for line in lines)
    text = " ".join(lines)
    for words in (
        "Example 9000", "24 pairs", "SD of one pair's ratio: latency 1.", "false alarms: 0 of 8 comparisons",
        "noise band: ±",
        "in 20 s a metric", "rejected rounds: 0.0 %", "frequency governor: not told", "/profiles/0123456789ab.json",
    ):  # fmt: skip
        assert words in text
    bound = alarm_bound(0, 8)
    assert f"a rate above {100 * bound:.1f} %, 95 %" in text
    assert "\x1b[" not in text


def test_one_object_has_the_profile_and_what_is_reckoned_from_it() -> None:
    seen = measured()
    profile = selfcheck.think(seen, HOST, None)
    said = json.loads(object_text(selfcheck_fields(profile, seen, Path("p.json"))))
    assert said["profile"] == dataclasses.asdict(profile)
    assert said["profile_path"] == "p.json"
    assert said["false_alarm_bound"] == alarm_bound(0, 8)
    found = {(each["tolerance"], each["budget_s"]): each["slowdown"] for each in said["smallest_slowdowns"]}
    assert len(found) == 9
    assert found[0.03, 60.0] == profile.smallest_slowdown(60.0, 0.03)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed_sd": 0.2}, "the clock moves"),
        ({"governor": "powersave"}, "governor 'performance' holds the clock steadier"),
        ({"steal_share": 0.05}, "other guests take this machine's cores"),
        ({"steal_share": None}, "hypervisor: not told"),
        ({"quota_cores": 1.5}, "quota 1.5 cores"),
        ({"pair_wall_s": 100.0}, "–"),
    ],
)
def test_what_stands_in_the_way_is_told(changes: dict[str, object], words: str) -> None:
    lines = told(**changes)
    assert words in "\n".join(lines)
    assert len(lines) <= 30
    assert words not in "\n".join(told(governor="performance")) or words == "–"


def test_one_threads_speed_is_that_of_its_best_reading() -> None:
    ticks = iter(np.cumsum([0, 4, 1, 2, 1, 9, 1, 4, 1, 4]).astype(float).tolist())
    assert selfcheck.single_thread_speed(lambda: next(ticks)) == selfcheck.WORK / 2


# --- with real lanes ---


@contextmanager
def silent(_title: str) -> Iterator[Callable[[float, str], None]]:
    yield lambda _share, _doing: None


def test_a_real_run_measures_pairs_speeds_and_contention(tiny_model_path: Path, tmp_path: Path) -> None:
    question = ab.Question("A/A", Side(), Side(), str(tiny_model_path), metrics=("latency",))
    seen = selfcheck.measure(10, 2.0, ArtifactCache(tmp_path), silent, question=question)
    pairs = len(seen.comparison.pairs)
    assert pairs >= 1
    assert len(seen.speeds) == pairs + 1
    assert all(speed > 0 for speed in seen.speeds)
    assert seen.wall_s >= seen.comparison.measured_s > 0
    if pairs < 10 and not seen.comparison.busy:
        with pytest.raises(NothingMeasured, match="raise --budget"):
            selfcheck.think(seen, machine.fingerprint(), None, question)


def test_too_few_pairs_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--pairs 9: a profile needs at least 10"):
        selfcheck.measure(9, 2.0, ArtifactCache(tmp_path), silent)


FAKE = """
import sys
from pathlib import Path
from ovbench import cli, selfcheck
from ovbench.errors import NothingMeasured
sys.path.insert(0, sys.argv[1])
import test_selfcheck
def measure(pairs, budget_s, cache, progress, on_pair):
    if interrupted:
        raise KeyboardInterrupt
    seen = test_selfcheck.measured(pairs=pairs)
    for pair in seen.comparison.pairs:
        on_pair(pair)
    return seen
selfcheck.measure = measure
interrupted = sys.argv[2] == "interrupt"
sys.argv = ["ovbench", "selfcheck", *sys.argv[3:]]
cli.main()
"""


def command(folder: Path, how: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {"OVBENCH_PROFILE_DIR": str(folder / "profiles"), "OVBENCH_CACHE_DIR": str(folder / "cache")}
    given = ["-c", FAKE, str(Path(__file__).parent), how, *arguments]
    return warm_python.run(given, folder, {**os.environ, **kept})


def test_the_command_keeps_profile_and_pairs(tmp_path: Path) -> None:
    ended = command(tmp_path, "measure", "--pairs", "12", "--results", "kept")
    assert ended.returncode == 0, ended.stderr
    profile = read_profile(machine.fingerprint().fingerprint_id, tmp_path / "profiles")
    assert profile is not None
    assert profile.pairs == 12
    assert "12 pairs of unchanged embedded INT8" in ended.stdout
    (journal,) = (tmp_path / "kept").glob("*.jsonl")
    kinds = [line.split('"kind": "')[1].split('"')[0] for line in journal.read_text().splitlines()]
    assert kinds == ["session", *["pair"] * 12, "selfcheck"]


def test_ctrl_c_keeps_no_profile_and_says_so(tmp_path: Path) -> None:
    ended = command(tmp_path, "interrupt")
    assert ended.returncode == 128 + signal.SIGINT
    assert "interrupted: no profile was kept" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list((tmp_path / "profiles").iterdir()) == []


def test_what_cannot_be_kept_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("a file")
    ended = command(tmp_path, "interrupt")
    assert ended.returncode == 4
    assert len(ended.stderr.splitlines()) == 1
    assert "OVBENCH_PROFILE_DIR" in ended.stderr
