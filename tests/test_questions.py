"""ab.toml read into questions, and written back as the command that asks again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ovbench.ab import Question
from ovbench.config import Precision
from ovbench.errors import BadOption
from ovbench.policy import Policy
from ovbench.questions import command, read_questions, with_policy
from ovbench.sides import parse_side


def written(folder: Path, text: str) -> Path:
    path = folder / "ab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_comparisons_take_the_defaults_and_override_them(tmp_path: Path) -> None:
    first, second = read_questions(
        written(
            tmp_path,
            """
            precision = "INT8"
            tolerance = 0.05
            budget = "2m"
            seed = 3
            metrics = ["latency"]
            [[comparison]]
            name = "upgrade"
            a = ["python=old/bin/python"]
            b = { python = "/new/bin/python", env = { A = "1" }, affinity = [0, 1], NUM_STREAMS = 2, SWITCH = true }
            [[comparison]]
            name = "arithmetic"
            model = "models/m.xml"
            precision = "FP32"
            budget = 30
            min_agreement = 0.9
            metrics = ["throughput", "latency", "latency"]
            b = ["model=embedded"]
            """,
        )
    )
    assert (first.name, first.model, first.precision) == ("upgrade", "embedded", Precision.INT8)
    assert (first.tolerance, first.budget_s, first.seed, first.metrics) == (0.05, 120.0, 3, ("latency",))
    assert first.min_agreement is None
    assert first.a.python == str(tmp_path / "old/bin/python")
    assert first.b.python == "/new/bin/python"
    assert first.b.environment == (("A", "1"),)
    assert first.b.affinity == (0, 1)
    assert first.b.properties == (("NUM_STREAMS", "2"), ("SWITCH", "YES"))
    assert (second.model, second.precision) == (str(tmp_path / "models/m.xml"), Precision.FP32)
    assert (second.budget_s, second.min_agreement, second.metrics) == (30.0, 0.9, ("throughput", "latency"))
    assert second.a == parse_side("a", [])
    assert second.b.model == "embedded"


def test_what_nobody_says_is_as_on_the_command_line(tmp_path: Path) -> None:
    (question,) = read_questions(written(tmp_path, '[[comparison]]\nname = "x"\n'))
    assert question == Question("x", parse_side("a", []), parse_side("b", []))


def test_no_comparison_is_no_question(tmp_path: Path) -> None:
    assert read_questions(written(tmp_path, "tolerance = 0.1\n")) == []


ONE = '[[comparison]]\nname = "x"\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[comparison", "no TOML"),
        ("tolerances = 1\n", "unknown key 'tolerances'"),
        ("comparison = 1\n", "give a list"),
        ("comparison = [1]\n", "give a table"),
        ("[[comparison]]\n", "name ''"),
        ("[[comparison]]\nname = 3\n", "name = 3"),
        ('[[comparison]]\nname = "a\\nb"\n', "one line"),
        (ONE + ONE, "'x' is taken"),
        (ONE + "c = []\n", "unknown key 'c'"),
        (ONE + 'a = "python=x"\n', "give a list"),
        (ONE + "a = [1]\n", "give a list"),
        (ONE + 'a = ["python"]\n', "no value"),
        (ONE + 'a = ["colour=red"]\n', "unknown key 'colour'"),
        (ONE + 'a = ["precision=INT4"]\n', "unknown precision"),
        (ONE + "a = { NUM_STREAMS = [1] }\n", "give text, a number"),
        (ONE + "model = 3\n", "text in quotes"),
        (ONE + 'tolerance = "0.1"\n', "give a number"),
        (ONE + "tolerance = -1\n", "0.03 for 3 %"),
        (ONE + "tolerance = true\n", "give a number"),
        (ONE + "budget = true\n", "60s"),
        (ONE + "budget = []\n", "duration"),
        (ONE + 'budget = "soon"\n', "duration"),
        (ONE + "seed = 1.5\n", "a whole number"),
        (ONE + "seed = -1\n", "whole number of at least 0"),
        (ONE + "min_agreement = 95\n", "share from 0 to 1"),
        (ONE + 'precision = "INT8,FP32"\n', "give one"),
        (ONE + 'precision = "INT4"\n', "not one of"),
        (ONE + "metrics = []\n", "latency, throughput"),
        (ONE + 'metrics = ["speed"]\n', "latency, throughput"),
        (ONE + "metrics = [[]]\n", "latency, throughput"),
        ('metrics = "latency"\n' + ONE, "give a list"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadOption) as told:
        read_questions(path)
    assert named in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"cannot read .*missing\.toml"):
        read_questions(tmp_path / "missing.toml")


def test_no_utf_8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ab.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadOption, match="no TOML"):
        read_questions(path)


def test_a_gate_asks_each_metric_with_its_own_tolerance() -> None:
    question = Question("x", parse_side("a", []), parse_side("b", []), min_agreement=0.5)
    policy = Policy(tolerances=(("x/throughput", 0.01),), floors=(("embedded/x/top1_agreement", 0.9),))
    asked = with_policy(question, policy)
    assert asked.min_agreement == 0.9
    assert [asked.tolerance_of(metric) for metric in question.metrics] == [0.03, 0.01]
    assert "--tolerance 0.01 " in command(asked, "throughput")
    assert "--tolerance" not in command(asked, "latency")
    assert with_policy(question, Policy()) == question


def test_the_command_asks_the_same_again() -> None:
    question = Question(
        "x",
        parse_side("a", []),
        parse_side("b", ["env:A=two words", "precision=INT8"]),
        model="my model.xml",
        tolerance=0.05,
        budget_s=90.5,
        seed=4,
    )
    assert shlex.split(command(question, "latency")) == [
        *("ovbench", "ab", "--b", "env:A=two words", "--b", "precision=INT8", "--model", "my model.xml"),
        *("--tolerance", "0.05", "--budget", "90.5s", "--seed", "4", "--metric", "latency"),
    ]
    assert command(Question("x", parse_side("a", []), parse_side("b", []))) == "ovbench ab"
