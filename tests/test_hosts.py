from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from ovbench import ab
from ovbench.errors import BadInput, NotWritable
from ovbench.hosts import (
    DEFAULT_BAND,
    PROFILES_VARIABLE,
    Profile,
    alarm_bound,
    band_of,
    noise_band,
    profile_folder,
    read_profile,
    write_profile,
)

PROFILE = Profile(
    fingerprint="0123456789ab",
    pairs=24,
    pair_sd={"latency": 0.011, "throughput": 0.006},
    false_alarms=0,
    comparisons=8,
    band=0.021,
    pair_wall_s=5.6,
    rejected_share=0.01,
    steal_share=None,
    openvino="2026.4.1",
    quota_cores=1.5,
    speed_sd=0.012,
    governor="performance",
)


# --- what unchanged comparisons end as, simulated ---


def ends(pair_sd: float, band: float, most: int, least: int = 5, count: int = 40_000) -> tuple[float, float]:
    """Shares of unchanged comparisons that end SAME, and FASTER or SLOWER, each pair from ``least`` on looked at."""
    logs = np.random.default_rng(1).normal(0.0, pair_sd, (count, most))
    reach = math.log1p(band)
    same, alarm = np.zeros(count, bool), np.zeros(count, bool)
    for pairs in range(least, most + 1):
        means, sds = logs[:, :pairs].mean(axis=1), logs[:, :pairs].std(axis=1, ddof=1)
        half = stdtrit(pairs - 1, (1 + ab.CONFIDENCE) / 2) * sds / math.sqrt(pairs)
        going = ~(same | alarm)
        same |= going & (np.abs(means) + half <= reach)
        alarm |= going & (np.abs(means) - half > reach)
    return float(same.mean()), float(alarm.mean())


@pytest.mark.parametrize("pair_sd", [0.003, 0.011, 0.03])
@pytest.mark.parametrize("pairs", [6, 10, 14])
def test_in_the_noise_band_unchanged_sides_end_same(pair_sd: float, pairs: int) -> None:
    band = noise_band(pair_sd, pairs)
    fixed_same, fixed_alarms = ends(pair_sd, band, pairs, least=pairs)
    looked_same, looked_alarms = ends(pair_sd, band, pairs)
    assert fixed_same == pytest.approx(0.99, abs=0.003)
    assert looked_same >= 0.99 - 0.002
    assert fixed_alarms == looked_alarms == 0.0


def test_after_exactly_five_pairs_a_little_fewer_end_same() -> None:
    same, alarms = ends(0.011, noise_band(0.011, 5), 5)
    assert same == pytest.approx(0.986, abs=0.003)
    assert alarms == 0.0


def test_half_the_noise_band_would_not_do() -> None:
    same, _ = ends(0.011, noise_band(0.011, 10) / 2, 10)
    assert same < 0.7


@given(st.floats(1e-5, 0.2), st.integers(5, 60))
def test_the_band_grows_with_noise_and_shrinks_with_pairs(pair_sd: float, pairs: int) -> None:
    band = noise_band(pair_sd, pairs)
    assert band > noise_band(pair_sd, pairs + 1)
    assert band < noise_band(pair_sd * 1.1, pairs)


def test_the_default_band_is_that_of_the_trial() -> None:
    assert noise_band(0.011, 11) == pytest.approx(DEFAULT_BAND, abs=0.0025)
    assert band_of(None) == DEFAULT_BAND
    assert band_of(PROFILE) == 0.021


def test_alarm_bound_is_the_rule_of_three_and_clopper_pearson() -> None:
    assert alarm_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
    assert alarm_bound(0, 1) == pytest.approx(0.95)
    assert alarm_bound(0, 0) == alarm_bound(4, 4) == 1.0
    from scipy.stats import binomtest

    exact = binomtest(2, 40, alternative="less").proportion_ci(0.95, method="exact")
    assert alarm_bound(2, 40) == pytest.approx(exact.high)


# --- what a budget finds ---


def test_the_smallest_slowdown_is_found_in_95_of_100_comparisons() -> None:
    profile = dataclasses.replace(PROFILE, pair_sd={"latency": 0.011}, pair_wall_s=5.0)
    for budget_s in (30.0, 60.0, 90.0):
        slowdown = profile.smallest_slowdown(budget_s, 0.02)
        assert slowdown is not None
        pairs = profile.pairs_within(budget_s)
        logs = np.random.default_rng(2).normal(math.log1p(slowdown), 0.011, (40_000, pairs))
        half = stdtrit(pairs - 1, 0.995) * logs.std(axis=1, ddof=1) / math.sqrt(pairs)
        found = float((logs.mean(axis=1) - half > math.log1p(0.02)).mean())
        assert found == pytest.approx(0.95, abs=0.005)


@given(st.floats(10, 500), st.floats(0, 0.1))
def test_more_time_finds_less_and_never_less_than_the_tolerance(budget_s: float, tolerance: float) -> None:
    little, much = PROFILE.smallest_slowdown(budget_s, tolerance), PROFILE.smallest_slowdown(2 * budget_s, tolerance)
    if little is None:
        assert PROFILE.pairs_within(budget_s) < 5
        return
    assert much is not None
    assert tolerance < much < little


def test_a_budget_is_for_each_metric() -> None:
    assert PROFILE.pairs_within(28.0) == 10
    assert dataclasses.replace(PROFILE, pair_sd={"latency": 0.01}).pairs_within(28.0) == 5
    assert PROFILE.smallest_slowdown(13.0, 0.03) is None


# --- kept by fingerprint ---


def test_a_profile_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = write_profile(PROFILE, tmp_path / "new" / "folder")
    assert path.name == "0123456789ab.json"
    assert read_profile(PROFILE.fingerprint, path.parent) == PROFILE
    assert read_profile("another", path.parent) is None
    newer = dataclasses.replace(PROFILE, band=0.5)
    write_profile(newer, path.parent)
    assert read_profile(PROFILE.fingerprint, path.parent) == newer
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROFILES_VARIABLE, str(tmp_path / "profiles"))
    assert profile_folder() == tmp_path / "profiles"
    write_profile(PROFILE)
    assert read_profile(PROFILE.fingerprint) == PROFILE
    monkeypatch.delenv(PROFILES_VARIABLE)
    assert profile_folder().name == "hosts"


GOOD = {"format": 1, **dataclasses.asdict(PROFILE)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", "\x00", *(json.dumps(each) for each in (
        {}, {**GOOD, "format": 2}, {**GOOD, "band": "wide"}, {**GOOD, "band": -1}, {**GOOD, "pair_sd": {}},
        {**GOOD, "pair_sd": [1]}, {**GOOD, "pair_sd": {"latency": None}}, {**GOOD, "later": 1},
        {name: value for name, value in GOOD.items() if name != "band"},
    ))],
)  # fmt: skip
def test_an_unreadable_profile_is_one_line_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{PROFILE.fingerprint}.json"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_profile(PROFILE.fingerprint, tmp_path)
    assert len(str(refused.value).splitlines()) == 1
    assert str(path) in str(refused.value)
    assert "ovbench selfcheck" in str(refused.value)


def test_a_profile_that_is_a_folder_or_not_text_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name in ("folder", "binary"):
        with pytest.raises(BadInput):
            read_profile(name, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable) as refused:
        write_profile(PROFILE, tmp_path / "file")
    assert PROFILES_VARIABLE in str(refused.value)
