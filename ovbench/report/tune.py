"""A tuning as text: the pick first, then the Pareto front, what each axis bought, who was tried, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ovbench.candidates import candidate_name
from ovbench.config import AUTO, Config, Precision
from ovbench.race import Figures, Goal, Race
from ovbench.report.deploy import SCRIPT, benchmark_app_words, images_per_s, request_of
from ovbench.report.numbers import DASH, megabytes, milliseconds, ran_as, ratio, significant
from ovbench.report.page import open_page, open_table
from ovbench.stats import MIN_REPLICATES, Estimate
from ovbench.tune.asked import Limit
from ovbench.tune.choice import Pick
from ovbench.tune.gains import ALL
from ovbench.tune.limits import Status, violation
from ovbench.tune.lines import tuned_fields
from ovbench.tune.tuned import Tuned
from ovbench.verdict import Outcome, Verdict

AXIS_WORDS = {ALL: "all but precision", "hyper_threading": "hyper-threading"}
SWITCH_WORDS = {True: "on", False: "off"}


def tuned_text(tuned: Tuned, files: Sequence[Path], coloured: bool) -> str:
    """Everything that is printed after a tuning; 100 columns, escape codes only if ``coloured``."""
    console, stream = open_page(coloured)
    for line in _verdict(tuned):
        console.print(line)
    console.print("\nPareto front, by estimate: nobody beats these in both, latency and images a second")
    console.print(_front_table(tuned))
    if tuned.decision.bought:
        console.print("What each axis bought: the pick against the best that leaves the axis alone")
        console.print(_bought_table(tuned))
    for line in _tried(tuned):
        console.print(line)
    for line in _next(tuned, files):
        console.print(line, soft_wrap=True)  # a command broken in two cannot be copied
    return stream.getvalue()


def known_so_far(race: Race) -> str:
    """One line for an interrupted tuning: who led, after how many rounds."""
    if race.leader is None:
        return f"nothing is known yet, {len(race.entrants)} candidates" if race.entrants else "nothing is known yet"
    figures = race.all_figures([race.leader])[race.leader]
    rate, p50 = significant(figures.images_per_s), milliseconds(figures.p50_ns)
    return f"{candidate_name(race.leader)} leads after {race.rounds} rounds: {rate} images/s, p50 {p50} ms"


def _verdict(tuned: Tuned) -> Iterator[str]:
    pick, figures = tuned.decision.pick, tuned.decision.pick.figures
    raced = "throughput" if tuned.aim.goal is Goal.THROUGHPUT else "latency"
    model, cpu = tuned.files.source.name, tuned.host.cpu_brand or "this CPU"
    yield f"Deploy {candidate_name(pick.config)} for {raced} of {model} on {cpu}"
    rate = significant(figures.images_per_s)
    p50 = milliseconds(figures.p50_ns)
    if tuned.aim.goal is Goal.THROUGHPUT:
        rate = _with_interval(images_per_s(pick.cost))
    else:
        p50 = _with_interval(_scaled(pick.cost, 1e-6))
    peak = tuned.decision.peak_resident_bytes
    parts = [f"{rate} images/s", f"p50 {p50} ms"]
    if tuned.aim.constraints.p99_ns is None:  # else its own line tells it, by every sample as it came
        parts.append(f"p99 {milliseconds(figures.p99_ns)} ms")
    if peak is not None:
        parts.append(f"peak memory {megabytes(peak)} MB")
    yield f"  {', '.join(parts)}"
    yield f"  {_margin_text(pick, tuned.race)}"
    if pick.better is not None:
        yield f"  simpler than {candidate_name(pick.better)}, from which nothing tells it apart"
    for status in tuned.decision.statuses:
        yield f"  {status_text(status)}"


def _scaled(estimate: Estimate, by: float) -> Estimate:
    low, high = (None if each is None else each * by for each in (estimate.low, estimate.high))
    return Estimate(estimate.value * by, low, high, estimate.count)


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{significant(estimate.value)} [?]"
    return f"{significant(estimate.value)} [{significant(estimate.low)}, {significant(estimate.high)}]"


def _margin_text(pick: Pick, race: Race) -> str:
    if pick.runner_up is None or pick.margin is None:
        alone = len(race.measured) == 1
        return "nobody else was measured" if alone else "nobody else that was measured holds the constraints"
    if race.busy:
        words = "no verdict, the machine was busy, against"
    elif pick.tied:
        words = "no difference that can be shown from"
    else:
        words = "FASTER than" if pick.verdict is Verdict.FASTER else "faster by no more than this host's noise than"
    return f"{words} the runner-up, {candidate_name(pick.runner_up)}: {ratio(pick.margin, digits=3)} times as fast"


def status_text(status: Status) -> str:
    """``--p99 20ms: HELD, 15.2 ms (slow rounds and all)``; UNSURE says what is not shown."""
    units = {Limit.P99: ("ms", 1e6), Limit.MEMORY: ("MB", 1e6), Limit.AGREEMENT: ("", 1.0), Limit.THREADS: ("", 1)}
    unit, size = units[status.limit]
    text = f"{status.limit.value} {status.asked / size:g}{unit}: {status.outcome.value}"
    if status.value is not None:
        shown = str(status.value) if status.limit is Limit.THREADS else significant(status.value / size)
        text += f", {shown} {unit}".rstrip() + (" (slow rounds and all)" if status.limit is Limit.P99 else "")
    return text if status.outcome is Outcome.HELD else f"{text}: {status.reason}"


def _front_table(tuned: Tuned) -> Table:
    table = open_table()
    table.add_column("candidate", overflow="fold")
    table.add_column("ran as", no_wrap=True)
    for heading in ("p50 ms", "p99", "images/s", "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    race, front, pick = tuned.race, tuned.decision.front, tuned.decision.pick.config
    shown = front if pick in front else (*front, pick)
    for config, figures in race.all_figures(shown).items():
        table.add_row(
            candidate_name(config),
            ran_as(race.entrants[config].effective),
            *_figures(figures),
            _mark(race, config, pick),
        )
    return table


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        milliseconds(figures.p50_ns),
        milliseconds(figures.p99_ns),
        significant(figures.images_per_s),
        str(figures.rounds),
    )


def _mark(race: Race, config: Config, pick: Config) -> str:
    if config == pick:
        return "picked"
    return "finalist" if config in race.finalists else ""


def _bought_table(tuned: Tuned) -> Table:
    table = open_table()
    table.add_column("axis", no_wrap=True)
    table.add_column("pick", no_wrap=True)
    table.add_column("best without", overflow="fold")
    table.add_column("times as fast [95 %]", no_wrap=True)
    table.add_column("rounds", justify="right", no_wrap=True)
    for each in tuned.decision.bought:
        table.add_row(
            AXIS_WORDS.get(each.axis, each.axis),
            DASH if each.axis == ALL else _value(tuned.race, tuned.decision.pick.config, each.axis),
            "none that holds" if each.without is None else candidate_name(each.without),
            ratio(each.ratio, digits=3),
            str(each.rounds) if each.rounds else DASH,
        )
    return table


def _value(race: Race, config: Config, axis: str) -> str:
    value = getattr(config, axis)
    if axis == "streams":
        return f"{AUTO}: {race.entrants[config].streams}" if value == AUTO else str(value)
    if isinstance(value, bool):
        return SWITCH_WORDS[value]
    return str(getattr(value, "value", value))


def _tried(tuned: Tuned) -> Iterator[str]:
    race = tuned.race
    entrants = race.entrants.values()
    aliases = sum(each.alias_of is not None for each in entrants)
    faults = [each for each in entrants if each.fault]
    dropped = [each for each in entrants if each.dropped]
    broke = sum(bool(violation(race, tuned.aim.constraints, each.config)) for each in dropped)
    raced = sum(bool(each.blocks) for each in entrants)
    parts = [f"{raced} of {len(race.entrants)} candidates raced"]
    parts += [f"{broke} broke a constraint"] if broke else []
    parts += [f"{len(dropped) - broke} beaten"] if len(dropped) > broke else []
    parts += [f"{len(race.finalists)} in the finals"]
    parts += [f"{aliases} alias{'es' * (aliases > 1)}"] if aliases else []
    parts += [f"{len(faults)} failed"] if faults else []
    finals = len(race.final_lanes)
    yield f"{', '.join(parts)}."
    yield f"{race.rounds} rounds in {race.wall_s:.0f} s, finals in {finals} fresh {'lane' if finals == 1 else 'lanes'}."
    if finals < MIN_REPLICATES:
        yield f"Fewer than {MIN_REPLICATES} lanes give no interval: raise --budget."
    if race.rejected:
        busy = "no verdict is given" if race.busy else "left out"
        yield f"{len(race.rejected)} of {race.rounds} rounds lost a tenth of the cores to others: {busy}."
    for reason in dict.fromkeys(tuned.files.left_out.values()):
        names = [precision.value for precision, why in tuned.files.left_out.items() if why == reason]
        yield f"{', '.join(names)}: not tried, {reason}"
    if Precision.INT8 not in (*tuned.files.variants, *tuned.files.left_out):
        yield "INT8: not tried, give --images DIR to calibrate it on, or a file of it: --variant INT8=FILE"
    for reason in dict.fromkeys(each.proof_warning for each in entrants if each.proof_warning):
        yield f"warning: {reason}"
    for each in faults:
        yield f"{candidate_name(each.config)}: {each.fault}"
    yield from race.notes
    yield from tuned.files.source.notes
    if race.exhausted:
        yield f"the race ended early: {race.exhausted}"


def _next(tuned: Tuned, files: Sequence[Path]) -> Iterator[str]:
    if files:
        folder = files[0].parent
        yield f"Written to {folder}: {', '.join(each.name for each in files)}"
        yield f"Run it: python {shlex.quote(str(folder / SCRIPT))}"
        words = benchmark_app_words(tuned, request_of(tuned))
        yield f"Beside benchmark_app: cd {shlex.quote(str(folder))} && {shlex.join(words)}"
    if tuned.journal.path.exists():
        yield f"Every sample: {tuned.journal.path}"


def tuned_json(tuned: Tuned, files: Sequence[Path]) -> Mapping[str, Any]:
    """The fields of the one object that --json prints: the decision, every candidate's figures, what was written."""
    figures = tuned.race.all_figures(tuned.race.measured)
    return {
        "model": tuned.files.source.name,
        **tuned_fields(tuned),
        "candidates": [
            {
                "cell": config.id,
                "alias_of": None if entrant.alias_of is None else entrant.alias_of.id,
                "fault": entrant.fault,
                "dropped": entrant.dropped,
                "figures": figures.get(config),
            }
            for config, entrant in tuned.race.entrants.items()
        ],
        "files": list(files),
        "journal": tuned.journal.path,
    }
