"""Where a benchmark would run: what machine and OpenVINO are here, and what would disturb it."""

from __future__ import annotations

import enum
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from ovbench import hosts, machine, runtime, worker
from ovbench.contention import MAX_OTHERS_SHARE
from ovbench.hosts import Profile
from ovbench.machine import ROOT, Contention, Isa, Machine

SAMPLE_S = 0.2  # twenty ticks of /proc/stat a core: shares of 5 % can be told
MAX_STEAL_SHARE = 0.01  # of all cores' time: beyond it the hypervisor's other guests show in single rounds
MAX_LOAD = 0.5  # waiting or running tasks a core, mean of the last minute: someone else has work
MAX_WAIT_SHARE = 0.05  # of time in which a task waited for memory or disk; a quiet machine shows less than 1 % (PSI)
MAX_SWAP_BYTES = 64 * 2**20  # what daemons that nobody uses have there anywhere
MIN_MEMORY_BYTES = 2**30  # pytest peaks at 380 MiB as it calibrates MobileNetV2; lanes are given half of what is free
MIN_CORES = 2  # with one, Python and the system share it with the inference

# oneDNN inside OpenVINO reads both names of its variables (ONEDNN_MAX_CPU_ISA=SSE41, and DNNL_... alike, took a
# convolution from brgconv_avx2 to jit_sse42). OMP_NUM_THREADS=1 leaves OpenVINO's wheels at two threads (theirs are
# TBB's) and numpy, with which NNCF calibrates, at one. Allocators and Python's own modes change every call.
VARIABLES = (
    "DNNL_",
    "GLIBC_TUNABLES",
    "GOMP_",
    "KMP_",
    "LD_PRELOAD",
    "MALLOC_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "OPENVINO_",
    "OV_",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "TBB_",
)
"""Beginnings of environment variables that change what is measured."""

INSTRUCTION_SETS: Mapping[str, frozenset[str]] = {
    "AVX2": frozenset({"avx2"}),
    "AVX-VNNI": frozenset({"avx_vnni"}),
    "AVX512": frozenset({"avx512f"}),
    "AVX512-VNNI": frozenset({"avx512_vnni", "avx512vnni"}),
    "AMX": frozenset({"amx_int8", "amx_bf16", "amx_tile"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
}
"""The instruction sets that decide how fast a precision is, each with the kernel's flags for it."""


@dataclass(frozen=True)
class Engine:
    """OpenVINO here: full names by device, and what an FP32 model compiled with no options runs in on the CPU.

    ``default_precision`` is the property that such a model reads back, ``default_kernel`` what its kernel computes in;
    None without a CPU device.
    """

    devices: Mapping[str, str]
    capabilities: tuple[str, ...] = ()
    default_precision: str | None = None
    default_kernel: str | None = None


@dataclass(frozen=True)
class Cores:
    """Cores and their clock. ``shared``: physical cores of which two or more logical ones are ours.

    ``foreign_siblings``: logical cores that are not ours, on physical cores of ours. None: the system does not tell.
    """

    available: int
    logical: int | None
    physical: int | None
    shared: int | None
    foreign_siblings: int | None
    governor: str | None
    turbo: bool | None
    hot_events: int | None
    on_battery: bool | None


@dataclass(frozen=True)
class Load:
    """What others take now, as shares of our cores' time (``stolen_share`` since boot) or of all time (the waits).

    ``load_average``: waiting and running tasks, mean of the last minute. Throttled: since our cgroup was made.
    """

    others_share: float | None
    stolen_share: float | None
    load_average: float | None
    cpu_wait_share: float | None
    memory_wait_share: float | None
    disk_wait_share: float | None
    throttled_periods: int | None
    throttled_us: int | None


@dataclass(frozen=True)
class Facts:
    """All that is known of an environment; None is "not told by this system".

    ``instructions`` is None where the CPU's flags cannot be read. ``engine`` is None where OpenVINO cannot be loaded,
    ``engine_fault`` says why in one line. ``variables``: those set that change what is measured.
    ``telemetry``: the version of openvino-telemetry, without which ovbench loads OpenVINO, where it is installed.
    """

    versions: Mapping[str, str | None]
    python: str
    engine: Engine | None
    engine_fault: str
    host: Machine
    instructions: Mapping[str, bool] | None
    cores: Cores
    memory_available_bytes: int | None
    swap_used_bytes: int | None
    load: Load
    is_virtual: bool | None
    product: str | None
    container: str | None
    variables: Mapping[str, str]
    profile: Profile | None
    telemetry: str | None


class Kind(str, enum.Enum):
    """Everything that disturbs a benchmark or changes what its figures mean, a closed list."""

    NO_OPENVINO = "no-openvino"
    BUSY = "busy"
    LOAD = "load"
    STOLEN = "stolen"
    QUOTA = "quota"
    THROTTLED = "throttled"
    GOVERNOR = "governor"
    HOT = "hot"
    BATTERY = "battery"
    FEW_CORES = "few-cores"
    FOREIGN_SIBLINGS = "foreign-siblings"
    LITTLE_MEMORY = "little-memory"
    SWAP = "swap"
    CPU_WAIT = "cpu-wait"
    MEMORY_WAIT = "memory-wait"
    DISK_WAIT = "disk-wait"
    VARIABLES = "variables"
    EMULATED = "emulated"
    NO_PROFILE = "no-profile"
    TURBO = "turbo"
    SHARED_CORES = "shared-cores"
    VIRTUAL = "virtual"
    UNTOLD = "untold"
    DEFAULT_PRECISION = "default-precision"
    SLOW_INT8 = "slow-int8"


NOTES = frozenset(
    {
        Kind.NO_PROFILE,
        Kind.TURBO,
        Kind.SHARED_CORES,
        Kind.VIRTUAL,
        Kind.UNTOLD,
        Kind.DEFAULT_PRECISION,
        Kind.SLOW_INT8,
    }
)
"""What to know of this place; all others should be mended before a benchmark."""


@dataclass(frozen=True)
class Disturbance:
    """One thing that disturbs a benchmark, with the figures that say so."""

    kind: Kind
    figures: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def is_note(self) -> bool:
        """Whether it is only to be known, and need not be mended."""
        return self.kind in NOTES


# ------------------------------------------------------------------------------------------------------- gathering


def gather(root: Path = ROOT, sleep: Callable[[float], None] = time.sleep) -> Facts:
    """Look at this machine and its OpenVINO; about half a second. Raises BadInput for an unreadable host profile."""
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)}
    load = _load(root, sleep)  # before OpenVINO is loaded, whose own work would be in it
    host = machine.fingerprint(root)
    engine, fault = _engine()
    return Facts(
        versions=machine.library_versions(),
        python=platform.python_version(),
        engine=engine,
        engine_fault=fault,
        host=host,
        instructions=instructions(host),
        cores=_cores(root),
        memory_available_bytes=machine.available_memory_bytes(root),
        swap_used_bytes=machine.used_swap_bytes(root),
        load=load,
        is_virtual=machine.is_virtual(root),
        product=machine.product(root),
        container=machine.container(root),
        variables=variables,
        profile=hosts.read_profile(host.fingerprint_id),
        telemetry=machine.version_of("openvino-telemetry"),
    )


def instructions(host: Machine) -> Mapping[str, bool] | None:
    """Which of ``INSTRUCTION_SETS`` the CPU has; None where its flags cannot be read."""
    if not host.compute_flags:
        return None
    return {name: not flags.isdisjoint(host.compute_flags) for name, flags in INSTRUCTION_SETS.items()}


def _engine() -> tuple[Engine | None, str]:
    """OpenVINO, or the line that says why it cannot be loaded."""
    try:
        core = runtime.core()
        names = {device: str(core.get_property(device, "FULL_DEVICE_NAME")) for device in core.available_devices}
        if "CPU" not in names:
            return Engine(names), ""
        capabilities = tuple(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        return Engine(names, capabilities, *runtime.default_arithmetic()), ""
    except (ImportError, OSError, RuntimeError) as error:
        return None, worker.one_line(error)


def _cores(root: Path) -> Cores:
    ours, physical = machine.own_cores(), machine.physical_cores(root)
    held = [core if ours is None else core & ours for core in physical]
    foreign = sum(len(core - mine) for core, mine in zip(physical, held, strict=True) if mine)
    return Cores(
        available=machine.available_cores(),
        logical=os.cpu_count(),
        physical=len(physical) or None,
        shared=sum(len(mine) > 1 for mine in held) if physical else None,
        foreign_siblings=foreign if physical else None,
        governor=machine.governor(root),
        turbo=machine.turbo(root),
        hot_events=machine.hot_events(root),
        on_battery=machine.on_battery(root),
    )


def _load(root: Path, sleep: Callable[[float], None]) -> Load:
    """A short sample of our cores, and what the kernel has counted."""
    ours = machine.own_cores()
    before, begin, own_begin = machine.read_contention(root, ours), time.monotonic(), time.process_time()
    sleep(SAMPLE_S)
    own_s, took_s = time.process_time() - own_begin, time.monotonic() - begin
    after = machine.read_contention(root, ours)
    taken = machine.difference(before, after)
    return Load(
        others_share=_others_share(taken, own_s, took_s),
        stolen_share=machine.stolen_share(root, ours),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cpu_wait_share=machine.pressure_share("cpu", root),
        memory_wait_share=machine.pressure_share("memory", root),
        disk_wait_share=machine.pressure_share("io", root),
        throttled_periods=after.throttled_periods,
        throttled_us=after.throttled_us,
    )


def _others_share(taken: Contention, own_s: float, took_s: float) -> float | None:
    """What others and the hypervisor took of the time of the cores that we may use, at most all of it."""
    ours_s = (machine.available_cores() - taken.spare_cores) * took_s
    if taken.busy_s is None or ours_s <= 0:
        return None
    others_s = max(0.0, taken.busy_s - own_s - taken.spare_cores * took_s)
    return min(1.0, (others_s + (taken.steal_s or 0.0)) / ours_s)


# -------------------------------------------------------------------------------------------------------- thinking


def disturbances(facts: Facts) -> tuple[Disturbance, ...]:
    """What would disturb a benchmark here, what to mend before what to know."""
    found = [
        *_openvino(facts),
        *_others(facts),
        *_limits(facts),
        *_clock(facts.cores),
        *_memory(facts),
        *_place(facts),
    ]
    return tuple(sorted(found, key=lambda each: each.is_note))


def _openvino(facts: Facts) -> Iterator[Disturbance]:
    if facts.engine is None:
        yield Disturbance(Kind.NO_OPENVINO, {"fault": facts.engine_fault})
    elif facts.engine.default_kernel not in (None, "f32"):
        yield Disturbance(Kind.DEFAULT_PRECISION, {"kernel": str(facts.engine.default_kernel)})
    if facts.host.isa in (Isa.AVX2, Isa.OTHER) and facts.instructions is not None:
        yield Disturbance(Kind.SLOW_INT8, {"isa": facts.host.isa.value})
    if facts.variables:
        yield Disturbance(Kind.VARIABLES, {"set": " ".join(f"{name}={text}" for name, text in facts.variables.items())})


def _others(facts: Facts) -> Iterator[Disturbance]:
    load, cores = facts.load, facts.cores.logical or facts.cores.available  # the average is of the whole machine
    if _above(load.others_share, MAX_OTHERS_SHARE):
        yield Disturbance(Kind.BUSY, {"share": load.others_share})
    if _above(load.load_average, MAX_LOAD * cores):
        yield Disturbance(Kind.LOAD, {"load": load.load_average, "cores": cores})
    if _above(load.stolen_share, MAX_STEAL_SHARE):
        yield Disturbance(Kind.STOLEN, {"share": load.stolen_share})
    waits = (
        (Kind.CPU_WAIT, load.cpu_wait_share, MAX_OTHERS_SHARE),
        (Kind.MEMORY_WAIT, load.memory_wait_share, MAX_WAIT_SHARE),
        (Kind.DISK_WAIT, load.disk_wait_share, MAX_WAIT_SHARE),
    )
    for kind, share, limit in waits:
        if _above(share, limit):
            yield Disturbance(kind, {"share": share})


def _limits(facts: Facts) -> Iterator[Disturbance]:
    quota, cores = facts.host.cpu_quota_cores, facts.cores
    if quota is not None and quota < cores.available:
        yield Disturbance(Kind.QUOTA, {"quota": quota, "cores": cores.available})
    if facts.load.throttled_periods:
        seconds = (facts.load.throttled_us or 0) / 1e6
        yield Disturbance(Kind.THROTTLED, {"periods": facts.load.throttled_periods, "seconds": seconds})
    if cores.available < MIN_CORES:
        yield Disturbance(Kind.FEW_CORES, {"cores": cores.available})
    if cores.foreign_siblings:
        yield Disturbance(Kind.FOREIGN_SIBLINGS, {"siblings": cores.foreign_siblings})
    if cores.shared:
        yield Disturbance(Kind.SHARED_CORES, {"shared": cores.shared, "cores": cores.available})


def _clock(cores: Cores) -> Iterator[Disturbance]:
    if cores.governor not in (None, "performance"):
        yield Disturbance(Kind.GOVERNOR, {"governor": str(cores.governor)})
    if cores.turbo:
        yield Disturbance(Kind.TURBO)
    if cores.hot_events:
        yield Disturbance(Kind.HOT, {"events": cores.hot_events})
    if cores.on_battery:
        yield Disturbance(Kind.BATTERY)


def _memory(facts: Facts) -> Iterator[Disturbance]:
    free_bytes, swap_bytes = facts.memory_available_bytes, facts.swap_used_bytes
    if free_bytes is not None and free_bytes < MIN_MEMORY_BYTES:
        yield Disturbance(Kind.LITTLE_MEMORY, {"bytes": free_bytes})
    if _above(swap_bytes, MAX_SWAP_BYTES):
        yield Disturbance(Kind.SWAP, {"bytes": swap_bytes})


def _place(facts: Facts) -> Iterator[Disturbance]:
    if "QEMU TCG" in (facts.host.cpu_brand or ""):
        yield Disturbance(Kind.EMULATED, {"brand": str(facts.host.cpu_brand)})
    elif facts.is_virtual:
        yield Disturbance(Kind.VIRTUAL)
    if facts.profile is None:
        yield Disturbance(Kind.NO_PROFILE, {"share": hosts.DEFAULT_BAND})
    untold = _untold(facts)
    if untold:
        yield Disturbance(Kind.UNTOLD, {"counters": ", ".join(untold)})


def _untold(facts: Facts) -> list[str]:
    """Which counters, by which rounds are rejected, this system lacks; without a quota nothing is throttled."""
    told = {
        "the CPU time of others": facts.load.others_share is not None,
        "time stolen by a hypervisor": facts.load.stolen_share is not None,
        "throttling": facts.load.throttled_periods is not None or "cpu_quota_cores" not in facts.host.unreadable,
    }
    return [name for name, known in told.items() if not known]


def _above(value: float | None, limit: float) -> TypeGuard[float]:
    return value is not None and value > limit
