"""The suite wherever it is installed, and what is stored of its sessions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ovbench.cli.app import Results, app
from ovbench.errors import BadOption
from ovbench.gate import ExitCode


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> int:
    """Run the suite: every argument goes to pytest; results lie in ./results."""
    suite, here = suite_folder(), Path.cwd()
    options = ["-c", str(suite / "pytest.ini"), "--rootdir", str(here), "-o", f"ov_results={here / 'results'}"]
    command = [sys.executable, "-m", "pytest", *options, str(suite / "benches"), *context.args]
    with subprocess.Popen(command) as running:  # of its own: pytest rewrites our plugin's asserts before it is imported
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:  # pytest gets it too, and ends with the table of what is done
                continue


@app.command()
def sessions(
    results: Results = Path("results"),
    prune: Annotated[str, typer.Option(help="Keep this many of the newest, and the promoted one; remove others.")] = "",
) -> int:
    """List the suite's stored sessions of this kind of Python and system; prune them."""
    from ovbench import sessions as stored
    from ovbench.report.sessions import sessions_text

    folder = sessions_folder(results)
    if prune:
        if not prune.isdigit():
            raise BadOption(f"--prune {prune}: give the number of sessions to keep, 0 or more")
        for path in stored.prune(folder, int(prune)):
            sys.stdout.write(f"removed {path}\n")
    found, faults = stored.list_sessions(folder)
    if found:
        sys.stdout.write(sessions_text(found, stored.read_promoted(folder), sys.stdout.isatty()))
    else:
        sys.stdout.write(f"no session is stored in {folder}\n")
    for fault in faults:
        sys.stderr.write(f"ovbench: {fault}\n")
    return int(ExitCode.HELD)


baseline_app = typer.Typer(help="The stored session that others are held against.")
app.add_typer(baseline_app, name="baseline")


@baseline_app.callback()
def baseline() -> None:
    """The stored session that others are held against."""


@baseline_app.command("set")
def set_baseline(
    number: Annotated[str, typer.Argument(help="A session that passed, such as 0007.")],
    results: Results = Path("results"),
) -> int:
    """Promote a stored session: --ov-baseline=promoted compares with it."""
    from ovbench.sessions import promote

    session = promote(sessions_folder(results), number)
    sys.stdout.write(f"session {session.number} is the baseline now: {session.path}\n")
    return int(ExitCode.HELD)


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
