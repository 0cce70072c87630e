"""Models of other formats: ONNX and TFLite, dynamic shapes, two inputs, ready variants; several of them in one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_models import GREATER, PLACEHOLDER, write_onnx, write_pictures, write_tflite, write_two_inputs
from numpy.typing import NDArray
from sessions import ONE_ROUND, Ended, Suite

from ovbench import runtime
from ovbench.accuracy import Accuracy
from ovbench.answers import Answers
from ovbench.artifacts import ArtifactCache
from ovbench.config import Config, Precision
from ovbench.errors import BadInput, BadModel, BadOption
from ovbench.models.source import Source, resolve
from ovbench.models.variants import variant_of
from ovbench.options import Settings, read_settings

ROUNDING = 1e-4  # of logits, relative to the largest: formats fuse and order their sums in their own ways


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@pytest.fixture(scope="module")
def pictures(folder: Path) -> Path:
    return write_pictures(folder / "pictures")


@pytest.fixture(scope="module")
def cache(folder: Path) -> ArtifactCache:
    return ArtifactCache(folder / "cache")


def settings_of(**given: str) -> Settings:
    return read_settings({"precision": "FP32,INT8", "calib_size": "8", **given})


def resolved(path: Path, cache: ArtifactCache, **given: str) -> Source:
    return resolve(str(path), settings_of(**given), cache, lambda *_: None)


def refusal(path: Path, cache: ArtifactCache, kind: type[BadInput], **given: str) -> str:
    with pytest.raises(kind) as caught:
        resolved(path, cache, **given)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def answers(source: Source, path: Path, precision: Precision = Precision.FP32) -> Answers:
    accuracy = Accuracy()
    compiled = runtime.compile_cell(path, Config(source.name, precision=precision), source.shape, None)
    accuracy.run(source, precision, compiled, lambda _: None)
    return accuracy.answers[source.name, precision]


def logits(path: Path, cache: ArtifactCache, pictures: Path) -> NDArray[np.floating[Any]]:
    """Of the pictures, normalized by three different means: a channel out of place would show."""
    return answers(resolved(path, cache, images=str(pictures), mean="100,130,160", scale="50"), path).logits


# --------------------------------------------------------------------------------------------------- what is read


def test_a_model_answers_alike_in_every_format(
    folder: Path, cache: ArtifactCache, pictures: Path, tiny_model_path: Path
) -> None:
    expected = logits(tiny_model_path, cache, pictures)
    assert len(np.unique(expected.argmax(axis=1))) > 1
    for path in (write_onnx(folder / "alike.onnx"), write_tflite(folder / "alike.tflite")):
        np.testing.assert_allclose(logits(path, cache, pictures), expected, atol=ROUNDING * np.abs(expected).max())


def test_a_layout_with_channels_last_is_seen(folder: Path, cache: ArtifactCache) -> None:
    source = resolved(write_tflite(folder / "last.tflite"), cache)
    assert source.preprocessing is not None
    assert source.preprocessing.layout == "NHWC"
    assert source.classes == 10


def test_a_dynamic_batch_becomes_one_picture(folder: Path, cache: ArtifactCache, pictures: Path) -> None:
    path = write_onnx(folder / "batch.onnx", ("batch", 3, 16, 16))
    source = resolved(path, cache, images=str(pictures))
    assert source.classes == 10
    assert answers(source, path).logits.shape == (12, 10)


def test_a_dynamic_height_needs_a_shape(folder: Path, cache: ArtifactCache, pictures: Path) -> None:
    path = write_onnx(folder / "size.onnx", (1, 3, "height", "width"))
    assert "--ov-shape" in refusal(path, cache, BadOption)
    source = resolved(path, cache, images=str(pictures), shape="1,3,24,20")
    assert source.preprocessing is not None
    assert (source.preprocessing.height, source.preprocessing.width) == (24, 20)
    assert answers(source, path).logits.shape == (12, 10)


@pytest.mark.parametrize(
    ("name", "written", "reason"),
    [
        ("odd.onnx", lambda path: write_onnx(path, activation="Frobnicate"), "operations: Frobnicate"),
        ("odd.tflite", lambda path: write_tflite(path, first=PLACEHOLDER), "PLACEHOLDER_FOR_GREATER_OP_CODES node"),
    ],
)
def test_an_operation_that_openvino_has_not_is_named(
    tmp_path: Path, cache: ArtifactCache, name: str, written: Callable[[Path], Path], reason: str
) -> None:
    message = refusal(written(tmp_path / name), cache, BadModel)
    assert "has operations that OpenVINO cannot convert: No " in message
    assert reason in message


def test_shapes_that_do_not_fit_together_are_named(tmp_path: Path, cache: ArtifactCache) -> None:
    message = refusal(write_tflite(tmp_path / "misfit.tflite", first=GREATER), cache, BadModel)
    assert message.endswith("misfit.tflite does not fit together: Argument shapes are inconsistent: convert it again")


def halved(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def saved_model_of_noise(path: Path) -> Path:
    path.mkdir()
    (path / "saved_model.pb").write_bytes(bytes(range(256)))
    return path


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("cut.onnx", lambda path: halved(write_onnx(path))),
        ("cut.tflite", lambda path: halved(write_tflite(path))),
        ("noise", saved_model_of_noise),
    ],
)
def test_what_is_cut_off_is_refused(
    tmp_path: Path, cache: ArtifactCache, name: str, damaged: Callable[[Path], Path]
) -> None:
    assert "cut off or corrupt" in refusal(damaged(tmp_path / name), cache, BadModel)


def test_a_folder_without_a_model_is_refused(tmp_path: Path, cache: ArtifactCache) -> None:
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    assert "saved has no IR" in refusal(tmp_path / "saved", cache, BadModel)


# ---------------------------------------------------------------------------------------------- inside and outside


@pytest.mark.parametrize("write", [write_onnx, write_tflite])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_preprocessing_inside_gives_the_same_accuracy(
    folder: Path, cache: ArtifactCache, pictures: Path, write: Callable[[Path], Path], precision: Precision
) -> None:
    path = write(folder / f"inside.{write.__name__.removeprefix('write_')}")
    found = {}
    for place in ("outside", "model"):
        settings = settings_of(images=str(pictures), preprocess=place, mean="100,110,120", scale="50", channels="RGB")
        source = resolve(str(path), settings, cache, lambda *_: None)
        variant = variant_of(source, precision, settings, cache, lambda *_: None)
        found[place] = answers(source, variant.path, precision)
    outside, inside = found["outside"], found["model"]
    assert outside.numbers.tolist() == inside.numbers.tolist()
    # The quantizer of an INT8 model meets bytes inside, which rounds a little otherwise.
    close = ROUNDING if precision is Precision.FP32 else 0.02
    np.testing.assert_allclose(inside.logits, outside.logits, atol=close * np.abs(outside.logits).max())


def test_a_shape_of_channels_first_does_not_fit_a_graph_of_channels_last(folder: Path, cache: ArtifactCache) -> None:
    onnx, tflite = write_onnx(folder / "shaped.onnx", (1, 3, "height", "width")), write_tflite(folder / "shaped.tflite")
    with pytest.raises(BadOption, match=r"^--ov-shape with --ov-preprocess=model: .* NHWC .* NCHW: leave one"):
        resolved(onnx, cache, shape="1,3,24,20", preprocess="model")
    source = resolved(tflite, cache, shape="1,16,16,3", preprocess="model")
    assert source.inputs is not None
    assert source.inputs.layout == "NHWC"


# ------------------------------------------------------------------------------------------------- ready variants


def test_a_given_variant_is_what_runs(folder: Path, tmp_path: Path, pictures: Path, tiny_model_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    settings = settings_of(images=str(pictures), variant=f"INT8={tiny_model_path}")
    source = resolve(str(write_onnx(folder / "ready.onnx")), settings, cache, lambda *_: None)
    for precision in (Precision.INT8, Precision.INT8_BF16):
        assert variant_of(source, precision, settings, cache, lambda *_: None).path == tiny_model_path
    assert not list(tmp_path.iterdir())


def test_one_model_under_two_names_is_made_once(folder: Path, tmp_path: Path) -> None:
    cache, settings = ArtifactCache(tmp_path), settings_of(preprocess="model")
    made = []
    for name in ("first", "second"):
        source = resolve(str(write_onnx(folder / f"{name}.onnx")), settings, cache, lambda *_: None)
        made += [variant_of(source, each, settings, cache, lambda *_: None).path for each in Precision]
    assert made[: len(Precision)] == made[len(Precision) :]
    assert all(path.is_file() for path in made)


def test_a_given_variant_of_another_model_is_refused(folder: Path, cache: ArtifactCache) -> None:
    other, damaged = write_tflite(folder / "other.tflite"), halved(write_onnx(folder / "half.onnx"))
    for given, reason in (
        (other, "goes float[1,16,16,3] -> float[1,10], whole float[1,3,16,16] -> float[1,10]: give a variant"),
        (damaged, "half.onnx cannot be read"),
    ):
        settings = settings_of(variant=f"INT8={given}")
        source = resolve(str(write_onnx(folder / "whole.onnx")), settings, cache, lambda *_: None)
        with pytest.raises(BadModel) as caught:
            variant_of(source, Precision.INT8, settings, cache, lambda *_: None)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_variant_is_refused(folder: Path, tmp_path: Path) -> None:
    path = write_onnx(folder / "lacks.onnx")
    ended = Suite(tmp_path / "results", tmp_path / "cache", path).run("benches", "--ov-variant=INT8=absent.xml")
    assert ended.code == 4
    assert ended.errors() == [
        "ERROR: --ov-variant INT8=absent.xml: no such file: give the INT8 model's .xml",
    ]


# ----------------------------------------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def formats(folder: Path, cache: ArtifactCache, pictures: Path) -> Ended:
    """An ONNX and a TFLite classifier, every question asked once of each in both precisions."""
    onnx, tflite = write_onnx(folder / "one.onnx"), write_tflite(folder / "two.tflite")
    asked = "bench_accuracy or startup and INT8-off or (LATENCY-1-off or THROUGHPUT-2-off) and not copied"
    return Suite(folder / "results", cache.root, onnx).run(
        "benches", "--benchmark-disable", "-v", "-k", asked, f"--ov-model={onnx}", f"--ov-model={tflite}",
        "--ov-precision=FP32,INT8", "--ov-calib-size=8", f"--ov-images={pictures}",
    )  # fmt: skip


@pytest.mark.parametrize("model", ["one", "two"])
@pytest.mark.parametrize(
    "bench",
    [
        "bench_latency[{}-FP32-LATENCY-1-off]",
        "bench_latency[{}-INT8-LATENCY-1-off]",
        "bench_throughput[{}-INT8-THROUGHPUT-2-off]",
        "bench_speedup[{}-INT8-LATENCY-1-off]",
        "bench_startup[{}-INT8-off]",
        "bench_accuracy[{}-FP32]",
        "bench_accuracy[{}-INT8]",
    ],
)
def test_every_question_is_answered_in_every_format(formats: Ended, model: str, bench: str) -> None:
    assert formats.code == 0, formats.text
    assert f"{bench.format(model)} PASSED" in formats.out


@pytest.fixture(scope="module")
def several(folder: Path, cache: ArtifactCache) -> Ended:
    """Three models measured in one run, without pictures: two files have the same name, a text model has two inputs."""
    here, there = write_onnx(folder / "here" / "net.onnx"), write_tflite(folder / "there" / "net.tflite")
    text = write_two_inputs(folder / "text.xml")
    asked = "bench_accuracy or bench_pipeline or bench_latency and 1-off and not copied"
    return Suite(folder / "several", cache.root, here).run(
        "benches", "-rs", "-k", f"(text or FP32) and ({asked})",
        "--ov-precision=FP32,INT8", "--ov-calib-size=8", ONE_ROUND, "--ov-warmup=10ms",
        f"--ov-model={here}", f"--ov-model={there}", f"--ov-model={text}",
    )  # fmt: skip


NAMES = ("here-net", "there-net", "text")


def test_several_models_are_told_apart(several: Ended) -> None:
    assert several.code == 0, several.text
    cells = [*((name, "FP32") for name in NAMES), ("text", "INT8")]
    rows = [f"latency/{name}/{precision}-LATENCY-1-off" for name, precision in cells]
    stored = [row["fullname"] for row in several.stored[-1]["benchmarks"] if row["group"] == "latency"]
    assert sorted(stored) == sorted(rows)
    written = [line for line in several.of_kind("bench") if line["fullname"] in rows]
    assert {line["config"]["model"] for line in written} == set(NAMES)
    assert all(
        f"[{line['config']['model']}-{line['config']['precision']}-LATENCY" in line["nodeid"] for line in written
    )
    assert len({line["nodeid"] for line in written}) == len(rows)
    for kind in ("cell", "replicate"):
        assert {line["config"]["model"] for line in several.of_kind(kind)} == set(NAMES)
    titles = [line for line in several.out.splitlines() if line.endswith(" cores")]
    assert [line.split(" on ")[0] for line in titles] == list(NAMES)


def test_outputs_of_a_model_that_takes_no_picture_are_compared(several: Ended) -> None:
    assert "Outputs of text beside FP32's" in several.out
    table = several.out.partition("Outputs of text beside FP32's")[2]
    rows = [line.split() for line in table.splitlines() if line.split()[:1] == ["INT8"]]
    assert [row[1] for row in rows[:2]] == ["hidden", "scores"]
    assert all(0.5 < float(cosine) <= 1 for row in rows[:2] for cosine in row[3:5])


@pytest.mark.parametrize(
    "reason",
    [
        "text does not classify pictures: there is no top-5",
        "text takes no single picture: INT8 is calibrated on random inputs",
        "no pictures fit here-net: give --ov-images for its accuracy",
        "no pictures fit there-net: give --ov-images for its accuracy",
    ],
)
def test_what_is_not_asked_of_a_model_says_why(several: Ended, reason: str) -> None:
    assert reason in several.out


def test_two_inputs_with_one_row_of_scores_are_no_picture_classifier(folder: Path, cache: ArtifactCache) -> None:
    source = resolved(write_two_inputs(folder / "scores.xml", ["scores"]), cache)
    assert source.classes is None
    assert len(source.compared_inputs(3)) == 3
