"""How each kind of number is written: with its unit, and a dash where there is nothing to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovbench.stats import Estimate

DASH = "–"


def milliseconds(value_ns: float | None) -> str:
    """``12.3`` from 12,300,000 ns; three significant digits."""
    return DASH if value_ns is None else significant(value_ns / 1e6)


def significant(value: float) -> str:
    """Three significant digits, never in exponents: 0.0123, 1.23, 12.3, 123, 1230."""
    if value == 0:
        return "0"
    magnitude = abs(value)
    decimals = 0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2 if magnitude >= 0.9995 else 4
    return f"{value:.{decimals}f}"


def ratio(estimate: Estimate | None, digits: int = 2) -> str:
    """``1.52 [1.48, 1.56]``; without an interval ``1.52 [?]``."""
    if estimate is None:
        return DASH
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f} [?]"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def percent(estimate: Estimate | None) -> str:
    """``98.1 % [97.1, 98.8]``."""
    if estimate is None:
        return DASH
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.1%}".replace("%", " %")
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def counted(count: int, what: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def mebibytes(value: float | None) -> str:
    """``123`` MiB."""
    return DASH if value is None else f"{value / 2**20:.0f}"


def megabytes(size_bytes: int | None) -> str:
    """``13.9`` MB, of a million bytes."""
    return DASH if size_bytes is None else f"{size_bytes / 1e6:.1f}"


def ran_as(effective: Mapping[str, Any]) -> str:
    """``i8 98% 2s 2t 2r``: the kernels of most MACs, streams, threads and requests."""
    shares = effective.get("mac_shares") or {"?": 1.0}
    kernel, share = next(iter(shares.items()))
    mixed = "" if share > 0.995 else f" {share:.0%}"
    counts = " ".join(f"{effective.get(name, '?')}{name[0]}" for name in ("streams", "threads", "requests"))
    return f"{kernel}{mixed} {counts}"
