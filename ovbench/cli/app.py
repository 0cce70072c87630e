"""What every command shares: the application, bad input in one line, options, the progress bar."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ovbench.errors import BadInput, BadOption, OvbenchError

app = typer.Typer(
    name="ovbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take a third of the time of `ovbench --help`
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # click's UsageError, wherever this typer keeps it

Results = Annotated[Path, typer.Option(help="Folder of results, where journals lie.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text; see docs/json.md.")]

# How a model is found and read, in every command that takes one.
Variant = Annotated[list[str], typer.Option(help="A file that is a precision already: INT8=FILE, repeatable.")]
Shape = Annotated[str, typer.Option(help="Shape of a dynamic input, as for --ov-shape: 1,3,224,224.")]
Mean = Annotated[str, typer.Option(help="Mean of the inputs, 0..255, one or three; unset: the model's.")]
Scale = Annotated[str, typer.Option(help="Scale that inputs are divided by, one or three; unset: the model's.")]
Channels = Annotated[str, typer.Option(help="BGR or RGB; unset: the model's.")]
Resize = Annotated[
    str, typer.Option(help="standard, crop, fit_to_window or fit_to_window_letterbox; unset: the model's.")
]
Device = Annotated[str, typer.Option(help="OpenVINO device.")]
ModelsDir = Annotated[str, typer.Option(help="Folder in which Open Model Zoo names are looked for.")]


def main() -> None:
    """Run the command line; usage errors and bad input end with one line and exit code 4."""
    _open_streams()
    try:
        code = app(prog_name="ovbench", standalone_mode=False)
        sys.stdout.flush()
    except USAGE_ERROR as error:
        _fail(error.format_message())
    except BadInput as error:
        _fail(str(error))
    except OvbenchError as error:
        from ovbench.gate import ExitCode

        sys.stderr.write(f"ovbench: {error}\n")
        sys.exit(ExitCode.FAILED)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except OSError as error:
        _end_unprinted(error)
    sys.exit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Let stdout and stderr take any text, whatever the locale; a closed one takes it too, and loses it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (it lasts as long as we do)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end_unprinted(error: OSError) -> NoReturn:
    """End where stdout takes no more: nobody reads it (exit 1, as other commands), or the disk is full (exit 4)."""
    if error.errno not in (errno.EPIPE, *NO_ROOM):
        raise error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # Python flushes once more as it ends
    if error.errno == errno.EPIPE:
        from ovbench.gate import ExitCode

        sys.exit(ExitCode.FAILED)
    _fail(f"cannot print the answer: {error.strerror}: make room, or send it elsewhere")


def _tell_version(asked: bool) -> None:
    if not asked:
        return
    from ovbench.machine import library_versions
    from ovbench.report.versions import version_text

    sys.stdout.write(version_text(library_versions(), platform.python_version()))
    raise typer.Exit


@app.callback()
def ovbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print versions, and exit.")
    ] = False,
) -> None:
    """OpenVINO benchmarks on CPUs whose answers hold."""


def tell(line: str) -> None:
    """One line on stderr, in this command's own flags."""
    sys.stderr.write(f"ovbench: {' '.join(in_own_flags(line).split())}\n")


def in_own_flags(line: str) -> str:
    """A line that names the suite's flags, in those of the command that runs: --ov-eval-size is quantize's --eval."""
    named = getattr(typer.main.get_command(app), "commands", {}).get(sys.argv[1] if len(sys.argv) > 1 else "")
    parameters = [] if named is None else named.params
    own = {each.name: each.opts[0] for each in parameters if each.opts[0].startswith("--")}
    return re.sub(r"--ov-([a-z0-9-]+)", lambda found: own.get(found[1].replace("-", "_"), found[0]), line)


def _fail(line: str) -> NoReturn:
    from ovbench.gate import ExitCode

    tell(line)
    sys.exit(ExitCode.USAGE)


def read_option(name: str, text: str, flag: str = "") -> Any:
    """A value given on this command line as ``flag``, parsed as the suite's option ``name``. Raises BadOption."""
    from ovbench.options import BY_NAME

    try:
        return BY_NAME[name].parse(text.strip())
    except ValueError as error:
        raise BadOption(f"{flag or '--' + name.replace('_', '-')} {text}: {error}") from None


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on stderr."""
    from ovbench.report.progress import progress_bar

    with progress_bar(title) as advance:
        yield advance
