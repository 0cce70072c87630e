"""What all commands hold: ``--json``, results on stdout, errors on stderr, help with an example, and no slow start."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from warm_python import TIMEOUT_S

from conftest import CommandLine
from ovbench.cli import app
from ovbench.report.objects import object_text, plain
from ovbench.report.page import open_page

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
HEAVY = {"cv2", "execnet", "jinja2", "nncf", "numpy", "openvino", "pytest", "rich", "scipy"}


def commands(group: Any, *before: str) -> Iterator[tuple[str, ...]]:
    """The names of all commands, those of groups after their group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


COMMANDS = [" ".join(names) for names in commands(typer.main.get_command(app))]

REFUSED = {
    "ab": "--metric speed",
    "baseline set": "9 --results nowhere",
    "classify": "nowhere.jpg",
    "env": "--nonsense",
    "fetch": "nothing-known",
    "gate": "nowhere.toml",
    "report": "--results nowhere",
    "quantize": "nowhere.xml --images nowhere -o out.onnx",
    "run": "--ov-report page.html",
    "selfcheck": "--budget soon",
    "sessions": "--results nowhere",
    "tune": "nowhere.xml --goal speed",
}
"""What each command refuses, with ``--json`` as without."""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_json_and_ends_with_an_example(command: str, command_line: CommandLine) -> None:
    code, out, err = command_line(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: ovbench {command} ")
    assert re.search(r"^  --json ", out, re.MULTILINE)
    assert f"Example: ovbench {command} " in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input_is_one_line_on_stderr_and_nothing_on_stdout(
    command: str, command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command_line(*command.split(), "--json", *REFUSED[command].split())
    assert (code, out) == (4, "")
    assert err.startswith("ovbench: ")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_command_shows_all_there_are(command_line: CommandLine) -> None:
    for group, name in ((), "env"), (("baseline",), "set"):
        code, out, err = command_line(*group)
        assert (code, out) == (4, "")
        assert err.startswith(f"Usage: {' '.join(['ovbench', *group])} ")
        assert re.search(rf"^  {name}  ", err, re.MULTILINE)


@pytest.mark.parametrize(("arguments", "said"), [
    ("frobnicate", "No such command 'frobnicate': see `ovbench --help`"),
    ("tune", "Missing argument 'MODEL': see `ovbench tune --help`"),
    ("baseline frobnicate", "No such command 'frobnicate': see `ovbench baseline --help`"),
    ("env --fast", "No such option: --fast: see `ovbench env --help`"),
])  # fmt: skip
def test_a_command_line_that_cannot_be_read_says_where_to_look(
    arguments: str, said: str, command_line: CommandLine
) -> None:
    assert command_line(*arguments.split()) == (4, "", f"ovbench: {said}\n")


def test_a_stdout_of_few_letters_gets_all_text(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("ovbench.report.versions.version_text", lambda *_: "─── 50 – ü\udcff\n")
    assert command_line("--version") == (0, "", "")
    assert stream.buffer.getvalue() == rb"--- 50 - \xfc\udcff" + b"\n"  # type: ignore[attr-defined]


def version_printed_to(descriptor: int) -> tuple[int, str]:
    """The exit code of a process that prints its version there, and what it says on stderr."""
    command = [sys.executable, "-c", "from ovbench.cli import main; main()", "--version"]
    try:
        ended = subprocess.run(
            command, stdout=descriptor, stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT_S
        )
    finally:
        os.close(descriptor)
    return ended.returncode, ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_stdout_is_one_line() -> None:
    said = "ovbench: cannot print the answer: No space left on device: make room, or send it elsewhere\n"
    assert version_printed_to(os.open("/dev/full", os.O_WRONLY)) == (4, said)


def test_a_stdout_that_nobody_reads_is_not_spoken_of() -> None:
    read, write = os.pipe()
    os.close(read)
    assert version_printed_to(write) == (1, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_says_what_each_object_holds(command: str) -> None:
    assert f"## `ovbench {command} --json`\n" in PAGE.read_text(encoding="utf-8")


def test_help_and_version_are_told_without_what_is_slow_to_import() -> None:
    code = (
        "import contextlib, sys; from ovbench import cli; sys.argv = ['ovbench', '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Usage: ovbench [OPTIONS] COMMAND")
    assert HEAVY & set(told.stderr.split()) == set()


def test_versions_are_one_line(command_line: CommandLine) -> None:
    code, out, err = command_line("--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"ovbench \S+, OpenVINO \d\S+, Python 3\.\S+\n", out)


# ----------------------------------------------------------------------------------------------------- the object


class Word(Enum):
    YES = "yes"


@dataclass(frozen=True)
class Noun:
    path: Path
    words: tuple[Word, ...]
    share: float | None


def test_values_of_ours_become_those_of_json() -> None:
    told = object_text({"noun": Noun(Path("a"), (Word.YES,), math.nan), "by": {Word.YES: [math.inf, 1.5, "ü"]}})
    assert json.loads(told) == {"noun": {"path": "a", "words": ["yes"], "share": None}, "by": {"yes": [None, 1.5, "ü"]}}
    assert told.endswith("}\n")
    assert told.isascii()


def test_what_json_has_no_word_for_is_our_mistake() -> None:
    with pytest.raises(TypeError):
        object_text({"thing": object()})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=3))
def test_what_is_written_is_read_again_and_holds_no_nan(fields: dict[str, Any]) -> None:
    told = object_text(fields)
    assert json.loads(told, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) == plain(fields)


def test_a_terminal_that_wants_no_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted, shown in (("", "\x1b[31mred\x1b[0m\n"), ("1", "red\n")):
        monkeypatch.setenv("NO_COLOR", wanted)
        console, stream = open_page(coloured=True)
        console.print("red", style="red")
        assert stream.getvalue() == shown
