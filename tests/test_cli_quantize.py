"""``ovbench quantize``: one command from a model and pictures to a plain INT8 file, or one line and nothing written."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ovbench import quantization
from ovbench.agreement import measure_agreement
from ovbench.quantization import provenance, quantized_by
from ovbench.report.quantization import quantized_text
from ovbench.runtime import core

CLASSES = 10
PICTURES = 3  # of each class


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ImageFolder: as many classes as the tiny model tells apart, noisy pictures of 20 x 24."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(3)
    for index in range(CLASSES):
        (folder / f"class{index}").mkdir()
        for number in range(PICTURES):
            picture = random.integers(0, 256, (20, 24, 3), np.uint8)
            assert cv2.imwrite(str(folder / f"class{index}" / f"{number}.png"), picture)
    return folder


@pytest.fixture
def model(tiny_model_path: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "tiny.xml"
    shutil.copy(tiny_model_path, copy)
    shutil.copy(tiny_model_path.with_suffix(".bin"), copy.with_suffix(".bin"))
    return copy


@pytest.fixture
def ovbench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command_line: Any) -> Any:
    """A command line, with a cache of its own."""
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(tmp_path / "cache"))
    return command_line


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cache"}


def test_a_line_tells_what_became_of_the_model(ovbench: Any, model: Path, pictures: Path) -> None:
    out = model.with_name("int8.xml")
    code, told, err = ovbench("quantize", model, "--images", pictures, "-o", out, "--calib-size", 10)
    assert code == 0, err
    (line,) = told.splitlines()
    assert line.startswith("tiny: 0.0 -> 0.0 MB, top-1 right ")
    assert "on 20 held-out images" in line
    assert line.endswith(f"kernels: {out}")
    assert files(model.parent) == {"tiny.xml", "tiny.bin", "int8.xml", "int8.bin"}
    before, after = core().read_model(model), core().read_model(out)
    assert quantized_by(after) is not None
    for mine, theirs in zip(after.inputs, before.inputs, strict=True):  # nothing was put in front of it
        assert (mine.get_shape(), mine.get_element_type(), mine.get_names()) == (
            theirs.get_shape(), theirs.get_element_type(), theirs.get_names())  # fmt: skip
    found = provenance(after)
    assert (found["model"], found["images"], found["count"]) == ("tiny", str(pictures), 10)


def test_json_has_the_same_facts_and_force_replaces(ovbench: Any, model: Path, pictures: Path) -> None:
    out = model.with_name("int8.xml")
    out.write_text("something else")
    command = ["quantize", model, "--images", pictures, "-o", out, "--calib-size", 4, "--eval", 7, "--json"]
    code, told, err = ovbench(*command, "--force", "--preset", "mixed", "--ignored-type", "MatMul", "--max-drop", "0.9")
    assert code == 0, err
    fields = json.loads(told)
    assert fields["bytes"]["INT8"] == out.stat().st_size + out.with_suffix(".bin").stat().st_size
    assert fields["agreement"]["images"] == 7
    assert fields["mac_shares"]["FP32"] == {"f32": 1.0}
    assert 0 < fields["mac_shares"]["INT8"]["i8"] < 1
    calibration = fields["calibration"]
    assert (calibration["preset"], calibration["ignored_types"], calibration["held"]) == ("mixed", ["MatMul"], True)
    assert calibration["checked_images"] == 4


def test_what_cannot_be_quantized_is_one_line_and_nothing_is_written(
    ovbench: Any, model: Path, pictures: Path, tmp_path: Path
) -> None:
    done = tmp_path / "done.xml"
    usual = ["--images", pictures, "--calib-size", 4]
    assert ovbench("quantize", model, *usual, "-o", done)[0] == 0
    out = tmp_path / "out.xml"
    before = files(tmp_path)
    refused = {
        "quantized already": [done, *usual, "-o", out],
        "give a file that ends in .xml": [model, *usual, "-o", tmp_path / "out.onnx"],
        "that is the model itself": [model, *usual, "-o", model, "--force"],
        "say --force to replace it": [model, *usual, "-o", done],
        "absent": [model, "--images", tmp_path / "absent", "-o", out],
        "30": [model, "--images", pictures, "--calib-size", 31, "-o", out],
        "no model at": [tmp_path / "absent.xml", *usual, "-o", out],
        "No such file or directory": [model, *usual, "-o", tmp_path / "nowhere" / "out.xml"],
        "--preset": [model, *usual, "-o", out, "--preset", "fast"],
        "--calib-size": [model, "--images", pictures, "--calib-size", "some", "-o", out],
        "--max-drop": [model, *usual, "-o", out, "--max-drop", "2"],
        "--eval": [model, *usual, "-o", out, "--eval", "none"],
        "embedded": ["embedded", *usual, "-o", out],
        "Missing option '--images'": [model, "-o", out],
    }
    for said, arguments in refused.items():
        code, told, err = ovbench("quantize", *arguments)
        lines = [line for line in err.splitlines() if line.startswith("ovbench: ")]
        assert (code, told) == (4, ""), (said, err)
        assert said in lines[-1], (said, err)
        assert "Traceback" not in err
        assert files(tmp_path) == before, said


def test_a_full_disk_leaves_what_was_there(
    ovbench: Any, model: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quantization.Path, "replace", fail)
    code, told, err = ovbench(
        "quantize", model, "--images", pictures, "--calib-size", 4, "-o", model.with_name("o.xml")
    )
    assert (code, told) == (4, "")
    assert "o.xml: No space left on device" in err.splitlines()[-1]
    assert files(model.parent) == {"tiny.xml", "tiny.bin"}


# ------------------------------------------------------------------------------------------------- the line


def line(provenance: dict[str, Any], labels: list[int] | None = None) -> str:
    logits = np.eye(4, dtype=np.float32)
    agreement = measure_agreement(logits[[0, 1, 2, 2]], logits, labels)
    return quantized_text("m", Path("o.xml"), (14_100_000, 3_950_000), agreement, {"i8": 1.0}, provenance)


def test_the_line_has_label_shares_only_where_there_are_labels() -> None:
    assert line({}) == (
        "m: 14.1 -> 4.0 MB, top-1 as FP32 75.0 % [30.1, 95.4] on 4 held-out images, MACs in i8 100% kernels: o.xml\n"
    )
    assert "MB, top-1 right 100.0 % -> 75.0 %, top-1 as FP32" in line({}, [0, 1, 2, 3])
    unknown = quantized_text("m", Path("o.xml"), (1, 1), None, {}, {})
    assert unknown == "m: 0.0 -> 0.0 MB, answers not compared, MACs in unknown kernels: o.xml\n"


def test_the_line_says_whether_the_drop_held_and_what_could_not_be_read() -> None:
    facts = {"max_drop": 0.01, "checked_fp32": 0.9, "checked_int8": 0.895, "operations": 53, "reverted": 1}
    assert "a drop of 0.50 % was held (at most 1.00 %), 1 of 53 operations put back to floating point" in line(
        {**facts, "held": True, "unreadable": 2}
    )
    assert "2 calibration images could not be read" in line({**facts, "held": True, "unreadable": 2})
    lost = {**facts, "checked_int8": 0.8, "reverted": 53, "held": False}
    assert "a drop of at most 1.00 % could NOT be held: it is 10.00 %, with 53 of 53 operations" in line(lost)
