"""An environment as text: what is here, and what would disturb a benchmark, each with its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ovbench.environment import Cores, Disturbance, Engine, Facts, Kind, Load
from ovbench.machine import Machine
from ovbench.report.numbers import mebibytes
from ovbench.report.page import open_page
from ovbench.report.versions import version_text

UNTOLD = "not told"
UNTOLD_NOTE = "not told: this system has no file or counter that says it"
FIRST_VERSIONS = ("ovbench", "openvino")

# What disturbs, in the words for its figures, and what to do about it.
ADVICE: Mapping[Kind, tuple[str, str]] = {
    Kind.NO_OPENVINO: ("OpenVINO cannot be loaded: {fault}", "reinstall it: pip install --force-reinstall openvino"),
    Kind.BUSY: ("others take {percent:.0f} % of the cores' time just now", "stop them; `top` shows which they are"),
    Kind.LOAD: (
        "load average {load:.2f} on {cores} cores over the last minute",
        "wait until the machine is quiet, or stop what works there",
    ),
    Kind.STOLEN: (
        "the hypervisor has given {percent:.1f} % of these cores' time since boot to others",
        "use a dedicated host, or a quieter time of day",
    ),
    Kind.QUOTA: (
        "a CPU quota of {quota:g} cores, and {cores} cores to run on: threads are stopped in the midst of an inference",
        "raise the container's limit (docker --cpus, Kubernetes limits.cpu) or give it whole cores (--cpuset-cpus)",
    ),
    Kind.THROTTLED: (
        "throttled in {periods} periods, {seconds:.1f} s in all, since this control group was made",
        "raise the container's CPU limit",
    ),
    Kind.GOVERNOR: (
        "frequency governor {governor}: the clock follows the load",
        "sudo cpupower frequency-set --governor performance",
    ),
    Kind.HOT: (
        "cores were slowed down for their heat {events} times since boot",
        "cool the machine, or bar turbo; short blocks hide it, long runs do not",
    ),
    Kind.BATTERY: ("the machine runs on its battery", "plug it in: the power plan lowers the clock"),
    Kind.FEW_CORES: (
        "{cores} core: Python and the system share it with the inference",
        "use a host, or a container, of two cores or more",
    ),
    Kind.FOREIGN_SIBLINGS: (
        "{siblings} hardware threads beside ours, on the same physical cores, belong to others",
        "give this process whole physical cores (taskset, --cpuset-cpus)",
    ),
    Kind.LITTLE_MEMORY: (
        "{mebibytes} MiB of memory are available",
        "free some, or raise the container's limit; --ov-max-memory bounds what is opened together",
    ),
    Kind.SWAP: (
        "{mebibytes} MiB of memory are swapped out, and come back when they are touched",
        "free memory, then: sudo swapoff -a && sudo swapon -a",
    ),
    Kind.CPU_WAIT: (
        "tasks waited for a core in {percent:.0f} % of the last ten seconds",
        "stop other work; `top` shows which it is",
    ),
    Kind.MEMORY_WAIT: (
        "tasks waited for memory in {percent:.0f} % of the last ten seconds",
        "free memory, or raise the container's limit",
    ),
    Kind.DISK_WAIT: (
        "tasks waited for the disk in {percent:.0f} % of the last ten seconds",
        "let it finish: start-up, cache and pictures are read from it",
    ),
    Kind.VARIABLES: (
        "variables are set that change what is measured: {set}",
        "unset them, unless they are what you benchmark",
    ),
    Kind.EMULATED: ("an emulated CPU ({brand}): no time here says anything", "use a host with KVM, or a real one"),
    Kind.NO_PROFILE: (
        "this host's own noise is not known: gates assume a band of {percent:.0f} %",
        "run `ovbench selfcheck` once when the machine is quiet",
    ),
    Kind.TURBO: (
        "turbo is on: the clock depends on heat and on how many cores work",
        "ratios bear it, absolute times do not: bar it where they count (BIOS, or intel_pstate/no_turbo)",
    ),
    Kind.SHARED_CORES: (
        "{shared} physical cores are seen as two or more of our {cores} cores (SMT)",
        "two streams on one share its units: more threads than physical cores gain little",
    ),
    Kind.VIRTUAL: (
        "a virtual machine: its cores may be hardware threads that are shared with other guests, unseen from here",
        "compare ratios of one run, not absolute times of two; a dedicated host finds smaller changes",
    ),
    Kind.UNTOLD: (
        "this system does not tell {counters}: rounds that it hits are not rejected",
        "trust intervals rather than single rounds; Linux tells",
    ),
    Kind.DEFAULT_PRECISION: (
        "an FP32 model compiled with no options runs in {kernel} kernels here",
        'ovbench pins f32 for its FP32 rows; other tools\' "FP32" may be {kernel}: compare with --ov-precision',
    ),
    Kind.SLOW_INT8: (
        "no VNNI ({isa}): a product of int8 takes three instructions",
        "expect less of INT8 here than where it is deployed, if that has VNNI or AMX",
    ),
}


def environment_text(facts: Facts, found: tuple[Disturbance, ...], coloured: bool) -> str:
    """Everything that ``ovbench env`` prints; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    console.print(version_text(facts.versions, facts.python).rstrip())
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    lines = _lines(facts)
    for name, text in lines.items():
        table.add_row(name, text)
    console.print(table)
    if any(UNTOLD in text for text in lines.values()):
        console.print(UNTOLD_NOTE)
    for heading, is_note in (("To mend before a benchmark", False), ("To know", True)):
        chosen = [each for each in found if each.is_note is is_note]
        if chosen:
            console.print(f"\n{heading}", style="bold")
            console.print(_advice(chosen))
    if all(each.is_note for each in found):
        console.print("\nNothing was found that has to be mended before a benchmark.")
    return stream.getvalue()


def environment_fields(facts: Facts, found: tuple[Disturbance, ...]) -> dict[str, Any]:
    """The same as values, for ``--json``; each disturbance with its words as well."""
    told = [
        {
            "kind": each.kind,
            "note": each.is_note,
            "figures": each.figures,
            "what": disturbance_text(each),
            "remedy": remedy_text(each),
        }
        for each in found
    ]
    return {**vars(facts), "fingerprint": facts.host.fingerprint_id, "disturbances": told}


def disturbance_text(disturbance: Disturbance) -> str:
    """What disturbs, with its figures."""
    return _filled(ADVICE[disturbance.kind][0], disturbance.figures)


def remedy_text(disturbance: Disturbance) -> str:
    """What to do about it."""
    return _filled(ADVICE[disturbance.kind][1], disturbance.figures)


def _filled(words: str, figures: Mapping[str, float | str]) -> str:
    share, size_bytes = float(figures.get("share", 0)), float(figures.get("bytes", 0))
    return words.format(**figures, percent=100 * share, mebibytes=mebibytes(size_bytes))


def _advice(found: list[Disturbance]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in found:
        table.add_row("-", disturbance_text(each))
        table.add_row("", f"-> {remedy_text(each)}")
    return table


def _lines(facts: Facts) -> dict[str, str]:
    host = facts.host
    shown = {name: text for name, text in facts.versions.items() if text is not None and name not in FIRST_VERSIONS}
    telemetry = "is not installed" if facts.telemetry is None else f"{facts.telemetry} is installed"
    return {
        "libraries": ", ".join(f"{name} {text}" for name, text in shown.items()),
        "telemetry": f"openvino-telemetry {telemetry}; ovbench loads OpenVINO without it",
        **_engine_lines(facts.engine, facts.engine_fault),
        "CPU": f"{_told(host.cpu_brand)} ({_told(host.cpu_model)}), {host.architecture}",
        "instructions": UNTOLD if facts.instructions is None else _yes_or_no(facts.instructions),
        "cores": _cores_text(facts.cores, host),
        "clock": f"governor {_told(facts.cores.governor)}; turbo {_on_or_off(facts.cores.turbo)}",
        "memory": f"available {_size(facts.memory_available_bytes)}, in all {_size(host.memory_total_bytes)}, "
        f"swapped out {_size(facts.swap_used_bytes)}",
        "system": f"{host.system} {host.kernel}; virtual machine: {_place(facts.is_virtual, facts.product)}; "
        f"container: {facts.container or 'none found'}",
        "others now": _others_text(facts.load),
        "waiting now": _waits_text(facts.load),
        "variables": " ".join(f"{name}={text}" for name, text in facts.variables.items()) or "none that matter",
        "noise": _noise_text(facts),
    }


def _engine_lines(engine: Engine | None, fault: str) -> dict[str, str]:
    if engine is None:
        return {"devices": f"OpenVINO cannot be loaded: {fault}"}
    lines = {"devices": ", ".join(f"{device} ({name})" for device, name in engine.devices.items()) or "none"}
    if engine.default_kernel is not None:
        lines["precision"] = (
            f"an FP32 model compiled with no options runs {engine.default_kernel} here (INFERENCE_PRECISION_HINT "
            f"{engine.default_precision}); ovbench pins f32 for its FP32 rows"
        )
        lines["capabilities"] = ", ".join(engine.capabilities)
    return lines


def _cores_text(cores: Cores, host: Machine) -> str:
    quota = "none" if host.cpu_quota_cores is None else f"{host.cpu_quota_cores:g} cores"
    quota = UNTOLD if "cpu_quota_cores" in host.unreadable else quota
    return (
        f"ours {cores.available}, physical {_told(cores.physical)}, logical {_told(cores.logical)}; CPU quota {quota}"
    )


def _others_text(load: Load) -> str:
    average = UNTOLD if load.load_average is None else f"{load.load_average:.2f}"
    throttled = UNTOLD if load.throttled_us is None else f"{load.throttled_us / 1e6:.1f} s"
    return (
        f"share of our cores' time {_share(load.others_share)}; load average {average}; "
        f"since boot stolen {_share(load.stolen_share)}, throttled {throttled}"
    )


def _waits_text(load: Load) -> str:
    waits = (("a core", load.cpu_wait_share), ("memory", load.memory_wait_share), ("the disk", load.disk_wait_share))
    return "in the last ten seconds " + ", ".join(f"for {name} {_share(share)}" for name, share in waits)


def _noise_text(facts: Facts) -> str:
    profile = facts.profile
    if profile is None:
        return f"`ovbench selfcheck` has not run on this host (fingerprint {facts.host.fingerprint_id})"
    return (
        f"±{100 * profile.band:.1f} %, from {profile.pairs} pairs of `ovbench selfcheck` with OpenVINO "
        f"{profile.openvino.split('-')[0]} (fingerprint {facts.host.fingerprint_id})"
    )


def _place(is_virtual: bool | None, name: str | None) -> str:
    known = UNTOLD if is_virtual is None else "yes" if is_virtual else "no"
    return f"{known} ({name})" if name else known


def _yes_or_no(known: Mapping[str, bool]) -> str:
    return ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in known.items())


def _on_or_off(value: bool | None) -> str:
    return UNTOLD if value is None else "on" if value else "off"


def _told(value: object) -> str:
    return UNTOLD if value is None else str(value)


def _size(size_bytes: int | None) -> str:
    return UNTOLD if size_bytes is None else f"{mebibytes(size_bytes)} MiB"


def _share(value: float | None) -> str:
    return UNTOLD if value is None else f"{100 * value:.1f} %"
