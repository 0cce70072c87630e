"""Sessions and commands on a user's own model and pictures: labels, agreement, the drop that is held, bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import colours
import pytest
from sessions import Ended, Suite

from ovbench import quantization
from ovbench.artifacts import ArtifactCache
from ovbench.config import Precision
from ovbench.models.source import resolve
from ovbench.options import Settings

CALIBRATION = 8
EACH = 7
SEED = 3  # draws two of the damaged pictures before the last of those to calibrate on, and one to evaluate on
LEFT_OUT = "pictures left out: 2, the first: image "
ACCURACY = "benches/bench_accuracy.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, one that answers something else, pictures with damaged ones among them."""
    folder = tmp_path_factory.mktemp("images")
    colours.write_model(folder / "colours.xml")
    colours.write_model(folder / "wrong.xml", (1, 2, 3, 0))
    colours.write_pictures(folder / "val", EACH, colours.DAMAGED)
    return folder


@pytest.fixture(scope="module")
def suite(folder: Path) -> Suite:
    return Suite(folder / "results", folder / "cache", folder / "colours.xml")


def given(folder: Path, *more: str) -> tuple[str, ...]:
    return (ACCURACY, f"--ov-images={folder / 'val'}", "--ov-precision=FP32,INT8", f"--ov-calib-size={CALIBRATION}",
            f"--ov-seed={SEED}", *more)  # fmt: skip


# ----------------------------------------------------------------------------------------------- a shared session


@pytest.fixture(scope="module")
def ended(suite: Suite, folder: Path) -> Ended:
    return suite.run(*given(folder))


def test_labels_and_agreement_are_judged(ended: Ended) -> None:
    assert ended.code == 0, ended.text
    rows = {row["params"]["precision"]: row["extra_info"]["agreement"] for row in ended.stored[-1]["benchmarks"]}
    assert set(rows) == {"FP32", "INT8"}
    told = {line["precision"]: line["agreement"] for line in ended.of_kind("accuracy")}
    assert told == rows, "the journal has what the stored rows have"
    for row in rows.values():
        assert row["label_top1"]["value"] == row["top1"]["value"] == 1.0
        assert row["label_top1_drop"]["value"] == 0.0
        assert row["images"] == 4 * EACH - CALIBRATION


def test_the_report_says_where_labels_and_preprocessing_are_from(ended: Ended, folder: Path) -> None:
    words = " ".join(ended.out.split())
    assert "mean, scale, channels and resize assumed: no mean, no scale, BGR and stretched (see --ov-mean," in words
    assert f"labels of {folder / 'val'}: the folders' sorted order" in words


def test_pictures_that_cannot_be_read_are_counted_and_named(ended: Ended) -> None:
    words = " ".join(ended.out.split())
    assert LEFT_OUT in words
    assert "pictures left out of the accuracy: 1, the first: image " in words
    assert words.count("left out of the accuracy") == 1, "each precision meets the same one"


def test_the_journal_has_model_pictures_and_provenance(ended: Ended, folder: Path) -> None:
    (line,) = ended.of_kind("source")
    settings = Settings(
        model=(str(folder / "colours.xml"),), images=str(folder / "val"), calib_size=CALIBRATION,
        precision=(Precision.FP32, Precision.INT8), seed=SEED,
    )  # fmt: skip
    source = resolve(settings.model[0], settings, ArtifactCache(folder / "unused"), lambda *_: None)
    assert source.calibration is not None
    assert source.evaluation is not None
    assert line["name"] == "colours"
    assert line["calibration"]["content_hash"] == source.calibration.content_hash()
    assert line["evaluation"]["content_hash"] == source.evaluation.content_hash()
    arrays = quantization.calibration_sha256(source.samples(CALIBRATION), CALIBRATION)
    assert (line["int8"]["sha256"], line["int8"]["model_sha256"]) == (arrays, line["sha256"])


# ------------------------------------------------------------------------------------------------------ the drop


def test_a_proven_drop_fails_its_bench_and_one_that_cannot_be_told_is_open(suite: Suite, folder: Path) -> None:
    ended = suite.run(
        *given(folder, "--ov-precision=FP32,W8,INT8", f"--ov-variant=INT8={folder / 'wrong.xml'}",
               f"--ov-variant=W8={folder / 'colours.xml'}", "--ov-max-drop=0.05", "--ov-min-top1-agreement=0")
    )  # fmt: skip
    assert ended.code == 1, ended.text
    assert "Traceback" not in ended.text
    assert re.search(r"INT8: top-1 accuracy drops by 100\.0 % \[.*\], --ov-max-drop allows 5 %: FAILED", ended.out)
    assert "reproduce: pytest " in ended.out
    assert "W8: cannot tell a drop of 5 points: about " in " ".join(ended.out.split())
    outcomes = {line["config"]["precision"]: line["outcome"] for line in ended.of_kind("bench")}
    assert outcomes == {"FP32": "passed", "W8": "passed", "INT8": "failed"}


# ------------------------------------------------------------------------------------------------------- bad input


def test_too_few_pictures_end_the_session_with_one_line(suite: Suite, folder: Path, tmp_path: Path) -> None:
    ended = Suite(tmp_path, suite.cache, suite.model).run(*given(folder, "--ov-calib-size=500"))
    assert ended.code == 4
    (line,) = ended.errors()
    assert "500 to calibrate on and 1 to evaluate are wanted: add images or ask for fewer (--ov-calib-size)" in line
    assert "Traceback" not in ended.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.fixture
def ovbench(monkeypatch: pytest.MonkeyPatch, folder: Path, command_line: Any) -> Any:
    """A command line, with a cache of its own."""
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(folder / "cache"))
    return command_line


def test_commands_name_their_own_flags(ovbench: Any, folder: Path, tmp_path: Path) -> None:
    model, pictures, out = folder / "colours.xml", folder / "val", tmp_path / "out.xml"
    quantize = ("quantize", model, "--images", pictures, "-o", out)
    classify = ("classify", pictures / "red" / "1.png", "--model", model, "--images", pictures)
    for remedy, command in {
        "ask for fewer (--calib-size)": (*quantize, "--calib-size", 500),
        "ask for fewer (--calib-size, --eval)": (*quantize, "--calib-size", 8, "--eval", 500),
        "500 to calibrate on and 0 to evaluate are wanted: add images or ask for fewer (--calib-size)": (
            *classify, "--calib-size", 500),
    }.items():  # fmt: skip
        code, told, err = ovbench(*command)
        (line,) = [line for line in err.splitlines() if line.startswith("ovbench: ")]
        assert (code, told) == (4, "")
        assert remedy in line
        assert "--ov-" not in err
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- commands


def test_quantize_keeps_the_labels_right_and_tells_what_it_left_out(ovbench: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.xml"
    code, told, err = ovbench(
        "quantize",
        folder / "colours.xml",
        "--images",
        folder / "val",
        "-o",
        out,
        "--calib-size",
        CALIBRATION,
        "--seed",
        SEED,
    )
    assert code == 0, err
    assert "top-1 right 100.0 % -> 100.0 %" in told
    assert f"on {4 * EACH - CALIBRATION} held-out images" in told
    assert "BGR and stretched (see --mean, --scale, --channels, --resize)" in err
    assert LEFT_OUT in err
    assert "pictures left out of the comparison: 1, the first: image " in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_quantize_on_a_full_disk_leaves_nothing(
    ovbench: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = quantization.save_model

    def save_on_full_disk(made: Any, xml: Path, **options: Any) -> None:
        xml.with_suffix(".bin").symlink_to("/dev/full")
        save(made, xml, **options)

    monkeypatch.setattr(quantization, "save_model", save_on_full_disk)
    code, told, err = ovbench(
        "quantize", folder / "colours.xml", "--images", folder / "val", "-o", tmp_path / "o.xml", "--calib-size", 4
    )
    assert (code, told) == (4, "")
    assert err.splitlines()[-1].startswith("ovbench: cannot write model ")
    assert "check free space" in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_classify_sees_the_colour_in_both_precisions(ovbench: Any, folder: Path) -> None:
    code, told, err = ovbench(
        "classify", folder / "val" / "red" / "1.png", folder / "val" / "gray" / "0.jpg", "--model",
        folder / "colours.xml", "--images", folder / "val", "--calib-size", 4 * EACH, "--json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(told)
    best = {
        Path(each["file"]).parent.name: {
            precision: guesses[0]["class"] for precision, guesses in each["guesses"].items()
        }
        for each in found["pictures"]
    }
    assert best == {name: dict.fromkeys(("FP32", "INT8"), colours.NAMES.index(name)) for name in ("red", "gray")}
    assert any("(see --mean, --scale, --channels, --resize)" in note for note in found["notes"])
