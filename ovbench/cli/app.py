"""What every command shares: the application, bad input in one line, options, the progress bar."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ovbench.errors import BadInput, BadOption, OvbenchError

if TYPE_CHECKING:  # --help imports nothing heavy
    from ovbench.config import Precision
    from ovbench.options import Settings

ORDER = ("env", "run", "tune", "report", "ab", "gate", "selfcheck", "sessions", "baseline", "fetch", "quantize",
         "classify")  # fmt: skip
"""Commands as their help lists them: what is asked first stands first."""


class _InOrder(TyperGroup):
    """The application, its commands in the order of their use and not in that of our imports."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="ovbench",
    cls=_InOrder,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take a third of the time of `ovbench --help`
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PLAINER = {"─": "-", "–": "-", "━": "-", "×": "x", "±": "+-", "≥": ">=", "…": "..."}  # what our tables are made of
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # click's UsageError, wherever this typer keeps it

Results = Annotated[Path, typer.Option(help="Folder of results, where journals lie.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text; see docs/json.md.")]

# How a model is found and read, in every command that takes one.
Variant = Annotated[
    list[str], typer.Option(metavar="INT8=FILE", help="A file that is a precision already; repeatable.")
]
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
        _refuse(error)
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
            stream.reconfigure(errors="ovbench.plain")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks, such as a table's rules in a file on Windows."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    found = (PLAINER.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking)
    return "".join(found), error.end


codecs.register_error("ovbench.plain", _plainer)


def _refuse(error: Any) -> NoReturn:
    """A command line that cannot be read, in one line; where a command is missing, all there are."""
    from ovbench.gate import ExitCode

    if error.ctx is None:
        _fail(error.format_message())
    path = error.ctx.command_path
    if hasattr(error.ctx.command, "commands") and sys.argv[1:] == path.split()[1:]:
        sys.stderr.write(f"{error.ctx.get_help()}\n")
        sys.exit(ExitCode.USAGE)
    told = error.format_message().rstrip(".")
    _fail(f"{told}{'' if told.endswith('?') else ':'} see `{path} --help`")


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
    """OpenVINO models on this CPU, measured so that the answers hold.

    Is this machine fit for it? ovbench env. Is INT8 worth it here? ovbench run MODEL. Which configuration to deploy?
    ovbench tune MODEL. Did an upgrade slow it down? ovbench ab.
    """


def tell(line: str) -> None:
    """One line on stderr, in this command's own flags."""
    from ovbench.report.page import printable

    sys.stderr.write(f"ovbench: {printable(' '.join(in_own_flags(line).split()))}\n")


def in_own_flags(line: str) -> str:
    """A line that names the suite's flags, in those of the command that runs: --ov-eval-size is quantize's --eval."""
    named = getattr(typer.main.get_command(app), "commands", {}).get(sys.argv[1] if len(sys.argv) > 1 else "")
    parameters = [] if named is None else named.params
    own = {each.name: each.opts[0] for each in parameters if each.opts[0].startswith("--")}
    if "results" in own:
        line = line.replace("-o ov_results=DIR", f"{own['results']} DIR")
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


def read_settings(
    model: str, texts: Mapping[str, str], precision: str, usual: Callable[[Settings], tuple[Precision, ...]]
) -> Settings:
    """Settings of one model, from the text of each option by name; ``usual`` gives the precisions where none is.

    Raises BadOption.
    """
    from dataclasses import replace

    from ovbench.options import Settings

    given: dict[str, Any] = {name: read_option(name, text) for name, text in texts.items()}
    settings = Settings(model=(model,), **given)
    return replace(settings, precision=read_option("precision", precision) if precision else usual(settings))


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar on stderr."""
    from ovbench.report.progress import progress_bar

    with progress_bar(title) as advance:
        yield advance
