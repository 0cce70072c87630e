"""The suite wherever it is installed, and what is stored of its sessions."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ovbench.cli.app import INTERRUPTED, AsJson, Results, app
from ovbench.errors import BadOption

STDERR = 2  # where pytest's own output goes when stdout is for JSON
REPORT_FLAG = "--ov-report"
PYTEST_INTERRUPTED = 2  # pytest.ExitCode.INTERRUPTED: by Ctrl-C, or by a module that it cannot collect
# python -m pytest, but for what Ctrl-C does before its session: pytest would tell the traceback of an import.
RUN = f"""
import runpy, sys
try:
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)
except KeyboardInterrupt:
    sys.exit({INTERRUPTED})
"""
DIED_OF = 128  # and the signal's number: what a shell makes of a command that a signal has ended


class RunCommand(TyperCommand):
    """A command whose help ends with the suite's options: pytest's own help has 500 lines."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example, and each option with its meaning."""
        from ovbench.options import OPTIONS

        super().format_epilog(ctx, formatter)
        with formatter.section("Options of the suite"):
            formatter.write_dl([(option.flag, option.text) for option in OPTIONS])


@app.command(
    cls=RunCommand,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[MODEL] [OPTION]...",
    epilog="Example: ovbench run model.xml --ov-precision FP32,INT8 --ov-budget 60s",
)
def run(context: typer.Context, as_json: AsJson = False) -> int:
    """Run the suite on a model; results lie in ./results.

    MODEL is a file, a folder or a name, as for --ov-model (unset: the embedded model). Options are those of the suite
    below, and all that pytest takes, such as -k throughput.
    """
    given = list(context.args)
    if given and not given[0].startswith("-"):
        given[:1] = ["--ov-model", given[0]]
    if not as_json:
        return run_pytest(given)
    if any(each.partition("=")[0] == REPORT_FLAG for each in given):
        raise BadOption(f"{REPORT_FLAG} with --json: give one of them; `ovbench report` writes the other afterwards")
    from ovbench.artifacts import temporary_folder

    with temporary_folder("report") as folder:
        report = folder / "report.json"
        code = run_pytest([*given, f"{REPORT_FLAG}={report}"], STDERR)
        if report.exists():
            sys.stdout.write(report.read_text(encoding="utf-8"))
    return code


def run_pytest(arguments: list[str], stdout: int | None = None) -> int:
    """Run the suite in a pytest of its own, which reads none of the user's ini files.

    Its exit code is pytest's; 130 after Ctrl-C, as of every command, and 128 + N where signal N has ended it.
    """
    suite, results = suite_folder(), Path.cwd() / "results"
    options = ["-c", str(suite / "pytest.ini"), "--rootdir", str(Path.cwd()), "-o", f"ov_results={results}"]
    options += ["-o", f"cache_dir={results / '.pytest_cache'}"]  # for --lf, and the user's folder stays tidy
    options += ["--no-header"]  # pytest's, and pytest-benchmark's 200 columns of what does not count here
    command = [sys.executable, "-c", RUN, *options, str(suite / "benches"), *arguments]
    # Of its own: pytest rewrites our plugin's asserts before it is imported.
    # Ctrl-C reaches pytest too, which ends with the table of what is done: we wait for that. SIGTERM we pass on.
    came: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if number == signal.SIGTERM:
            for child in children:
                child.terminate()

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each, handler in before.items():
        if handler != signal.SIG_IGN:  # a script's background command ignores Ctrl-C, and so must what it starts
            signal.signal(each, hear)
    try:
        with subprocess.Popen(command, stdout=stdout) as running:
            children.append(running)
            if signal.SIGTERM in came:
                running.terminate()
            code = running.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if code < 0:  # a signal ended it: the kernel's for want of memory, or one that came before pytest could take it
        return DIED_OF - code
    return INTERRUPTED if signal.SIGINT in came and code == PYTEST_INTERRUPTED else code


@app.command(epilog="Example: ovbench sessions --prune 20")
def sessions(
    results: Results = Path("results"),
    prune: Annotated[str, typer.Option(help="Keep this many of the newest, and the promoted one; remove others.")] = "",
    as_json: AsJson = False,
) -> None:
    """List stored sessions; prune them.

    Those of this kind of Python and system.
    """
    from ovbench import sessions as stored
    from ovbench.report.objects import object_text
    from ovbench.report.sessions import sessions_fields, sessions_text

    folder = sessions_folder(results)
    if prune and not prune.isdigit():
        raise BadOption(f"--prune {prune}: give the number of sessions to keep, 0 or more")
    removed = stored.prune(folder, int(prune)) if prune else ()
    found, faults = stored.list_sessions(folder)
    promoted = stored.read_promoted(folder)
    if as_json:
        sys.stdout.write(object_text(sessions_fields(folder, found, promoted, removed)))
    else:
        sys.stdout.write("".join(f"removed {path}\n" for path in removed))
        told = sessions_text(found, promoted, sys.stdout.isatty()) if found else f"no session is stored in {folder}\n"
        sys.stdout.write(told)
    for fault in faults:
        sys.stderr.write(f"ovbench: {fault}\n")


baseline_app = typer.Typer(help="The stored session that others are held against.", rich_markup_mode=None)
app.add_typer(baseline_app, name="baseline")


@baseline_app.callback()
def baseline() -> None:
    """The stored session that others are held against."""


@baseline_app.command("set", epilog="Example: ovbench baseline set 0007")
def set_baseline(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="A session that passed, such as 0007.")],
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Promote a stored session: --ov-baseline=promoted compares with it."""
    from ovbench.report.objects import object_text
    from ovbench.sessions import promote

    session = promote(sessions_folder(results), number)
    if as_json:
        sys.stdout.write(object_text({"session": session.number, "path": session.path}))
    else:
        sys.stdout.write(f"session {session.number} is the baseline now: {session.path}\n")


def sessions_folder(results: Path) -> Path:
    """Where pytest-benchmark stores this kind of Python's and system's sessions. Raises BadOption without one."""
    from pytest_benchmark.utils import get_machine_id

    folder = results / str(get_machine_id())
    if not folder.is_dir():
        raise BadOption(f"--results {results}: there is no folder {folder}: run the suite there first, or name another")
    return folder


def suite_folder() -> Path:
    """Where conftest, benches and fixtures lie: inside the installed package, or the checkout's root."""
    package = Path(__file__).parent.parent
    installed = package / "_suite"
    return installed if installed.is_dir() else package.parent
