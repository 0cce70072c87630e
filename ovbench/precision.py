"""Precision variants: the file and the properties that make a model run in FP32, BF16 or INT8, and the proof of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ovbench.config import AUTO, Cache, Config, Hint, Precision

# The CPU's default is bf16 where the chip has it, so every row pins its precision; INT8's float rest runs f32.
INFERENCE_PRECISION = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.INT8: "f32"}
KERNEL = {Precision.FP32: "f32", Precision.BF16: "bf16", Precision.INT8: "i8"}

# Quantized MobileNetV2 runs 100 % of its MACs in int8 kernels, 93 % when the depthwise layers stay float
# (facts of OpenVINO 2026.4 on MobileNetV2, docs/method.md): under 90 % something is wrong with the row.
MIN_INT8_SHARE = 0.90


@dataclass(frozen=True)
class Variant:
    """A model file that, with its precision's properties, promises a precision."""

    precision: Precision
    path: Path
    embedded: bool


@dataclass(frozen=True)
class Proof:
    """What the execution graph says of a promised precision: an error, a warning, or neither."""

    error: str = ""
    warning: str = ""


def compile_properties(config: Config, cache_dir: Path | None, quota_threads: int = 0) -> dict[str, str]:
    """The properties that a cell asks of ``compile_model``; ``cache_dir`` is needed unless the cache is off."""
    properties = {"INFERENCE_PRECISION_HINT": INFERENCE_PRECISION[config.precision]}
    if config.hint is not Hint.NONE:
        properties["PERFORMANCE_HINT"] = config.hint.value
    if config.streams != AUTO or config.hint is not Hint.THROUGHPUT:
        properties["NUM_STREAMS"] = str(config.streams)
    if config.threads or quota_threads:
        properties["INFERENCE_NUM_THREADS"] = str(config.threads or quota_threads)
    if config.cache is not Cache.OFF:
        assert cache_dir is not None, f"{config.id} needs a folder for the model cache"
        properties["CACHE_DIR"] = str(cache_dir)
    return properties


def prove(variant: Variant, mac_shares: Mapping[str, float]) -> Proof:
    """Compare the promise with the share of MACs by kernel precision (``worker.mac_shares``)."""
    wanted = KERNEL[variant.precision]
    share = mac_shares.get(wanted, 0.0)
    ran = describe_shares(mac_shares)
    if not mac_shares:
        return Proof(warning=f"{variant.precision.value}: no layer tells its kernel, precision not proven")
    if variant.precision is Precision.FP32:
        other = {kernel: part for kernel, part in mac_shares.items() if kernel not in (wanted, "unknown")}
        if other:
            return Proof(error=f"FP32 row ran {ran} of its MACs: it is no FP32 row")
    elif share < MIN_INT8_SHARE:
        text = f"{variant.precision.value} row ran {ran} of its MACs, not {wanted} {MIN_INT8_SHARE:.0%}"
        if variant.precision is Precision.INT8 and variant.embedded:
            return Proof(error=text)
        return Proof(warning=text)
    if mac_shares.get("unknown"):
        return Proof(warning=f"{variant.precision.value} row ran {ran} of its MACs: some kernels are unknown")
    return Proof()


def describe_shares(mac_shares: Mapping[str, float]) -> str:
    """``i8 93 % + f32 7 %``."""
    return " + ".join(f"{kernel} {share:.0%}" for kernel, share in mac_shares.items()) or "unknown"
