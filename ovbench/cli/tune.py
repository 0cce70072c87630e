"""Which configuration to deploy on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ovbench.cli.app import (
    AsJson,
    Channels,
    Device,
    Mean,
    ModelsDir,
    Resize,
    Results,
    Scale,
    Shape,
    Variant,
    app,
    in_own_flags,
    progress,
    read_option,
    read_settings,
    tell,
)
from ovbench.errors import BadOption, NotWritable

if TYPE_CHECKING:  # --help imports nothing heavy
    from ovbench.tune.asked import Aim

SWITCHES = {"default": None, "yes": True, "no": False}
AXES = {"hint": "hints", "streams": "streams", "threads": "threads", "requests": "requests", "batch": "batches"}
"""Options that narrow the candidates, parsed as the suite's, and the field of ``candidates.Space`` that each is."""


@app.command(epilog="Example: ovbench tune model.xml --goal throughput --p99 20ms -o tuned")
def tune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="'embedded', a file, a folder or an Open Model Zoo "
                                         "name.")],
    goal: Annotated[str, typer.Option(help="throughput (images a second) or latency (median of a request).")] =
        "throughput",
    p99: Annotated[str, typer.Option(help="What 99 % of requests must hold, under load [s, ms].")] = "",
    min_agreement: Annotated[str, typer.Option(help="Least top-1 agreement with FP32 [share].")] = "",
    max_memory: Annotated[str, typer.Option(help="Most memory of a process [GB, MB, GiB, MiB].")] = "",
    max_threads: Annotated[str, typer.Option(help="Most inference threads.")] = "",
    budget: Annotated[str, typer.Option(help="Time for the race [s, ms, m or h].")] = "120s",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for what to deploy.")] = Path("ovbench-tuned"),
    as_json: AsJson = False,
    precision: Annotated[str, typer.Option(help="Precisions to try; unset: FP32, BF16, INT8 and INT8-BF16.")] = "",
    hint: Annotated[str, typer.Option(help="Hints to try; LATENCY runs one request at a time.")] = "",
    streams: Annotated[str, typer.Option(help="Numbers of streams to try, AUTO too.")] = "",
    threads: Annotated[str, typer.Option(help="Numbers of threads to try, 0: all cores.")] = "",
    requests: Annotated[str, typer.Option(help="Requests in flight to try, 0: OpenVINO's optimal number.")] = "",
    batch: Annotated[str, typer.Option(help="Batch sizes to try, 0: the model's own.")] = "",
    pinning: Annotated[str, typer.Option(help="default, yes or no, comma-separated.")] = "",
    hyper_threading: Annotated[str, typer.Option(help="default, yes or no, comma-separated.")] = "",
    images: Annotated[str, typer.Option(help="Folder of pictures, for INT8 and for agreement.")] = "",
    calib_size: Annotated[str, typer.Option(help="How many of them INT8 is calibrated on.")] = "200",
    eval_size: Annotated[str, typer.Option(help="How many agreement is measured on; unset: 1000 embedded ones, or all "
                                           "that are left.")] = "",
    variant: Variant = [],  # noqa: B006  (typer copies it)
    shape: Shape = "",
    mean: Mean = "",
    scale: Scale = "",
    channels: Channels = "",
    resize: Resize = "",
    device: Device = "CPU",
    models_dir: ModelsDir = "",
    seed: Annotated[str, typer.Option(help="Seed of the order of blocks, of inputs and of pictures.")] = "0",
    results: Results = Path("results"),
) -> int:  # fmt: skip
    """Find which configuration to deploy on this machine.

    Races candidates, tells what each axis bought, and writes what to deploy.
    """
    from ovbench.race import Goal
    from ovbench.tune.asked import Aim, Constraints, usual_precisions

    goals = {each.value: each for each in Goal}
    if goal not in goals:
        raise BadOption(f"--goal {goal}: give {' or '.join(goals)}")
    p99_s = read_option("warmup", p99, "--p99") if p99 else None
    if p99_s == 0:
        raise BadOption(f"--p99 {p99}: give a time above 0, such as 20ms")
    constraints = Constraints(  # parsed as options of the same kind
        p99_ns=None if p99_s is None else p99_s * 1e9,
        min_agreement=read_option("min_top1_agreement", min_agreement, "--min-agreement") if min_agreement else None,
        max_memory_bytes=read_option("max_memory", max_memory),
        max_threads=read_option("calib_size", max_threads, "--max-threads") if max_threads else None,
    )
    texts = {
        "budget": budget, "images": images, "calib_size": calib_size, "eval_size": eval_size,
        "variant": "\n".join(variant), "shape": shape, "mean": mean, "scale": scale, "channels": channels,
        "resize": resize, "device": device, "models_dir": models_dir, "seed": seed,
    }  # fmt: skip
    given = {"hint": hint, "streams": streams, "threads": threads, "requests": requests, "batch": batch}
    axes: dict[str, Any] = {AXES[name]: read_option(name, text) for name, text in given.items() if text}
    for flag, field, text in (
        ("--pinning", "pinnings", pinning),
        ("--hyper-threading", "hyper_threadings", hyper_threading),
    ):
        if text:
            axes[field] = read_switches(flag, text)
    settings = read_settings(model, texts, precision, usual_precisions)
    return answer(Aim(settings, goals[goal], constraints, axes), out, results, as_json)


def read_switches(flag: str, text: str) -> tuple[bool | None, ...]:
    """``default,no`` -> None and False. Raises BadOption."""
    words = [word.strip().lower() for word in text.split(",")]
    unknown = [word for word in words if word not in SWITCHES]
    if unknown:
        raise BadOption(f"{flag} {text}: give {', '.join(SWITCHES)}, with commas between")
    return tuple(dict.fromkeys(SWITCHES[word] for word in words))


def answer(aim: Aim, out: Path, results: Path, as_json: bool) -> int:
    """Tune, write what to deploy, and tell; the exit code."""
    from ovbench import hosts, machine, records
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.gate import ExitCode
    from ovbench.race import Race
    from ovbench.report import deploy
    from ovbench.report.objects import object_text
    from ovbench.report.tune import known_so_far, tuned_json, tuned_text
    from ovbench.tune.running import tune as answer_aim
    from ovbench.tune.tuned import Tuning

    deploy.check_out(out, Path(aim.settings.model[0]))
    check_results(results)
    journal = records.Journal(results / (records.new_session_id() + records.SUFFIX))
    host = machine.fingerprint()
    band = hosts.band_of(hosts.read_profile(host.fingerprint_id))
    tuning = Tuning(aim, journal, Race(aim.goal), band, host)
    try:
        tuned = answer_aim(tuning, ArtifactCache(default_root()), progress)
    except KeyboardInterrupt:
        kept = f"; finished lanes are in {journal.path}" if journal.path.exists() else ""
        tell(f"interrupted: {known_so_far(tuning.race)}{kept}")
        raise
    files = deploy.write(out, tuned)
    if as_json:
        sys.stdout.write(object_text(tuned_json(tuned, files)))
    else:
        sys.stdout.write(in_own_flags(tuned_text(tuned, files, sys.stdout.isatty())))
    return int(ExitCode.HELD)


def check_results(results: Path) -> None:
    """Raise NotWritable, in this command's own flags, where no journal can be kept."""
    from ovbench.records import check_writable

    try:
        check_writable(results)
    except NotWritable as error:
        raise NotWritable(str(error).replace("-o ov_results=DIR", "--results DIR")) from None
