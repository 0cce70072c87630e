"""The worker on real, tiny models: what it opens, reads back, counts and times, in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ovbench import worker
from ovbench.worker import (
    MIN_INFERENCES_PER_BLOCK,
    Refusal,
    Worker,
    import_openvino,
    kernel_precision,
    mac_shares,
    macs_by_layer,
    make_inputs,
    one_line,
    read_model,
)

openvino = import_openvino()
from openvino import opset13 as op  # noqa: E402  (after telemetry is stubbed)

F32 = openvino.Type.f32


def parameter(shape: Any, kind: Any = F32, name: str = "image") -> Any:
    node = op.parameter(shape, kind, name=name)
    if name:
        node.output(0).set_names({name})
    return node


def save(path: Path, results: list[Any], parameters: list[Any]) -> Path:
    openvino.save_model(openvino.Model(results, parameters, "model"), path, compress_to_fp16=False)
    return path


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def order_for(path: Path, **changes: Any) -> dict[str, Any]:
    given = {"properties": {"INFERENCE_PRECISION_HINT": "f32"}, "device": "CPU", "mode": "sync", "seed": 0}
    return {"do": "open", "key": "cell", "model": str(path), **given, **changes}


def samples(answer: Mapping[str, Any], name: str) -> list[int]:
    return np.frombuffer(answer[name], "<i8").tolist()


@pytest.fixture(scope="module")
def answering() -> Worker:
    """One worker for the module: its core is made once."""
    made = Worker()
    made.answer({"do": "import"})
    return made


# ------------------------------------------------------------------------------------------------- timing of blocks


@pytest.mark.parametrize("inputs", ["preset", "copied"])
@pytest.mark.parametrize("duration_ns", [0, 5_000_000])
def test_a_sync_block_has_a_time_and_a_latency_for_each_call(
    answering: Worker, tiny_model_path: Path, inputs: str, duration_ns: int
) -> None:
    answering.answer(order_for(tiny_model_path, inputs=inputs))
    block = answering.answer({"do": "block", "key": "cell", "duration_ns": duration_ns})
    wall, latency = samples(block, "wall_ns"), samples(block, "latency_ns")
    assert len(wall) == len(latency) >= MIN_INFERENCES_PER_BLOCK
    assert min(wall) > 0
    assert min(latency) > 0
    assert block["window_ns"] >= max(sum(wall), duration_ns)
    if duration_ns == 0:
        assert len(wall) == MIN_INFERENCES_PER_BLOCK
    assert block["cpu_ns"] > 0


@pytest.mark.parametrize("requests", [1, 2, 5])
def test_an_async_block_tiles_its_window_with_a_multiple_of_the_requests(
    answering: Worker, tiny_model_path: Path, requests: int
) -> None:
    opened = answering.answer(order_for(tiny_model_path, mode="async", requests=requests))
    assert opened["effective"]["requests"] == requests
    for duration_ns in (0, 3_000_000):
        block = answering.answer({"do": "block", "key": "cell", "duration_ns": duration_ns})
        wall, latency = samples(block, "wall_ns"), samples(block, "latency_ns")
        assert len(wall) == len(latency) >= MIN_INFERENCES_PER_BLOCK
        assert len(wall) % requests == 0
        assert sum(wall) == block["window_ns"] >= duration_ns
        assert min(latency) > 0


def test_no_requests_asked_for_means_openvinos_own_number(answering: Worker, tiny_model_path: Path) -> None:
    effective = answering.answer(order_for(tiny_model_path, mode="async", requests=0))["effective"]
    assert effective["requests"] == effective["optimal_requests"]


def test_the_collector_is_off_in_a_block_and_on_after_it(
    answering: Worker, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc

    answering.answer(order_for(tiny_model_path))
    contestant = answering.contestants["cell"]
    seen: list[bool] = []
    timed = contestant._one_by_one
    monkeypatch.setattr(contestant, "_one_by_one", lambda duration: seen.append(gc.isenabled()) or timed(duration))
    answering.answer({"do": "block", "key": "cell", "duration_ns": 0})
    assert seen == [False]
    assert gc.isenabled()


# ---------------------------------------------------------------------------------------------- outputs and digests


def test_digest_is_stable_over_blocks_modes_and_processes(answering: Worker, tiny_model_path: Path) -> None:
    answering.answer(order_for(tiny_model_path))
    first = answering.answer({"do": "digest", "key": "cell"})["digest"]
    answering.answer({"do": "block", "key": "cell", "duration_ns": 0})
    assert answering.answer({"do": "digest", "key": "cell"})["digest"] == first
    answering.answer(order_for(tiny_model_path, mode="async", requests=2, key="other"))
    answering.answer({"do": "block", "key": "other", "duration_ns": 0})
    assert answering.answer({"do": "digest", "key": "other"})["digest"] == first
    started = answering.answer(order_for(tiny_model_path) | {"do": "startup"})
    assert started["digest"] == first
    assert not started["loaded_from_cache"]


def test_digest_changes_with_the_inputs(answering: Worker, tiny_model_path: Path) -> None:
    answering.answer(order_for(tiny_model_path, seed=0))
    first = answering.answer({"do": "digest", "key": "cell"})["digest"]
    answering.answer(order_for(tiny_model_path, seed=1))
    assert answering.answer({"do": "digest", "key": "cell"})["digest"] != first


def test_outputs_are_those_of_the_given_inputs_and_leave_the_digest_alone(
    answering: Worker, tiny_model_path: Path
) -> None:
    answering.answer(order_for(tiny_model_path))
    before = answering.answer({"do": "digest", "key": "cell"})["digest"]
    image = np.random.default_rng(5).random((1, 3, 16, 16), dtype=np.float32)
    found = answering.answer({"do": "outputs", "key": "cell", "inputs": [image.tobytes()]})["outputs"]
    assert [each["shape"] for each in found] == [[1, 10]]
    expected = openvino.Core().compile_model(str(tiny_model_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)[0]
    np.testing.assert_array_equal(np.frombuffer(found[0]["data"], "<f4").reshape(1, 10), expected)
    assert answering.answer({"do": "digest", "key": "cell"})["digest"] == before


# --------------------------------------------------------------------------------------------------- opening models


def test_what_was_opened_is_read_back(answering: Worker, tiny_model_path: Path) -> None:
    asked = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    opened = answering.answer(order_for(tiny_model_path, properties={**asked, "INFERENCE_NUM_THREADS": "1"}))
    effective = opened["effective"]
    assert {name: effective[name] for name in ("hint", "streams", "threads", "optimal_requests", "requests")} == {
        "hint": "LATENCY",
        "streams": 1,
        "threads": 1,
        "optimal_requests": 1,
        "requests": 1,
    }
    assert effective["inference_precision"] == "f32"
    assert effective["device"] == "CPU"
    assert effective["loaded_from_cache"] is False
    assert effective["mac_shares"] == {"f32": 1.0}
    assert opened["signature"] == [["image", [1, 3, 16, 16], "<Type: 'float32'>"]]
    assert min(opened["read_ns"], opened["compile_ns"], opened["first_inference_ns"]) > 0
    json.dumps(opened, allow_nan=False)


def test_the_second_compilation_with_a_cache_is_loaded_from_it(
    answering: Worker, tiny_model_path: Path, tmp_path: Path
) -> None:
    order = order_for(tiny_model_path, properties={"CACHE_DIR": str(tmp_path)})
    assert answering.answer(order)["effective"]["loaded_from_cache"] is False
    cold = answering.answer({"do": "digest", "key": "cell"})["digest"]
    answering.answer({"do": "close", "key": "cell"})
    assert answering.answer(order)["effective"]["loaded_from_cache"] is True
    assert answering.answer({"do": "digest", "key": "cell"})["digest"] == cold
    assert answering.answer(order | {"batch": 2})["effective"]["loaded_from_cache"] is False


def test_contestants_that_compile_to_the_same_share_it(answering: Worker, tiny_model_path: Path) -> None:
    order = order_for(tiny_model_path)
    answering.answer(order | {"key": "preset"})
    answering.answer(order | {"key": "copied", "inputs": "copied"})
    answering.answer(order | {"key": "batch", "batch": 2})
    preset, copied, batch = (answering.contestants[key].compiled for key in ("preset", "copied", "batch"))
    assert preset is copied
    assert batch is not preset


def test_a_closed_contestant_is_gone(answering: Worker, tiny_model_path: Path) -> None:
    answering.answer(order_for(tiny_model_path))
    answering.answer({"do": "close", "key": "cell"})
    assert "cell" not in answering.contestants


def test_a_dynamic_input_is_refused_with_the_option_that_helps(answering: Worker, tmp_path: Path) -> None:
    image = parameter([-1, 3, -1, 8])
    path = save(tmp_path / "dynamic.xml", [op.relu(image)], [image])
    with pytest.raises(Refusal, match=r"input 'image' of .*dynamic\.xml is dynamic, \[\?,3,\?,8\]: give --ov-shape"):
        answering.answer(order_for(path))
    assert answering.answer(order_for(path, shape={"": [2, 3, 8, 8]}))["signature"][0][1] == [2, 3, 8, 8]
    assert answering.answer(order_for(path, shape={"image": [4, 3, 8, 8]}))["signature"][0][1] == [4, 3, 8, 8]


def test_a_batch_that_the_graph_has_written_down_is_freed(answering: Worker, tmp_path: Path) -> None:
    image = parameter([1, 3, 2, 2])
    flat = op.reshape(op.relu(image), np.array([1, 12]), special_zero=False)
    path = save(tmp_path / "fixed.xml", [flat], [image])
    assert answering.answer(order_for(path, batch=4))["signature"][0][1] == [4, 3, 2, 2]
    assert answering.contestants["cell"].requests[0].get_output_tensor(0).shape == [4, 12]
    assert answering.answer(order_for(path))["signature"][0][1] == [1, 3, 2, 2]


def test_a_dynamic_batch_alone_is_one_unless_said_otherwise(answering: Worker, tmp_path: Path) -> None:
    image = parameter([-1, 3, 8, 8])
    path = save(tmp_path / "dynamic.xml", [op.relu(image)], [image])
    assert answering.answer(order_for(path))["signature"][0][1] == [1, 3, 8, 8]
    assert answering.answer(order_for(path, batch=5))["signature"][0][1] == [5, 3, 8, 8]


def test_a_nameless_dynamic_input_is_refused_in_a_line_too(answering: Worker) -> None:
    nameless = op.parameter([3, -1], F32)
    core = SimpleNamespace(read_model=lambda _path: openvino.Model([op.relu(nameless)], [nameless]))
    with pytest.raises(Refusal, match="is dynamic"):
        read_model(core, "nameless.xml", None, 0)


def test_shapes_and_batch_go_to_inputs_by_name(answering: Worker, tmp_path: Path) -> None:
    one, two = parameter([-1, 4], name="one"), parameter([-1, 6], openvino.Type.i64, name="two")
    path = save(tmp_path / "two.xml", [op.relu(one), op.abs(two)], [one, two])
    opened = answering.answer(order_for(path, shape={"one": [2, 4], "two": [3, 6]}))
    assert [each[1] for each in opened["signature"]] == [[2, 4], [3, 6]]
    assert [each[1] for each in answering.answer(order_for(path, batch=7))["signature"]] == [[7, 4], [7, 6]]
    with pytest.raises(Refusal, match=r"no input named 'three' in .*: it has one, two"):
        answering.answer(order_for(path, shape={"three": [1, 4]}))
    with pytest.raises(Refusal, match="has 2 inputs, one, two: give name"):
        answering.answer(order_for(path, shape={"": [1, 4]}))
    for mode in ("sync", "async"):
        answering.answer(order_for(path, batch=2, mode=mode, inputs="copied"))
        block = answering.answer({"do": "block", "key": "cell", "duration_ns": 0})
        assert len(samples(block, "wall_ns")) >= MIN_INFERENCES_PER_BLOCK


def test_a_model_that_cannot_be_read_is_a_runtime_error_of_one_telling_line(answering: Worker, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        answering.answer(order_for(tmp_path / "none.xml"))
    assert "Could not open the file" in one_line(caught.value)
    assert "\n" not in one_line(caught.value)


# ------------------------------------------------------------------------------------------------- counters of layers


def test_a_profiled_model_counts_every_inference_apart_from_the_contestants(
    answering: Worker, tiny_model_path: Path
) -> None:
    answering.answer(order_for(tiny_model_path))
    order = order_for(tiny_model_path, do="profile", duration_ns=0)
    inferences = 1
    for _ in range(2):
        block = answering.answer(order)
        assert len(samples(block, "latency_ns")) == len(samples(block, "wall_ns")) == MIN_INFERENCES_PER_BLOCK
        inferences += 1 + MIN_INFERENCES_PER_BLOCK
    told = answering.answer(order | {"do": "counters"})
    assert told["inferences"] == inferences
    profiled, plain = answering.profiled["cell"].compiled, answering.contestants["cell"].compiled
    assert (profiled.get_property("PERF_COUNT"), plain.get_property("PERF_COUNT")) == ("YES", "NO")
    json.dumps(told, allow_nan=False)


def test_counters_name_the_kernel_and_the_layers_of_every_node(answering: Worker, tiny_model_path: Path) -> None:
    order = order_for(tiny_model_path, do="profile", key="counted", duration_ns=0)
    answering.answer(order)
    nodes = answering.answer(order | {"do": "counters"})["nodes"]
    products = {each["macs"]: each for each in nodes if each["macs"]}
    assert products.keys() == {8 * 16 * 16 * 27, 8 * 10}
    assert {kernel_precision(each["kernel"]) for each in products.values()} == {"f32"}
    assert all(len(each["layers"]) >= 1 for each in products.values())
    places = [each["place"] for each in nodes if each["place"] is not None]
    assert places == sorted(set(places))
    assert any(each["place"] is None for each in nodes)  # the activation is fused into the convolution
    assert all(each["real_us"] >= 0 and each["cpu_us"] >= 0 for each in nodes)


def test_reading_the_counters_leaves_them_as_they_are(answering: Worker, tiny_model_path: Path) -> None:
    order = order_for(tiny_model_path, do="profile", key="read", duration_ns=2_000_000)
    answering.answer(order)
    first, again = (answering.answer(order | {"do": "counters"}) for _ in range(2))
    assert first == again


# --------------------------------------------------------------------------------------------------------- inputs

NUMPY_HAS = ["boolean", "f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "string"]
NUMPY_HAS_NOT = ["bf16", "f8e4m3", "i4", "u4", "nf4", "dynamic"]


@pytest.mark.parametrize("shape", [[2, 3], [], [1]], ids=str)
@pytest.mark.parametrize("name", NUMPY_HAS)
def test_inputs_have_the_shape_and_type_that_openvino_takes(name: str, shape: list[int]) -> None:
    kind = getattr(openvino.Type, name)
    port = parameter(shape, kind)
    (values,) = make_inputs(openvino.Model([op.result(port)], [port]), 0)
    tensor = openvino.Tensor(values)
    assert values.flags.c_contiguous
    assert tensor.element_type == kind
    assert list(tensor.shape) == shape


@pytest.mark.parametrize("name", NUMPY_HAS_NOT)
def test_types_that_numpy_has_not_are_refused_by_name(name: str) -> None:
    port = parameter([2, 3], getattr(openvino.Type, name))
    with pytest.raises(Refusal, match=f"input 'image' is {name}, which numpy has not"):
        make_inputs(openvino.Model([op.result(port)], [port]), 0)


def test_values_are_in_a_range_that_every_model_takes() -> None:
    kinds = ["f32", "f16", "u8", "i64", "boolean"]
    ports = [parameter([40, 40], getattr(openvino.Type, kind), name=kind) for kind in kinds]
    made = dict(zip(kinds, make_inputs(openvino.Model([op.result(port) for port in ports], ports), 3), strict=True))
    assert 0 <= made["f32"].min() < 0.1 < 0.9 < made["f32"].max() < 1
    assert 0 <= made["f16"].min() < made["f16"].max() <= 1
    assert made["u8"].min() < 10 < 245 < made["u8"].max()
    assert set(np.unique(made["i64"])) == {0, 1}
    assert set(np.unique(made["boolean"])) == {False, True}


def test_inputs_follow_the_seed() -> None:
    port = parameter([2, 3])
    model = openvino.Model([op.result(port)], [port])
    first, again, other = (make_inputs(model, seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


# ------------------------------------------------------------------------------------------- counting arithmetic


def macs(make: Any, *shapes: list[int]) -> int:
    """MACs of the one counted layer that ``make`` builds on parameters of these shapes."""
    ports = [parameter(shape, name=f"input{number}") for number, shape in enumerate(shapes)]
    found = macs_by_layer(openvino.Model([make(*ports)], ports))
    assert len(found) == 1
    return next(iter(found.values()))


ONES, NONE = [1, 1], [0, 0]


@pytest.mark.parametrize(
    ("make", "shapes", "expected"),
    [
        # outputs x weights of one output: 2 x 16 x (8x8) x (3x3x3)
        (lambda x: op.convolution(x, zeros(16, 3, 3, 3), ONES, ONES, ONES, ONES), [[2, 3, 8, 8]], 2 * 16 * 64 * 27),
        # stride 2, no padding: 8x8 -> 3x3
        (lambda x: op.convolution(x, zeros(16, 3, 3, 3), [2, 2], NONE, NONE, ONES), [[1, 3, 8, 8]], 16 * 9 * 27),
        # 1-d: 10 -> 8
        (lambda x: op.convolution(x, zeros(4, 2, 3), [1], [0], [0], [1]), [[1, 2, 10]], 4 * 8 * 6),
        # depthwise: 6 channels, each of its own 3x3
        (lambda x: op.group_convolution(x, zeros(6, 1, 1, 3, 3), ONES, ONES, ONES, ONES), [[1, 6, 5, 5]], 6 * 25 * 9),
        # 2 groups of 3 -> 4 channels
        (
            lambda x: op.group_convolution(x, zeros(2, 4, 3, 1, 1), ONES, NONE, NONE, ONES),
            [[1, 6, 5, 5]],
            2 * 4 * 25 * 3,
        ),
        # transposed: every input pixel of 3 channels times 3x5x2x2 weights
        (
            lambda x: op.convolution_backprop_data(x, zeros(3, 5, 2, 2), [2, 2]),
            [[2, 3, 4, 4]],
            2 * 16 * 3 * 5 * 4,
        ),
        (
            lambda x: op.group_convolution_backprop_data(x, zeros(3, 1, 1, 2, 2), [2, 2]),
            [[1, 3, 4, 4]],
            16 * 3 * 4,
        ),
        (lambda x: op.matmul(x, zeros(8, 10), False, False), [[4, 8]], 4 * 8 * 10),
        (lambda x: op.matmul(x, zeros(10, 8), False, True), [[4, 8]], 4 * 8 * 10),
        (lambda x: op.matmul(x, zeros(8, 10), True, False), [[8, 4]], 4 * 8 * 10),
        (lambda x: op.matmul(x, zeros(8, 10), False, False), [[8]], 8 * 10),
        (lambda x, y: op.matmul(x, y, False, False), [[3, 4, 5], [3, 5, 6]], 3 * 4 * 5 * 6),
        (lambda x: op.matmul(x, zeros(8, 10), False, False), [[-1, 8]], 1),
        (lambda x, y: op.matmul(op.convert(x, "f32"), y, False, False), [[2, -1], [5, 6]], 1),
    ],
)
def test_multiply_accumulates_against_hand_counts(make: Any, shapes: list[list[int]], expected: int) -> None:
    assert macs(make, *shapes) == expected


def test_layers_without_products_count_nothing() -> None:
    port = parameter([1, 3, 4, 4])
    assert macs_by_layer(openvino.Model([op.relu(port)], [port])) == {}


@pytest.mark.parametrize(
    ("primitive", "kernel"),
    [
        ("brgconv_avx512_1x1_f32", "f32"),
        ("jit_avx2_I8", "i8"),
        ("brgemm_avx512_amx_bf16", "bf16"),
        ("acl_f16", "f16"),
        ("gemm_mlas_f32", "f32"),
        ("ref_any_I8", "i8"),
        ("unknown_f32", "unknown"),
        ("jit_avx2_U8", "unknown"),
        ("undef", "unknown"),
        ("", "unknown"),
        ("jit_avx512_f32x", "unknown"),
    ],
)
def test_a_kernels_arithmetic_is_the_end_of_its_name(primitive: str, kernel: str) -> None:
    assert kernel_precision(primitive) == kernel


def compiled_of(*nodes: Mapping[str, str]) -> Any:
    """A compiled model whose execution graph has these nodes."""
    wrapped = [
        SimpleNamespace(get_rt_info=lambda node=node: {key: SimpleNamespace(value=text) for key, text in node.items()})
        for node in nodes
    ]
    return SimpleNamespace(get_runtime_model=lambda: SimpleNamespace(get_ops=lambda: wrapped))


def ran(layers: str, kernel: str) -> dict[str, str]:
    return {"originalLayersNames": layers, "primitiveType": kernel}


@pytest.fixture
def three_layers() -> Any:
    """Matrix products "a", "b" and "c" of 60, 30 and 10 MACs."""
    ports = [parameter([1, size], name=f"x{size}") for size in (60, 30, 10)]
    products = []
    for port, name in zip(ports, "abc", strict=True):
        product = op.matmul(port, zeros(port.get_output_shape(0)[1], 1), False, False)
        product.set_friendly_name(name)
        products.append(product)
    return openvino.Model(products, ports)


@pytest.mark.parametrize(
    ("nodes", "shares"),
    [
        ([ran("a", "x_f32"), ran("b,bias", "x_I8"), ran("c", "x_f32")], {"f32": 0.7, "i8": 0.3}),
        ([ran("a,b,c", "x_bf16")], {"bf16": 1.0}),
        ([ran("a", "x_f32"), ran("b", "mystery")], {"f32": 0.6, "unknown": 0.4}),
        ([ran("a", "x_f32"), ran("a,b", "x_I8"), ran("relu", "x_I8")], {"f32": 0.6, "i8": 0.3, "unknown": 0.1}),
        ([{"originalLayersNames": "a"}, {"primitiveType": "x_f32"}], {"unknown": 1.0}),
        ([], {"unknown": 1.0}),
    ],
)
def test_shares_weigh_kernels_by_macs_and_count_each_layer_once(
    three_layers: Any, nodes: list[dict[str, str]], shares: dict[str, float]
) -> None:
    found = mac_shares(three_layers, compiled_of(*nodes))
    assert found == pytest.approx(shares)
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_model_without_products_has_no_shares(tmp_path: Path, answering: Worker) -> None:
    port = parameter([1, 3])
    assert (
        answering.answer(order_for(save(tmp_path / "relu.xml", [op.relu(port)], [port])))["effective"]["mac_shares"]
        == {}
    )


# ------------------------------------------------------------------------------------------ in an interpreter alone

SOURCE = Path(worker.__file__)

NO_CHILD = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from ovbench import worker
made = worker.Worker()
made.answer({"do": "import"})
try:
    os.waitpid(-1, os.WNOHANG)
    print("a child is there")
except ChildProcessError:
    print("reaped" if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss else "none")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="waitpid(-1) and rusage are POSIX")
def test_importing_openvino_starts_no_child(tmp_path: Path) -> None:
    allowing = {name: value for name, value in os.environ.items() if name not in ("CI", "NNCF_CI")}
    told = subprocess.run(
        [sys.executable, "-c", NO_CHILD, str(SOURCE.parents[1])],
        env={**allowing, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "none"
    assert list(tmp_path.iterdir()) == []


ALONE = """
import json, signal, sys
for name in ("ovbench", "execnet"):
    sys.modules[name] = None  # importing it raises ImportError
orders, answers = json.load(sys.stdin), []
class Channel:
    send = staticmethod(answers.append)
    def __iter__(self):
        return iter(orders)
source = open(sys.argv[1]).read()
exec(compile(source, "<worker>", "exec"), {"__name__": "__channelexec__", "channel": Channel()})
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
print(json.dumps([{k: len(v) if isinstance(v, bytes) else v for k, v in answer.items()} for answer in answers]))
"""


def test_the_source_serves_where_there_is_no_ovbench_and_lives_on_after_refusals(
    tiny_model_path: Path, tmp_path: Path
) -> None:
    orders = [
        {"do": "hello", "stderr": str(tmp_path / "stderr.log")},
        order_for(tmp_path / "missing.xml"),
        {"do": "dance"},
        {"do": "block", "key": "never opened", "duration_ns": 0},
        order_for(tiny_model_path, shape={"nobody": [1]}),
        order_for(tiny_model_path),
        {"do": "block", "key": "cell", "duration_ns": 0},
        {"do": "usage"},
    ]
    told = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(SOURCE)],
        input=json.dumps(orders),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    hello, *refused, opened, block, usage = json.loads(told.stdout)
    assert hello["executable"]
    assert all("refused" in answer and "\n" not in answer["refused"] for answer in refused)
    assert "Could not open the file" in refused[0]["refused"]
    assert "nobody" in refused[3]["refused"]
    assert opened["effective"]["mac_shares"] == {"f32": 1.0}
    assert block["wall_ns"] == block["latency_ns"] == 8 * MIN_INFERENCES_PER_BLOCK
    assert usage["cpu_ns"] > 0
    assert (tmp_path / "stderr.log").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "Exception from src/inference/core.cpp:10:\nCheck 'x' failed at y:\nThe telling line.\n\n",
            "The telling line.",
        ),
        ("only one", "only one"),
        ("Exception from src/a.cpp", "Exception from src/a.cpp"),
        ("", "RuntimeError"),
    ],
)
def test_the_telling_line_of_an_error(text: str, line: str) -> None:
    assert one_line(RuntimeError(text)) == line
