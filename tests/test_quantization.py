"""Quantization: silent, repeatable, strict about what it is given, and open about what it was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ovbench.errors import BadImages, BadModel, BadOption, NotWritable, UnreadableImage
from ovbench.options import Preset
from ovbench.preprocessing import raw
from ovbench.quantization import (
    AHEAD,
    NO_ANSWER,
    Check,
    Origin,
    QuantizationOptions,
    calibration_sha256,
    check_on,
    compress_weights,
    draft_of,
    options_key,
    provenance,
    quantize,
    quantized_by,
    save_model,
)
from ovbench.worker import import_openvino

openvino = import_openvino()
from openvino import opset13 as op  # noqa: E402  (after telemetry is stubbed)

FEW = QuantizationOptions(subset_size=4)


def tiny_model() -> Any:
    """Three 3x3 convolutions with bias and ReLU on [1, 3, 32, 32]."""
    random = np.random.default_rng(0)
    node = parameter = op.parameter([1, 3, 32, 32], openvino.Type.f32, name="image")
    for inputs, outputs in ((3, 8), (8, 8), (8, 8)):
        weights = random.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
        bias = random.normal(size=(1, outputs, 1, 1)).astype(np.float32)
        node = op.relu(op.add(op.convolution(node, weights, [1, 1], [1, 1], [1, 1], [1, 1]), bias))
    parameter.output(0).set_names({"image"})
    return openvino.Model([node], [parameter], "tiny")


def pictures(count: int, size: int = 32) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(1)
    return [random.normal(size=(1, 3, size, size)).astype(np.float32) for _ in range(count)]


def int8_share(model: Any) -> float:
    """Share of the convolutions whose weights are a dequantized int8 constant."""
    convolutions = [node for node in model.get_ops() if node.get_type_name() == "Convolution"]
    roots = [node.input_value(1).get_node().input_value(0).get_node() for node in convolutions]
    return sum(root.get_output_element_type(0) == openvino.Type.i8 for root in map(constant_of, roots)) / len(roots)


def constant_of(node: Any) -> Any:
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node


@pytest.fixture(scope="module")
def quantized() -> Any:
    return quantize(tiny_model(), pictures(6), FEW)


def test_all_convolutions_become_int8_and_the_answer_stays_close(quantized: Any) -> None:
    assert int8_share(quantized) == 1
    image = pictures(1)[0]
    exact, rounded = (
        openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)[0]
        for model in (tiny_model(), quantized)
    )
    assert np.abs(exact - rounded).mean() < 0.05 * np.abs(exact).mean()


def test_the_callers_model_is_left_as_it_was() -> None:
    model = tiny_model()
    quantize(model, pictures(4), FEW)
    assert quantized_by(model) is None
    assert not model.has_rt_info(["ovbench"])


# -------------------------------------------------------------------------------------------------- silence


def test_nothing_is_printed_logged_or_left_changed(capfd: Any, caplog: pytest.LogCaptureFixture) -> None:
    import nncf
    from nncf.common.logging import track_progress

    def state() -> tuple[Any, ...]:
        log = nncf.nncf_logger
        nncf_log = (
            log.level,
            log.disabled,
            list(log.handlers),
            track_progress.Progress,
            track_progress.WeightedProgress,
        )
        return (*nncf_log, logging.getLoggerClass(), logging.root.manager.disable, list(warnings.filters))

    before = state()
    quantize(tiny_model(), pictures(4), FEW)
    assert state() == before
    assert tuple(capfd.readouterr()) == ("", "")
    assert caplog.records == []


def test_all_is_as_before_when_the_caller_interrupts() -> None:
    from nncf.common.logging import track_progress

    bar = track_progress.Progress

    def interrupt(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("calibration", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(tiny_model(), pictures(4), FEW, interrupt)
    assert track_progress.Progress is bar
    assert not logging.getLogger("nncf").disabled


def test_what_the_caller_prints_while_it_runs_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def tell(stage: str, done: int, total: int) -> None:
        sys.stdout.write(f"{stage} {done}/{total}\n")

    quantize(tiny_model(), pictures(4), FEW, tell)
    assert "calibration 4/4\n" in capsys.readouterr().out


# No pytest and no CI in sight: NNCF stubs its telemetry by itself where it sees one of them.
SCRIPT = f"""
import logging, os, sys, threading
from pathlib import Path
forks = []
os.register_at_fork(before=lambda: forks.append("fork"))
logger_class = logging.getLoggerClass()

from typing import Any
import numpy as np
from ovbench.quantization import QuantizationOptions, quantize, save_model
from ovbench.worker import import_openvino
openvino = import_openvino()
from openvino import opset13 as op

{inspect.getsource(tiny_model)}
{inspect.getsource(pictures)}
save_model(quantize(tiny_model(), pictures(6), QuantizationOptions(subset_size=4)), Path(sys.argv[1]))

assert "pytest" not in sys.modules
assert forks == []
children = Path(f"/proc/self/task/{{os.getpid()}}/children")
assert not children.exists() or children.read_text() == ""
assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
assert logging.getLoggerClass() is logger_class
"""


def test_a_plain_script_forks_nothing_prints_nothing_and_makes_the_same_weights(tmp_path: Path, quantized: Any) -> None:
    home, there, here = tmp_path / "home", tmp_path / "there.xml", tmp_path / "here.xml"
    home.mkdir()
    hidden = ("CI", "NNCF_CI", "NNCF_DEV", "PYTEST_CURRENT_TEST", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from __future__ import annotations\n" + SCRIPT, str(there)],
        cwd=Path(__file__).parent.parent,
        env={**environment, "HOME": str(home), "USERPROFILE": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
    save_model(quantized, here)
    assert there.with_suffix(".bin").read_bytes() == here.with_suffix(".bin").read_bytes()


# ------------------------------------------------------------------------------------------------- progress


def test_progress_counts_each_image_once_and_each_correction() -> None:
    heard: list[tuple[str, int, int]] = []
    quantize(tiny_model(), pictures(6), FEW, lambda *report: heard.append(report))
    assert heard == [
        ("preparation", 0, 1),
        *(("calibration", done, 4) for done in range(5)),
        *(("fast bias correction", done, 3) for done in range(4)),
    ]


# ------------------------------------------------------------------------------------------------- refusals


def test_a_quantized_model_is_refused(quantized: Any) -> None:
    with pytest.raises(BadModel, match="quantized already"):
        quantize(quantized, pictures(4), FEW)


def test_a_quantized_model_is_still_known_after_it_was_saved(quantized: Any, tmp_path: Path) -> None:
    save_model(quantized, tmp_path / "int8.xml")
    assert quantized_by(openvino.Core().read_model(tmp_path / "int8.xml")) is not None


def compressed(stored_as: Any) -> Any:
    """A model whose weights are stored in a small type and converted, as weight compression leaves them."""
    parameter = op.parameter([1, 4], openvino.Type.f32)
    weights = op.constant(np.ones((4, 4)), stored_as)
    scaled = op.multiply(op.convert(weights, "f32"), np.float32(0.5))
    return openvino.Model([op.matmul(parameter, scaled, False, False)], [parameter], "compressed")


def fake_quantized() -> Any:
    parameter = op.parameter([1, 4], openvino.Type.f32)
    low, high = np.float32(0), np.float32(1)
    return openvino.Model([op.fake_quantize(parameter, low, high, low, high, 256)], [parameter], "fake")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (tiny_model(), None),
        (compressed(openvino.Type.f16), None),
        (compressed(openvino.Type.i8), "i8 weights"),
        (compressed(openvino.Type.u8), "u8 weights"),
        (compressed(openvino.Type.u4), "u4 weights"),
        (fake_quantized(), "FakeQuantize"),
    ],
)
def test_what_counts_as_quantized(model: Any, reason: str | None) -> None:
    found = quantized_by(model)
    assert found is None if reason is None else found is not None and reason in found


def test_too_few_images_are_refused() -> None:
    with pytest.raises(BadImages, match="3 calibration images, 4 wanted"):
        quantize(tiny_model(), pictures(3), FEW)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(BadImages, match=r"image 3 has shape \[1, 3, 16, 16\].*\[1,3,32,32\]"):
        quantize(tiny_model(), pictures(3) + pictures(1, size=16), FEW)


def test_images_for_unknown_or_missing_inputs_are_refused() -> None:
    with pytest.raises(BadImages, match="names input 'picture': the model has image"):
        quantize(tiny_model(), [{"picture": image} for image in pictures(4)], FEW)
    with pytest.raises(BadImages, match="2 arrays, the model 1 inputs"):
        quantize(tiny_model(), [{"image": image, "mask": image} for image in pictures(4)], FEW)


def test_an_empty_subset_and_unknown_operations_are_bad_options() -> None:
    with pytest.raises(BadOption, match="give at least 1"):
        QuantizationOptions(subset_size=0)
    with pytest.raises(BadOption, match="nowhere") as refused:
        quantize(tiny_model(), pictures(4), QuantizationOptions(subset_size=4, ignored_names=("nowhere",)))
    assert "\n" not in str(refused.value)


def test_a_model_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match=r"model\.xml"):
        save_model(tiny_model(), tmp_path / "file" / "model.xml")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").symlink_to("/dev/full")
    with pytest.raises(NotWritable, match=r"model\.xml.*free space"):
        save_model(tiny_model(), tmp_path / "model.xml")


# -------------------------------------------------------------------------------------- options, provenance


def test_ignored_types_stay_in_floating_point() -> None:
    ignored = QuantizationOptions(subset_size=4, ignored_types=("Convolution",))
    model = quantize(tiny_model(), pictures(4), ignored)
    assert {node.get_output_element_type(0) for node in model.get_ops()} == {openvino.Type.f32}


def test_the_saved_model_says_what_it_was_made_from(tmp_path: Path) -> None:
    options = QuantizationOptions(subset_size=4, preset=Preset.MIXED)
    model = tiny_model()
    model.set_rt_info("127.5 127.5 127.5", ["model_info", "mean_values"])
    origin = Origin("tiny & <small>", "abc", 'a "folder"')
    save_model(quantize(model, pictures(6), options, origin=origin), tmp_path / "int8.xml")
    saved = openvino.Core().read_model(tmp_path / "int8.xml")
    digest = hashlib.sha256()
    for image in pictures(4):
        digest.update(b"'' <f4 (1, 3, 32, 32);" + image.tobytes())
    assert provenance(saved) == {
        "model": "tiny & <small>",
        "model_sha256": "abc",
        "images": 'a "folder"',
        "count": 4,
        "sha256": digest.hexdigest(),
        "unreadable": 0,
        "preset": "mixed",
        "subset_size": 4,
        "fast_bias_correction": True,
        "nncf": options_key(FEW)["nncf"],
    }
    assert digest.hexdigest() == calibration_sha256(pictures(6), 4)
    assert saved.get_rt_info(["model_info", "mean_values"]).value == "127.5 127.5 127.5"


def test_a_model_that_ovbench_did_not_make_has_no_provenance() -> None:
    assert provenance(tiny_model()) == {}


def test_the_calibration_hash_depends_on_order_shape_and_name() -> None:
    one, two = pictures(2)
    hashes = {
        calibration_sha256(samples, 2)
        for samples in (
            [one, two],
            [two, one],
            [one[0], two],
            [{"image": one}, two],
            [one.astype(np.float64), two],
        )
    }
    assert len(hashes) == 5


def test_every_option_is_part_of_the_key() -> None:
    variants = [
        QuantizationOptions(),
        QuantizationOptions(preset=Preset.MIXED),
        QuantizationOptions(subset_size=100),
        QuantizationOptions(fast_bias_correction=False),
        QuantizationOptions(ignored_names=("a",)),
        QuantizationOptions(ignored_types=("a",)),
        QuantizationOptions(ignored_patterns=("a",)),
        QuantizationOptions(max_drop=0.01),
    ]
    assert len({str(options_key(options)) for options in variants}) == len(variants)


# --------------------------------------------------------------------------------------- unreadable images


class Torn(Sequence[NDArray[np.float32]]):
    """Pictures of which some cannot be read; counts how many were asked for."""

    def __init__(self, count: int, torn: Sequence[int]) -> None:
        self.pictures, self.torn, self.asked = pictures(count), torn, 0

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        self.asked += 1
        if index in self.torn:
            raise UnreadableImage(f"{index}.jpg is cut off: copy it again")
        return self.pictures[index]


def test_an_unreadable_image_is_named_and_the_next_takes_its_place() -> None:
    torn = Torn(30, torn=[0, 3])
    found = provenance(quantize(tiny_model(), torn, FEW))
    assert found["unreadable"] == 2
    assert found["unreadable_names"] == ["0.jpg is cut off: copy it again", "3.jpg is cut off: copy it again"]
    assert found["sha256"] == calibration_sha256([torn.pictures[index] for index in (1, 2, 4, 5)], 4)
    assert torn.asked <= 6 + AHEAD


def test_too_few_readable_images_are_refused_with_the_first_of_the_others() -> None:
    with pytest.raises(BadImages) as refused:
        quantize(tiny_model(), Torn(6, torn=[1, 2, 4]), FEW)
    assert str(refused.value) == (
        "3 calibration images, 4 wanted (3 cannot be read: 1.jpg is cut off: copy it again): "
        "give more images or a smaller calibration subset"
    )


def test_any_other_fault_of_an_image_is_the_callers() -> None:
    class Faulty(Torn):
        def __getitem__(self, index: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        quantize(tiny_model(), Faulty(6, torn=[]), FEW)


# ---------------------------------------------------------------------------------------- accuracy control


def int8_layers(compiled: Any) -> int:
    kernels = [node.get_rt_info()["primitiveType"].value for node in compiled.get_runtime_model().get_ops()
               if node.get_rt_info()["layerType"].value == "Convolution"]  # fmt: skip
    return sum(str(kernel).endswith("_I8") for kernel in kernels)


def check_of(allowed: int, labels: Sequence[int] = (5, NO_ANSWER, 5, 5, 5, NO_ANSWER, 5, 5)) -> Check:
    """Every answer is 5 while at most so many convolutions run in int8, else 6; the third picture cannot be read."""

    def answers(compiled: Any, numbers: Sequence[int]) -> NDArray[np.intp]:
        said = 5 if int8_layers(compiled) <= allowed else 6
        return np.array([NO_ANSWER if number == 2 else said for number in numbers])

    return Check(np.array(labels), answers)


def test_a_drop_is_held_by_putting_operations_back_to_floating_point() -> None:
    options = dataclasses.replace(FEW, max_drop=0.01)
    model = quantize(tiny_model(), pictures(4), options, check=check_of(allowed=1))
    found = provenance(model)
    assert (found["operations"], found["held"], found["max_drop"]) == (3, True, 0.01)
    assert 1 <= found["reverted"] == len(found["reverted_names"]) <= 2
    left = [node for node in model.get_ops() if node.get_type_name() == "FakeQuantize"]
    assert len(left) == 3 - found["reverted"]
    assert (found["checked_images"], found["checked_fp32"], found["checked_int8"]) == (7, 1.0, 1.0)


def test_a_drop_that_needs_no_holding_gives_the_plain_int8_model(quantized: Any, tmp_path: Path) -> None:
    held = quantize(tiny_model(), pictures(6), dataclasses.replace(FEW, max_drop=0.5), check=check_of(allowed=3))
    assert provenance(held)["reverted"] == 0
    for name, model in (("held", held), ("plain", quantized)):
        save_model(model, tmp_path / f"{name}.xml")
    assert (tmp_path / "held.bin").read_bytes() == (tmp_path / "plain.bin").read_bytes()


def test_a_drop_that_is_not_held_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import nncf

    def give_up(model: Any, calibration: Any, _validation: Any, _judge: Any, **asked: Any) -> Any:
        del asked["max_drop"]
        folder = asked.pop("advanced_accuracy_restorer_parameters").intermediate_model_dir
        quantized = nncf.quantize(model, calibration, **asked)
        save_model(quantized, Path(folder) / "intermediate_model.xml")
        return quantized

    monkeypatch.setattr(nncf, "quantize_with_accuracy_control", give_up)
    model = quantize(tiny_model(), pictures(4), dataclasses.replace(FEW, max_drop=0.01), check=check_of(allowed=2))
    found = provenance(model)
    assert (found["held"], found["reverted"], found["checked_fp32"], found["checked_int8"]) == (False, 0, 1.0, 0.0)


def test_a_drop_cannot_be_held_without_pictures() -> None:
    options = dataclasses.replace(FEW, max_drop=0.01)
    with pytest.raises(BadOption, match=r"largest drop of 0.01: there are no pictures to hold it on"):
        quantize(tiny_model(), pictures(4), options)
    with pytest.raises(BadOption, match="give a share from 0 up to 1"):
        dataclasses.replace(FEW, max_drop=1.0)


class Digits:
    """Twelve pictures of one colour each; the fifth cannot be read, odd ones have no label."""

    name, classes = "digits", 10

    def __len__(self) -> int:
        return 12

    def image(self, i: int) -> NDArray[np.uint8]:
        if i == 4:
            raise UnreadableImage("4.png is empty: copy it again")
        return np.full((16, 16, 3), 20 * i, np.uint8)

    def image_name(self, i: int) -> str:
        return f"{i}.png"

    def label(self, i: int) -> int | None:
        return None if i % 2 else i % 10

    def content_hash(self) -> str:
        return "digits"


def test_answers_are_checked_on_pictures_with_and_without_labels(tiny_model_path: Path) -> None:
    check = check_on(Digits(), raw(16).to_input)
    assert check.labels.tolist() == [0, -1, 2, -1, 4, -1, 6, -1, 8, -1, 0, -1]
    compiled = openvino.compile_model(tiny_model_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    exact = [int(compiled(raw(16).to_input(Digits().image(number)))[0].argmax()) for number in (7, 2)]
    assert check.answers(compiled, [7, 4, 2]).tolist() == [exact[0], NO_ANSWER, exact[1]]


# --------------------------------------------------------------------------------------- weights, FP16, files


def constants(model: Any) -> set[str]:
    return {node.get_output_element_type(0).get_type_name() for node in model.get_ops()
            if node.get_type_name() == "Constant" and len(node.get_output_shape(0)) == 4}  # fmt: skip


def test_int8_weights_leave_the_callers_model_alone_and_answer_as_it_does(capfd: Any) -> None:
    model = tiny_model()
    heard: list[tuple[str, int, int]] = []
    compressed = compress_weights(model, lambda *report: heard.append(report))
    assert quantized_by(model) is None
    assert str(quantized_by(compressed)).startswith("u8 weights")
    assert heard == [("weight compression", done, 3) for done in range(4)]
    assert tuple(capfd.readouterr()) == ("", "")
    exact, rounded = (
        openvino.compile_model(each, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pictures(1)[0])[0]
        for each in (model, compressed)
    )
    assert 0 < np.abs(exact - rounded).mean() < 0.05 * np.abs(exact).mean()


def test_half_precision_is_how_weights_are_stored(tmp_path: Path) -> None:
    save_model(tiny_model(), tmp_path / "half.xml", half=True)
    save_model(tiny_model(), tmp_path / "whole.xml")
    assert constants(openvino.Core().read_model(tmp_path / "half.xml")) == {"f16"}
    assert constants(openvino.Core().read_model(tmp_path / "whole.xml")) == {"f32"}


def test_weights_and_half_precision_of_a_quantized_model_are_refused(quantized: Any, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="quantized already"):
        compress_weights(quantized)
    with pytest.raises(BadModel, match="quantized already"):
        save_model(quantized, tmp_path / "half.xml", half=True)
    assert list(tmp_path.iterdir()) == []


def test_a_draft_becomes_the_model_when_all_is_well(tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    out.write_text("old")
    with draft_of(out) as draft:
        save_model(tiny_model(), draft)
        assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert quantized_by(openvino.Core().read_model(out)) is None


def test_a_failed_draft_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "model.xml"
    out.write_text("old")

    def fail() -> None:
        with draft_of(out) as draft:
            save_model(tiny_model(), draft)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["model.xml"]
    assert out.read_text() == "old"


def test_a_draft_where_nothing_can_be_written_is_refused_at_once(tmp_path: Path) -> None:
    draft = draft_of(tmp_path / "absent" / "model.xml")
    with pytest.raises(NotWritable, match=r"cannot write model .*model\.xml: No such file or directory") as refused:
        draft.__enter__()
    assert "\n" not in str(refused.value)
