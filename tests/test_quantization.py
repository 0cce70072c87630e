"""Quantization: silent, repeatable, strict about what it is given, and open about what it was made from."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ovbench.errors import BadImages, BadModel, BadOption, NotWritable
from ovbench.quantization import (
    Preset,
    QuantizationOptions,
    calibration_sha256,
    options_key,
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
        nncf_log = (log.level, log.disabled, list(log.handlers), track_progress.Progress)
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


def test_the_saved_model_says_what_it_was_calibrated_on(quantized: Any, tmp_path: Path) -> None:
    save_model(quantized, tmp_path / "int8.xml")
    model = openvino.Core().read_model(tmp_path / "int8.xml")
    digest = hashlib.sha256()
    for image in pictures(4):
        digest.update(b"'' <f4 (1, 3, 32, 32);" + image.tobytes())

    def fact(name: str) -> str:
        return str(model.get_rt_info(["ovbench", "calibration", name]).value)

    assert fact("count") == "4"
    assert fact("sha256") == digest.hexdigest() == calibration_sha256(pictures(6), 4)
    assert fact("preset") == "performance"
    assert fact("nncf") == options_key(FEW)["nncf"]


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
    ]
    assert len({str(options_key(options)) for options in variants}) == len(variants)
