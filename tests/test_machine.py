from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ovbench.machine import (
    LIBRARIES,
    Contention,
    Isa,
    available_cores,
    available_memory_bytes,
    commit,
    container,
    difference,
    fingerprint,
    governor,
    hot_events,
    is_virtual,
    isa_of,
    library_versions,
    on_battery,
    physical_cores,
    pressure_share,
    product,
    quota_threads,
    read_contention,
    stolen_share,
    turbo,
    used_swap_bytes,
    version_of,
)

MIB = 1024**2

CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8480+
stepping\t: 8
cpu MHz\t\t: {mhz}
flags\t\t: fpu sse2 smep avx2 avx512f avx512_vnni amx_int8

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: another
flags\t\t: fpu
"""

CPUINFO_ARM = """\
processor\t: 0
Features\t: fp asimd sve i8mm bf16
CPU implementer\t: 0x41
CPU variant\t: 0x0
CPU part\t: 0xd4f
CPU revision\t: 1
"""


def grow(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def know_nothing() -> dict[str, object]:
    return {}


def must_not_be_asked() -> dict[str, object]:
    raise AssertionError("asked elsewhere although /proc/cpuinfo is there")


# --- the CPU ---


@pytest.mark.parametrize(
    ("flags", "architecture", "isa"),
    [
        ("avx2 avx512f avx512_vnni amx_int8 avx_vnni", "x86_64", Isa.AMX),
        ("avx2 avx512f avx512_vnni avx_vnni", "x86_64", Isa.AVX512_VNNI),
        ("avx2 avx512vnni", "AMD64", Isa.AVX512_VNNI),
        ("avx2 avx_vnni", "x86_64", Isa.AVX_VNNI),
        ("avx2 avx512f avx512bw", "x86_64", Isa.AVX2),
        ("sse2 avx", "x86_64", Isa.OTHER),
        ("asimd i8mm", "aarch64", Isa.ARM),
        ("", "arm64", Isa.ARM),
        ("", "", Isa.OTHER),
    ],
)
def test_isa_is_the_best_a_cpu_has(flags: str, architecture: str, isa: Isa) -> None:
    assert isa_of(flags.split(), architecture) is isa


@given(st.sets(st.sampled_from(["fpu", "avx2", "avx_vnni", "avx512_vnni", "amx_int8"])), st.randoms())
def test_isa_does_not_depend_on_the_order_of_flags(flags: set[str], random: Random) -> None:
    shuffled = list(flags)
    random.shuffle(shuffled)
    assert isa_of(shuffled, "x86_64") is isa_of(sorted(flags), "x86_64")


def test_first_cpu_is_described(tmp_path: Path) -> None:
    machine = fingerprint(grow(tmp_path, {"proc/cpuinfo": CPUINFO.format(mhz=2000)}), must_not_be_asked)
    assert machine.cpu_brand == "Intel(R) Xeon(R) Platinum 8480+"
    assert machine.cpu_model == "GenuineIntel-6-143-8"
    assert machine.compute_flags == ("amx_int8", "avx2", "avx512_vnni", "avx512f", "sse2")


def test_arm_has_no_brand_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    machine = fingerprint(grow(tmp_path, {"proc/cpuinfo": CPUINFO_ARM}), must_not_be_asked)
    assert machine.isa is Isa.ARM
    assert machine.cpu_brand is None
    assert machine.cpu_model == "0x41-0xd4f-0x0-1"
    assert machine.compute_flags == ("asimd", "bf16", "i8mm", "sve")
    assert "cpu_brand" in machine.unreadable
    assert "cpu_model" not in machine.unreadable


def test_without_proc_cpuinfo_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    told = {"brand_raw": "Intel Core i7", "vendor_id_raw": "GenuineIntel", "family": 6, "model": 158}
    machine = fingerprint(tmp_path, lambda: told | {"flags": ["avx2", "mmx"]})
    assert (machine.cpu_brand, machine.cpu_model) == ("Intel Core i7", "GenuineIntel-6-158")
    assert (machine.isa, machine.compute_flags) == (Isa.AVX2, ("avx2",))


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert available_cores() == 6


# --- the fingerprint ---


def test_fingerprint_of_an_unknown_system_names_what_it_cannot_read(tmp_path: Path) -> None:
    machine = fingerprint(tmp_path, know_nothing)
    assert machine.cores >= 1
    assert machine.memory_total_bytes is None
    assert set(machine.unreadable) == {
        "cpu_brand",
        "cpu_model",
        "compute_flags",
        "cpu_quota_cores",
        "memory_total_bytes",
        "steal_s",
        "pressure_us",
        "busy_s",
        "throttled_periods",
        "throttled_us",
    }


def test_fingerprint_id_forgets_what_jitters(tmp_path: Path) -> None:
    machine = fingerprint(grow(tmp_path, {"proc/cpuinfo": CPUINFO.format(mhz=2000.1)}))
    again = fingerprint(grow(tmp_path, {"proc/cpuinfo": CPUINFO.format(mhz=3199.9)}))
    updated = dataclasses.replace(machine, kernel="7.0", python="3.14.2", memory_total_bytes=1)
    assert machine.fingerprint_id == again.fingerprint_id == updated.fingerprint_id
    assert len(machine.fingerprint_id) == 12


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_brand": "other"},
        {"cpu_model": "other"},
        {"isa": Isa.AMX},
        {"compute_flags": ("avx2",)},
        {"cores": 0},
        {"cpu_quota_cores": 1.5},
        {"architecture": "other"},
        {"system": "other"},
    ],
)
def test_fingerprint_id_tells_what_matters_apart(tmp_path: Path, change: dict[str, object]) -> None:
    machine = fingerprint(tmp_path, know_nothing)
    assert dataclasses.replace(machine, **change).fingerprint_id != machine.fingerprint_id


def test_fingerprint_id_is_the_same_in_another_process() -> None:
    code = "from ovbench.machine import fingerprint; print(fingerprint().fingerprint_id)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == fingerprint().fingerprint_id


def test_fingerprint_can_be_saved_as_json(tmp_path: Path) -> None:
    machine = fingerprint(grow(tmp_path, {"proc/cpuinfo": CPUINFO.format(mhz=2000)}))
    saved = json.loads(json.dumps(dataclasses.asdict(machine)))
    assert Isa(saved["isa"]) is machine.isa
    assert tuple(saved["compute_flags"]) == machine.compute_flags


# --- the quota ---


def test_tightest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user/job\n",
        "sys/fs/cgroup/user/job/cpu.max": "max 100000\n",
        "sys/fs/cgroup/user/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/cpu.max": "400000 100000\n",
    }
    machine = fingerprint(grow(tmp_path, files), know_nothing)
    assert machine.cpu_quota_cores == 1.5
    assert "cpu_quota_cores" not in machine.unreadable


def test_quota_is_found_where_the_path_is_the_hosts(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../docker/1f\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}
    assert fingerprint(grow(tmp_path, files), know_nothing).cpu_quota_cores == 0.5


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota_us", "cores"), [("250000", 2.5), ("-1", None)])
def test_quota_of_cgroup_v1(tmp_path: Path, folder: str, quota_us: str, cores: float | None) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n",
        f"sys/fs/cgroup/{folder}/job/cpu.cfs_quota_us": f"{quota_us}\n",
        f"sys/fs/cgroup/{folder}/job/cpu.cfs_period_us": "100000\n",
    }
    machine = fingerprint(grow(tmp_path, files), know_nothing)
    assert machine.cpu_quota_cores == cores
    assert "cpu_quota_cores" not in machine.unreadable


def test_a_machine_without_any_limit_is_read_not_unknown(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "cpu memory\n"}
    machine = fingerprint(grow(tmp_path, files), know_nothing)
    assert machine.cpu_quota_cores is None
    assert "cpu_quota_cores" not in machine.unreadable


@settings(deadline=None)  # writes files: its time is the disk's
@given(text=st.text(alphabet="max0123456789- \n", max_size=20))
@example("1 -1")  # was taken for a quota of minus one core
def test_any_quota_file_is_a_quota_or_none(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text}
    quota = fingerprint(grow(tmp_path_factory.mktemp("root"), files), know_nothing).cpu_quota_cores
    assert quota is None or quota > 0


# --- memory ---


MEMINFO = f"MemTotal: {8 * 1024**2} kB\nMemFree: 10 kB\nMemAvailable: {6 * 1024**2} kB\n"


def test_available_memory_is_the_kernels_without_a_limit(tmp_path: Path) -> None:
    root = grow(tmp_path, {"proc/meminfo": MEMINFO})
    assert available_memory_bytes(root) == 6 * 1024 * MIB
    assert fingerprint(root, know_nothing).memory_total_bytes == 8 * 1024 * MIB


def test_available_memory_is_what_a_cgroup_leaves(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/memory.max": f"{1000 * MIB}\n",
        "sys/fs/cgroup/job/memory.current": f"{700 * MIB}\n",
        "sys/fs/cgroup/job/memory.stat": f"anon 1\ninactive_file {200 * MIB}\n",
    }
    assert available_memory_bytes(grow(tmp_path, files)) == 500 * MIB


def test_available_memory_under_cgroup_v1(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "7:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{300 * MIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{400 * MIB}\n",
    }
    assert available_memory_bytes(grow(tmp_path, files)) == 0


def test_available_memory_is_unknown_without_meminfo(tmp_path: Path) -> None:
    assert available_memory_bytes(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_real_proc_is_understood() -> None:
    available = available_memory_bytes()
    assert available is not None
    assert available > MIB


# --- contention ---


STAT = "cpu  26841 0 4997 171518 279 0 102 2472 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
PRESSURE = "some avg10=1.72 avg60=1.02 avg300=0.68 total=10441083\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"


def test_contention_under_cgroup_v2(tmp_path: Path) -> None:
    files = {
        "proc/stat": STAT,
        "proc/pressure/cpu": PRESSURE,
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/cpu.stat": "usage_usec 77\nnr_periods 9\nnr_throttled 3\nthrottled_usec 4500\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 99\n",
    }
    assert read_contention(grow(tmp_path, files)) == Contention(24.72, 10441083, 3, 4500, busy_s=319.4)


def test_contention_under_cgroup_v1_adds_the_levels(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "3:cpu:/job\n",
        "sys/fs/cgroup/cpu/job/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 4500000\n",
        "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 9\nnr_throttled 1\nthrottled_time 500000\n",
    }
    assert read_contention(grow(tmp_path, files)) == Contention(None, None, 4, 5000)


@pytest.mark.parametrize("stat", ["", "cpu\n", "cpu 1 2 3\n", "cpu 1 2 3 4 5 6 7 x\n", "intr 1 2 3 4 5 6 7 8 9\n"])
def test_odd_stat_is_unknown(tmp_path: Path, stat: str) -> None:
    assert read_contention(grow(tmp_path, {"proc/stat": stat})).steal_s is None


def test_cores_that_are_not_ours_do_not_count(tmp_path: Path) -> None:
    lines = ["cpu 900 0 0 0 0 0 0 90", "cpu0 100 0 0 0 0 0 0 10", "cpu1 500 0 0 0 0 0 0 50", "cpu2 300 0 0 0 0 0 0 30"]
    root = grow(tmp_path, {"proc/stat": "\n".join(lines) + "\n"})
    ours = read_contention(root, {0, 2})
    assert (ours.busy_s, ours.steal_s) == (4.0, 0.4)
    assert read_contention(root).busy_s == 9.0
    assert read_contention(root, {0, 7}).busy_s is None  # a core that the system does not list


@pytest.mark.parametrize(("limit", "spare"), [("200000 100000", 6.0), ("max 100000", 0.0), ("900000 100000", 0.0)])
def test_cores_beyond_the_quota_are_spare(tmp_path: Path, limit: str, spare: float) -> None:
    root = grow(tmp_path, {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": limit + "\n"})
    reading = read_contention(root, range(8))
    assert reading.spare_cores == difference(reading, reading).spare_cores == spare


counters = st.one_of(st.none(), st.integers(min_value=0, max_value=2**63))
contentions = st.builds(
    Contention,
    steal_s=st.one_of(st.none(), st.integers(0, 2**40).map(float)),
    pressure_us=counters,
    throttled_periods=counters,
    throttled_us=counters,
)


@given(contentions, contentions)
def test_difference_says_none_where_either_cannot_say(before: Contention, after: Contention) -> None:
    grown = dataclasses.asdict(difference(before, after))
    for name, growth in grown.items():
        first, last = getattr(before, name), getattr(after, name)
        assert growth == (None if first is None or last is None else last - first)


# --- software ---


def test_versions_name_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = library_versions()
    assert tuple(versions) == LIBRARIES
    assert versions["pytest"] == pytest.__version__
    monkeypatch.setattr("ovbench.machine.LIBRARIES", ("no-such-distribution",))
    assert library_versions() == {"no-such-distribution": None}


def git(folder: Path, *words: str) -> None:
    identity = [
        "-c",
        "user.name=someone",
        "-c",
        "user.email=someone@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_commit_says_where_the_folder_is_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert commit(tmp_path / "nowhere") is None
    git(tmp_path, "init", "-q")
    assert commit(tmp_path) is None
    grow(tmp_path, {"a": "1"})
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = commit(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    grow(tmp_path, {"a": "2"})
    assert commit(tmp_path) == f"{clean}-dirty"


def test_commit_is_unknown_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(tmp_path) is None


HERE = fingerprint()


@given(cores=st.integers(1, 256), quota=st.none() | st.floats(0.01, 512.0))
def test_threads_fit_the_quota(cores: int, quota: float | None) -> None:
    host = dataclasses.replace(HERE, cores=cores, cpu_quota_cores=quota)
    threads = quota_threads(host)
    if quota is None or quota >= cores:
        assert threads == 0
    else:
        assert 1 <= threads <= max(1.0, quota)


# --- what a benchmark should know of it ---

CPUS = "sys/devices/system/cpu"


def test_an_unknown_system_tells_none_of_it(tmp_path: Path) -> None:
    readers = (governor, turbo, hot_events, on_battery, is_virtual, product, container, used_swap_bytes, stolen_share)
    assert [reader(tmp_path) for reader in readers] == [None] * len(readers)
    assert pressure_share("cpu", tmp_path) is None
    assert physical_cores(tmp_path) == ()


@pytest.mark.parametrize(
    ("listed", "cores"),
    [
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, [{0, 2}, {1, 3}]),
        ({0: "0-1", 1: "0-1"}, [{0, 1}]),
        ({0: "0", 1: "1"}, [{0}, {1}]),
        ({0: "0-1,8-9", 10: "10"}, [{0, 1, 8, 9}, {10}]),
    ],
)
def test_threads_of_one_physical_core_are_siblings(
    tmp_path: Path, listed: dict[int, str], cores: list[set[int]]
) -> None:
    files = {f"{CPUS}/cpu{number}/topology/thread_siblings_list": f"{text}\n" for number, text in listed.items()}
    assert list(physical_cores(grow(tmp_path, files))) == cores


def test_the_governor_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert governor(grow(tmp_path, {f"{CPUS}/cpu0/cpufreq/scaling_governor": "schedutil\n"})) == "schedutil"


@pytest.mark.parametrize(
    ("name", "text", "on"),
    [("intel_pstate/no_turbo", "0", True), ("intel_pstate/no_turbo", "1", False), ("cpufreq/boost", "1", True),
     ("cpufreq/boost", "0", False), ("cpufreq/boost", "?", None)],
)  # fmt: skip
def test_turbo_is_told_by_either_driver(tmp_path: Path, name: str, text: str, on: bool | None) -> None:
    assert turbo(grow(tmp_path, {f"{CPUS}/{name}": f"{text}\n"})) is on


def test_heat_is_summed_over_cores(tmp_path: Path) -> None:
    files = {f"{CPUS}/cpu{number}/thermal_throttle/core_throttle_count": f"{number + 2}\n" for number in range(2)}
    assert hot_events(grow(tmp_path, files)) == 5


@pytest.mark.parametrize(("states", "empties"), [(["Full"], False), (["Charging", "Discharging"], True)])
def test_a_battery_that_empties_is_seen(tmp_path: Path, states: list[str], empties: bool) -> None:
    files = {f"sys/class/power_supply/BAT{place}/status": f"{state}\n" for place, state in enumerate(states)}
    assert on_battery(grow(tmp_path, files)) is empties


def test_a_hypervisor_shows_in_the_flags_of_x86_alone(tmp_path: Path) -> None:
    assert is_virtual(grow(tmp_path, {"proc/cpuinfo": "flags\t\t: fpu hypervisor\n"})) is True
    assert is_virtual(grow(tmp_path, {"proc/cpuinfo": CPUINFO.format(mhz=1)})) is False
    assert is_virtual(grow(tmp_path, {"proc/cpuinfo": CPUINFO_ARM})) is None


def test_a_product_is_its_maker_and_name(tmp_path: Path) -> None:
    assert product(grow(tmp_path, {"sys/class/dmi/id/product_name": "c5.large\n"})) == "c5.large"
    assert product(grow(tmp_path, {"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"})) == "Amazon EC2 c5.large"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (".dockerenv", "", "Docker"),
        ("run/.containerenv", "", "Podman"),
        ("proc/1/cgroup", "0::/kubepods/pod1\n", "kubepods"),
        ("proc/1/cgroup", "0::/init.scope\n", None),
    ],
)
def test_a_container_leaves_marks(tmp_path: Path, name: str, text: str, told: str | None) -> None:
    assert container(grow(tmp_path, {name: text})) == told


def test_swap_in_use_is_what_is_not_free(tmp_path: Path) -> None:
    assert used_swap_bytes(grow(tmp_path, {"proc/meminfo": "SwapTotal: 10 kB\nSwapFree: 4 kB\n"})) == 6 * 1024


def test_pressure_is_a_share_of_the_last_ten_seconds(tmp_path: Path) -> None:
    text = "some avg10=2.50 avg60=9 avg300=9 total=9\nfull avg10=1.00 avg60=0 avg300=0 total=0\n"
    assert pressure_share("memory", grow(tmp_path, {"proc/pressure/memory": text})) == 0.025


def test_stolen_time_is_a_share_of_our_cores_time(tmp_path: Path) -> None:
    text = "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 10 0 0 80 0 0 0 10 5 0\ncpu1 0 0 0 100 0 0 0 0 0 0\n"
    root = grow(tmp_path, {"proc/stat": text})
    assert stolen_share(root) is None, "before the first tick"
    assert stolen_share(root, {0}) == 0.1, "time of guests is in the user's already"
    assert stolen_share(root, {0, 1}) == 0.05


def test_a_version_is_that_of_the_distribution() -> None:
    assert version_of("pytest") == pytest.__version__
    assert version_of("no-such-distribution") is None
