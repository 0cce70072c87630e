"""Precision: what a cell asks of OpenVINO, and when its kernels prove or break the promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import AUTO, Cache, Config, Hint, Precision
from ovbench.options import Settings
from ovbench.precision import (
    INFERENCE_PRECISION,
    KERNEL,
    MIN_INT8_SHARE,
    QUANTIZED,
    SAME_FILE,
    Proof,
    Variant,
    compile_properties,
    describe_shares,
    prove,
)
from ovbench.quantization import QuantizationOptions, compress_weights, quantize, save_model
from ovbench.runtime import core, unsupported
from ovbench.worker import mac_shares


def variant(precision: Precision, embedded: bool = True) -> Variant:
    return Variant(precision, Path("model.xml"), embedded)


@pytest.mark.parametrize(
    ("config", "properties"),
    [
        (Config(), {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}),
        (
            Config(precision=Precision.BF16, hint=Hint.THROUGHPUT, streams=AUTO),
            {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "THROUGHPUT"},
        ),
        (
            Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=4, threads=2),
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "THROUGHPUT",
                "NUM_STREAMS": "4",
                "INFERENCE_NUM_THREADS": "2",
            },
        ),
        (
            Config(precision=Precision.W8, hint=Hint.THROUGHPUT, streams=AUTO),
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "THROUGHPUT",
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
            },
        ),
        (
            Config(device="GPU", precision=Precision.W8, hint=Hint.NONE, streams=2),
            {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "2"},
        ),
        (
            Config(hint=Hint.NONE, streams=2, pinning=False, hyper_threading=True),
            {
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": "2",
                "ENABLE_CPU_PINNING": "NO",
                "ENABLE_HYPER_THREADING": "YES",
            },
        ),
        (Config(hint=Hint.NONE, streams=2), {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "2"}),
        (Config(hint=Hint.NONE, streams=AUTO), {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "AUTO"}),
    ],
    ids=lambda value: value.id if isinstance(value, Config) else "",
)
def test_a_cell_asks_for_exactly_what_its_axes_say(config: Config, properties: dict[str, str]) -> None:
    assert compile_properties(config, Path("unused")) == properties


@pytest.mark.parametrize("cache", [Cache.COLD, Cache.WARM])
def test_only_cached_cells_name_a_folder_and_they_must_have_one(cache: Cache) -> None:
    assert "CACHE_DIR" not in compile_properties(Config(), Path("folder"))
    assert compile_properties(Config(cache=cache), Path("folder"))["CACHE_DIR"] == "folder"
    with pytest.raises(AssertionError, match=f"FP32-LATENCY-1-{cache.value} needs a folder"):
        compile_properties(Config(cache=cache), None)


@given(st.sampled_from(Precision), st.sampled_from(Hint), st.sampled_from([AUTO, 1, 2]))
def test_every_cell_pins_its_inference_precision(precision: Precision, hint: Hint, streams: int | str) -> None:
    asked = compile_properties(Config(precision=precision, hint=hint, streams=streams), None)
    assert asked["INFERENCE_PRECISION_HINT"] == INFERENCE_PRECISION[precision]
    assert asked.get("PERFORMANCE_HINT", "NONE") == hint.value


@pytest.mark.parametrize(
    ("precision", "embedded", "shares", "proof"),
    [
        (Precision.FP32, True, {"f32": 1.0}, Proof()),
        (Precision.BF16, False, {"bf16": 1.0}, Proof()),
        (Precision.INT8, True, {"i8": 0.93, "f32": 0.07}, Proof()),
        (Precision.INT8, True, {"i8": MIN_INT8_SHARE, "f32": 1 - MIN_INT8_SHARE}, Proof()),
        (
            Precision.FP32,
            False,
            {"bf16": 0.95, "f32": 0.05},
            Proof(error="FP32 row ran bf16 95% + f32 5% of its MACs: it is no FP32 row"),
        ),
        (
            Precision.FP32,
            False,
            {"f32": 0.99, "i8": 0.01},
            Proof(error="FP32 row ran f32 99% + i8 1% of its MACs: it is no FP32 row"),
        ),
        (
            Precision.INT8,
            True,
            {"f32": 0.6, "i8": 0.4},
            Proof(error="INT8 row ran f32 60% + i8 40% of its MACs, not i8 90%"),
        ),
        (
            Precision.INT8,
            False,
            {"f32": 0.6, "i8": 0.4},
            Proof(warning="INT8 row ran f32 60% + i8 40% of its MACs, not i8 90%"),
        ),
        (
            Precision.BF16,
            True,
            {"f32": 1.0},
            Proof(warning="BF16 row ran f32 100% of its MACs, not bf16 90%"),
        ),
        (
            Precision.FP32,
            True,
            {"f32": 0.7, "unknown": 0.3},
            Proof(warning="FP32 row ran f32 70% + unknown 30% of its MACs: some kernels are unknown"),
        ),
        (
            Precision.INT8,
            True,
            {"i8": 0.95, "unknown": 0.05},
            Proof(warning="INT8 row ran i8 95% + unknown 5% of its MACs: some kernels are unknown"),
        ),
        (Precision.FP16, False, {"f32": 1.0}, Proof()),
        (Precision.W8, True, {"f32": 1.0}, Proof()),
        (Precision.FP16, True, {"f16": 1.0}, Proof(error="FP16 row ran f16 100% of its MACs: it is no FP16 row")),
        (
            Precision.W8,
            False,
            {"f32": 0.9, "i8": 0.1},
            Proof(error="W8 row ran f32 90% + i8 10% of its MACs: it is no W8 row"),
        ),
        (
            Precision.W8,
            False,
            {"f32": 0.9, "unknown": 0.1},
            Proof(warning="W8 row ran f32 90% + unknown 10% of its MACs: some kernels are unknown"),
        ),
        (Precision.W8, True, {"f32": 0.996, "unknown": 0.004}, Proof()),
        (Precision.INT8_BF16, True, {"i8": 0.93, "bf16": 0.07}, Proof()),
        (
            Precision.INT8_BF16,
            True,
            {"bf16": 1.0},
            Proof(error="INT8-BF16 row ran bf16 100% of its MACs, not i8 90%"),
        ),
        (Precision.INT8, True, {}, Proof(warning="INT8: no layer tells its kernel, precision not proven")),
    ],
)
def test_kernels_prove_or_break_the_promise(
    precision: Precision, embedded: bool, shares: dict[str, float], proof: Proof
) -> None:
    assert prove(variant(precision, embedded), shares) == proof


@given(
    st.sampled_from(Precision),
    st.booleans(),
    st.dictionaries(st.sampled_from(["f32", "bf16", "f16", "i8", "unknown"]), st.floats(0.001, 1), min_size=1),
)
def test_a_row_that_computes_in_f32_never_passes_with_other_kernels_and_no_row_is_both(
    precision: Precision, embedded: bool, parts: dict[str, float]
) -> None:
    total = sum(parts.values())
    shares = {kernel: part / total for kernel, part in parts.items()}
    proof = prove(variant(precision, embedded), shares)
    assert not (proof.error and proof.warning)
    if KERNEL[precision] == "f32":
        assert bool(proof.error) == bool({"bf16", "f16", "i8"} & shares.keys())
    elif not embedded or precision is Precision.BF16:
        assert proof.error == ""


def test_no_shares_are_unknown() -> None:
    assert describe_shares({}) == "unknown"
    assert describe_shares({"i8": 0.931, "f32": 0.069}) == "i8 93% + f32 7%"


def test_a_quota_decides_threads_that_are_left_open_and_no_others() -> None:
    assert compile_properties(Config(), None, 1)["INFERENCE_NUM_THREADS"] == "1"
    assert compile_properties(Config(threads=2), None, 1)["INFERENCE_NUM_THREADS"] == "2"
    assert "INFERENCE_NUM_THREADS" not in compile_properties(Config(), None)


def test_every_precision_has_a_promise_and_a_plain_run_measures_the_tutorials_three() -> None:
    assert INFERENCE_PRECISION.keys() == KERNEL.keys() == set(Precision)
    assert not SAME_FILE & QUANTIZED
    assert Settings().precision == (Precision.FP32, Precision.BF16, Precision.INT8)


@pytest.fixture(scope="module")
def variants(tiny_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Path]:
    """The file of each precision, made as a run makes it."""
    folder = tmp_path_factory.mktemp("variants")
    model = core().read_model(tiny_model_path)
    samples = [np.random.default_rng(seed).random((1, 3, 16, 16), np.float32) for seed in range(4)]
    made = {precision: folder / f"{precision.value}.xml" for precision in Precision if precision not in SAME_FILE}
    save_model(model, made[Precision.FP16], half=True)
    save_model(compress_weights(model), made[Precision.W8])
    for precision in QUANTIZED:
        save_model(quantize(model, samples, QuantizationOptions(subset_size=4)), made[precision])
    return {**made, **dict.fromkeys(SAME_FILE, tiny_model_path)}


@pytest.mark.parametrize("precision", Precision)
def test_each_precision_runs_the_kernels_it_promises(precision: Precision, variants: dict[Precision, Path]) -> None:
    if reason := unsupported(precision, "CPU"):
        pytest.skip(reason)
    model = core().read_model(variants[precision])
    compiled = core().compile_model(model, "CPU", compile_properties(Config(precision=precision), None))
    assert prove(Variant(precision, variants[precision], embedded=True), mac_shares(model, compiled)) == Proof()


def test_smaller_weights_make_smaller_files(variants: dict[Precision, Path]) -> None:
    size = {precision: path.with_suffix(".bin").stat().st_size for precision, path in variants.items()}
    assert size[Precision.FP32] > size[Precision.FP16] > size[Precision.W8]
