"""Precision variants: the file and the properties that promise a precision, and the proof of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ovbench.config import AUTO, Cache, Config, Hint, Precision

# The CPU's default is bf16 where the chip has it, so every row pins its precision; INT8's float rest runs f32.
INFERENCE_PRECISION = {
    Precision.FP32: "f32",
    Precision.BF16: "bf16",
    Precision.FP16: "f32",
    Precision.W8: "f32",
    Precision.INT8: "f32",
    Precision.INT8_BF16: "bf16",
}
KERNEL = {
    Precision.FP32: "f32",
    Precision.BF16: "bf16",
    Precision.FP16: "f32",
    Precision.W8: "f32",
    Precision.INT8: "i8",
    Precision.INT8_BF16: "i8",
}
SAME_FILE = frozenset({Precision.FP32, Precision.BF16})
"""Precisions of the model's own file, which properties alone tell apart."""
QUANTIZED = frozenset({Precision.INT8, Precision.INT8_BF16})
"""Precisions of one and the same calibrated INT8 file."""

# Quantized MobileNetV2 runs 100 % of its MACs in int8 kernels, 93 % when the depthwise layers stay float
# (facts of OpenVINO 2026.4 on MobileNetV2, docs/method.md): under 90 % something is wrong with the row.
MIN_INT8_SHARE = 0.90
# W8's head on MobileNetV2, 0.4 % of the MACs, runs as brgemm_f32 under a name that joins no layer of the model: less
# than this may stay unknown before a row is doubted.
MAX_UNKNOWN_SHARE = 0.01
# CPUs with VNNI multiply int8 weights of a fully connected layer by activations that are quantized as they come, in
# groups of 32 by default: such a row would not compute in f32.
NO_DYNAMIC_QUANTIZATION = "0"


@dataclass(frozen=True)
class Variant:
    """A model file that, with its precision's properties, promises a precision."""

    precision: Precision
    path: Path
    embedded: bool

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the model's files: the ``.xml`` and its ``.bin``, the one file, all of a folder; None if gone."""
        weights = self.path.with_suffix(".bin")
        files = [each for each in self.path.rglob("*") if each.is_file()] if self.path.is_dir() else [self.path]
        if self.path.suffix == ".xml" and weights.is_file():
            files.append(weights)
        return sum(each.stat().st_size for each in files) if self.path.exists() else None


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
    for name, wanted in (("ENABLE_CPU_PINNING", config.pinning), ("ENABLE_HYPER_THREADING", config.hyper_threading)):
        if wanted is not None:
            properties[name] = "YES" if wanted else "NO"
    if config.precision is Precision.W8 and config.device == "CPU":
        properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = NO_DYNAMIC_QUANTIZATION
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
    if wanted == "f32":
        other = {kernel: part for kernel, part in mac_shares.items() if kernel not in (wanted, "unknown")}
        if other:
            name = variant.precision.value
            return Proof(error=f"{name} row ran {ran} of its MACs: it is no {name} row")
    elif share < MIN_INT8_SHARE:
        text = f"{variant.precision.value} row ran {ran} of its MACs, not {wanted} {MIN_INT8_SHARE:.0%}"
        if variant.precision in QUANTIZED and variant.embedded:
            return Proof(error=text)
        return Proof(warning=text)
    if mac_shares.get("unknown", 0.0) > MAX_UNKNOWN_SHARE:
        return Proof(warning=f"{variant.precision.value} row ran {ran} of its MACs: some kernels are unknown")
    return Proof()


def describe_shares(mac_shares: Mapping[str, float]) -> str:
    """``i8 93 % + f32 7 %``."""
    return " + ".join(f"{kernel} {share:.0%}" for kernel, share in mac_shares.items()) or "unknown"
