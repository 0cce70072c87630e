"""What is asked of a tuning: a model, what is raced for, what must hold, and which axes are tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ovbench import runtime
from ovbench.config import Precision
from ovbench.errors import BadOption
from ovbench.models.source import has_int8
from ovbench.options import Settings
from ovbench.race import Goal
from ovbench.suite import check_models


class Limit(Enum):
    """What a pick may be held to, by its flag; in the order in which they are held against it."""

    THREADS = "--max-threads"
    MEMORY = "--max-memory"
    AGREEMENT = "--min-agreement"
    P99 = "--p99"


@dataclass(frozen=True)
class Constraints:
    """What a pick must hold; None asks for nothing. Agreement is the share of first answers that are FP32's."""

    p99_ns: float | None = None
    min_agreement: float | None = None
    max_memory_bytes: int | None = None
    max_threads: int | None = None

    @property
    def asked(self) -> dict[Limit, float]:
        """Those that were asked for, in the order of ``Limit``; in ns, share, bytes or threads."""
        values = {
            Limit.THREADS: self.max_threads,
            Limit.MEMORY: self.max_memory_bytes,
            Limit.AGREEMENT: self.min_agreement,
            Limit.P99: self.p99_ns,
        }
        return {limit: value for limit, value in values.items() if value is not None}


NONE = Constraints()


@dataclass(frozen=True)
class Aim:
    """What was asked: the model and its files, what is raced for, what must hold, and the axes that were given.

    ``axes`` are fields of ``candidates.Space`` and the values to try; those that are missing have the host's default.
    """

    settings: Settings
    goal: Goal = Goal.THROUGHPUT
    constraints: Constraints = NONE
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def usual_precisions(settings: Settings) -> tuple[Precision, ...]:
    """FP32 and BF16, and INT8 where its answers mean something; INT8-BF16 is OpenVINO's default where it has bf16."""
    quantized = (Precision.INT8, Precision.INT8_BF16) if has_int8(settings) else ()
    return (Precision.FP32, Precision.BF16, *quantized)


def check_aim(aim: Aim) -> None:
    """Raise BadOption for what can be refused before anything is read."""
    check_models(aim.settings)
    runtime.check_device(aim.settings.device)
    most = aim.constraints.max_threads
    given = aim.axes.get("threads", ())
    if most is not None and any(each > most for each in given):
        raise BadOption(f"--threads {max(given)}: more than --max-threads {most}: leave one of them out")
