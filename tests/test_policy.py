"""The policy file: who may name what, how long a waiver holds, and one line for whatever is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.errors import BadOption
from ovbench.policy import Policy, Target, Waiver, find_policy, read_policy

INT8 = Target("embedded", "INT8-LATENCY-1-off", "speedup")
FP32 = Target("embedded", "FP32-LATENCY-1-off", "speedup")
DAY = datetime.date(2026, 12, 31)


def written(folder: Path, text: str, name: str = "ovbench.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_limits_and_waivers_are_read(tmp_path: Path) -> None:
    policy = read_policy(
        written(
            tmp_path,
            """
            [tolerance]
            "*" = 0.03
            "embedded/INT8-*" = 0.05
            [floor]
            "*/speedup" = 1.5
            [[waiver]]
            cell = "INT8-*"
            until = 2026-12-31
            reason = "known: \\n issue 7"
            """,
        )
    )
    assert policy.tolerance(INT8) == 0.05
    assert policy.tolerance(FP32) == 0.03
    assert policy.floor(INT8) == 1.5
    assert policy.floor(Target("embedded", "x", "top1_agreement")) is None
    assert policy.waivers == (Waiver("INT8-*", DAY, "known: issue 7"),)
    assert policy.waiver(FP32, DAY) is None


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("INT8-LATENCY-1-off", True),
        ("INT8-LATENCY-1-off/speedup", True),
        ("embedded/INT8-LATENCY-1-off", True),
        ("embedded/INT8-LATENCY-1-off/speedup", True),
        ("embedded/*/speedup", True),
        ("*/latency", False),
        ("resnet/*", False),
        ("int8-*", False),
        ("embedded", False),
    ],
)
def test_patterns_name_cells_with_or_without_model_and_metric(pattern: str, matches: bool) -> None:
    assert INT8.matches(pattern) is matches


def test_the_last_match_holds() -> None:
    limits = (("INT8-*", 0.1), ("*", 0.02))
    assert Policy(tolerances=limits).tolerance(INT8) == 0.02
    assert Policy(tolerances=limits[::-1]).tolerance(INT8) == 0.1


@given(st.dates(), st.dates())
def test_a_waiver_holds_up_to_its_day_and_is_named_ever_after(until: datetime.date, today: datetime.date) -> None:
    policy = Policy(waivers=(Waiver("*", until, "why"),))
    held = policy.waiver(INT8, today) is not None
    assert held is (today <= until)
    assert (policy.expired(today) == ()) is held


def test_the_waiver_that_lasts_longest_is_shown() -> None:
    short, long = Waiver("*", DAY, "short"), Waiver("INT8*", DAY + datetime.timedelta(1), "long")
    assert Policy(waivers=(short, long)).waiver(INT8, DAY) is long
    assert Policy(waivers=(long, short)).waiver(INT8, DAY) is long


def test_the_nearest_policy_is_found_up_to_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "a" / "b"
    inner.mkdir(parents=True)
    written(tmp_path, '[tolerance]\n"*" = 0.5\n')
    (tmp_path / "repository" / ".git").mkdir()
    assert find_policy(inner) == Policy()
    written(tmp_path / "repository", '[tool.ovbench.tolerance]\n"*" = 0.1\n', "pyproject.toml")
    assert find_policy(inner).tolerance(INT8) == 0.1
    written(inner.parent, '[project]\nname = "x"\n', "pyproject.toml")
    assert find_policy(inner).tolerance(INT8) == 0.1
    nearest = written(inner, '[tolerance]\n"*" = 0.2\n')
    assert find_policy(inner).path == nearest


def test_two_policies_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    written(tmp_path, "")
    written(tmp_path, "[tool.ovbench]\n", "pyproject.toml")
    with pytest.raises(BadOption, match=r"two policies.*keep one"):
        find_policy(tmp_path)


WAIVER = '[[waiver]]\ncell = "*"\nuntil = 2026-12-31\nreason = "x"\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[tolerance", "no TOML"),
        ("[tolerances]\n", "unknown key 'tolerances'"),
        ("tolerance = 3\n", "give a table"),
        ('[tolerance]\n"*" = "3 %"\n', "give a number"),
        ('[tolerance]\n"*" = true\n', "give a number"),
        ('[tolerance]\n"*" = -0.1\n', "0.03 for 3 %"),
        ('[tolerance]\n"*" = nan\n', "0.03 for 3 %"),
        ('[floor]\n"*" = inf\n', "give a floor"),
        ("waiver = 1\n", "give a list"),
        ("waiver = [1]\n", "give a table"),
        (WAIVER + "who = 'me'\n", "unknown key 'who'"),
        (WAIVER + 'comparison = "x"\n', "2 patterns"),
        (WAIVER.replace('cell = "*"\n', ""), "0 patterns"),
        (WAIVER.replace("until = 2026-12-31\n", ""), "until = None"),
        (WAIVER.replace("2026-12-31", '"2026-12-31"'), "unquoted"),
        (WAIVER.replace("2026-12-31", "2026-12-31T00:00:00"), "unquoted"),
        (WAIVER.replace('reason = "x"\n', ""), "no reason"),
        (WAIVER.replace('"x"', '" "'), "no reason"),
        (WAIVER.replace('"x"', "7"), "text in quotes"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadOption) as told:
        read_policy(path)
    assert named in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"cannot read .*missing\.toml"):
        read_policy(tmp_path / "missing.toml")
