"""Contention: whether others took so much of a round that it tells nothing, and how many such rounds are too many."""

from __future__ import annotations

from ovbench.machine import Contention

# A round is rejected when others (other processes, or the hypervisor) took more than this share of the cores' time.
# /proc/stat counts in ticks of 10 ms, so short rounds are given two ticks of grace.
MAX_OTHERS_SHARE = 0.10
GRACE_S = 0.02
MAX_REJECTED_SHARE = 0.5  # of all rounds; beyond it the machine was busy and the answer is UNSURE


def was_hit(taken: Contention, own_cpu_s: float, took_s: float, cores: int) -> bool:
    """Whether others took so much of a round that it tells nothing: stolen, throttled, or used by other processes.

    Under a CPU quota others may have the cores that it leaves over: on a host of 64 of which we may use 2, a container
    whose neighbours keep 10 busy would else measure nothing.
    """
    usable_cores = max(0.0, cores - taken.spare_cores)
    allowed_s = MAX_OTHERS_SHARE * took_s * usable_cores + GRACE_S
    others_s = 0.0 if taken.busy_s is None else max(0.0, taken.busy_s - own_cpu_s - taken.spare_cores * took_s)
    throttled_s = (taken.throttled_us or 0) / 1e6
    return others_s + (taken.steal_s or 0.0) + throttled_s > allowed_s


def too_many(rejected: int, rounds: int) -> bool:
    """Whether so many of the rounds were rejected that what is left is no answer."""
    return rejected > MAX_REJECTED_SHARE * rounds
