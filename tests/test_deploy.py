"""What a pick is deployed with: the files run as they are, stand alone, and overwrite nothing of others'."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_races import ASYNC, FOUR, SYNC, race_of

from ovbench import runtime
from ovbench.campaign import Order
from ovbench.config import Config, Precision
from ovbench.errors import BadOption, NotWritable
from ovbench.lanes import Lane
from ovbench.models.source import Source
from ovbench.options import Settings
from ovbench.precision import Variant
from ovbench.race import Goal
from ovbench.records import Journal
from ovbench.reference import find_benchmark_app
from ovbench.report import deploy
from ovbench.stats import Estimate
from ovbench.tune.asked import Aim
from ovbench.tune.choice import pick
from ovbench.tune.preparing import ModelFiles
from ovbench.tune.tuned import Decision, Tuned

ALONE = replace(SYNC, threads=1, batch=2)
STREAMS = replace(FOUR, threads=2, batch=2, pinning=False)
HOSTILE = 'net"""\n$name; import os #'


@pytest.fixture(scope="module")
def opened(tiny_model_path: Path) -> dict[Config, Any]:
    """What a lane answers when it opens each of both."""
    with closing(Lane()) as lane:
        return {
            config: lane.ask(order_of(tiny_model_path, config).open_request(config, None))
            for config in (ALONE, STREAMS)
        }


def order_of(model: Path, config: Config) -> Order:
    variants = {("embedded", "FP32"): Variant(Precision.FP32, model, False)}
    return Order((config,), variants, {}, 1.0, 0.0, 0, None)


def tuned_of(model: Path, config: Config, opened: Mapping[Config, Any], goal: Goal = Goal.THROUGHPUT) -> Tuned:
    """A tuning of the tiny model that picked this one."""
    race = race_of({config: 2.0, ASYNC: 4.0}, [config, ASYNC], goal=goal)
    found = pick(race)
    assert found.config == config
    return Tuned(
        Aim(Settings(model=(str(model),)), goal),
        Journal(Path("20261123T040003-7bf3b5.jsonl")),
        race,
        files=ModelFiles(Source(HOSTILE, model), {}),
        order=order_of(model, config),
        decision=Decision(found, opened[config], 10**8, (), (), ()),
    )


@pytest.fixture(scope="module")
def alone(tiny_model_path: Path, opened: dict[Config, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a pick that runs one request at a time."""
    out = tmp_path_factory.mktemp("alone") / "made" / "here"
    deploy.write(out, tuned_of(tiny_model_path, ALONE, opened))
    return out


@pytest.fixture(scope="module")
def streams(tiny_model_path: Path, opened: dict[Config, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a pick that keeps four requests in flight, moved after they were written."""
    out = tmp_path_factory.mktemp("streams") / "written"
    deploy.write(out, tuned_of(tiny_model_path, STREAMS, opened))
    return shutil.move(out, out.with_name("moved"))


def told(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def test_properties_are_what_compile_model_takes(alone: Path, streams: Path, opened: dict[Config, Any]) -> None:
    config = told(alone)
    assert config["properties"] == {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": "1",
    }
    assert told(streams)["properties"]["ENABLE_CPU_PINNING"] == "NO"
    compiled = runtime.core().compile_model(str(alone / config["model"]), config["device"], config["properties"])
    effective = opened[ALONE]["effective"]
    assert compiled.get_property("INFERENCE_NUM_THREADS") == effective["threads"] == 1
    assert compiled.get_property("NUM_STREAMS") == effective["streams"] == 1
    assert (config["batch"], config["requests"], config["mode"]) == (2, 1, "sync")
    assert list(compiled.input(0).get_shape()) == [2, 3, 16, 16], "the batch is in the graph"


def test_figures_stand_with_their_interval_host_and_version(alone: Path) -> None:
    config = told(alone)
    measured = config["measured"]
    assert measured["images_per_s"] == pytest.approx(1000)
    assert measured["interval"] == pytest.approx(
        {"of": "images_per_s", "value": 1000, "low": 1000, "high": 1000, "count": 5}
    )
    assert measured["over_runner_up"]["value"] == pytest.approx(4)
    assert measured["peak_resident_bytes"] == 10**8
    assert config["machine"]["cores"] >= 1
    assert config["versions"]["openvino"]
    assert config["journal"] == "20261123T040003-7bf3b5.jsonl"


def test_a_latency_goal_has_the_interval_of_its_median() -> None:
    cost = Estimate(2e6, 1.9e6, 2.1e6, 5)
    assert deploy.interval_fields(Goal.LATENCY, cost)["of"] == "p50_ns"
    assert deploy.interval_fields(Goal.LATENCY, cost)["low"] == 1.9e6
    assert deploy.images_per_s(cost) == Estimate(500, pytest.approx(1e9 / 2.1e6), pytest.approx(1e9 / 1.9e6), 5)
    assert deploy.images_per_s(Estimate(2e6, None, None, 2)) == Estimate(500, None, None, 2)


@pytest.mark.parametrize("folder", ["alone", "streams"])
def test_the_script_answers_as_the_model_does(
    folder: str, tiny_model_path: Path, request: pytest.FixtureRequest
) -> None:
    script = runpy.run_path(str(request.getfixturevalue(folder) / "infer.py"))
    random = np.random.default_rng(1)
    batches = [[random.random((2, 3, 16, 16), dtype=np.float32)] for _ in range(9)]
    found = script["infer_all"](iter(batches))
    reference = runtime.compile_cell(tiny_model_path, replace(SYNC, batch=2), {}, None)
    for batch, outputs in zip(batches, found, strict=True):
        expected = reference(batch)[0]
        (answer,) = outputs
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    assert script["BATCH"] == 2
    assert script["PROPERTIES"] == told(request.getfixturevalue(folder))["properties"]
    assert [each.shape for each in script["random_batch"]()] == [(2, 3, 16, 16)]


def test_the_script_runs_as_it_is(streams: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(streams / "infer.py")],
        cwd=tmp_path,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"\d+\.\d images/s\n", ran.stdout)
    assert float(ran.stdout.split()[0]) > 0


@pytest.mark.skipif(find_benchmark_app() is None, reason="benchmark_app is not installed beside this Python")
def test_benchmark_app_runs_the_same_thing(streams: Path, opened: dict[Config, Any]) -> None:
    words = told(streams)["benchmark_app"]
    words[words.index("-t") + 1] = "1"
    app = find_benchmark_app()
    assert app is not None
    ran = subprocess.run(
        [app, *words[1:]], cwd=streams, env={**os.environ, "CI": "true"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = dict(re.findall(r"^\[ INFO \]\s+([A-Z_]+): (.*)$", ran.stdout, re.M))
    effective = opened[STREAMS]["effective"]
    assert int(said["NUM_STREAMS"]) == effective["streams"]
    assert int(said["INFERENCE_NUM_THREADS"]) == effective["threads"]
    assert said["PERFORMANCE_HINT"] == effective["hint"] == "THROUGHPUT"
    assert said["ENABLE_CPU_PINNING"] == str(effective["pinning"]) == "False"
    assert "asynchronously, 4 inference requests" in ran.stdout
    inputs = ran.stdout.rpartition("Model inputs:")[2].partition("Model outputs:")[0]
    assert "f32" in inputs
    assert "[2,3,16,16]" in inputs


# ------------------------------------------------------------------------------------------------------- where they go


def test_an_earlier_pick_is_replaced_and_what_else_lies_there_stays(
    tiny_model_path: Path, opened: dict[Config, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    deploy.check_out(out, tiny_model_path)
    assert not out.exists(), "a check leaves nothing behind"
    deploy.write(out, tuned_of(tiny_model_path, STREAMS, opened))
    (out / "notes.txt").write_text("mine")
    deploy.check_out(out, tiny_model_path)
    files = deploy.write(out, tuned_of(tiny_model_path, ALONE, opened))
    assert told(out)["mode"] == "sync"
    assert {each.name for each in out.iterdir()} == {*deploy.FILES, "notes.txt"}
    assert sorted(each.name for each in files) == sorted(deploy.FILES)


def test_files_of_others_are_not_overwritten(tiny_model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(BadOption) as refused:
        deploy.check_out(tmp_path, tiny_model_path)
    assert str(refused.value) == f"-o {tmp_path}: model.xml is there, not written by ovbench tune: name another folder"
    with pytest.raises(BadOption, match="the model itself lies there"):
        deploy.check_out(tmp_path, tmp_path / "model.xml")
    for text in ("{", "[]", '{"written_by": "me"}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(BadOption, match=r"model\.xml is there"):
            deploy.check_out(tmp_path, tiny_model_path)


def test_a_folder_that_cannot_be_is_one_line(tiny_model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable) as refused:
        deploy.check_out(tmp_path / "file" / "out", tiny_model_path)
    assert str(refused.value) == (
        f"cannot write to {tmp_path / 'file' / 'out'}: Not a directory: make it writable and make room, or name "
        "another with -o"
    )


def test_nothing_is_half_written(
    tiny_model_path: Path, opened: dict[Config, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    deploy.write(out, tuned_of(tiny_model_path, ALONE, opened))
    before = {each.name: each.read_bytes() for each in out.iterdir()}

    def full(_path: Path, *_arguments: object, **_options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(NotWritable, match="No space left on device: make it writable and make room"):
        deploy.write(out, tuned_of(tiny_model_path, STREAMS, opened))
    assert {each.name: each.read_bytes() for each in out.iterdir()} == before
