"""What quantizing one model brought: its size, answers and kernels before and after, on one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ovbench.agreement import Agreement
from ovbench.precision import describe_shares
from ovbench.report.numbers import megabytes, percent

PRECISIONS = ("FP32", "INT8")


def quantized_text(
    name: str,
    out: Path,
    sizes_bytes: tuple[int | None, int | None],
    agreement: Agreement | None,
    mac_shares: Mapping[str, float],
    provenance: Mapping[str, Any],
) -> str:
    """One line: FP32 beside INT8; ``mac_shares`` are INT8's, ``agreement`` None where no answers were compared."""
    before, after = map(megabytes, sizes_bytes)
    parts = [f"{before} -> {after} MB", *_answers(agreement), f"MACs in {describe_shares(mac_shares)} kernels"]
    if "held" in provenance:
        parts.append(_held(provenance))
    if provenance.get("unreadable"):
        parts.append(f"{provenance['unreadable']} calibration images could not be read")
    return f"{name}: {', '.join(parts)}: {out}\n"


def quantized_fields(
    model: Path,
    out: Path,
    sizes_bytes: tuple[int | None, int | None],
    agreement: Agreement | None,
    mac_shares: Sequence[Mapping[str, float]],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The same as values, for ``--json``; ``mac_shares`` are FP32's and INT8's."""
    names = ("images", "top1", "top5_overlap", "label_top1", "reference_label_top1", "label_top1_drop")
    return {
        "model": model,
        "out": out,
        "bytes": dict(zip(PRECISIONS, sizes_bytes, strict=True)),
        "mac_shares": dict(zip(PRECISIONS, mac_shares, strict=True)),
        "agreement": None if agreement is None else {name: getattr(agreement, name) for name in names},
        "calibration": provenance,
    }


def _answers(agreement: Agreement | None) -> list[str]:
    """Top-1 before and after where there are labels, and how far INT8 answers as FP32 does."""
    if agreement is None:
        return ["answers not compared"]
    parts = [f"top-1 as FP32 {percent(agreement.top1)} on {agreement.images} held-out images"]
    if agreement.reference_label_top1 is not None and agreement.label_top1 is not None:
        was, became = agreement.reference_label_top1.value, agreement.label_top1.value
        parts.insert(0, f"top-1 right {_share(was)} -> {_share(became)}")
    return parts


def _held(provenance: Mapping[str, Any]) -> str:
    """Whether accuracy control held the drop, and at what price."""
    drop = provenance["checked_fp32"] - provenance["checked_int8"]
    price = f"{provenance['reverted']} of {provenance['operations']} operations put back to floating point"
    most = _share(provenance["max_drop"], 2)
    if provenance["held"]:
        return f"a drop of {_share(drop, 2)} was held (at most {most}), {price}"
    return f"a drop of at most {most} could NOT be held: it is {_share(drop, 2)}, with {price}"


def _share(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"
