from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import Precision
from ovbench.errors import BadOption
from ovbench.sides import Side, parse_side


def test_every_key_of_a_side() -> None:
    side = parse_side(
        "--b",
        ["python=.venv/bin/python", "model=new=2.xml", "precision=int8", "affinity=0,3", "env:ONEDNN_MAX_CPU_ISA=AVX2",
         "env:EMPTY_IS_NOT=a=b", "NUM_STREAMS=2", "CACHE_DIR=/tmp/x y"],
    )  # fmt: skip
    assert side == Side(
        python=".venv/bin/python",
        model="new=2.xml",
        precision=Precision.INT8,
        affinity=(0, 3),
        environment=(("ONEDNN_MAX_CPU_ISA", "AVX2"), ("EMPTY_IS_NOT", "a=b")),
        properties=(("NUM_STREAMS", "2"), ("CACHE_DIR", "/tmp/x y")),
    )
    assert side.text.startswith("python=.venv/bin/python model=new=2.xml")


def test_a_side_that_changes_nothing_says_so() -> None:
    assert parse_side("--a", []) == Side()
    assert Side().text == "as is"


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("NUM_STREAMS", "no value"),
        ("NUM_STREAMS=", "no value"),
        ("=2", "unknown key ''"),
        ("", "no value"),
        ("pyhton=x", "unknown key 'pyhton'"),
        ("num_streams=2", "unknown key 'num_streams'"),
        ("env:=2", "unknown key 'env:'"),
        ("precision=INT9", "FP32, BF16"),
        ("affinity=0-3", "affinity=0,1"),
        ("affinity=-1", "affinity=0,1"),
        ("affinity=0,", "affinity=0,1"),
        ("affinity=\N{SUPERSCRIPT TWO}", "affinity=0,1"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_it(part: str, told: str) -> None:
    with pytest.raises(BadOption) as refused:
        parse_side("--b", ["NUM_STREAMS=2", part])
    line = str(refused.value)
    assert line.startswith(f"--b {part}: ")
    assert told in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "parts", [["model=a.xml", "model=b.xml"], ["NUM_STREAMS=1", "NUM_STREAMS=2"], ["env:A=1", "env:A=1"]]
)
def test_a_key_given_twice_is_refused(parts: list[str]) -> None:
    with pytest.raises(BadOption, match="twice"):
        parse_side("--a", parts)


@given(st.lists(st.text(max_size=30), max_size=4))
def test_any_text_is_a_side_or_a_bad_option(parts: list[str]) -> None:
    told = ""
    try:
        side = parse_side("--a", parts)
    except BadOption as error:
        told = str(error)
    assert told or side.written == tuple(parts)


keys = st.from_regex(r"[A-Z][A-Z0-9_]{1,12}", fullmatch=True)
values = st.text(min_size=1, max_size=20)


@given(st.dictionaries(keys, values), st.dictionaries(keys, values))
def test_properties_and_environment_come_back_as_given(properties: dict[str, str], environment: dict[str, str]) -> None:
    parts = [f"{key}={value}" for key, value in properties.items()]
    parts += [f"env:{key}={value}" for key, value in environment.items()]
    side = parse_side("--a", parts)
    assert dict(side.properties) == properties
    assert dict(side.environment) == environment


@given(st.lists(st.integers(0, 10**4), min_size=1, max_size=8))
def test_cores_come_back_as_given(cores: list[int]) -> None:
    assert parse_side("--a", ["affinity=" + ",".join(map(str, cores))]).affinity == tuple(cores)
