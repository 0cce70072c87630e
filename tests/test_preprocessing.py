from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ovbench.errors import BadModel, BadOption
from ovbench.images.scenes import Scenes
from ovbench.images.sets import Image, Subset
from ovbench.options import Channels, Place, Resize
from ovbench.preprocessing import Preprocessing, Wishes, describe, into_model, labels_of, raw
from ovbench.runtime import core
from ovbench.worker import compile_model, import_openvino

MEAN = (123.675, 116.28, 103.53)  # ImageNet's, in RGB
SCALE = (58.395, 57.12, 57.375)
HALF = (127.5, 127.5, 127.5)
SIDE = 16


def tiny(
    before: Callable[[Any], Any] = lambda node: node,
    shape: tuple[int, ...] = (1, 3, SIDE, SIDE),
    element: str = "f32",
    layout: str = "",
    nhwc: bool = False,
    **info: str,
) -> Any:
    """A picture, ``before`` of it, a 3x3 convolution and a 10-class head; ``info`` is its ``model_info``."""
    openvino = import_openvino()
    op = openvino.opset13
    random = np.random.default_rng(0)
    image = op.parameter(list(shape), getattr(openvino.Type, element), name="image")
    image.output(0).set_names({"image"})
    if layout:
        image.set_layout(openvino.Layout(layout))
    node = before(image)
    if element == "u8" and node is image:
        node = op.convert(node, "f32")
    if nhwc:
        node = op.transpose(node, np.array([0, 3, 1, 2]))
    kernel = random.normal(size=(8, 3, 3, 3)).astype(np.float16 if element == "f16" else np.float32)
    features = op.relu(op.convolution(node, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    head = random.normal(size=(8, 10)).astype(kernel.dtype)
    logits = op.matmul(op.reduce_mean(features, np.array([2, 3])), head, False, False)
    model = openvino.Model([logits], [image], "tiny")
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    return model


def normalized(node: Any, mean: tuple[float, ...] = MEAN, scale: tuple[float, ...] = SCALE) -> Any:
    op = import_openvino().opset13
    return op.divide(op.subtract(node, values(mean)), values(scale))


def values(numbers: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(numbers, np.float32).reshape(1, -1, 1, 1)


def picture(height: int = 40, width: int = 60, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> Image:
    """Blue rises downwards, green to the right, red is even."""
    blue, green = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([blue, green, np.full_like(blue, 90)], axis=2).round().astype(np.uint8)


def described(model: Any, name: str = "mine", **wishes: Any) -> Preprocessing:
    found = describe(model, name, Wishes(**wishes))
    assert found is not None
    return found


def run(model: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
    compiled = compile_model(core(), model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(inputs)[0])


# ------------------------------------------------------------------------------------------------------- to_input


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["NCHW", "NHWC"]),
    st.sampled_from(Channels),
    st.sampled_from(Resize),
    st.sampled_from([0, 20, 30]),
    st.sampled_from(["f32", "f16"]),
    st.sampled_from([((0.0,) * 3, (1.0,) * 3), (HALF, HALF), (MEAN, SCALE), ((0.0,) * 3, (255.0,) * 3)]),
)
def test_any_picture_becomes_the_input_that_is_described(
    rows: int, columns: int, layout: str, channels: Channels, resize: Resize, short: int, element: str, norm: Any
) -> None:
    image = picture(rows, columns)
    wanted = Preprocessing(17, 23, layout, channels, *norm, resize, short, element_type=element)
    made = wanted.to_input(image)
    seen = wanted.resized(image).astype(np.float64)
    if channels is Channels.RGB:
        seen = seen[:, :, ::-1]
    expected = (seen - norm[0]) / norm[1]
    if layout == "NCHW":
        expected = expected.transpose(2, 0, 1)
    assert made.shape == ((1, 3, 17, 23) if layout == "NCHW" else (1, 17, 23, 3))
    assert made.dtype == (np.float32 if element == "f32" else np.float16)
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made[0], expected.astype(np.float32).astype(made.dtype))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", Channels)
def test_bytes_stay_bytes(layout: str, channels: Channels) -> None:
    image = picture(9, 9)
    made = Preprocessing(9, 9, layout, channels, element_type="u8").to_input(image)
    expected = image if channels is Channels.BGR else image[:, :, ::-1]
    np.testing.assert_array_equal(made[0], expected if layout == "NHWC" else expected.transpose(2, 0, 1))
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous


def test_raw_of_the_right_size_is_the_picture() -> None:
    image = picture(24, 24)
    np.testing.assert_array_equal(raw(24).to_input(image), image.transpose(2, 0, 1)[np.newaxis])


def test_a_picture_is_left_as_it_is() -> None:
    image = picture()
    image.setflags(write=False)
    for resize in Resize:
        Preprocessing(24, 24, resize=resize, channels=Channels.RGB, mean=MEAN).to_input(image)


def test_threads_do_not_disturb_each_other() -> None:
    wanted = Preprocessing(24, 24, channels=Channels.RGB, mean=MEAN, scale=SCALE)
    images = [picture(seed=seed) for seed in range(32)]
    alone = [wanted.to_input(image) for image in images]
    with ThreadPoolExecutor(8) as threads:
        for one, other in zip(alone, threads.map(wanted.to_input, images), strict=True):
            np.testing.assert_array_equal(one, other)


def test_standard_stretches_all_of_it() -> None:
    image = picture(40, 60)
    np.testing.assert_array_equal(Preprocessing(24, 20).resized(image), cv2.resize(image, (20, 24)))


@pytest.mark.parametrize(("rows", "columns"), [(40, 60), (61, 40), (24, 24), (45, 44)])
def test_crop_is_model_apis(rows: int, columns: int) -> None:
    # As model_api.adapters.utils.crop_resize_ocv: the largest square in the middle, then scaled.
    image, short = picture(rows, columns), min(rows, columns)
    top, left = (rows - short) // 2, (columns - short) // 2
    expected = cv2.resize(image[top : top + short, left : left + short], (24, 24))
    np.testing.assert_array_equal(Preprocessing(24, 24, resize=Resize.CROP).resized(image), expected)


@pytest.mark.parametrize(("rows", "columns"), [(256, 384), (500, 375), (100, 90)])
def test_crop_with_a_short_side_is_scaled_then_cut(rows: int, columns: int) -> None:
    image = smooth(rows, columns)
    ratio = 64 / min(rows, columns)
    whole = cv2.resize(image, (round(columns * ratio), round(rows * ratio)))
    top, left = (whole.shape[0] - 56) // 2, (whole.shape[1] - 56) // 2
    expected = whole[top : top + 56, left : left + 56].astype(int)
    made = Preprocessing(56, 56, resize=Resize.CROP, short_side=64).resized(image)
    assert np.abs(made - expected).max() <= 4  # half a pixel of 56 over 255 levels: both round where they cut


def test_standard_with_a_short_side_is_stretched_then_cut() -> None:
    image = smooth(200, 300)
    expected = cv2.resize(image, (64, 64))[4:60, 4:60].astype(int)
    made = Preprocessing(56, 56, short_side=64).resized(image)
    assert np.abs(made - expected).max() <= 4


def test_an_input_that_is_not_square_is_cut_in_its_own_proportions() -> None:
    made = Preprocessing(20, 40, resize=Resize.CROP).resized(smooth(300, 300))
    assert made.shape == (20, 40, 3)
    assert made[:, :, 1].min() < 8  # the whole width is shown, half of the height
    assert made[:, :, 1].max() > 247
    assert 58 < made[0, 0, 0] < 70


@pytest.mark.parametrize(
    ("resize", "top"),
    [(Resize.FIT, 0), (Resize.LETTERBOX, 7)],  # 40 x 20 becomes 28 x 14; 14 rows are free
)
def test_fit_and_letterbox_show_all_and_fill_the_rest(resize: Resize, top: int) -> None:
    image = picture(20, 40)
    made = Preprocessing(28, 28, resize=resize, padding=114).resized(image)
    np.testing.assert_array_equal(made[top : top + 14], cv2.resize(image, (28, 14)))
    rest = np.delete(made, np.s_[top : top + 14], axis=0)
    assert (rest == 114).all()


# --------------------------------------------------------------------------------------- described: shape and type


@pytest.mark.parametrize(
    "shape",
    [(1, 3, SIDE), (1, 1, SIDE, SIDE), (2, 3, SIDE, SIDE), (1, 3, -1, -1), (1, 4, SIDE, SIDE), (-1, -1, -1, -1)],
)
def test_what_is_no_picture_is_not_described(shape: tuple[int, ...]) -> None:
    openvino = import_openvino()
    image = openvino.opset13.parameter(list(shape), openvino.Type.f32)
    model = openvino.Model([openvino.opset13.relu(image)], [image])
    assert describe(model, "mine", Wishes()) is None


def test_other_types_and_several_inputs_are_no_picture() -> None:
    openvino = import_openvino()
    op = openvino.opset13
    whole = op.parameter([1, 3, SIDE, SIDE], openvino.Type.i32)
    assert describe(openvino.Model([op.relu(whole)], [whole]), "mine", Wishes()) is None
    two = [op.parameter([1, 3, SIDE, SIDE], openvino.Type.f32) for _ in range(2)]
    assert describe(openvino.Model([op.add(*two)], two), "mine", Wishes()) is None
    anything = op.parameter(openvino.PartialShape.dynamic(), openvino.Type.f32)
    assert describe(openvino.Model([op.relu(anything)], [anything]), "mine", Wishes()) is None


def test_layout_is_where_the_three_channels_are() -> None:
    channels_first = described(tiny(shape=(1, 3, 12, 20)))
    assert (channels_first.layout, channels_first.height, channels_first.width) == ("NCHW", 12, 20)
    channels_last = described(tiny(shape=(1, 12, 20, 3), nhwc=True))
    assert (channels_last.layout, channels_last.height, channels_last.width) == ("NHWC", 12, 20)
    assert described(tiny(shape=(-1, 3, 12, 20))).layout == "NCHW"


def test_the_port_knows_its_layout_better() -> None:
    assert described(tiny(shape=(1, 3, 3, 3), layout="NHWC", nhwc=True)).layout == "NHWC"
    assert described(tiny(shape=(1, 3, 3, 3))).layout == "NCHW"
    assert described(tiny(shape=(1, 3, 3, 3), layout="???C", nhwc=True)).layout == "NHWC"
    assert described(tiny(shape=(1, 3, 3, 3), layout="N...")).layout == "NCHW"
    assert describe(tiny(shape=(1, 3, SIDE, SIDE), layout="NHWC"), "mine", Wishes()) is None


@pytest.mark.parametrize("element", ["f32", "f16", "u8"])
def test_the_type_is_the_models(element: str) -> None:
    found = described(tiny(element=element))
    assert found.element_type == element
    inputs = found.to_input(picture())
    assert run(tiny(element=element), inputs).shape == (1, 10)
    assert inputs.dtype == {"f32": np.float32, "f16": np.float16, "u8": np.uint8}[element]


# ------------------------------------------------------------------------------------------- described: who says it


def test_nothing_said_is_assumed_and_said() -> None:
    found = described(tiny())
    assert (found.mean, found.scale, found.channels, found.resize) == (
        (0,) * 3,
        (1,) * 3,
        Channels.BGR,
        Resize.STANDARD,
    )
    assert found.said_by == (
        "mean, scale, channels and resize assumed: no mean, no scale, BGR and stretched "
        "(see --ov-mean, --ov-scale, --ov-channels, --ov-resize)"
    )


INFO = {
    "mean_values": "127.5 127.5 127.5",
    "scale_values": "127.5",
    "reverse_input_channels": "YES",
    "resize_type": "fit_to_window_letterbox",
    "pad_value": "114",
}


def test_model_info_says_it() -> None:
    found = described(tiny(**INFO))
    assert (found.mean, found.scale, found.channels) == (HALF, HALF, Channels.RGB)
    assert (found.resize, found.padding) == (Resize.LETTERBOX, 114)
    assert found.said_by == "mean, scale, channels and resize from the model's model_info"


@pytest.mark.parametrize("yes", ["YES", "True", "true"])
def test_model_info_has_model_apis_defaults(yes: str) -> None:
    found = described(tiny(reverse_input_channels=yes))
    assert (found.mean, found.scale, found.channels) == ((0,) * 3, (1,) * 3, Channels.RGB)
    assert described(tiny(scale_values="255")).channels is Channels.BGR


def test_model_info_of_an_onnx_file_lies_elsewhere() -> None:
    model = tiny()
    for key, value in INFO.items():
        model.set_rt_info(value, ["framework", f"model_info {key}"])
    assert described(model) == described(tiny(**INFO))


def test_crop_shows_the_central_part_that_classifiers_are_tested_with() -> None:
    assert described(tiny(shape=(1, 3, 224, 224), resize_type="crop")).short_side == 256
    assert described(tiny(shape=(1, 3, 299, 299)), resize=Resize.CROP).short_side == 342
    assert described(tiny(), "googlenet-v3-pytorch").short_side == 320
    assert described(tiny(), "googlenet-v3-pytorch", resize=Resize.STANDARD).short_side == 0


def test_a_model_info_of_other_things_says_nothing() -> None:
    assert "assumed" in described(tiny(model_type="Classification", labels="cat dog")).said_by


def test_a_wish_wins_for_what_it_names() -> None:
    found = described(tiny(**INFO), mean=MEAN, scale=SCALE, resize=Resize.STANDARD)
    assert (found.mean, found.scale, found.channels, found.resize) == (MEAN, SCALE, Channels.RGB, Resize.STANDARD)
    assert found.said_by == "mean, scale and resize as given; channels from the model's model_info"


def test_open_model_zoo_knows_its_own() -> None:
    found = described(tiny(), "resnet-50-pytorch")
    assert (found.mean, found.channels, found.resize) == (MEAN, Channels.RGB, Resize.CROP)
    assert found.said_by == "mean, scale, channels and resize from Open Model Zoo's resnet-50-pytorch"
    inside = described(tiny(normalized), "resnet-50-pytorch")
    assert (inside.mean, inside.scale, inside.resize) == ((0,) * 3, (1,) * 3, Resize.CROP)
    assert inside.said_by == "mean, scale and channels inside the graph; resize from Open Model Zoo's resnet-50-pytorch"
    assert described(tiny(**INFO), "resnet-50-pytorch").said_by.endswith("from the model's model_info")


def test_bytes_cannot_be_normalized_outside() -> None:
    model = tiny(element="u8", **INFO)
    found = described(model)
    assert (found.mean, found.scale, found.channels) == ((0,) * 3, (1,) * 3, Channels.RGB)
    with pytest.raises(BadOption, match=r"^--ov-mean, --ov-scale: mine takes bytes, which cannot be normalized: leave"):
        described(model, mean=HALF)


@pytest.mark.parametrize(
    ("key", "value"),
    [("mean_values", "1 2"), ("mean_values", "a b c"), ("scale_values", "0 1 1"), ("resize_type", "squeeze")],
)
def test_a_model_info_that_cannot_be_read_is_named(key: str, value: str) -> None:
    with pytest.raises(BadModel, match=rf"^mine: model_info's {key} '{value}': .*correct it in the \.xml$"):
        described(tiny(**{key: value}))


def test_labels() -> None:
    assert labels_of(tiny(labels="tench great_white_shark  cock")) == ("tench", "great_white_shark", "cock")
    assert labels_of(tiny()) == ()


# ----------------------------------------------------------------------------------------- described: what is inside


def beginnings() -> list[Any]:
    op = import_openvino().opset13
    return [
        pytest.param(normalized, id="subtract and divide"),
        pytest.param(lambda node: op.multiply(op.add(node, -values(MEAN)), 1 / values(SCALE)), id="add and multiply"),
        pytest.param(lambda node: op.add(values((-104.0,)), node), id="one number, on the left"),
        pytest.param(lambda node: op.subtract(node, op.convert(values(MEAN).astype(np.float16), "f32")), id="16 bits"),
        pytest.param(lambda node: op.divide(op.reshape(node, [1, 3, SIDE, SIDE], False), values(SCALE)), id="reshaped"),
    ]


@pytest.mark.parametrize("before", beginnings())
def test_a_graph_that_normalizes_is_not_normalized_twice(before: Callable[[Any], Any]) -> None:
    found = described(tiny(before, **INFO))
    assert (found.mean, found.scale, found.resize) == ((0,) * 3, (1,) * 3, Resize.LETTERBOX)
    assert "inside the graph (what model_info says of them is not done again)" in found.said_by
    assert described(tiny(before)).said_by.startswith("mean")


def test_bytes_are_followed_to_the_normalization_behind_the_conversion() -> None:
    op = import_openvino().opset13
    found = described(tiny(lambda node: normalized(op.convert(node, "f32")), element="u8"))
    assert (found.channels, found.element_type) == (Channels.RGB, "u8")


@pytest.mark.parametrize(
    ("mean", "channels"),
    [(MEAN, Channels.RGB), (MEAN[::-1], Channels.BGR)],
)
def test_the_mean_inside_tells_the_order_of_channels(mean: tuple[float, ...], channels: Channels) -> None:
    assert described(tiny(lambda node: normalized(node, mean))).channels is channels
    contradicted = described(tiny(lambda node: normalized(node, mean), reverse_input_channels="NO"))
    assert contradicted.channels is channels


def test_equal_means_leave_the_order_to_model_info() -> None:
    def before(node: Any) -> Any:
        return normalized(node, HALF, SCALE)

    assert described(tiny(before, reverse_input_channels="YES")).channels is Channels.RGB
    # It says of mean and scale what is inside: it is of the graph before all was put inside, the reversal too.
    assert described(tiny(before, **INFO)).channels is Channels.BGR


@pytest.mark.parametrize("mean", [MEAN, HALF])
def test_channels_reversed_inside_are_not_reversed_again(mean: tuple[float, ...]) -> None:
    op = import_openvino().opset13

    def before(node: Any) -> Any:
        return normalized(op.gather(node, np.array([2, 1, 0]), np.array(1)), mean)

    assert described(tiny(before, **INFO)).channels is Channels.BGR


def test_a_graph_may_take_values_of_0_to_1() -> None:
    op = import_openvino().opset13
    torch = tiny(lambda node: normalized(node, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert (described(torch).mean, described(torch).scale) == ((0,) * 3, (255,) * 3)
    tensorflow = tiny(lambda node: op.subtract(op.multiply(node, np.float32(2)), np.float32(1)))
    assert described(tensorflow).scale == (255,) * 3
    keras = tiny(
        lambda node: normalized(op.divide(node, np.float32(255)), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    assert described(keras).scale == (1,) * 3


def test_what_is_no_normalization_is_not_taken_for_one() -> None:
    op = import_openvino().opset13
    position = np.ones((1, 3, SIDE, SIDE), np.float32)
    for before in (
        lambda node: op.add(node, position),
        lambda node: op.divide(values(SCALE), node),
        lambda node: op.add(op.relu(node), values(MEAN)),
        lambda node: op.add(node, op.relu(node)),
    ):
        assert described(tiny(before, **INFO)).mean == HALF


def with_conversion(**parameters: str) -> Any:
    model = tiny()
    for key, value in parameters.items():
        model.set_rt_info(value, ["conversion_parameters", key])
    return model


def test_model_optimizer_notes_what_it_folded() -> None:
    found = described(
        with_conversion(
            mean_values="data[123.675,116.28,103.53]",
            scale_values="data[58.624,57.12,57.375]",
            reverse_input_channels="True",
        ),
        "mobilenet-v2-pytorch",
    )
    assert (found.mean, found.scale, found.channels) == ((0,) * 3, (1,) * 3, Channels.BGR)
    assert found.said_by.startswith("mean, scale and channels inside the graph; resize from")
    scaled = with_conversion(scale_values="0[254.99991075003123]", mean_values="()", reverse_input_channels="False")
    assert described(scaled).said_by.startswith("mean and scale inside the graph")
    assert described(with_conversion(mean_values="[104,117,123]")).channels is Channels.BGR


def test_model_optimizer_notes_nothing_where_it_was_told_nothing() -> None:
    found = described(with_conversion(mean_values="()", scale_values="()", reverse_input_channels="False"), "vgg16")
    assert found.said_by == "mean, scale, channels and resize from Open Model Zoo's vgg16"
    turned = described(with_conversion(mean_values="()", scale_values="()", reverse_input_channels="True"), scale=HALF)
    assert (turned.channels, turned.mean) == (Channels.BGR, (0,) * 3)


def test_the_notes_of_an_old_model_optimizer_are_read_from_the_file(tiny_model_path: Path, tmp_path: Path) -> None:
    # Before 2022.3 they stood in <meta_data> after the network's edges.
    notes = (
        '<meta_data><MO_version value="2021.4"/><cli_parameters>'
        '<mean_values value="image[123.675,116.28,103.53]"/><reverse_input_channels value="True"/>'
        "</cli_parameters></meta_data></net>"
    )
    xml = tiny_model_path.read_text()
    assert "<rt_info" in xml.rpartition("</edges>")[2]
    old = tmp_path / "old.xml"
    old.write_text(xml.rpartition("</edges>")[0] + "</edges>" + notes)
    old.with_suffix(".bin").write_bytes(tiny_model_path.with_suffix(".bin").read_bytes())
    found = described(core().read_model(old))
    assert (found.mean, found.channels) == ((0,) * 3, Channels.BGR)
    assert "inside the graph" in found.said_by


def test_model_apis_embedded_processing_takes_bytes_as_they_are() -> None:
    found = described(tiny(element="u8", embedded_processing="True", **INFO))
    assert (found.mean, found.scale, found.channels) == ((0,) * 3, (1,) * 3, Channels.BGR)


# ---------------------------------------------------------------------------------------------------- into_model


@pytest.mark.parametrize("channels", Channels)
@pytest.mark.parametrize("norm", [((0.0,) * 3, (1.0,) * 3), (HALF, HALF), (MEAN, SCALE)])
@pytest.mark.parametrize("nhwc", [False, True])
def test_inside_and_outside_give_the_same(channels: Channels, norm: Any, nhwc: bool) -> None:
    shape = (1, 12, 20, 3) if nhwc else (1, 3, 12, 20)
    model = tiny(shape=shape, nhwc=nhwc)
    outside = described(model, channels=channels, mean=norm[0], scale=norm[1], resize=Resize.CROP)
    wrapped, inside = into_model(model, outside)
    image = picture()
    bytes_in = inside.to_input(image)
    np.testing.assert_array_equal(bytes_in[0], outside.resized(image))
    expected = run(model, outside.to_input(image))
    np.testing.assert_allclose(run(wrapped, bytes_in), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("element", ["f16", "u8"])
def test_inside_whatever_the_models_type(element: str) -> None:
    model = tiny(element=element)
    outside = described(model, channels=Channels.RGB, **({} if element == "u8" else {"mean": MEAN, "scale": SCALE}))
    wrapped, inside = into_model(model, outside)
    expected = run(model, outside.to_input(picture()))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(run(wrapped, inside.to_input(picture())), expected, rtol=5e-3, atol=5e-3 * scale)


def test_the_wrapped_model_says_what_it_takes_and_the_other_is_left_as_it_was() -> None:
    model = tiny(**INFO)
    outside = described(model)
    wrapped, inside = into_model(model, outside)
    again = described(wrapped)
    assert (again.layout, again.element_type, again.channels) == ("NHWC", "u8", Channels.BGR)
    assert (again.mean, again.scale, again.resize, again.padding) == ((0,) * 3, (1,) * 3, Resize.LETTERBOX, 114)
    assert (inside.place, again.layout, again.resize) == (Place.MODEL, inside.layout, inside.resize)
    assert described(model) == outside
    np.testing.assert_array_equal(again.to_input(picture()), inside.to_input(picture()))


def test_a_quantized_graph_is_wrapped_too() -> None:
    op = import_openvino().opset13

    def before(node: Any) -> Any:
        low, high = values((-3.0,)), values((3.0,))
        return op.fake_quantize(node, low, high, low, high, 256)

    model = tiny(before)
    outside = described(model, mean=MEAN, scale=SCALE, channels=Channels.RGB)
    wrapped, inside = into_model(model, outside)
    expected = run(model, outside.to_input(picture()))
    np.testing.assert_allclose(run(wrapped, inside.to_input(picture())), expected, rtol=0.05, atol=0.5)


# ---------------------------------------------------------------------------------- what normalizing twice costs


def wrapped_for_floats(model: Any, outside: Preprocessing) -> Any:
    """The model with order of channels, mean and scale inside that takes raw floats BGR, as Open Model Zoo's IRs do."""
    openvino = import_openvino()
    steps = openvino.preprocess.PrePostProcessor(model.clone())
    colours = openvino.preprocess.ColorFormat
    steps.input().tensor().set_layout(openvino.Layout(outside.layout)).set_color_format(colours.BGR)
    steps.input().model().set_layout(openvino.Layout(outside.layout))
    steps.input().preprocess().convert_color(colours.RGB).mean(list(outside.mean)).scale(list(outside.scale))
    return steps.build()


def classes(model: Any, prepared: Preprocessing, images: list[Image]) -> NDArray[np.int64]:
    compiled = compile_model(core(), model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array([int(np.argmax(compiled(prepared.to_input(image))[0])) for image in images])


def test_normalizing_twice_changes_the_answers() -> None:
    model = tiny(
        mean_values=" ".join(map(str, MEAN)), scale_values=" ".join(map(str, SCALE)), reverse_input_channels="YES"
    )
    outside = described(model)
    inside = wrapped_for_floats(model, outside)
    scenes = Scenes(Subset.EVALUATION, 40, size=SIDE)
    images = [scenes.image(i) for i in range(len(scenes))]
    reference = classes(model, outside, images)
    assert (classes(inside, described(inside), images) == reference).all()
    assert (classes(inside, outside, images) == reference).mean() < 0.9


REAL_MODEL, REAL_IMAGES = os.environ.get("OVBENCH_TEST_MODEL", ""), os.environ.get("OVBENCH_TEST_IMAGES", "")
needs_real = pytest.mark.skipif(not REAL_MODEL, reason="set OVBENCH_TEST_MODEL to the .xml of a real classifier")
needs_real_images = pytest.mark.skipif(
    not (REAL_MODEL and REAL_IMAGES), reason="set OVBENCH_TEST_MODEL and OVBENCH_TEST_IMAGES (synsets.txt above it)"
)


@needs_real
def test_the_real_model_is_described_by_its_model_info() -> None:
    found = described(core().read_model(REAL_MODEL), "mobilenet-v2-1.0-224")
    assert (found.height, found.width, found.layout, found.element_type) == (224, 224, "NCHW", "f32")
    assert (found.mean, found.scale, found.channels, found.resize) == (HALF, HALF, Channels.RGB, Resize.CROP)
    assert found.said_by == "mean, scale, channels and resize from the model's model_info"
    assert len(labels_of(core().read_model(REAL_MODEL))) in (1000, 1001)


def real_pictures(count: int) -> tuple[list[Image], NDArray[np.int64]]:
    """Evenly spread labelled pictures."""
    folder = Path(REAL_IMAGES)
    synsets = [line.split()[0] for line in (folder.parent / "synsets.txt").read_text().splitlines() if line.strip()]
    files = sorted(folder.glob("*/*.JPEG"))
    files = files[:: max(len(files) // count, 1)][:count]
    images = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    return images, np.array([synsets.index(file.parent.name) for file in files])


@needs_real_images
def test_normalizing_twice_costs_most_of_the_real_models_top1() -> None:
    model = core().read_model(REAL_MODEL)
    images, labels = real_pictures(100)
    outside = described(model)
    inside = wrapped_for_floats(model, outside)
    found = described(inside)
    assert (found.mean, found.scale, found.channels) == ((0,) * 3, (1,) * 3, Channels.BGR)
    shift = 1 if labels_of(model)[:1] == ("background",) else 0
    right = (classes(inside, found, images) == labels + shift).mean()
    twice = (classes(inside, outside, images) == labels + shift).mean()
    assert right > 0.8
    assert twice < right - 0.3


@needs_real_images
def test_the_real_model_answers_the_same_inside_and_outside() -> None:
    model = core().read_model(REAL_MODEL)
    images, _ = real_pictures(40)
    outside = described(model)
    wrapped, inside = into_model(model, outside)
    assert (classes(wrapped, inside, images) == classes(model, outside, images)).all()
