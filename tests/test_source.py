"""A user's model and pictures: the source made of them, variants made once, answers judged, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import colours
import numpy as np
import pytest

from ovbench import quantization, runtime
from ovbench.accuracy import Accuracy
from ovbench.artifacts import ArtifactCache, model_sha256
from ovbench.config import Config, Precision
from ovbench.errors import BadImages, NotWritable
from ovbench.models import variants as model_variants
from ovbench.models.lines import source_fields
from ovbench.models.source import Source, makes_int8, resolve
from ovbench.models.variants import variant_of
from ovbench.options import Channels, Place, Resize, Settings
from ovbench.suite import Suite
from ovbench.verdict import Outcome

CALIBRATION = 8
EACH = 7  # pictures of a colour
FP32, INT8 = Precision.FP32, Precision.INT8


def told(_doing: str, _share: float) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colours.write_model(tmp_path_factory.mktemp("model") / "colours.xml")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colours.write_pictures(tmp_path_factory.mktemp("pictures") / "val", EACH, colours.DAMAGED)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ArtifactCache:
    return ArtifactCache(tmp_path_factory.mktemp("cache"))


def asked(model: Path, images: Path | str, **wanted: Any) -> Settings:
    return Settings(**{
        "model": (str(model),), "images": str(images), "precision": (FP32, INT8), "calib_size": CALIBRATION, **wanted
    })  # fmt: skip


def resolved(settings: Settings) -> Source:
    (given,) = settings.model
    return resolve(given, settings, ArtifactCache(Path("unused")), told)


def names(images: Any) -> list[str]:
    return [images.image_name(number) for number in range(len(images))]


def judged(settings: Settings, paths: dict[Precision, Path] | None = None) -> Accuracy:
    """Accuracy of these files, FP32's answers beside them."""
    source = resolved(settings)
    accuracy = Accuracy(max_drop=0.01 if settings.max_drop is None else settings.max_drop)
    for precision, path in {FP32: source.path, **(paths or {})}.items():
        compiled = runtime.compile_cell(path, Config(source.name, precision=precision), {}, None)
        accuracy.run(source, precision, compiled, lambda _share: None)
        assert accuracy.judge(source, precision) == ""
    return accuracy


def refusal(settings: Settings) -> str:
    with pytest.raises(BadImages) as error:
        resolved(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


# ------------------------------------------------------------------------------------------- labels, preprocessing


def test_the_notes_say_what_was_assumed_and_where_labels_are_from(model: Path, images: Path) -> None:
    source = resolved(asked(model, images, precision=(FP32,)))
    said, labels = source.notes[:2]
    options = "--ov-mean, --ov-scale, --ov-channels, --ov-resize"
    assert said.startswith("input of colours: mean, scale, channels and resize assumed: no mean, no scale, BGR and ")
    assert said.endswith(f"stretched (see {options})")
    assert labels == f"labels of {images}: the folders' sorted order"
    assert source.classes == 4


def test_a_model_without_model_info_is_right_as_assumed(model: Path, images: Path) -> None:
    agreement = judged(asked(model, images)).agreements["colours", FP32]
    assert agreement.label_top1 is not None
    assert agreement.label_top1.value == 1.0


def test_what_the_user_says_of_the_input_wins(model: Path, images: Path) -> None:
    wanted = asked(
        model, images, mean=(1.0, 2.0, 3.0), scale=(2.0, 2.0, 2.0), channels=Channels.RGB, resize=Resize.CROP
    )
    source = resolved(wanted)
    assert source.preprocessing is not None
    found = source.preprocessing
    assert (found.mean, found.scale, found.channels, found.resize) == (
        (1.0, 2.0, 3.0), (2.0, 2.0, 2.0), Channels.RGB, Resize.CROP)  # fmt: skip
    assert source.notes[0] == "input of colours: mean, scale, channels and resize as given"
    swapped = judged(asked(model, images, channels=Channels.RGB)).agreements["colours", FP32]
    assert swapped.label_top1 is not None
    assert 0.3 < swapped.label_top1.value < 0.7, "red is taken for blue, and blue for red"


def test_the_model_s_labels_come_before_sorted_order(images: Path, tmp_path: Path) -> None:
    turned = colours.write_model(tmp_path / "turned.xml", (3, 2, 1, 0), "red green gray blue")
    settings = asked(turned, images, precision=(FP32,))
    assert f"labels of {images}: the model's labels" in resolved(settings).notes
    agreement = judged(settings).agreements["turned", FP32]
    assert agreement.label_top1 is not None
    assert agreement.label_top1.value == 1.0


def flat(images: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in images.glob("*/*.png"):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
    return folder


def with_another_class(images: Path, folder: Path) -> Path:
    shutil.copytree(images, folder)
    shutil.copytree(folder / "red", folder / "violet")
    shutil.copytree(folder / "red", folder / "white")
    return folder


def with_short_synsets(images: Path, folder: Path) -> Path:
    shutil.copytree(images, folder / "val")
    (folder / "synsets.txt").write_text("blue\ngray\n")
    return folder / "val"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flat, "are not known: put the images of each class in a folder named by it"),
        (with_another_class, "are not known: 6 folders, 4 outputs: add synsets.txt"),
        (with_short_synsets, "has no 'green', as 2 of 4 folders: rename or remove it, or list it in synsets.txt"),
    ],
)
def test_labels_that_do_not_fit_are_skipped_and_agreement_is_judged_all_the_same(
    model: Path, images: Path, tmp_path: Path, change: Callable[[Path, Path], Path], reason: str
) -> None:
    settings = asked(model, change(images, tmp_path / "changed"))
    (note,) = [note for note in resolved(settings).notes if note.startswith("labels")]
    assert note.startswith("labels: SKIPPED, labels ")
    assert reason in note
    accuracy = judged(settings, {INT8: model})
    agreement = accuracy.agreements["colours", INT8]
    assert agreement.top1.value == 1.0
    assert agreement.label_top1 is None
    assert accuracy.drops["colours", INT8].outcome is Outcome.SKIPPED


def test_pictures_of_an_array_are_judged_like_files(model: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    numbers = np.repeat(np.arange(4), 5)
    stack = np.stack([colours.picture(colours.NAMES[number], random)[..., ::-1] for number in numbers])
    np.save(tmp_path / "stack.npy", stack)
    np.save(tmp_path / "stack.labels.npy", numbers)
    settings = asked(model, tmp_path / "stack.npy")
    assert f"labels of {tmp_path / 'stack.npy'}: stack.labels.npy" in resolved(settings).notes
    agreement = judged(settings).agreements["colours", FP32]
    assert agreement.label_top1 is not None
    assert (agreement.images, agreement.label_top1.value) == (20 - CALIBRATION, 1.0)


# ------------------------------------------------------------------------------------------------------- pictures


def test_subsets_are_disjoint_and_drawn_by_the_seed(model: Path, images: Path) -> None:
    source, again, other = (resolved(asked(model, images, seed=seed)) for seed in (0, 0, 1))
    assert source.calibration is not None
    assert source.evaluation is not None
    ours, theirs = names(source.calibration), names(source.evaluation)
    assert len(ours) == CALIBRATION
    assert not set(ours) & set(theirs)
    assert again.calibration is not None
    assert again.calibration.content_hash() == source.calibration.content_hash()
    assert other.calibration is not None
    assert other.calibration.content_hash() != source.calibration.content_hash()
    assert source.evaluation.content_hash() != source.calibration.content_hash()


@pytest.mark.parametrize(("seed", "while_judging"), [(0, 0), (2, 2), (3, 1)])
def test_damaged_pictures_are_counted_and_the_run_goes_on(
    model: Path, images: Path, seed: int, while_judging: int
) -> None:
    settings = asked(model, images, seed=seed)
    source = resolved(settings)
    answers = judged(settings).answers["colours", FP32]
    assert len(answers.unreadable) == while_judging
    assert all("damaged.png cannot be read, it is damaged" in str(each) for each in answers.unreadable)
    (note,) = [note for note in source.notes if "left out" in note]
    counted = len(colours.DAMAGED) - while_judging
    assert note.startswith(f"pictures left out: {counted}, the first: image {images}/")
    assert source.calibration is not None
    assert len(source.calibration) == CALIBRATION
    assert len(answers.numbers) == 4 * EACH - CALIBRATION


def test_nobody_sets_pictures_apart_to_calibrate_a_given_int8_file(model: Path, images: Path) -> None:
    source = resolved(asked(model, images, variant={INT8: str(model)}))
    assert source.calibration is not None
    assert source.evaluation is not None
    assert len(source.calibration) == 0
    assert set(names(source.evaluation)) >= {f"{name}/{number}.png" for name in colours.NAMES for number in (1, 3, 5)}
    assert source.given == {INT8: model.resolve()}


@pytest.mark.parametrize(
    ("precisions", "given", "made"),
    [
        ((FP32,), (), False),
        ((FP32, Precision.W8), (), False),
        ((FP32, INT8), (), True),
        ((FP32, INT8), (INT8,), False),
        ((Precision.INT8_BF16,), (), True),
        ((INT8, Precision.INT8_BF16), (INT8,), False),
        ((INT8, Precision.INT8_BF16), (Precision.INT8_BF16,), True),
    ],
)
def test_int8_is_made_where_it_is_asked_for_and_not_given(
    model: Path, precisions: tuple[Precision, ...], given: tuple[Precision, ...], made: bool
) -> None:
    settings = asked(model, "", precision=precisions, variant={each: str(model) for each in given})
    assert makes_int8(settings) is made
    told_so = any("INT8 of colours is calibrated on procedural pictures" in note for note in resolved(settings).notes)
    assert told_so is made


def test_inputs_to_compare_outputs_on_are_the_first_readable_ones(model: Path, images: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    (few / "red").mkdir(parents=True)
    for number in range(3):
        shutil.copy(images / "red" / "1.png", few / "red" / f"{number}.png")
        shutil.copy(images / "red" / "damaged.png", few / "red" / f"{number}-damaged.png")
    source = resolved(asked(model, few, precision=(FP32,)))
    assert source.inputs is not None
    assert source.evaluation is not None
    assert len(source.compared_inputs(2)) == 2
    found = source.compared_inputs(16)
    assert len(found) == 3
    assert all(each.shape == (1, 3, 16, 16) and np.array_equal(each, found[0]) for each in found)


# ------------------------------------------------------------------------------------------------------- refused


def test_too_few_pictures_name_the_flags_that_ask_for_fewer(model: Path, images: Path) -> None:
    every = f"{images} has {4 * EACH} images and {len(colours.DAMAGED)} that cannot be read; "
    assert refusal(asked(model, images, calib_size=100)) == (
        f"{every}100 to calibrate on and 1 to evaluate are wanted: add images or ask for fewer (--ov-calib-size)"
    )
    both = refusal(asked(model, images, eval_size=100))
    assert both.endswith("100 to evaluate are wanted: add images or ask for fewer (--ov-calib-size, --ov-eval-size)")
    evaluation = refusal(asked(model, images, precision=(FP32,), eval_size=100))
    assert evaluation.endswith("add images or ask for fewer (--ov-eval-size)")


def only_damaged(folder: Path) -> Path:
    colours.write_pictures(folder, 2, colours.DAMAGED)
    for path in folder.glob("*/[01].*"):
        path.unlink()
    return folder


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("precision", [FP32, INT8])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder, ["does not exist", "give a folder of images or a .npy file"]),
        (empty, ["no image in", "give a folder with .jpg"]),
        (only_damaged, ["none of 3 images in", "can be read; the first: image ", "copy it again or remove it"]),
    ],
    ids=["missing", "empty", "damaged"],
)
def test_folders_without_a_picture_are_refused(
    model: Path, tmp_path: Path, precision: Precision, make: Callable[[Path], Path], words: list[str]
) -> None:
    said = refusal(asked(model, make(tmp_path / "there"), precision=(precision,)))
    for word in (str(tmp_path / "there"), *words):
        assert word in said


# ------------------------------------------------------------------------------------------------------- variants


@pytest.fixture(scope="module")
def int8(model: Path, images: Path, cache: ArtifactCache) -> Path:
    settings = asked(model, images)
    return variant_of(resolved(settings), INT8, settings, cache, told).path


def test_int8_answers_as_fp32_does_and_the_drop_cannot_be_told_from_so_few(
    model: Path, images: Path, int8: Path
) -> None:
    accuracy = judged(asked(model, images, max_drop=0.05), {INT8: int8})
    agreement = accuracy.agreements["colours", INT8]
    assert agreement.images == 4 * EACH - CALIBRATION
    assert agreement.top1.value == 1.0
    assert agreement.label_top1_drop is not None
    assert agreement.label_top1_drop.value == 0.0
    verdict = accuracy.drops["colours", INT8]
    assert verdict.outcome is Outcome.UNSURE
    assert verdict.images_needed is not None
    assert verdict.images_needed > agreement.images


def test_a_drop_that_cannot_be_told_is_unsure_where_it_is_held(model: Path, images: Path, tmp_path: Path) -> None:
    for max_drop, unsure in ((0.05, True), (None, False)):
        settings = asked(model, images, max_drop=max_drop)
        suite = Suite(settings, tmp_path, progress=lambda _title: pytest.fail("nothing is measured"))
        suite.accuracy = judged(settings, {INT8: model})
        assert suite.accuracy.drops["colours", INT8].outcome is Outcome.UNSURE
        assert suite.unsure is unsure


def test_a_smoke_run_judges_no_drop(model: Path, images: Path) -> None:
    source = resolved(asked(model, images))
    accuracy = Accuracy(smoke=True)
    compiled = runtime.compile_cell(model, Config("colours"), {}, None)
    for precision in (FP32, INT8):
        accuracy.run(source, precision, compiled, lambda _share: None)
        accuracy.judge(source, precision)
    assert ("colours", INT8) in accuracy.agreements
    assert accuracy.drops == {}


def test_int8_is_made_once_for_the_same_pictures_and_anew_for_others(
    model: Path, images: Path, cache: ArtifactCache, int8: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Settings] = []

    def quantized(_source: Source, settings: Settings, _on_progress: Any) -> Any:
        made.append(settings)
        return runtime.read_model(model, {})

    monkeypatch.setattr(model_variants, "quantized", quantized)

    def path(**wanted: Any) -> Path:
        settings = asked(model, images, **wanted)
        return variant_of(resolved(settings), INT8, settings, cache, told).path

    assert path() == path(eval_size=3) == path(min_top1_agreement=0.5) == int8
    assert made == []
    others = [path(seed=1), path(calib_size=7), path(max_drop=0.1), path(channels=Channels.RGB)]
    assert len(made) == len({int8, *others}) - 1 == 4
    path(max_drop=0.1)
    assert len(made) == 4


def test_a_held_drop_s_calibration_pictures_hold_it(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked(model, images, max_drop=0.2)
    source = resolved(settings)
    cache = ArtifactCache(tmp_path)
    first = variant_of(source, INT8, settings, cache, told)
    found = source_fields(source, {INT8: first.path})["int8"]
    assert (found["max_drop"], found["held"], found["checked_images"]) == (0.2, True, CALIBRATION)
    monkeypatch.setattr(model_variants, "quantized", lambda *_: pytest.fail("it lies in the cache"))
    assert variant_of(source, INT8, settings, cache, told) == first


FROM_CACHE = """
import json, sys
from pathlib import Path
from ovbench.artifacts import ArtifactCache
from ovbench.config import Precision
from ovbench.models.source import resolve
from ovbench.models.variants import variant_of
from ovbench.options import Settings

model, images, cache, calibration = sys.argv[1:]
settings = Settings(model=(model,), images=images, calib_size=int(calibration))
source = resolve(model, settings, ArtifactCache(Path(cache)), lambda *_: None)
variant = variant_of(source, Precision.INT8, settings, ArtifactCache(Path(cache)), lambda *_: None)
print(json.dumps([str(variant.path), sorted({"nncf", "torch"} & set(sys.modules))]))
"""


def test_a_second_session_takes_int8_from_the_cache_without_nncf(
    model: Path, images: Path, cache: ArtifactCache, int8: Path
) -> None:
    command = [sys.executable, "-c", FROM_CACHE, str(model), str(images), str(cache.root), str(CALIBRATION)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [str(int8), []]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("precision", [INT8, Precision.W8, Precision.FP16])
def test_a_full_disk_leaves_no_half_an_artifact(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    def save_on_full_disk(made: Any, xml: Path, **options: Any) -> None:
        xml.with_suffix(".bin").symlink_to("/dev/full")
        quantization.save_model(made, xml, **options)

    monkeypatch.setattr(model_variants, "save_model", save_on_full_disk)
    monkeypatch.setattr(model_variants, "quantized", lambda *_: runtime.read_model(model, {}))
    settings = asked(model, images)
    with pytest.raises(NotWritable) as error:
        variant_of(resolved(settings), precision, settings, ArtifactCache(tmp_path), told)
    said = str(error.value)
    assert "\n" not in said
    assert "cannot write model" in said
    assert "check free space" in said
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


# --------------------------------------------------------------------------------------------------------- record


def test_the_record_names_model_pictures_and_what_int8_was_made_of(model: Path, images: Path, int8: Path) -> None:
    source = resolved(asked(model, images))
    fields = json.loads(json.dumps(source_fields(source, {FP32: model, INT8: int8}), allow_nan=False))
    assert (fields["name"], fields["path"], fields["sha256"]) == ("colours", str(model), model_sha256(model))
    assert fields["preprocessing"] == {
        "height": 16, "width": 16, "layout": "NCHW", "channels": "BGR", "mean": [0, 0, 0], "scale": [1, 1, 1],
        "resize": "standard", "short_side": 0, "padding": 0, "element_type": "f32", "place": "outside",
        "said_by": source.preprocessing.said_by if source.preprocessing else "",
    }  # fmt: skip
    assert source.calibration is not None
    assert source.evaluation is not None
    assert fields["calibration"] == {
        "name": "val-calibration", "count": CALIBRATION, "content_hash": source.calibration.content_hash()
    }  # fmt: skip
    assert fields["evaluation"]["content_hash"] == source.evaluation.content_hash()
    assert fields["given"] == {}
    assert fields["notes"] == list(source.notes)
    arrays = quantization.calibration_sha256(source.samples(CALIBRATION), CALIBRATION)
    found = fields["int8"]
    assert (found["sha256"], found["count"], found["model_sha256"]) == (arrays, CALIBRATION, fields["sha256"])


def test_the_record_of_a_given_int8_file_names_it_and_no_calibration(model: Path, images: Path, int8: Path) -> None:
    source = resolved(asked(model, images, variant={INT8: str(int8)}))
    fields = source_fields(source, {FP32: model, INT8: int8})
    assert fields["given"] == {"INT8": str(int8)}
    assert fields["calibration"] is None
    assert fields["int8"]["count"] == CALIBRATION, "ovbench made it, in another run"
    foreign = source_fields(replace(source, given={INT8: model}), {FP32: model, INT8: model})
    assert foreign["int8"] == {}
    assert source_fields(source, {FP32: model})["int8"] is None


def test_a_given_int8_file_that_cannot_be_read_is_left_to_its_cells(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text("no model")
    broken.with_suffix(".bin").touch()
    source = resolved(asked(model, "", variant={INT8: str(broken)}))
    fields = source_fields(source, {FP32: model, INT8: broken})
    assert fields["int8"] is None
    assert fields["given"] == {"INT8": str(broken)}


def test_int8_is_known_with_preprocessing_inside_too(
    model: Path, images: Path, cache: ArtifactCache, int8: Path
) -> None:
    settings = asked(model, images, preprocess=Place.MODEL)
    source = resolved(settings)
    variants = {each: variant_of(source, each, settings, cache, told).path for each in (FP32, INT8)}
    assert variants[INT8] != int8
    assert source_fields(source, variants)["int8"]["count"] == CALIBRATION
    agreement = judged(settings, variants).agreements["colours", INT8]
    assert agreement.label_top1 is not None
    assert agreement.label_top1.value == 1.0
