"""Layers as text, from invented profiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ovbench.config import Config, Precision
from ovbench.layers import LANES, Layer, LayerProfile
from ovbench.report.layers import layers_text
from ovbench.report.page import WIDTH, shortened

FP32 = Config()
INT8 = Config(precision=Precision.INT8)
LONG = "mobilenetv20_features_linearbottleneck16_conv2_fwd/WithoutBiases"


def layer(name: str, cost_us: float, **changes: Any) -> Layer:
    times = (cost_us,) * LANES
    given: dict[str, Any] = {"status": "EXECUTED", "kind": "Convolution", "kernel": "brgconv_avx512_1x1_f32"}
    given |= {"place": 0, "originals": (name,), "macs": 0, "real_us": times, "cpu_us": times}
    return Layer(name, **{**given, **changes})


def profile(config: Config, *layers: Layer) -> LayerProfile:
    return LayerProfile(config, layers, (2000.0,) * LANES, (100,) * LANES)


def told(*profiles: LayerProfile, files: Iterable[Path] = ()) -> str:
    text = layers_text({each.config: each for each in profiles}, tuple(files), coloured=False)
    assert all(len(line) <= WIDTH for line in text.splitlines() if not line.startswith("Counters: "))
    return text


def squeezed(text: str) -> str:
    return " ".join(text.split())


I8 = {"kernel": "brgconv_avx512_I8"}
REFERENCE = profile(
    FP32,
    layer("conv", 1000, macs=900),
    layer(LONG, 500, macs=60, kernel="jit_avx512_dw_f32"),
    layer("head", 40, macs=40, kind="FullyConnected"),
    layer("gone", 12, kind="Eltwise"),
)
QUANTIZED = profile(
    INT8,
    layer("conv", 400, macs=900, **I8),
    layer(LONG, 500, macs=60, kernel="jit_avx512_dw_f32"),
    layer("head", 70, macs=40, kind="FullyConnected", **I8),
    layer("to_int8[0]", 30, kind="Subgraph", kernel="jit_avx512_I8"),
)


def test_both_precisions_stand_side_by_side_with_kernels_and_ratio() -> None:
    lines = told(REFERENCE, QUANTIZED).splitlines()
    assert lines[0].rstrip() == "embedded: the 4 layers that cost most in INT8, 100.0 % of its layers' time"
    rows = [squeezed(line) for line in lines]
    first = rows.index("1 mobile…ithoutBiases Conv jit_avx512_dw_ 500 jit_avx512_dw_ 500 1.00 [1.00, 1.00]")
    assert rows[first + 1 : first + 4] == [
        "f32 f32",
        "2 conv Conv brgconv_avx512_ 1000 brgconv_avx512_ 400 0.40 [0.40, 0.40]",
        "1x1_f32 I8",
    ]


def test_a_table_of_the_widest_figures_fits_the_page() -> None:
    widest = profile(FP32, *(layer(LONG + str(number), 12345, macs=1, kind="GroupConvolution") for number in range(10)))
    other = profile(INT8, *(layer(LONG + str(number), 54321, macs=1, kind="GroupConvolution") for number in range(10)))
    text = told(widest, other)
    assert squeezed(text).count(" 54321 4.40 [4.40, 4.40]") == 30
    assert text.count("Gro…upConv") == 0
    assert text.count("GroupConv ") == 30


def test_what_stayed_float_is_listed_with_its_share_of_the_multiply_accumulates() -> None:
    part = told(REFERENCE, QUANTIZED).split("stayed float in INT8")[1].split("embedded:")[0]
    assert "6.0 % mobile…ithoutBiases Conv jit_avx512_dw_" in squeezed(part)
    assert "head" not in part


def test_what_got_slower_is_listed_with_the_time_lost() -> None:
    part = told(REFERENCE, QUANTIZED).split("are SLOWER in INT8")[1].split("Only in")[0]
    rows = [squeezed(line) for line in part.splitlines()]
    assert "30.0 head Ful…nected brgconv_avx512_ 40.0 brgconv_avx512_ 70.0 1.75 [1.75, 1.75]" in rows
    assert sum("[" in row for row in rows) == 2  # the heading and that one


def test_nodes_of_one_side_and_totals_are_told() -> None:
    text = squeezed(told(REFERENCE, QUANTIZED))
    assert "Only in FP32, 12.0 us together (0.8 %): Eltwise gone, brgconv_avx512_1x1_f32, 12.0 us" in text
    assert "Only in INT8, 30.0 us together (3.0 %): Subgraph to_int8[0], jit_avx512_I8, 30.0 us" in text
    assert "FP32: all layers together 1.55 ms of 2.00 ms for a call (77.6 %)." in text
    assert "INT8: all layers together 1.00 ms of 2.00 ms for a call (50.0 %)." in text


def test_names_are_text_and_no_markup() -> None:
    assert "[bold]x[/]" in told(profile(FP32, layer("[bold]x[/]", 5)))


def test_layers_that_took_longer_without_proof_are_counted() -> None:
    other = profile(INT8, layer("conv", 1010, **I8), layer(LONG, 501, **I8), layer("head", 80, **I8))
    assert "2 took longer in INT8 by less than can be proven." in told(REFERENCE, other)


def test_a_promise_of_float_kernels_says_nothing_of_layers_that_stayed_float() -> None:
    bf16, fp16 = Config(precision=Precision.BF16), Config(precision=Precision.FP16)
    half = {"kernel": "jit_avx512_bf16"}
    text = told(REFERENCE, profile(bf16, layer("conv", 600, macs=900, **half), layer("head", 40, macs=100)))
    assert "layers that stayed f32 in BF16" in text
    assert "No layer stayed f32 in BF16." in told(REFERENCE, profile(bf16, layer("conv", 600, macs=900, **half)))
    assert "stayed" not in told(REFERENCE, profile(fp16, layer("conv", 1000, macs=900)))


def test_where_nothing_is_wrong_it_says_so() -> None:
    text = told(profile(FP32, layer("a", 100)), profile(INT8, layer("a", 50, **I8)))
    assert "No layer stayed float in INT8." in text
    assert "No layer is proven slower in INT8." in text
    assert "Only in" not in text
    assert "longer" not in text


def test_a_busy_machine_is_told_and_nothing_called_slower() -> None:
    text = told(replace(REFERENCE, busy=True), QUANTIZED)
    assert "The machine was busy" in text
    assert "are SLOWER in" not in text
    assert "proven slower" not in text


def test_a_precision_alone_has_the_costliest_and_no_ratio() -> None:
    text = told(REFERENCE)
    assert "the 4 layers that cost most in FP32" in text
    assert "INT8" not in text
    assert "SLOWER" not in text
    assert "[95 %]" not in text


def test_faults_and_files_are_told() -> None:
    files = [Path("results/" + "x" * 100 + ".csv")]
    text = told(REFERENCE, LayerProfile(INT8, fault="not [here]"), files=files)
    assert f"{INT8.key}: no layers: not [here]" in text
    assert f"Counters: {files[0]}\n" in text
    assert told(LayerProfile(INT8, fault="gone")) == f"{INT8.key}: no layers: gone\n"


@given(st.text(), st.integers(4, 40))
def test_a_shortened_name_keeps_its_ends(name: str, width: int) -> None:
    short = shortened(name, width)
    if len(name) <= width:
        assert short == name
    else:
        head, tail = short.split("…")[0], short[-(width - 1 - (width - 1) // 3) :]
        assert len(short) == width
        assert name.startswith(head) or "…" in name
        assert name.endswith(tail)
