"""The machine: what it is, what it has free, and how much others disturb it; None wherever it cannot say.

Linux tells through /proc and /sys. Every reader takes ``root``, the folder that stands for "/", so that tests
read invented trees. Elsewhere (macOS, Windows) the same functions run and answer None.
"""

from __future__ import annotations

import enum
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path("/")

USER_HZ = 100
"""Ticks per second of /proc/stat: fixed for user space by the kernel's include/asm-generic/param.h."""

CORES = "sys/devices/system/cpu"
GOVERNOR = f"{CORES}/cpu0/cpufreq/scaling_governor"

GIT_TIMEOUT_S = 10.0
"""A commit is worth a moment, not a stalled session (a network file system may hang git)."""

LIBRARIES = (
    "ovbench",
    "openvino",
    "nncf",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "scipy",
    "pytest",
    "pytest-benchmark",
)
"""The distributions whose versions can move a figure."""

_COMPUTE_FLAG = re.compile(
    r"(sse|ssse|avx|amx|fma|f16c|asimd|sve|sme(?!p)|neon|fphp|bf16|i8mm).*"  # vector units, x86 and then Arm
)


class Isa(str, enum.Enum):
    """The instruction set that decides how fast INT8 is, the best a CPU has."""

    AMX = "AMX"
    AVX512_VNNI = "AVX512_VNNI"
    AVX_VNNI = "AVX_VNNI"
    AVX2 = "AVX2"
    """Also AVX-512 without VNNI: int8 products still take three instructions."""
    ARM = "ARM"
    OTHER = "OTHER"


@dataclass(frozen=True)
class Machine:
    """What a machine is, as far as absolute times depend on it or a reader wants to know it."""

    cpu_brand: str | None
    cpu_model: str | None
    """Vendor, family, model and stepping: a cloud's brand string ("AMD EPYC") names several generations."""
    isa: Isa
    compute_flags: tuple[str, ...]
    """The CPU's vector extensions, sorted; empty where they cannot be read."""
    architecture: str
    system: str
    cores: int
    """Logical cores this process may run on."""
    cpu_quota_cores: float | None
    """The cgroup's CPU limit in cores; None where none is set, or where ``unreadable`` names it."""
    memory_total_bytes: int | None
    kernel: str
    python: str
    unreadable: tuple[str, ...]
    """Names of the fields (and of the counters of ``Contention``) that this machine does not tell."""

    @property
    def fingerprint_id(self) -> str:
        """12 hex digits, equal for machines whose absolute times may be compared.

        Clock readings and the host name are left out because they differ between readings and between twins;
        memory size, kernel and Python because an update changes them: they are recorded beside it.
        """
        matters = (
            self.cpu_brand,
            self.cpu_model,
            self.isa.value,
            self.compute_flags,
            self.architecture,
            self.system,
            self.cores,
            self.cpu_quota_cores,
        )
        return hashlib.sha256(repr(matters).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Contention:
    """What others took from us: counters since boot, or their ``difference``; None is "cannot say"."""

    steal_s: float | None
    """Time the hypervisor gave our cores to others, summed over cores."""
    pressure_us: int | None
    """Time in which some task waited for a core (PSI, "some"), microseconds of wall time."""
    throttled_periods: int | None
    """Periods in which the quota of our cgroup, or of one above it, ran out."""
    throttled_us: int | None
    """Time our cgroup, or one above it, was stopped for its quota, microseconds."""
    busy_s: float | None = None
    """Time all cores were not idle, summed over cores, whoever ran: our own work is in it."""
    spare_cores: float = 0.0
    """Cores of ours beyond our CPU quota, which we cannot use: who runs there takes nothing from us."""


def fingerprint(root: Path = ROOT, ask_elsewhere: Callable[[], Mapping[str, object]] | None = None) -> Machine:
    """Say what this machine is.

    ``ask_elsewhere`` answers as ``cpuinfo.get_cpu_info`` does, and is called (about 0.2 s) only where
    /proc/cpuinfo is missing.
    """
    brand, model, flags = _cpu(root, ask_elsewhere or _ask_cpuinfo)
    quota, quota_readable = _cpu_quota(root)
    memory_bytes = _meminfo_bytes(root, "MemTotal")
    architecture = platform.machine()
    tellable = {
        "cpu_brand": brand is not None,
        "cpu_model": model is not None,
        "compute_flags": bool(flags),
        "cpu_quota_cores": quota_readable,
        "memory_total_bytes": memory_bytes is not None,
    }
    contention = read_contention(root)
    tellable |= {field.name: getattr(contention, field.name) is not None for field in fields(contention)}
    return Machine(
        cpu_brand=brand,
        cpu_model=model,
        isa=isa_of(flags, architecture),
        compute_flags=tuple(sorted(flag for flag in flags if _COMPUTE_FLAG.fullmatch(flag))),
        architecture=architecture,
        system=platform.system(),
        cores=available_cores(),
        cpu_quota_cores=quota,
        memory_total_bytes=memory_bytes,
        kernel=platform.release(),
        python=platform.python_version(),
        unreadable=tuple(name for name, told in tellable.items() if not told),
    )


def isa_of(flags: Iterable[str], architecture: str) -> Isa:
    """The class of a CPU with these ``flags`` of /proc/cpuinfo and this ``platform.machine()``."""
    if architecture.lower().startswith(("aarch64", "arm")):
        return Isa.ARM
    have = set(flags)
    if "amx_int8" in have:
        return Isa.AMX
    if have & {"avx512_vnni", "avx512vnni"}:  # the kernel's name, and cpuinfo's elsewhere
        return Isa.AVX512_VNNI
    if "avx_vnni" in have:
        return Isa.AVX_VNNI
    if "avx2" in have:
        return Isa.AVX2
    return Isa.OTHER


def available_cores() -> int:
    """Logical cores this process may run on: its affinity where the system has one, else all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """Memory that new processes can take: what the kernel calls available, or less under a cgroup's limit."""
    available = _meminfo_bytes(root, "MemAvailable")
    if available is None:
        return None
    return min([available, *_cgroup_headrooms_bytes(root)])


def own_cores() -> frozenset[int] | None:
    """Numbers of the cores this process may run on; None where it may run on all, or the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = frozenset(os.sched_getaffinity(0))
    return None if len(cores) == os.cpu_count() else cores


def physical_cores(root: Path = ROOT) -> tuple[frozenset[int], ...]:
    """Numbers of the logical cores on each physical core, of the whole machine; empty where it does not tell."""
    listed = (_read(each) for each in (root / CORES).glob("cpu[0-9]*/topology/thread_siblings_list"))
    return tuple(sorted({_numbers(each) for each in listed if each}, key=min))


def governor(root: Path = ROOT) -> str | None:
    """The first core's frequency governor."""
    return (_read(root / GOVERNOR) or "").strip() or None


def turbo(root: Path = ROOT) -> bool | None:
    """Whether the clock may go beyond what the CPU holds for ever: Intel's own driver tells, or cpufreq does."""
    barred, allowed = (
        _whole(_read(root / CORES / "intel_pstate/no_turbo")),
        _whole(_read(root / CORES / "cpufreq/boost")),
    )
    if barred is not None:
        return barred == 0
    return None if allowed is None else allowed == 1


def hot_events(root: Path = ROOT) -> int | None:
    """How often since boot a core was slowed down for its heat."""
    files = (root / CORES).glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for each in files if (count := _whole(_read(each))) is not None]
    return sum(counts) if counts else None


def on_battery(root: Path = ROOT) -> bool | None:
    """Whether some battery is being emptied; None without one."""
    states = [_read(each) for each in (root / "sys/class/power_supply").glob("*/status")]
    return any(each.strip() == "Discharging" for each in states if each) if any(states) else None


def is_virtual(root: Path = ROOT) -> bool | None:
    """Whether a hypervisor runs this machine: an x86 CPU tells by a flag, others do not."""
    flags = re.search(r"^flags\s*:(.*)$", _read(root / "proc/cpuinfo") or "", re.MULTILINE)
    return None if flags is None else "hypervisor" in flags[1].split()


def product(root: Path = ROOT) -> str | None:
    """Maker and product of the board: of a virtual machine its hypervisor or cloud."""
    words = [(_read(root / "sys/class/dmi/id" / name) or "").strip() for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or None


def container(root: Path = ROOT) -> str | None:
    """What container this is by the marks that such leave, None without one."""
    for mark, name in ((".dockerenv", "Docker"), ("run/.containerenv", "Podman")):
        if (root / mark).exists():
            return name
    found = re.search("kubepods|docker|containerd|lxc", _read(root / "proc/1/cgroup") or "")
    return found[0] if found else None


def used_swap_bytes(root: Path = ROOT) -> int | None:
    """Memory that lies on disk."""
    total, free = _meminfo_bytes(root, "SwapTotal"), _meminfo_bytes(root, "SwapFree")
    return None if total is None or free is None else total - free


def pressure_share(what: str, root: Path = ROOT) -> float | None:
    """Share of the last ten seconds in which some task waited for ``what``: cpu, memory or io (PSI)."""
    found = re.search(r"^some avg10=([\d.]+)", _read(root / "proc/pressure" / what) or "", re.MULTILINE)
    return float(found[1]) / 100 if found else None


def stolen_share(root: Path = ROOT, cores: Collection[int] | None = None) -> float | None:
    """Share of the cores' time since boot that the hypervisor gave to others."""
    ticks = _cpu_ticks(root, cores)[:8]  # beyond them guests' time, which user time holds already
    return ticks[7] / sum(ticks) if len(ticks) > 7 and any(ticks) else None


def read_contention(root: Path = ROOT, cores: Collection[int] | None = None) -> Contention:
    """Read the counters of contention, of ``cores`` alone where they are given; some tenths of a millisecond.

    What runs on cores that are not ours (a container's share of a large host) takes nothing from us.
    """
    quota_cores, _ = _cpu_quota(root)
    usable = available_cores() if cores is None else len(cores)
    throttled_periods, throttled_us = _throttled(root)
    return Contention(
        steal_s=_steal_s(root, cores),
        pressure_us=_pressure_us(root),
        throttled_periods=throttled_periods,
        throttled_us=throttled_us,
        busy_s=_busy_s(root, cores),
        spare_cores=0.0 if quota_cores is None else max(0.0, usable - quota_cores),
    )


def read_our_contention() -> Contention:
    """The counters of the cores that are ours."""
    return read_contention(cores=own_cores())


def difference(before: Contention, after: Contention) -> Contention:
    """What was added between two readings; None where either cannot say."""
    return Contention(
        steal_s=None if before.steal_s is None or after.steal_s is None else after.steal_s - before.steal_s,
        pressure_us=_growth(before.pressure_us, after.pressure_us),
        throttled_periods=_growth(before.throttled_periods, after.throttled_periods),
        throttled_us=_growth(before.throttled_us, after.throttled_us),
        busy_s=None if before.busy_s is None or after.busy_s is None else after.busy_s - before.busy_s,
        spare_cores=after.spare_cores,
    )


def quota_threads(host: Machine) -> int:
    """Threads that fit the cgroup's CPU quota where it is under the cores; 0 where nothing limits them."""
    quota = host.cpu_quota_cores
    return max(1, int(quota)) if quota is not None and quota < host.cores else 0


def library_versions() -> dict[str, str | None]:
    """Version of each of ``LIBRARIES``, None where it is not installed; none of them is imported."""
    return {name: version_of(name) for name in LIBRARIES}


def version_of(name: str) -> str | None:
    """Version of an installed distribution, which is not imported."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit(folder: Path) -> str | None:
    """The git commit that ``folder`` is at, plus "-dirty" where tracked files differ; None without git."""
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *describe],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def _cpu(root: Path, ask_elsewhere: Callable[[], Mapping[str, object]]) -> tuple[str | None, str | None, set[str]]:
    """Brand, model and flags of the first CPU; all CPUs are taken to be alike."""
    text = _read(root / "proc/cpuinfo")
    if text is not None:
        lines = (line.partition(":") for line in text.splitlines() if ":" in line)
        first: dict[str, str] = {}
        for name, _, value in lines:
            first.setdefault(name.strip().lower(), value.strip())
        x86 = ("vendor_id", "cpu family", "model", "stepping")
        arm = ("cpu implementer", "cpu part", "cpu variant", "cpu revision")
        parts = [first[name] for name in (x86 if "vendor_id" in first else arm) if name in first]
        flags = first.get("flags") or first.get("features") or ""
        return first.get("model name"), "-".join(parts) or None, set(flags.split())
    told = ask_elsewhere()
    brand = told.get("brand_raw")
    known = [str(told[name]) for name in ("vendor_id_raw", "family", "model", "stepping") if name in told]
    listed = told.get("flags")
    flag_names = {str(flag) for flag in listed} if isinstance(listed, list) else set()
    return str(brand) if brand else None, "-".join(known) or None, flag_names


def _ask_cpuinfo() -> Mapping[str, object]:
    """Ask py-cpuinfo2: pytest-benchmark brings it, and uninstalling py-cpuinfo takes its files away."""
    try:
        import cpuinfo
    except ImportError:
        return {}
    told: Mapping[str, object] = cpuinfo.get_cpu_info()
    return told


def _cpu_quota(root: Path) -> tuple[float | None, bool]:
    """The tightest CPU limit of our cgroup and those above, in cores, and whether it could be read at all."""
    quotas = []
    readable = False
    for folder in _cgroup_folders(root, "cpu"):
        limit = _read(folder / "cpu.max")  # v2: "max 100000" or "150000 100000"
        if limit is None:
            quota_text, period_text = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
            words = [quota_text or "", period_text or ""]
        else:
            words = limit.split()
        if len(words) != 2 or not words[0].strip():
            continue
        readable = True
        quota_us, period_us = _whole(words[0]), _whole(words[1])
        if quota_us and period_us and min(quota_us, period_us) > 0:  # v1 says -1 for "none", v2 "max"
            quotas.append(quota_us / period_us)
    # The root of a v2 hierarchy has no cpu.max: with no limit anywhere, being there is the answer.
    readable = readable or (root / "sys/fs/cgroup/cgroup.controllers").exists()
    return min(quotas, default=None), readable


def _cgroup_headrooms_bytes(root: Path) -> Iterator[int]:
    """How much more our cgroup, and each limited one above it, may take; idle page cache counts as free."""
    names = (
        ("memory.max", "memory.current", "inactive_file"),  # v2
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # v1
    )
    for folder in _cgroup_folders(root, "memory"):
        for limit_name, used_name, cache_name in names:
            limit_bytes = _whole(_read(folder / limit_name))
            used_bytes = _whole(_read(folder / used_name))
            if limit_bytes is not None and used_bytes is not None:
                cache_bytes = _spaced(_read(folder / "memory.stat")).get(cache_name, 0)
                yield max(0, limit_bytes - max(0, used_bytes - cache_bytes))


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of our cgroup and of those above, innermost first, in the hierarchy that has ``controller``.

    In a container the path in /proc/self/cgroup may be the host's and not exist here; its parents then do.
    """
    mount = root / "sys/fs/cgroup"
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            base = mount
        elif controller in controllers.split(","):
            together = mount / controllers  # "cpu,cpuacct": some systems mount them as one
            base = together if together.is_dir() else mount / controller
        else:
            continue
        inner = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(inner), -1, -1):
            folder = base.joinpath(*inner[:depth])
            if folder.is_dir():
                yield folder


def _steal_s(root: Path, cores: Collection[int] | None) -> float | None:
    ticks = _cpu_ticks(root, cores)
    return ticks[7] / USER_HZ if ticks and len(ticks) > 7 else None


def _busy_s(root: Path, cores: Collection[int] | None) -> float | None:
    """User, nice, system, irq and softirq time; idle, waiting for disks and stolen time left out."""
    ticks = _cpu_ticks(root, cores)
    return sum(ticks[place] for place in (0, 1, 2, 5, 6)) / USER_HZ if ticks and len(ticks) > 6 else None


def _cpu_ticks(root: Path, cores: Collection[int] | None) -> list[int]:
    """From /proc/stat: user nice system idle iowait irq softirq steal ..., summed over the cores; None: all of them.

    Empty if it cannot be read.
    """
    wanted = {"cpu"} if cores is None else {f"cpu{core}" for core in cores}
    lines = (line.split() for line in (_read(root / "proc/stat") or "").splitlines())
    rows = [[_whole(word) for word in words[1:]] for words in lines if words and words[0] in wanted]
    if len(rows) < len(wanted) or any(tick is None for row in rows for tick in row):
        return []
    return [sum(tick or 0 for tick in column) for column in zip(*rows, strict=False)]


def _pressure_us(root: Path) -> int | None:
    found = re.search(r"^some .*\btotal=(\d+)", _read(root / "proc/pressure/cpu") or "", re.MULTILINE)
    return int(found[1]) if found else None


def _throttled(root: Path) -> tuple[int | None, int | None]:
    """Throttled periods and microseconds, summed over our cgroup and those above: each can stop us."""
    periods, times_us = [], []
    for folder in _cgroup_folders(root, "cpu"):
        counters = _spaced(_read(folder / "cpu.stat"))
        if "nr_throttled" in counters:
            periods.append(counters["nr_throttled"])
        if "throttled_usec" in counters:  # v2
            times_us.append(counters["throttled_usec"])
        elif "throttled_time" in counters:  # v1, nanoseconds
            times_us.append(counters["throttled_time"] // 1000)
    return (sum(periods) if periods else None), (sum(times_us) if times_us else None)


def _meminfo_bytes(root: Path, name: str) -> int | None:
    return _kib_field_bytes(_read(root / "proc/meminfo"), name)


def _kib_field_bytes(text: str | None, name: str) -> int | None:
    """The value of a line like ``VmHWM:   1712 kB``."""
    found = re.search(rf"^{name}:\s*(\d+) kB", text or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _spaced(text: str | None) -> dict[str, int]:
    """Counters of a file with one ``name value`` a line."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _whole(text: str | None) -> int | None:
    """A whole number, or None for what is none ("max", nothing, garbage)."""
    return int(text) if text is not None and re.fullmatch(r"\s*-?\d+\s*", text) else None


def _numbers(text: str) -> frozenset[int]:
    """The cores of a list as the kernel writes it: ``0,64`` or ``0-1``."""
    ends = ([int(end) for end in part.split("-")] for part in text.strip().split(",") if part)
    return frozenset(number for first, *last in ends for number in range(first, (last or [first])[0] + 1))


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _read(path: Path) -> str | None:
    """A file's text; None where it is missing, forbidden or gone while we read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
