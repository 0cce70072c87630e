"""The experiment of tune: what is recorded comes back, replays are races on it, and what they miss is told."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_lane import FakeMachine, order_for

from ovbench.campaign import MIN_LANES
from ovbench.candidates import Space, candidates
from ovbench.config import Config, Hint, Precision
from ovbench.errors import ContestantRefused
from ovbench.experiments import tuning
from ovbench.experiments.tuning import Outcome, Recording
from ovbench.race import Goal
from ovbench.stats import Estimate

CONFIGS = candidates(
    Space((Precision.FP32, Precision.INT8), hints=(Hint.THROUGHPUT,), streams=(1, 2), pinnings=(None, True, False))
)
BEST = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=2, pinning=False)
REFUSED = Config(precision=Precision.FP32, hint=Hint.THROUGHPUT, streams=2)


def cost_of(config: Config) -> float:
    """ns; BEST is the best."""
    cost = 5e6 if config.precision is Precision.INT8 else 8e6
    return cost * (1.0 if config.streams == 2 else 1.3) * (1 + 0.02 * config.requests) * (0.9 if config == BEST else 1)


class Machine(FakeMachine):
    """Blocks of INT8 and FP32 at invented costs, with noise; pinning reads back as asked, and is the default."""

    def __init__(self, trouble: Any = None) -> None:
        draw = random.Random(0)
        true = {config.key: cost_of(config) for config in CONFIGS}

        class Noisy(dict[str, int]):
            def get(self, key: str, default: Any = None) -> Any:
                return int(true[key] * draw.lognormvariate(0, 0.05))

        def pinning(order: Mapping[str, Any], answer: dict[str, Any]) -> None:
            if order["do"] == "open":
                answer["effective"]["pinning"] = order["properties"].get("ENABLE_CPU_PINNING", "YES") == "YES"

        super().__init__(changes=pinning, cost_ns=Noisy())
        if trouble is not None:
            self.trouble = trouble


def recorded(trouble: Any = None) -> Recording:
    machine = Machine(trouble)
    order = order_for(*CONFIGS, budget_s=100.0, warmup_s=tuning.WARMUP_S)
    return tuning.record(order, Goal.THROUGHPUT, machine.open_lane, machine.clock, read_contention=lambda: tuning.QUIET)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded()


def test_a_recording_holds_every_distinct_candidate_in_five_lanes(recording: Recording) -> None:
    race = recording.race
    assert set(race.finalists) == {config for config in CONFIGS if not config.pinning}
    assert len(race.final_lanes) >= MIN_LANES
    for config in race.finalists:
        assert {each.lane for each in race.entrants[config].replicates} == set(range(race.lanes))
    assert sum(map(len, recording.tape.rounds.values())) == race.rounds * len(race.finalists)
    assert tuning.best(recording) == BEST


def test_a_recording_comes_back_from_its_file(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json.gz"
    tuning.write_recording(path, recording)
    back = tuning.read_recording(path)
    assert back.configs == recording.configs
    assert back.race.ranking() == recording.race.ranking()
    assert back.race.all_figures(back.race.finalists) == recording.race.all_figures(back.race.finalists)
    assert back.race.wall_s == recording.race.wall_s
    assert back.tape.starts_s == recording.tape.starts_s
    assert tuning.replay_race(back, 30.0, 1) == tuning.replay_race(recording, 30.0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_finds_the_best_in_the_time_it_is_given(recording: Recording, seed: int) -> None:
    outcome = tuning.replay_race(recording, 0.3 * recording.race.wall_s, seed)
    assert outcome.regret <= tuning.MAX_REGRET
    assert outcome.wall_s == pytest.approx(0.3 * recording.race.wall_s, rel=0.2)
    assert 0 < outcome.finalists < len(recording.race.finalists)


def test_replays_of_other_seeds_draw_other_rounds(recording: Recording) -> None:
    walls = {tuning.replay_race(recording, 30.0, seed).wall_s for seed in range(3)}
    assert len(walls) == 3


def test_a_round_of_a_replay_is_one_recorded_round(recording: Recording) -> None:
    race = tuning.Race()
    replay = tuning.Replay(recording, race, random.Random(3))
    race.lanes = 1
    lane = replay.open_lane()
    keys = [config.key for config in recording.race.finalists]
    for _ in range(5):
        answers = {key: lane.ask({"do": "block", "key": key, "duration_ns": 80_000_000}) for key in keys}
        assert all(answers[key] is recording.tape.rounds[replay.moment][key][1] for key in keys)
        assert replay.moment[0] == replay.lane >= recording.race.heat_lanes


def test_what_was_refused_is_refused_in_a_replay() -> None:
    def refuses(_lane: int, order: Mapping[str, Any]) -> BaseException | None:
        return ContestantRefused("no") if order["do"] == "open" and order["key"] == REFUSED.key else None

    recording = recorded(refuses)
    assert REFUSED not in recording.race.finalists
    assert tuning.replay_race(recording, 40.0, 0).regret <= tuning.MAX_REGRET


def test_a_live_race_is_held_against_the_recorded_best_in_fresh_lanes(recording: Recording) -> None:
    machine = Machine()
    outcome = tuning.live_race(recording, order_for().variants, 30.0, 20.0, 0, machine.open_lane, machine.clock)
    assert outcome.regret == pytest.approx(cost_of(outcome.pick) / cost_of(BEST) - 1, abs=0.03)
    if outcome.pick == BEST:
        assert outcome.cost_over_best == Estimate(1.0, None, None, 0)
    other = [config for config in recording.race.finalists if config.key != BEST.key]
    lesser = Recording(recording.header, tuple(other), recording.race, recording.tape)
    judged = tuning.live_race(lesser, order_for().variants, 30.0, 20.0, 0, machine.open_lane, machine.clock)
    assert judged.cost_over_best.count >= MIN_LANES
    assert judged.regret == pytest.approx(cost_of(judged.pick) / cost_of(BEST) - 1, abs=0.03)


def test_all_races_are_told_and_whether_the_target_is_met(recording: Recording) -> None:
    good = Outcome(BEST, Estimate(1.0, None, None, 0), 0.2 * recording.race.wall_s, 4)
    bad = Outcome(REFUSED, Estimate(1.6, 1.5, 1.7, 5), 0.24 * recording.race.wall_s, 4)
    told = tuning.tell(recording, [good] * 9 + [bad], "Replayed races")
    assert "over 16 distinct candidates" in told
    assert "INT8-THROUGHPUT-2-off-nopin" in told
    assert "1.600 [1.500, 1.700]" in told
    assert "Regret at most 5% in 9 of 10, median 0.0 %, in at most 24.0 % of the exhaustive time: met." in told
    assert "in 8 of 10" in tuning.tell(recording, [good] * 8 + [bad] * 2, "Replayed races")
    assert "NOT met" in tuning.tell(recording, [good] * 8 + [bad] * 2, "Replayed races")
    assert math.isclose(bad.regret, 0.6)


def test_the_command_replays_a_file(recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record.json.gz"
    tuning.write_recording(path, recording)
    assert tuning.main(["replay", "--file", str(path), "--replays", "2", "--share", "0.3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Replayed races for throughput over 16 distinct candidates")
    assert err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("replay", "--share", "0"), "error: --budget-s, --share, --replays, --runs and --judge-s: give more than 0\n"),
        (("sing",), "error: argument what: invalid choice: 'sing' (choose from 'record', 'replay', 'live')\n"),
    ],
)
def test_bad_usage_is_one_line_and_exit_4(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        tuning.main(words)
    assert end.value.code == 4
    assert capsys.readouterr().err.startswith(message[:60])


def test_a_replay_without_a_recording_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.gz"
    assert tuning.main(["replay", "--file", str(path)]) == 4
    assert capsys.readouterr().err == (
        f"error: {path}: no recording there: run `python -m ovbench.experiments.tuning record` first\n"
    )


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.gz"
    path.write_text("no gzip")
    assert tuning.main(["replay", "--file", str(path)]) == 4
    assert capsys.readouterr().err.startswith(f"error: {path} is no recording (")
