"""``ovbench classify`` as a command: what it prints, its exit codes, and one line for what cannot be."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_lines import run_all

from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.pipeline import write_pictures
from ovbench.worker import import_openvino

NAMES = [f"kind_{number}" for number in range(10)]
REAL_MODEL = os.environ.get("OVBENCH_TEST_MODEL", "")
REAL_IMAGES = os.environ.get("OVBENCH_TEST_IMAGES", "")


def run(folder: Path, *command_lines: list[str]) -> list[tuple[Any, str, str]]:
    environment = {**os.environ, "OVBENCH_CACHE_DIR": str(folder / "cache"), "PYTHONWARNINGS": "default"}
    return run_all(folder, [["classify", *each] for each in command_lines], environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_path: Path) -> Path:
    """Pictures, a damaged one among them, models, and names of the tiny one's classes."""
    folder = tmp_path_factory.mktemp("classify")
    for suffix in (".xml", ".bin"):
        shutil.copy(tiny_model_path.with_suffix(suffix), folder / f"tiny{suffix}")
    openvino = import_openvino()
    words = openvino.opset13.parameter([1, 12], openvino.Type.f32, name="words")
    picture = openvino.opset13.parameter([1, 3, 16, 16], openvino.Type.f32, name="picture")
    for name, node in (("words", words), ("mask", picture)):
        openvino.save_model(openvino.Model([openvino.opset13.relu(node)], [node], name), folder / f"{name}.xml")
    (folder / "pictures").mkdir()
    write_pictures(Scenes(Subset.EVALUATION, 3, size=24), folder / "pictures")
    (folder / "pictures" / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    (folder / "calibration").mkdir()
    write_pictures(Scenes(Subset.CALIBRATION, 6, size=24), folder / "calibration")
    cv2.imwrite(str(folder / "one.png"), np.full((20, 30, 3), 90, np.uint8))
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n")
    (folder / "short.txt").write_text("only one\n")
    (folder / "bad").mkdir()
    (folder / "bad" / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


COMMANDS = {
    "both": "one.png pictures --model tiny.xml --precision FP32,INT8 --images calibration --calib-size 5 --json "
    "--top 3 --labels names.txt",
    "twice": "one.png one.png --model tiny.xml --json --mean 100 --scale 2",
    "text": "one.png --model tiny.xml --variant INT8=tiny.xml",
}
REFUSED = {
    "one.png nowhere.jpg --model tiny.xml": "no picture at nowhere.jpg: give image files, or folders of them",
    "bad --model tiny.xml": "none of 1 images can be read; the first: image bad/damaged.jpg cannot be read",
    "one.png --model tiny.xml --labels short.txt": "--labels: 1 lines for 10 classes: give one line for each class",
    "one.png --model tiny.xml --labels missing.txt": "--labels missing.txt: no such text file",
    "one.png --model tiny.xml --precision INT8": "--precision INT8: tiny is calibrated on pictures: give --images DIR",
    "one.png --model tiny.xml --precision FP33": "--precision FP33: not one of",
    "one.png --model tiny.xml --top 0": "--top 0: give a number of classes",
    "one.png --model tiny.xml --mean 1,2": "--mean 1,2: give one number, or three",
    "--model tiny.xml": "Missing argument",
    "one.png --model nowhere.xml": "nowhere.xml",
    "one.png --model words.xml": "words takes no picture: give a model that classifies pictures",
    "one.png --model mask.xml": "mask gives no row of class scores: give a model that classifies pictures",
}


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, tuple[Any, str, str]]:
    """How each command ended: code, output, errors."""
    lines = [*COMMANDS.values(), *REFUSED]
    return dict(zip([*COMMANDS, *REFUSED], run(folder, *map(str.split, lines)), strict=True))


def test_pictures_are_classified_and_the_damaged_one_is_named(told: dict[str, tuple[Any, str, str]]) -> None:
    code, out, err = told["both"]
    assert code == 0, err
    found = json.loads(out)
    assert [each["file"] for each in found["pictures"]] == ["one.png", *(f"pictures/0000{i}.jpg" for i in range(3))]
    complaint = [line for line in err.splitlines() if "damaged.jpg" in line]
    assert len(complaint) == 1
    assert complaint[0].startswith("ovbench: image pictures/damaged.jpg cannot be read, it is ")
    assert len(found["unreadable"]) == 1


def test_every_precision_gives_the_best_classes_first(told: dict[str, tuple[Any, str, str]]) -> None:
    found = json.loads(told["both"][1])
    assert all(spent > 0 for spent in found["latency_ns"].values())
    for picture in found["pictures"]:
        assert set(picture["guesses"]) == {"FP32", "INT8"}
        for guesses in picture["guesses"].values():
            assert [each["label"] for each in guesses] == [f"kind {each['class']}" for each in guesses]
            shares = [each["probability"] for each in guesses]
            assert len(shares) == 3
            assert shares == sorted(shares, reverse=True)
            assert 0 < sum(shares) <= 1


def test_preprocessing_is_as_asked_and_a_picture_given_twice_is_told_once(
    told: dict[str, tuple[Any, str, str]],
) -> None:
    code, out, err = told["twice"]
    assert code == 0, err
    found = json.loads(out)
    assert [each["file"] for each in found["pictures"]] == ["one.png"]
    assert set(found["latency_ns"]) == {"FP32"}, "without pictures to calibrate on there is no INT8"
    assert found["notes"][0].startswith("preprocessing: mean and scale ")
    unasked = json.loads(told["both"][1])["pictures"][0]["guesses"]["FP32"]
    assert found["pictures"][0]["guesses"]["FP32"][0]["probability"] != unasked[0]["probability"]


def test_text_shows_a_given_int8_file_beside_fp32(told: dict[str, tuple[Any, str, str]]) -> None:
    code, out, err = told["text"]
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "one.png"
    assert lines[1].split() == ["FP32", "class", "p", "INT8", "class", "p"]
    assert "a look, not a benchmark" in " ".join(out.split())
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_classified_is_one_line_and_exit_4(told: dict[str, tuple[Any, str, str]], command: str) -> None:
    code, out, err = told[command]
    assert code == 4, (out, err)
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("ovbench: ")]
    assert len(lines) == 1, err
    assert REFUSED[command] in lines[0]


@pytest.mark.skipif(not (REAL_MODEL and REAL_IMAGES), reason="OVBENCH_TEST_MODEL and OVBENCH_TEST_IMAGES are not set")
def test_the_real_model_knows_a_real_picture(tmp_path: Path) -> None:
    file = sorted(Path(REAL_IMAGES).glob("*/*.JPEG"))[0]
    (ended,) = run(tmp_path, [str(file), "--model", REAL_MODEL, "--json"])
    assert ended[0] == 0, ended[2]
    guesses = json.loads(ended[1])["pictures"][0]["guesses"]["FP32"]
    assert guesses[0]["label"]
    assert guesses[0]["probability"] > 0.2
