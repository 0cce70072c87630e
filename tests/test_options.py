"""Options: each declared once, each text its own value's, each bad value named in one line."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ovbench.config import AUTO, Cache, Hint, Precision, expand
from ovbench.errors import BadOption
from ovbench.options import (
    BY_NAME,
    MAX_DIMENSION,
    MAX_SECONDS,
    OPTIONS,
    Channels,
    IgnoredScope,
    Place,
    Preset,
    Resize,
    Settings,
    read_settings,
    write_settings,
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


plain_text = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1).filter(
    lambda text: text == text.strip()
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_./:-]*", fullmatch=True)
dimensions = st.lists(st.integers(1, MAX_DIMENSION), min_size=1, max_size=5).map(tuple)
seconds = st.floats(0, MAX_SECONDS)
whole = st.integers(0, 10**9)
share = st.floats(0, 1)
triples = st.tuples(*[st.floats(-1e6, 1e6)] * 3)
settings_of_any_kind = st.builds(
    Settings,
    model=some(plain_text),
    models_dir=plain_text | st.just(""),
    variant=st.dictionaries(st.sampled_from(Precision), plain_text, max_size=3),
    images=plain_text | st.just(""),
    calib_size=st.integers(1, 10**6),
    eval_size=st.none() | st.integers(1, 10**6),
    mean=st.none() | triples,
    scale=st.none() | triples.filter(all),
    channels=st.none() | st.sampled_from(Channels),
    resize=st.none() | st.sampled_from(Resize),
    preprocess=st.sampled_from(Place),
    preset=st.sampled_from(Preset),
    fast_bias_correction=st.booleans(),
    ignored=st.builds(IgnoredScope, *(st.lists(plain_text, max_size=2).map(tuple) for _ in range(3))),
    max_drop=st.none() | share,
    profile=st.booleans(),
    reference=st.booleans(),
    reference_rounds=st.integers(2, 100),
    device=plain_text,
    precision=some(st.sampled_from(Precision)),
    hint=some(st.sampled_from(Hint)),
    streams=st.none() | some(st.just(AUTO) | st.integers(1, 1000)),
    threads=some(whole),
    requests=some(whole),
    batch=some(whole),
    cache=some(st.sampled_from([Cache.OFF, Cache.WARM])),
    shape=st.just({})
    | dimensions.map(lambda dims: {"": dims})
    | st.dictionaries(names, dimensions, min_size=1, max_size=3),
    budget=seconds,
    warmup=seconds,
    max_memory=st.none() | st.integers(1, 2**53),
    seed=whole,
    min_speedup=st.none() | st.floats(0, 1000),
    min_top1_agreement=share,
    min_top5_overlap=share,
    min_cache_gain=st.floats(0, 1000),
    report=st.just("") | plain_text.map(lambda text: f"{text}.html"),
    plan=st.booleans(),
)


@given(settings_of_any_kind)
@example(Settings(budget=1e-05))
def test_written_settings_read_back_the_same(settings: Settings) -> None:
    assert read_settings(write_settings(settings)) == settings


@given(settings_of_any_kind)
def test_each_option_reads_what_it_writes(settings: Settings) -> None:
    for option in OPTIONS:
        value = getattr(settings, option.name)
        assert option.read(option.write(value)) == value


@given(st.sampled_from(OPTIONS), st.text(max_size=30))
def test_any_text_gives_a_value_that_survives_or_one_line_that_names_the_flag(option: Any, text: str) -> None:
    said = ""
    try:
        value = option.read(text)
    except BadOption as error:
        said = str(error)
    if said:
        assert said.startswith(option.flag + " ")
        assert len(said.splitlines()) == 1
    else:
        assert option.read(option.write(value)) == value


def test_settings_and_options_are_declared_alike() -> None:
    assert read_settings({}) == Settings()
    assert [field.name for field in dataclasses.fields(Settings)] == [option.name for option in OPTIONS]
    assert len(BY_NAME) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_flag_key_and_help_follow_from_the_name(option: Any) -> None:
    assert option.flag == "--ov-" + option.name.replace("_", "-")
    assert option.key == "ov_" + option.name
    assert "(default: " in option.text
    assert option.unit in option.text


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("streams", "abc", "AUTO or a number"),
        ("streams", "-3", "at least 1"),
        ("streams", "0", "at least 1"),
        ("report", "report.pdf", ".html, .md or .json"),
        ("streams", "2,,4", "commas between"),
        ("streams", "1.5", "AUTO or a number"),
        ("precision", "FP64", "not one of FP32, BF16, FP16, W8, INT8, INT8-BF16"),
        ("precision", "", "commas between"),
        ("hint", "FAST", "not one of LATENCY, THROUGHPUT"),
        ("cache", "cold", "not one of off, warm"),
        ("threads", "-1", "at least 0"),
        ("requests", "two", "whole number"),
        ("batch", "1.0", "whole number"),
        ("seed", "-1", "at least 0"),
        ("shape", "1,3,?,224", "1,3,224,224"),
        ("shape", "1,0,224", "at least 1"),
        ("shape", "[1,3]", "name[1,3,224,224]"),
        ("shape", "data[1,3", "name[1,3,224,224]"),
        ("shape", "data[1,3],data[1,4]", "name[1,3,224,224]"),
        ("shape", "1,3,data[2]", "name[1,3,224,224]"),
        ("shape", "1,99999999999999999999", "at least 1"),
        ("budget", "soon", "40s"),
        ("budget", "-5s", "40s"),
        ("budget", "nan", "40s"),
        ("budget", "inf", "40s"),
        ("budget", "9" * 400, "40s"),
        ("warmup", "1 fortnight", "500ms"),
        ("max_memory", "much", "4GB"),
        ("max_memory", "0", "4GB"),
        ("max_memory", "0.1B", "4GB"),
        ("max_memory", "9" * 400, "4GB"),
        ("min_speedup", "-1", "1.5"),
        ("min_speedup", "nan", "1.5"),
        ("min_top1_agreement", "95", "from 0 to 1"),
        ("min_top5_overlap", "x", "0.95"),
        ("min_cache_gain", "inf", "1.5"),
        ("plan", "perhaps", "true or false"),
        ("model", "", "give 'embedded', a file"),
        ("variant", "INT9=x.xml", "INT8=model-int8.xml"),
        ("variant", "INT8=", "INT8=model-int8.xml"),
        ("variant", "INT8=a.xml\nint8=b.xml", "given twice"),
        ("calib_size", "0", "at least 1"),
        ("eval_size", "-2", "at least 1"),
        ("mean", "1,2", "one number, or three"),
        ("mean", "red", "one number, or three"),
        ("scale", "1,0,1", "divided by 0"),
        ("channels", "CMYK", "BGR, RGB"),
        ("resize", "shrink", "crop"),
        ("preprocess", "inside", "outside, model"),
        ("ignored", "Convolution", "type:GroupConvolution"),
        ("max_drop", "5", "0.01 for one point"),
        ("reference_rounds", "1", "at least 2"),
        ("device", "  ", "give a value"),
    ],
)
def test_a_bad_value_names_flag_value_and_remedy_in_one_line(name: str, text: str, remedy: str) -> None:
    with pytest.raises(BadOption) as caught:
        read_settings({name: text})
    said = str(caught.value)
    assert said.startswith(f"{BY_NAME[name].flag} ")
    assert (text if text.strip() and text.isprintable() else repr(text)) in said
    assert remedy in said
    assert "\n" not in said


def test_a_value_of_two_lines_is_named_in_one() -> None:
    with pytest.raises(BadOption, match=r"^--ov-streams '1\\n2': give AUTO"):
        read_settings({"streams": "1\n2"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("budget", "90", 90.0),
        ("budget", "2m", 120.0),
        ("budget", "1.5 min", 90.0),
        ("budget", "500ms", 0.5),
        ("budget", ".5h", 1800.0),
        ("max_memory", "4GB", 4 * 10**9),
        ("max_memory", "512 MiB", 512 * 2**20),
        ("max_memory", "1.5kb", 1500),
        ("max_memory", "", None),
        ("streams", "", None),
        ("streams", "auto, 2,AUTO,02", (AUTO, 2)),
        ("precision", " int8 ,fp32", (Precision.INT8, Precision.FP32)),
        ("hint", "none", (Hint.NONE,)),
        ("shape", "", {}),
        ("shape", "1, 3, 224, 224", {"": (1, 3, 224, 224)}),
        ("shape", "data[1,3], mask[ 1,10 ]", {"data": (1, 3), "mask": (1, 10)}),
        ("plan", "True", True),
    ],
)
def test_what_users_write_is_understood(name: str, text: str, value: object) -> None:
    assert getattr(read_settings({name: text}), name) == value


def test_none_stands_for_not_given() -> None:
    assert read_settings(dict.fromkeys(BY_NAME)) == Settings()


def test_settings_lay_out_the_matrix_they_name() -> None:
    settings = read_settings({"precision": "INT8", "hint": "LATENCY", "cache": "off", "threads": "1,2", "batch": "8"})
    ids = [config.id for config in expand(settings.matrix(["net"])) if config.inputs.value == "preset"]
    assert ids == ["INT8-LATENCY-1-off-threads=1-batch=8", "INT8-LATENCY-1-off-threads=2-batch=8"]


@given(st.floats(0, MAX_SECONDS / 2))
def test_units_of_time_agree(value: float) -> None:
    told = read_settings({"budget": f"{value / 60!r}m", "warmup": f"{value / 3600!r} h"})
    assert math.isclose(told.budget, told.warmup, rel_tol=1e-9, abs_tol=1e-300)
