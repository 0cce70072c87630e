from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm_python

from ovbench.options import OPTIONS
from ovbench.report import markdown
from ovbench.stats import minimum_samples

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ABOVE_THE_FOLD = 60  # lines of the README in which a reader has to find how to start

# Collects with each command's own options in one process: what a flag is called, what it takes, what -k selects. Two
# plugins are left out for their time alone: one looks for hypothesis, one collects garbage ten times a session.
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:unraisableexception")
COLLECT = """
import contextlib, io, json, sys
import pytest
told = {}
for line in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main([*line[1], "--collect-only", "-q", *sys.argv[2:]])
    told[line[0]] = [int(status), said.getvalue()[-500:]]
print(json.dumps(told))
"""


def our_commands() -> Iterator[tuple[str, list[str]]]:
    """Every command in a block that begins with ```console ovbench, and its arguments after ``pytest``."""
    for page in PAGES:
        for block in re.findall(r"^```console ovbench\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
            for line in block.splitlines():
                command = shlex.split(line.removeprefix("$ "), comments=True)
                assert line.startswith("$ pytest "), f"{page.name}: {line!r} is no command that this test can run"
                yield f"{page.name}: {line}", command[1:]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A clone's root as the commands find it, with its own cache and results."""
    for name in ("benches", "fixtures"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(suite: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVBENCH_CACHE_DIR": str(suite / "cache"), "PYTHONPATH": str(ROOT)}
    return warm_python.run(command, suite, environment)


def write_tiny_model(path: Path) -> Path:
    """A convolution of a 16x16 picture, 8 classes."""
    import numpy as np

    from ovbench.worker import import_openvino

    openvino = import_openvino()
    ops = openvino.opset13
    picture = ops.parameter([1, 3, 16, 16], np.float32, name="picture")
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    kernels = ops.relu(ops.convolution(picture, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    answer = ops.reduce_mean(kernels, np.array([2, 3]), keep_dims=False)
    openvino.save_model(openvino.Model([answer], [picture], "tiny"), path, compress_to_fp16=False)
    return path


def test_every_command_is_understood_and_selects_something(suite: Path) -> None:
    commands = {tuple(command): name for name, command in our_commands()}
    assert len(commands) > 10
    ran = run(suite, "-c", COLLECT, json.dumps([(name, command) for command, name in commands.items()]), *WITHOUT)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, tuple[int, str]] = json.loads(ran.stdout)
    assert {name: said for name, (status, said) in told.items() if status != 0} == {}


def test_the_plan_of_the_tutorial_prints_cells_and_time(suite: Path) -> None:
    model = write_tiny_model(suite / "tiny.xml")
    command = ["pytest", "benches", "--ov-plan", "--ov-model", str(model), "--ov-precision", "FP32"]
    assert ["benches", "--ov-plan"] in [command for _, command in our_commands()]
    ran = run(suite, "-m", *command, "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout
    assert "FP32-LATENCY-1-off" in ran.stdout
    assert "estimated time" in ran.stdout
    assert list((suite / "results").rglob("*")) == []


def test_the_options_table_is_made_from_the_options() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown.with_options_table(page) == page, "renew it: python -m ovbench.report.markdown README.md"


def test_an_options_table_is_rewritten_in_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{markdown.OPTIONS_BEGIN}\nstale rows\n{markdown.OPTIONS_END}\nafter\n", encoding="utf-8")
    assert markdown.main([str(page)]) == 0
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "stale rows" not in written
    assert all(f"`{option.flag}`" in written for option in OPTIONS)
    assert markdown.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == written


def test_pages_that_cannot_be_rewritten_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.md").write_text("no marks here\n", encoding="utf-8")
    for names in ([], [str(tmp_path / "missing.md")], [str(tmp_path / "page.md")]):
        assert markdown.main(names) == 4
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "no marks here\n"


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown.table(("a", ">b"), [("x|y", "1")]) == "| a | b |\n| --- | --: |\n| x\\|y | 1 |\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    flags = {option.flag for option in OPTIONS}
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert set(re.findall(r"--ov-[a-z0-9-]*[a-z0-9]", text)) - flags == set()
    assert set(re.findall(r"[`$] ?make ([a-z-]+)", text)) - targets == set()
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_the_readme_says_how_to_start_before_the_fold() -> None:
    top = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:ABOVE_THE_FOLD])
    for wanted in ("make bench", "make test", "pip install .", "<!-- output of: make bench -->", "over FP32 [95 %]"):
        assert wanted in top


def test_method_tells_the_constants_in_use() -> None:
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| (\S+) \|", text, re.M)
    assert rows
    for room, name, value in rows:
        assert getattr(importlib.import_module(f"ovbench.{room}"), name) == float(value), f"{room}.{name}"
    quantiles = re.findall(r"^\| p(\d\d) \| (\d+) \|", text, re.M)
    assert [int(count) for _, count in quantiles] == [minimum_samples(int(q) / 100) for q, _ in quantiles]


def test_architecture_names_every_room_of_the_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("layers = [")[2].partition("]\n")[0]
    rooms = re.findall(r"\((\w+)\)", contract)
    assert len(rooms) > 20
    told = re.findall(
        r"^\| [a-z ]*\| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.M
    )
    assert sorted(told) == sorted(rooms), "give each room of pyproject's layers one line in docs/architecture.md"
