"""The embedded model, built tiny: MobileNetV2's graph, the same each time, and it knows what it was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ovbench import worker
from ovbench.answers import answer
from ovbench.images import scenes
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Subset
from ovbench.models import embedded
from ovbench.runtime import core

CLASSES, SAMPLES = 20, 2
MOBILENET_V2_MACS = 300_774_272  # torchvision's mobilenet_v2 at 224x224, 1000 classes


@dataclass(frozen=True)
class Built:
    model: Any
    progress: list[tuple[str, float]]


def _build() -> Built:
    progress: list[tuple[str, float]] = []
    model = embedded.build(lambda *told: progress.append(told), classes=CLASSES, samples=SAMPLES)
    return Built(model, progress)


@pytest.fixture(scope="module")
def built() -> Built:
    return _build()


def _constants(model: Any) -> list[np.ndarray]:
    return [node.data for node in model.get_ordered_ops() if node.get_type_name() == "Constant"]


def test_it_is_mobilenet_v2_layer_by_layer(built: Built) -> None:
    macs = worker.macs_by_layer(built.model)
    assert len(macs) == 53
    assert sum(macs.values()) == MOBILENET_V2_MACS - (1000 - CLASSES) * 1280
    kinds = [node.get_type_name() for node in built.model.get_ops()]
    assert {kind: kinds.count(kind) for kind in ("GroupConvolution", "Convolution", "Clamp")} == {
        "GroupConvolution": 17,
        "Convolution": 36,
        "Clamp": 35,
    }
    assert kinds.count("Add") == 53 + 10  # biases and residuals


def test_its_input_and_output_have_names_and_static_shapes(built: Built) -> None:
    (into,), (out,) = built.model.inputs, built.model.outputs
    assert (into.get_any_name(), list(into.get_shape())) == ("input", [1, 3, 224, 224])
    assert (out.get_any_name(), list(out.get_shape())) == ("prob", [1, CLASSES])
    assert into.get_node().get_layout() == worker.import_openvino().Layout("NCHW")


def test_it_names_images_it_has_not_seen(built: Built) -> None:
    unseen = Scenes(Subset.EVALUATION, 4 * CLASSES, CLASSES)
    compiled = worker.compile_model(core(), built.model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = answer(compiled, unseen, embedded.INPUT.to_input).logits
    labels = np.array([unseen.label(i) for i in range(len(unseen))])
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) == labels).mean() > 0.8  # chance is 0.05


def test_neighbouring_inputs_have_weights_of_opposite_sign(built: Built) -> None:
    weights = [
        node.input_value(1).get_node().data
        for node in built.model.get_ordered_ops()
        if node.get_type_name() == "Convolution"
    ]
    stem, *pointwise, head = weights
    assert stem.shape == (32, 3, 3, 3)
    assert head.shape == (CLASSES, 1280, 1, 1)
    assert len(pointwise) == 34
    assert all((each[:, ::2] * each[:, 1::2] <= 0).all() for each in pointwise)


def test_a_second_build_is_the_same(built: Built) -> None:
    ours, theirs = _constants(built.model), _constants(_build().model)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * abs(one).max())


def test_progress_only_rises_from_nothing_to_all(built: Built) -> None:
    shares = [share for _, share in built.progress]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)
    stages = list(dict.fromkeys(stage for stage, _ in built.progress))
    assert stages == ["normalizing layers", "extracting features", "solving the head", "built"]


def test_the_cache_key_tells_sizes_and_versions_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {embedded.content_key(), embedded.content_key(classes=20), embedded.content_key(samples=3)}
    monkeypatch.setattr(scenes, "GENERATOR_VERSION", scenes.GENERATOR_VERSION + 1)
    keys.add(embedded.content_key())
    monkeypatch.setattr(embedded, "GENERATOR_VERSION", embedded.GENERATOR_VERSION + 1)
    keys.add(embedded.content_key())
    assert len(keys) == 5
