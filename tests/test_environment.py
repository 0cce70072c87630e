"""What is known of a place, what would disturb a benchmark there, and how both are told."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_machine import grow

from ovbench import environment, hosts, runtime
from ovbench.environment import (
    MAX_LOAD,
    NOTES,
    Cores,
    Disturbance,
    Engine,
    Facts,
    Kind,
    Load,
    disturbances,
    gather,
    instructions,
)
from ovbench.hosts import Profile
from ovbench.machine import Contention, Isa, Machine
from ovbench.report.environment import ADVICE, disturbance_text, environment_fields, environment_text
from ovbench.report.objects import object_text
from ovbench.report.page import WIDTH
from ovbench.report.versions import version_text

GIB = 2**30

HOST = Machine(
    cpu_brand="Intel(R) Xeon(R) Platinum 8480+",
    cpu_model="GenuineIntel-6-143-8",
    isa=Isa.AMX,
    compute_flags=("amx_bf16", "amx_int8", "avx2", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni"),
    architecture="x86_64",
    system="Linux",
    cores=8,
    cpu_quota_cores=None,
    memory_total_bytes=32 * GIB,
    kernel="6.12.1",
    python="3.11.9",
    unreadable=(),
)
CORES = Cores(
    available=8,
    logical=16,
    physical=8,
    shared=0,
    foreign_siblings=0,
    governor="performance",
    turbo=False,
    hot_events=0,
    on_battery=False,
)
LOAD = Load(
    others_share=0.01,
    stolen_share=0.0,
    load_average=0.12,
    cpu_wait_share=0.004,
    memory_wait_share=0.0,
    disk_wait_share=0.0,
    throttled_periods=0,
    throttled_us=0,
)
PROFILE = Profile(
    fingerprint=HOST.fingerprint_id,
    pairs=24,
    pair_sd={"latency": 0.01},
    false_alarms=0,
    comparisons=4,
    band=0.017,
    pair_wall_s=9.0,
    rejected_share=0.0,
    steal_share=0.0,
    openvino="2026.4.1-1-abc",
)
QUIET = Facts(
    versions={"ovbench": "0.1.0", "openvino": "2026.4.1", "nncf": "3.4.0", "numpy": "2.4.6", "opencv-python": None},
    python="3.11.9",
    engine=Engine({"CPU": "Intel(R) Xeon(R) Platinum 8480+"}, ("FP32", "INT8"), "f32", "f32"),
    engine_fault="",
    host=HOST,
    instructions=instructions(HOST),
    cores=CORES,
    memory_available_bytes=24 * GIB,
    swap_used_bytes=0,
    load=LOAD,
    is_virtual=False,
    product=None,
    container=None,
    variables={},
    profile=PROFILE,
    telemetry=None,
)


def kinds(facts: Facts) -> list[Kind]:
    return [each.kind for each in disturbances(facts)]


def changed(**changes: Any) -> Facts:
    """The quiet place with fields changed, wherever they lie."""
    parts: dict[str, Any] = {"host": HOST, "cores": CORES, "load": LOAD, "engine": QUIET.engine}
    for name, part in parts.items():
        mine = {field.name for field in fields(part)} & set(changes)
        parts[name] = replace(part, **{each: changes.pop(each) for each in mine})
    return replace(QUIET, **{**parts, **changes})


# ------------------------------------------------------------------------------------------------ what disturbs


def test_a_quiet_place_has_nothing_to_mend_or_to_know() -> None:
    assert disturbances(QUIET) == ()


DISTURBED: dict[Kind, dict[str, Any]] = {
    Kind.NO_OPENVINO: {"engine": None, "engine_fault": "no libtbb"},
    Kind.BUSY: {"others_share": 0.3},
    Kind.LOAD: {"load_average": 9.0},
    Kind.STOLEN: {"stolen_share": 0.02},
    Kind.QUOTA: {"cpu_quota_cores": 1.5},
    Kind.THROTTLED: {"throttled_periods": 3, "throttled_us": 250_000},
    Kind.GOVERNOR: {"governor": "powersave"},
    Kind.HOT: {"hot_events": 7},
    Kind.BATTERY: {"on_battery": True},
    Kind.FEW_CORES: {"available": 1},
    Kind.FOREIGN_SIBLINGS: {"foreign_siblings": 2},
    Kind.LITTLE_MEMORY: {"memory_available_bytes": GIB // 2},
    Kind.SWAP: {"swap_used_bytes": GIB},
    Kind.CPU_WAIT: {"cpu_wait_share": 0.2},
    Kind.MEMORY_WAIT: {"memory_wait_share": 0.06},
    Kind.DISK_WAIT: {"disk_wait_share": 0.06},
    Kind.VARIABLES: {"variables": {"ONEDNN_MAX_CPU_ISA": "AVX2"}},
    Kind.EMULATED: {"cpu_brand": "QEMU TCG CPU version 2.5+"},
    Kind.NO_PROFILE: {"profile": None},
    Kind.TURBO: {"turbo": True},
    Kind.SHARED_CORES: {"shared": 4},
    Kind.VIRTUAL: {"is_virtual": True},
    Kind.UNTOLD: {"others_share": None},
    Kind.DEFAULT_PRECISION: {"default_precision": "bf16", "default_kernel": "bf16"},
    Kind.SLOW_INT8: {"isa": Isa.AVX2},
}


def place(kind: Kind) -> Facts:
    changes = DISTURBED[kind]
    if "engine" in changes:
        return replace(QUIET, **changes)
    return changed(**changes)


@pytest.mark.parametrize("kind", Kind)
def test_each_thing_that_disturbs_is_found_alone_and_told_in_full(kind: Kind) -> None:
    (found,) = disturbances(place(kind))
    assert found.kind is kind
    assert found.is_note is (kind in NOTES)
    told = environment_text(place(kind), (found,), coloured=False)
    assert " ".join(disturbance_text(found).split()) in " ".join(told.split())
    assert ("To mend before a benchmark" in told) is not found.is_note
    assert ("To know" in told) is found.is_note
    assert not {"{", "}"} & set(disturbance_text(found))
    assert max(map(len, told.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"others_share": 0.3}, "others take 30 % of the cores' time just now"),
        ({"load_average": 9.0}, "load average 9.00 on 16 cores over the last minute"),
        ({"stolen_share": 0.0234}, "the hypervisor has given 2.3 % of these cores' time since boot to others"),
        ({"throttled_periods": 3, "throttled_us": 250_000}, "throttled in 3 periods, 0.2 s in all"),
        ({"memory_available_bytes": 100 * 2**20}, "100 MiB of memory are available"),
        ({"cpu_quota_cores": 1.5}, "a CPU quota of 1.5 cores, and 8 cores to run on"),
        ({"profile": None}, "gates assume a band of 2 %"),
        ({"variables": {"OMP_NUM_THREADS": "1", "OV_X": "a b"}}, "OMP_NUM_THREADS=1 OV_X=a b"),
        ({"default_kernel": "bf16"}, "an FP32 model compiled with no options runs in bf16 kernels here"),
    ],
)
def test_the_figures_are_in_the_words(changes: dict[str, Any], told: str) -> None:
    (found,) = disturbances(changed(**changes))
    assert told in disturbance_text(found)


def test_every_kind_has_words_and_a_remedy() -> None:
    assert set(ADVICE) == set(Kind)
    assert all(what and remedy for what, remedy in ADVICE.values())


def test_load_is_held_against_all_cores_of_the_machine() -> None:
    assert kinds(changed(load_average=MAX_LOAD * 16)) == []
    assert kinds(changed(load_average=MAX_LOAD * 16 + 0.1)) == [Kind.LOAD]
    assert kinds(changed(load_average=MAX_LOAD * 8 + 0.1, logical=None)) == [Kind.LOAD]


def test_a_quota_of_all_our_cores_and_more_disturbs_nothing() -> None:
    assert kinds(changed(cpu_quota_cores=8.0)) == []
    assert kinds(changed(cpu_quota_cores=7.5)) == [Kind.QUOTA]


def test_throttling_that_is_not_told_matters_only_where_a_quota_may_be() -> None:
    assert kinds(changed(throttled_periods=None)) == []
    (untold,) = disturbances(changed(throttled_periods=None, unreadable=("cpu_quota_cores",)))
    assert untold == Disturbance(Kind.UNTOLD, {"counters": "throttling"})


def test_a_cpu_that_does_not_tell_its_flags_is_not_called_slow() -> None:
    assert kinds(changed(isa=Isa.OTHER, instructions=None)) == []


@st.composite
def places(draw: st.DrawFn) -> Facts:
    """Any mixture of the disturbed places and of what is not told."""
    facts = QUIET
    shares = st.none() | st.floats(0, 1)
    counts = st.none() | st.integers(0, 10**6)
    for name, known in {
        "load": {"others_share": shares, "stolen_share": shares, "cpu_wait_share": shares, "throttled_us": counts,
                 "memory_wait_share": shares, "disk_wait_share": shares, "throttled_periods": counts,
                 "load_average": st.none() | st.floats(0, 1000)},
        "cores": {"available": st.integers(1, 64), "logical": st.none() | st.integers(1, 64), "hot_events": counts,
                  "shared": counts, "foreign_siblings": counts, "governor": st.none() | st.text("{}a%", max_size=4),
                  "turbo": st.none() | st.booleans(), "on_battery": st.none() | st.booleans()},
        "host": {"cpu_quota_cores": st.none() | st.floats(0.01, 99), "cpu_brand": st.none() | st.text("[{", max_size=3),
                 "isa": st.sampled_from(Isa), "memory_total_bytes": counts},
    }.items():  # fmt: skip
        part = replace(getattr(facts, name), **{field: draw(values) for field, values in known.items()})
        facts = replace(facts, **{name: part})
    return replace(
        facts,
        engine=draw(st.sampled_from([None, Engine({}), QUIET.engine])),
        engine_fault=draw(st.text("{[a", max_size=3)),
        instructions=draw(st.sampled_from([None, QUIET.instructions])),
        memory_available_bytes=draw(counts),
        swap_used_bytes=draw(counts),
        is_virtual=draw(st.none() | st.booleans()),
        profile=draw(st.sampled_from([None, PROFILE])),
        variables=draw(
            st.dictionaries(st.text("A[{", min_size=1, max_size=3), st.text("a}]%", max_size=3), max_size=2)
        ),
    )


@settings(max_examples=30)
@given(places())
def test_whatever_a_place_is_it_can_be_told(facts: Facts) -> None:
    found = disturbances(facts)
    assert len({each.kind for each in found}) == len(found), "each thing once"
    notes = [each.is_note for each in found]
    assert notes == sorted(notes), "what to mend comes first"
    told = " ".join(environment_text(facts, found, coloured=False).split())
    assert all(" ".join(ADVICE[each.kind][1].split("{")[0].split()) in told for each in found)
    fields_told = json.loads(object_text(environment_fields(facts, found)))
    assert [each["kind"] for each in fields_told["disturbances"]] == [each.kind.value for each in found]


UNKNOWN_CORES = Cores(8, *[None] * 8)
UNKNOWN_LOAD = Load(*[None] * 8)


def test_what_is_not_told_disturbs_nothing_but_is_said() -> None:
    facts = replace(
        QUIET,
        cores=UNKNOWN_CORES,
        load=UNKNOWN_LOAD,
        memory_available_bytes=None,
        swap_used_bytes=None,
        is_virtual=None,
        instructions=None,
        host=replace(HOST, cpu_brand=None, memory_total_bytes=None),
    )
    assert kinds(facts) == [Kind.UNTOLD]
    told = environment_text(facts, (), coloured=False)
    assert told.count("not told") == 17
    assert "not told: this system has no file or counter that says it" in told


# -------------------------------------------------------------------------------------------------- how it is told


def test_the_text_of_a_disturbed_place() -> None:
    facts = changed(governor="powersave", turbo=True, stolen_share=None, profile=None)
    told = environment_text(facts, disturbances(facts), coloured=False)
    assert "\n".join(map(str.rstrip, told.splitlines())) == GOLDEN


GOLDEN = """\
ovbench 0.1.0, OpenVINO 2026.4.1, Python 3.11.9
libraries     nncf 3.4.0, numpy 2.4.6
telemetry     openvino-telemetry is not installed; ovbench loads OpenVINO without it
devices       CPU (Intel(R) Xeon(R) Platinum 8480+)
precision     an FP32 model compiled with no options runs f32 here (INFERENCE_PRECISION_HINT f32);
              ovbench pins f32 for its FP32 rows
capabilities  FP32, INT8
CPU           Intel(R) Xeon(R) Platinum 8480+ (GenuineIntel-6-143-8), x86_64
instructions  AVX2 yes, AVX-VNNI yes, AVX512 yes, AVX512-VNNI yes, AMX yes, bf16 yes
cores         ours 8, physical 8, logical 16; CPU quota none
clock         governor powersave; turbo on
memory        available 24576 MiB, in all 32768 MiB, swapped out 0 MiB
system        Linux 6.12.1; virtual machine: no; container: none found
others now    share of our cores' time 1.0 %; load average 0.12; since boot stolen not told,
              throttled 0.0 s
waiting now   in the last ten seconds for a core 0.4 %, for memory 0.0 %, for the disk 0.0 %
variables     none that matter
noise         `ovbench selfcheck` has not run on this host (fingerprint 73b84ad1b696)
not told: this system has no file or counter that says it

To mend before a benchmark
- frequency governor powersave: the clock follows the load
  -> sudo cpupower frequency-set --governor performance

To know
- turbo is on: the clock depends on heat and on how many cores work
  -> ratios bear it, absolute times do not: bar it where they count (BIOS, or intel_pstate/no_turbo)
- this host's own noise is not known: gates assume a band of 2 %
  -> run `ovbench selfcheck` once when the machine is quiet
- this system does not tell time stolen by a hypervisor: rounds that it hits are not rejected
  -> trust intervals rather than single rounds; Linux tells"""


def test_json_has_every_fact_and_the_words() -> None:
    facts = changed(governor="powersave")
    told = json.loads(object_text(environment_fields(facts, disturbances(facts))))
    assert set(told) == {field.name for field in fields(Facts)} | {"fingerprint", "disturbances"}
    assert told["instructions"]["AMX"] is True
    assert told["host"]["isa"] == "AMX"
    assert told["fingerprint"] == HOST.fingerprint_id
    assert told["disturbances"] == [
        {
            "kind": "governor",
            "note": False,
            "figures": {"governor": "powersave"},
            "what": "frequency governor powersave: the clock follows the load",
            "remedy": "sudo cpupower frequency-set --governor performance",
        }
    ]


def test_a_library_that_is_missing_is_said() -> None:
    assert version_text({"ovbench": "0.1.0", "openvino": None}, "3.13.0") == (
        "ovbench 0.1.0, OpenVINO not installed, Python 3.13.0\n"
    )


# -------------------------------------------------------------------------------------------------------- gathering


@pytest.fixture
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(hosts.PROFILES_VARIABLE, str(tmp_path / "profiles"))
    monkeypatch.setattr("ovbench.machine.own_cores", lambda: frozenset({0, 1}))
    monkeypatch.setattr("ovbench.machine.available_cores", lambda: 2)
    monkeypatch.setattr(environment, "VARIABLES", ("OVBENCH_MADE_UP_",))


@pytest.mark.usefixtures("_apart")
def test_facts_are_gathered_from_the_systems_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVBENCH_MADE_UP_VARIABLE", "1")
    stat = "cpu0 {busy} 0 0 0 0 0 0 50\ncpu1 0 0 0 50 0 0 0 0\n"
    root = grow(
        tmp_path / "root",
        {
            "proc/cpuinfo": "vendor_id : A\nmodel name : B\nflags : avx2 hypervisor\n",
            "proc/meminfo": "MemAvailable: 2048 kB\nSwapTotal: 300 kB\nSwapFree: 100 kB\n",
            "proc/stat": stat.format(busy=100),
            "proc/pressure/io": "some avg10=12.50 avg60=0 avg300=0 total=1\n",
            "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,2\n",
            "sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "1\n",
            "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "0,2\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
            "sys/class/dmi/id/sys_vendor": "Maker\n",
            ".dockerenv": "",
        },
    )

    def work(_duration_s: float) -> None:
        grow(root, {"proc/stat": stat.format(busy=10_000)})

    facts = gather(root, sleep=work)
    assert facts.load.others_share == 1.0, "more than all of the cores' time is all of it"
    spare = Contention(0.0, 0, 0, 0, busy_s=0.25, spare_cores=1.0)
    assert environment._others_share(spare, own_s=0.05, took_s=0.1) == 1.0, "one of two cores is beyond the quota"
    assert environment._others_share(replace(spare, busy_s=0.2), own_s=0.05, took_s=0.1) == pytest.approx(0.5)
    assert facts.load.stolen_share == pytest.approx(50 / 10_100)
    assert facts.load.disk_wait_share == 0.125
    assert (facts.memory_available_bytes, facts.swap_used_bytes) == (2048 * 1024, 200 * 1024)
    assert (facts.cores.physical, facts.cores.shared, facts.cores.foreign_siblings) == (2, 0, 1)
    assert (facts.cores.governor, facts.cores.turbo) == ("schedutil", True)
    assert (facts.is_virtual, facts.product, facts.container) == (True, "Maker", "Docker")
    assert facts.instructions is not None
    assert [name for name, has in facts.instructions.items() if has] == ["AVX2"]
    assert dict(facts.variables) == {"OVBENCH_MADE_UP_VARIABLE": "1"}
    assert facts.engine is not None
    assert "CPU" in facts.engine.devices
    assert facts.engine.default_precision == facts.engine.default_kernel
    assert facts.engine.default_kernel in ("f32", "bf16", "f16")


@pytest.mark.usefixtures("_apart")
def test_a_system_without_such_files_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    facts = gather(tmp_path, sleep=lambda _duration_s: None)
    assert facts.load.others_share is None
    assert facts.cores.physical is None
    assert facts.cores.governor is None
    assert facts.cores.available == 2
    assert Kind.UNTOLD in kinds(facts)
    assert "governor not told; turbo not told" in environment_text(facts, disturbances(facts), coloured=False)


@pytest.mark.usefixtures("_apart")
def test_openvino_that_cannot_be_loaded_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libtbb.so.12: cannot open")

    monkeypatch.setattr(runtime, "core", broken)
    facts = gather(tmp_path, sleep=lambda _duration_s: None)
    first = disturbances(facts)[0]
    assert first.kind is Kind.NO_OPENVINO
    assert "OpenVINO cannot be loaded: libtbb.so.12: cannot open" in disturbance_text(first)
    assert "cannot be loaded" in environment_text(facts, (first,), coloured=False)


def test_a_machine_without_a_cpu_device_names_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class OnlyGpu:
        available_devices = ("GPU",)

        def get_property(self, device: str, name: str) -> str:
            return f"{name} of {device}"

    monkeypatch.setattr(runtime, "core", OnlyGpu)
    engine = gather(tmp_path, sleep=lambda _duration_s: None).engine
    assert engine == Engine({"GPU": "FULL_DEVICE_NAME of GPU"})
