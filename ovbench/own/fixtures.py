"""The fixtures that answer own benches, and the suite's where they ask for the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovbench.config import Cache, Config
from ovbench.errors import BadModel
from ovbench.own.paired import AskPaired
from ovbench.own.session import SMOKE, named

if TYPE_CHECKING:  # sessions without our fixtures import nothing of it
    import openvino

    from ovbench.stats import Estimate
    from ovbench.suite import Suite

SUITE = pytest.StashKey["Suite"]()
SKIPPED = "--benchmark-skip: own benches are skipped too"


@pytest.fixture(scope="session")
def ov_config(request: pytest.FixtureRequest) -> Config:
    """The cell at hand: of the matrix for the suite's benches, of ``@pytest.mark.ovbench`` for own ones."""
    return named(request.config, request.param)


@pytest.fixture(scope="session")
def ov_suite(request: pytest.FixtureRequest) -> Suite:
    """This session: settings, models, variants and all that was measured before the first test."""
    suite = request.config.stash.get(SUITE, None)
    if suite is None and request.config.getoption("benchmark_skip", False):
        pytest.skip(SKIPPED)
    if suite is None:
        pytest.fail("nothing was measured: no selected bench takes a cell of the matrix (ov_config)", pytrace=False)
    return suite


@pytest.fixture(scope="session")
def ov_model_path(ov_suite: Suite, ov_config: Config) -> Path:
    """The file behind the precision at hand; skips with the reason where this machine cannot run it."""
    reason = ov_suite.why_not(ov_config)
    if reason:
        pytest.skip(reason)
    return ov_suite.variants[ov_config.model, ov_config.precision].path


@pytest.fixture(scope="session")
def ov_compiled(
    ov_suite: Suite, ov_config: Config, ov_model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> openvino.CompiledModel:
    """A plain ``ov.CompiledModel`` of the cell at hand, for ``benchmark(...)`` or anything else."""
    folder = tmp_path_factory.mktemp("model-cache") if ov_config.cache is not Cache.OFF else None
    try:
        if ov_config.cache is Cache.WARM:
            ov_suite.compile(ov_config, ov_model_path, folder)
        return ov_suite.compile(ov_config, ov_model_path, folder)
    except BadModel as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@dataclass(frozen=True)
class Figures:
    """What the session's campaign found of one cell; None for a figure that cannot be told.

    Percentiles are of the time of one inference, under load in async cells. ``speedup_over_fp32`` has ``value``, and
    ``low`` and ``high`` of its 95 % interval; ``verdict`` is FASTER, SLOWER, SAME or UNSURE against FP32.
    ``effective`` is what the compiled model says of itself: streams, threads, requests, shares of MACs by kernel.
    """

    cell: str
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    images_per_s: float
    speedup_over_fp32: Estimate | None
    verdict: str | None
    effective: Mapping[str, Any] = field(repr=False)


@pytest.fixture
def ov_campaign(ov_suite: Suite, ov_config: Config) -> Figures:
    """The cell at hand as the session's campaign measured it, before the first test, in turns with its FP32 partner."""
    reason = SMOKE if ov_suite.smoke else ov_suite.why_not(ov_config)
    if reason:
        pytest.skip(reason)
    fault = ov_suite.fault(ov_config)
    if fault:
        pytest.fail(f"{ov_config.id}: {fault}", pytrace=False)
    summary, verdict = ov_suite.summary(ov_config), ov_suite.verdict(ov_config)
    assert summary is not None, "a cell without samples is a fault"
    return Figures(
        cell=ov_config.id,
        p50_ms=_milliseconds(summary.p50_ns),
        p95_ms=_milliseconds(summary.p95_ns),
        p99_ms=_milliseconds(summary.p99_ns),
        images_per_s=summary.frames_per_second,
        speedup_over_fp32=ov_suite.speedup(ov_config),
        verdict=None if verdict is None else verdict.value,
        effective=ov_suite.measured.cells[ov_config].effective,
    )


def _milliseconds(time_ns: float | None) -> float | None:
    return None if time_ns is None else time_ns / 1e6


@pytest.fixture
def ov_paired(request: pytest.FixtureRequest, ov_suite: Suite) -> AskPaired:
    """Callable ``ov_paired(a, b, metric="latency", budget="20s")``: is B slower or faster than A, in fresh pairs?"""
    return AskPaired(request.node, ov_suite)
