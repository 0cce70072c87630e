"""Bad input: one line that names thing, value and remedy, exit 4, no traceback, nothing written."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sessions import Ended, Suite

Damage = Callable[[Path], Path]


@pytest.fixture
def suite(tmp_path: Path, tiny_model_path: Path) -> Suite:
    model = tmp_path / "model" / "tiny.xml"
    model.parent.mkdir()
    shutil.copy(tiny_model_path, model)
    shutil.copy(tiny_model_path.with_suffix(".bin"), model.with_suffix(".bin"))
    return Suite(tmp_path / "results", tmp_path / "cache", model)


def assert_refused(ended: Ended, *words: str) -> None:
    assert ended.code == 4, ended.text
    assert len(ended.errors()) == 1, ended.text
    for word in words:
        assert word in ended.errors()[0]
    said = [line for line in ended.err.splitlines() if line.strip()]
    assert said[-1:] == ended.errors()
    assert all(line.startswith(("ERROR: ", "Cells", "Model")) for line in said), ended.err
    assert "Traceback" not in ended.text
    assert not [path for path in ended.results.rglob("*") if path.is_file()]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def missing(model: Path) -> Path:
    return model.with_name("absent.xml")


def truncated(model: Path) -> Path:
    cut(model)
    return model


def corrupt(model: Path) -> Path:
    model.write_bytes(bytes(range(256)) * 8)
    return model


def without_weights(model: Path) -> Path:
    model.with_suffix(".bin").unlink()
    return model


def truncated_weights(model: Path) -> Path:
    cut(model.with_suffix(".bin"))
    return model


def corrupt_onnx(model: Path) -> Path:
    path = model.with_suffix(".onnx")
    path.write_bytes(bytes(range(256)) * 8)
    return path


def unsupported(model: Path) -> Path:
    path = model.with_suffix(".txt")
    path.write_text("hello")
    return path


def directory(model: Path) -> Path:
    folder = model.with_name("empty")
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, ["no model at", "absent.xml"]),
        (truncated, ["tiny.xml", "cut off or corrupt"]),
        (corrupt, ["tiny.xml", "cut off or corrupt"]),
        (without_weights, ["tiny.xml", "put tiny.bin beside it"]),
        (truncated_weights, ["tiny.bin", "copy it again"]),
        (corrupt_onnx, ["tiny.onnx", "cut off or corrupt"]),
        (unsupported, ["tiny.txt", ".xml"]),
        (directory, ["empty", ".xml"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_cannot_be_used(suite: Suite, damage: Damage, words: list[str]) -> None:
    assert_refused(suite.run("benches", f"--ov-model={damage(suite.model)}"), *words)


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("--ov-precision", "FP33", "FP32"),
        ("--ov-hint", "SPEED", "THROUGHPUT"),
        ("--ov-device", "NPU9", "CPU"),
        ("--ov-streams", "abc", "AUTO"),
        ("--ov-streams", "-3", "at least 1"),
        ("--ov-streams", "0", "at least 1"),
    ],
)
def test_an_option_that_cannot_be_used(suite: Suite, option: str, value: str, remedy: str) -> None:
    assert_refused(suite.run("benches", f"{option}={value}"), option, value, remedy)


def test_a_budget_too_small_for_one_round_says_how_much_is_needed(suite: Suite) -> None:
    asked = ("-p", "no:quiet_machine", "--ov-budget=100ms", "--ov-precision=FP32", "-k", "FP32-LATENCY-1-off")
    ended = suite.run("benches", *asked)
    assert_refused(ended, "--ov-budget 0.1s", "needs about")


def test_results_that_cannot_be_written(suite: Suite) -> None:
    suite.results.write_text("a file")
    ended = suite.run("benches")
    assert_refused(ended, str(suite.results), "ov_results")
    assert suite.results.read_text() == "a file"


def test_an_artifact_cache_that_cannot_be_written(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    ended = suite.run("benches", "--ov-precision=INT8", OVBENCH_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert ended.code == 4
    assert "OVBENCH_CACHE_DIR" in ended.errors()[0]


def test_a_json_file_in_no_folder(suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "x.json"
    assert_refused(suite.run("benches", f"--benchmark-json={path}"), "--benchmark-json", str(path.parent), "make it")


@pytest.mark.skipif(importlib.util.find_spec("pygal") is not None, reason="pygal is installed")
def test_a_histogram_that_cannot_be_drawn(suite: Suite) -> None:
    assert_refused(suite.run("benches", "--benchmark-histogram"), "--benchmark-histogram", "pip install pygal")


def test_xdist_is_refused_once(suite: Suite) -> None:
    assert_refused(suite.run("benches", "-n", "1", "-k", "FP32-LATENCY-1-off"), "pytest-xdist", "-n", "-p no:xdist")


def test_a_session_without_pytest_benchmark(suite: Suite) -> None:
    assert_refused(suite.run("benches", "-p", "no:benchmark"), "-p no:benchmark")


def test_a_dynamic_model_without_a_shape(suite: Suite) -> None:
    text = suite.model.read_text()
    fixed, shape = "1,3,16,16", 'shape="{}"'.format
    assert shape(fixed) in text
    suite.model.write_text(text.replace(shape(fixed), shape("1,3,?,?")))
    assert_refused(suite.run("benches"), "image", "--ov-shape")
