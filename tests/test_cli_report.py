"""``ovbench report``: which session, which form, where it goes; what no name in a model's file can do to Markdown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_sessions import HOST, HOSTILE, make_journal
from markdown_it import MarkdownIt
from pytest_benchmark.utils import get_machine_id

from conftest import CommandLine
from ovbench.cli.report import report
from ovbench.errors import BadInput, NotWritable
from ovbench.report.story_markdown import LIMIT, UNPRINTABLE, escaped, story_markdown
from ovbench.report.written import FORMS, HTML, JSON, MARKDOWN, report_text, write_report, write_whole
from ovbench.story.beside import compare
from ovbench.story.facts import Story
from ovbench.story.reading import read_story

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of two sessions."""
    results = tmp_path_factory.mktemp("results")
    folder = results / get_machine_id()
    for number, name in enumerate(("20261101T000000-aaaaaa", "20261102T000000-bbbbbb"), 1):
        make_journal(folder / f"{name}.jsonl", cells=3, lanes=5, rounds=4, seed=number, gates=number == 1)
        said = {"passed": True, "journal": f"{name}.jsonl"}
        stored = {"datetime": "2026-11-01", "ovbench": said, "benchmarks": []}
        (folder / f"{number:04}_made.json").write_text(json.dumps(stored))
    return results


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------------------------------- the command


def test_the_newest_session_becomes_a_page_here(sessions: Path, here: Path, command_line: CommandLine) -> None:
    code, out, err = command_line("report", "--results", sessions)
    assert (code, out, err) == (0, "report.html\n", "")
    page = (here / "report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "session 0002" in page
    assert [path.name for path in here.iterdir()] == ["report.html"]


def test_sessions_of_one_number_in_two_folders_are_called_by_their_journals(sessions: Path, tmp_path: Path) -> None:
    other = shutil.copytree(sessions / get_machine_id(), tmp_path / "other")
    (other / "0001_made.json").unlink()
    (other / "0002_made.json").rename(other / "0001_made.json")
    journals = [sessions / get_machine_id() / "20261101T000000-aaaaaa.jsonl", other / "20261102T000000-bbbbbb.jsonl"]
    text = report_text(journals, MARKDOWN)
    assert "session 0001" not in text
    assert "20261102T000000-bbbbbb of 2026" in text
    numbers = [each["number"] for each in json.loads(report_text(journals, JSON))["sessions"]]
    assert numbers == ["0001", "0001"]


def test_the_form_goes_by_what_is_said_and_else_by_the_suffix(sessions: Path, here: Path) -> None:
    begins = {HTML: "<!doctype html>", MARKDOWN: "## benchmark of made", JSON: '{\n  "format": 1'}
    for name, said, wanted in (
        ("a.html", {}, HTML),
        ("a.md", {}, MARKDOWN),
        ("a.json", {}, JSON),
        ("a.txt", {"form": MARKDOWN}, MARKDOWN),
        ("b.html", {"form": JSON}, JSON),
        ("a", {"as_json": True}, JSON),
    ):
        assert report(["1"], out=Path(name), results=sessions, **said) == 0
        assert (here / name).read_text("utf-8").lower().startswith(begins[wanted])


def test_markdown_and_json_go_to_stdout(sessions: Path, here: Path, command_line: CommandLine) -> None:
    code, out, err = command_line("report", "0001", "--results", sessions, "--format", "md")
    assert (code, err) == (0, "")
    assert out.startswith("## Benchmark of made\n")
    assert json.loads(command_line("report", "0001", "--results", sessions, "--json")[1])["comparison"] is None
    assert list(here.iterdir()) == []


def test_sessions_stand_beside_the_first(sessions: Path, here: Path, command_line: CommandLine) -> None:
    newest = sessions / get_machine_id() / "20261102T000000-bbbbbb.jsonl"
    code, out, _err = command_line("report", "1", newest, "--results", sessions, "--json")
    assert code == 0
    told = json.loads(out)
    assert [each["number"] for each in told["sessions"]] == ["0001", "0002"]
    assert told["comparison"]["reference"] == "20261101T000000-aaaaaa"
    assert [len(each["beside"]) for each in told["comparison"]["cells"]] == [1, 1, 1]
    out = command_line("report", "1", newest, "--results", sessions, "--format", "md")[1]
    assert out.startswith("## 2 benchmarks of made\n\n### Compared\n")
    assert out.index("### Compared") < out.index("### Verdicts\n\n#### session 0001") < out.index("#### session 0002")


def refused(command_line: CommandLine, *arguments: object) -> str:
    """The one line of bad input."""
    code, out, err = command_line("report", *arguments)
    assert (code, out) == (4, "")
    (line,) = err.splitlines()
    return str(line)


def test_bad_input_is_one_line(sessions: Path, here: Path, command_line: CommandLine) -> None:
    assert "SESSION 0042: no such session in" in refused(command_line, "0042", "--results", sessions)
    for options, said in (
        ({"form": "pdf"}, "--format pdf: give html, md or json"),
        ({"out": Path("a.pdf")}, "-o a.pdf: give a file that ends in .html, .md or .json, or say --format"),
        ({"as_json": True, "form": "md"}, "--json with --format md: say one of them"),
        ({"results": Path("absent")}, "--results absent: there is no folder"),
        (
            {"out": Path("absent/a.md")},
            "cannot write the report absent/a.md: No such file or directory: make the folder absent",
        ),
    ):
        with pytest.raises(BadInput, match=re.escape(said)) as caught:
            report([], **{"results": sessions, **options})
        assert len(str(caught.value).splitlines()) == 1
    for twice in (("1", "0001"), ("1", "2", f"{sessions}/{get_machine_id()}/0001_made.json")):
        said = f"SESSION {twice[-1]}: the same session as 1: name each once"
        assert said in refused(command_line, *twice, "--results", sessions)
    (here / "a.md").mkdir()
    with pytest.raises(BadInput, match=r"cannot write the report a\.md: Is a directory"):
        report([], out=Path("a.md"), results=sessions)
    assert [path.name for path in here.iterdir()] == ["a.md"]


def test_what_was_there_stays_where_a_report_cannot_be_written(
    sessions: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "a.md").write_text("before")
    monkeypatch.setattr(Path, "replace", _no_space)
    with pytest.raises(NotWritable, match=r"cannot write the report a\.md: No space left on device"):
        report([], out=Path("a.md"), results=sessions)
    assert {path.name: path.read_text() for path in here.iterdir()} == {"a.md": "before"}


def test_a_link_stays_a_link_and_a_pipe_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "a.md").symlink_to(tmp_path / "kept" / "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    with os.fdopen(os.open(tmp_path / "pipe.md", os.O_RDWR), "rb") as pipe:
        for name in ("a.md", "pipe.md"):
            write_whole(tmp_path / name, "told")
        assert pipe.read(4) == b"told"
    assert (tmp_path / "pipe.md").is_fifo()
    assert (tmp_path / "a.md").is_symlink()
    assert [(path.name, path.read_text()) for path in (tmp_path / "kept").iterdir()] == [("a.md", "told")]


def _no_space(_path: Path, _target: Path) -> None:
    raise OSError(28, "No space left on device")


def test_a_session_of_which_nothing_was_measured_has_nothing_to_report(here: Path, command_line: CommandLine) -> None:
    nothing = {"lanes": 0, "starts": False, "accuracy": False, "layers": False, "pipelines": False}
    journal = make_journal(here / "a.jsonl", **nothing)
    assert refused(command_line, journal) == (
        "ovbench: no bench of a passed and nothing was measured (the first: nothing was measured): nothing to report: "
        "run the suite again"
    )
    # Killed after its first lane: no bench has passed, but there is something to show.
    killed = make_journal(here / "b.jsonl", **{**nothing, "lanes": 1}, exit_status=None)
    cut = killed.read_bytes().partition(b'"kind": "bench"')[0]
    killed.write_bytes(cut)
    code, out, _err = command_line("report", killed, "--format", "md")
    assert code == 0
    assert "the last line was cut off by a kill: " in out
    assert "FP32 lat 1 off" in out


def test_the_session_of_another_command_and_a_newer_one_are_refused(here: Path, command_line: CommandLine) -> None:
    journal = here / "a.jsonl"
    journal.write_text('{"format": 1, "kind": "session", "time": 0}\n{"format": 1, "kind": "pair", "time": 0}\n')
    assert "is a journal of ovbench ab, gate or selfcheck" in refused(command_line, journal)
    journal.write_text('{"format": 9, "kind": "session", "time": 0}\n')
    assert refused(command_line, journal).endswith("is of the journal's format 9, this ovbench reads up to 1: upgrade "
                                                   "ovbench")  # fmt: skip


def test_one_session_is_told_without_the_rooms_that_measured_it(sessions: Path) -> None:
    (journal, *_) = sorted(sessions.rglob("*.jsonl"))
    code = (
        "import json, sys; from pathlib import Path; from ovbench.report.written import report_text; "
        "report_text([Path(sys.argv[1])], 'html'); print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(journal)], capture_output=True, text=True, check=True)
    # What only measuring needs would take a tenth of the time of a report.
    assert {"openvino", "nncf", "cv2", "ovbench.ab", "ovbench.models", "ovbench.suite"}.isdisjoint(
        json.loads(ran.stdout)
    )


def test_the_pytest_option_writes_by_suffix(sessions: Path, tmp_path: Path) -> None:
    journals = sorted((sessions / get_machine_id()).glob("*.jsonl"))
    for form in FORMS:
        write_report(journals, tmp_path / f"a.{form}")
        assert (tmp_path / f"a.{form}").stat().st_size > 1000


# ------------------------------------------------------------------------------------------------------------- JSON


def test_json_has_the_storys_figures_and_no_samples(sessions: Path, command_line: CommandLine) -> None:
    journal = sessions / get_machine_id() / "20261101T000000-aaaaaa.jsonl"
    (told,) = json.loads(command_line("report", journal, "--json")[1])["sessions"]
    story = read_story(journal)
    for cell, each in zip(told["cells"], story.cells, strict=True):
        assert cell["cell"] == each.config.id
        assert cell["summary"]["p95_ns"] == each.summary.p95_ns
        assert cell["speedup"] == (None if each.speedup is None else vars(each.speedup))
        assert cell["verdict"] == (None if each.verdict is None else each.verdict.value)
        assert len(cell["rounds"]) == len(each.costs)
    assert [gate["outcome"] for gate in told["gates"]] == [gate.outcome.value for gate in story.gates]
    assert told["accuracy"][1]["agreement"]["top1"]["value"] == 0.97
    assert (told["number"], told["fingerprint"], told["exit_status"]) == ("0001", HOST.fingerprint_id, 0)
    assert "wall_ns" not in json.dumps(told)
    assert "calls_ns" not in json.dumps(told)


# --------------------------------------------------------------------------------------------------------- Markdown


def tables(text: str) -> list[list[list[str]]]:
    """Every table as GitHub's parser sees it: rows of texts."""
    found: list[list[list[str]]] = []
    tokens = GITHUB.parse(text)
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open"):
            inline = tokens[place + 1]
            found[-1][-1].append("".join(each.content for each in inline.children or []))
    return found


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("\n".join(HOSTILE)[:600])
@example("# a")
@example("1. a")
@example("- a")
@example("---")
@example("[x](y) ![z](w) <b> &amp; www.a.b https://a.b @a #1 $x$ ~~a~~ __a__ *b* `c` \\| |")
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    wanted = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split())).replace("\u200b", "")
    markdown = escaped(text)
    told = [child for token in GITHUB.parse(markdown) for child in token.children or []]
    assert {child.type for child in told} <= {"text"}
    seen = "".join(child.content for child in told)
    assert seen.replace("\u200b", "") == wanted
    assert not re.search(r"[@#](?!\u200b)", seen)  # neither a person nor an issue is mentioned
    assert not re.search(r"://|www\.", markdown)
    assert not set(markdown) & {"|", "`", "<", "\n"}


def made(folder: Path, name: str = "a", **given: Any) -> Story:
    return read_story(make_journal(folder / f"{name}.jsonl", **given))


def test_hostile_names_break_no_table_and_add_no_element(tmp_path: Path) -> None:
    story = made(tmp_path, cells=14, hostile_names=True, lanes=2, rounds=2, references=True, baseline=True)
    story = replace(story, command=story.command + "\n```\n<b>", notes=(*story.notes, *HOSTILE))
    text = story_markdown([story], None)
    assert len(text) <= LIMIT
    found = tables(text)
    assert len(found) > 10
    assert all(len({len(row) for row in each}) == 1 for each in found)
    kinds = [token.type for token in GITHUB.parse(text)]
    assert kinds.count("fence") == 1
    html = [token.content for token in GITHUB.parse(text) if token.type == "html_block"]
    html += [each.content for token in GITHUB.parse(text) for each in token.children or [] if "html" in each.type]
    assert all(re.fullmatch(r"(</?(details|summary)>|[^<])*", each) for each in html)
    assert max(map(len, (cell for each in found for row in each for cell in row))) < 400


def test_verdicts_come_first_and_what_failed_before_the_rest(tmp_path: Path) -> None:
    text = story_markdown([made(tmp_path, cells=12, rounds=2, exit_status=1)], None)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert headings == ["Benchmark of made", "Verdicts"]
    folded = re.findall(r"<summary>(.*)</summary>", text)
    assert folded == ["Start-up", "Accuracy", "Layers", "Other measures", "How to reproduce"]
    assert text.index("- Latency and throughput: ") < text.index("<details>")
    failed = text.index("**INT8-THROUGHPUT-4-off: speed-up over FP32 1.70 [1.60, 1.80], floor 2.00: FAILED**")
    assert failed < text.index("| cell | p50 ms |")
    assert "```sh\novbench run --ov-model=made\n```" in text


@pytest.fixture(scope="module")
def long_stories(tmp_path_factory: pytest.TempPathFactory) -> list[Story]:
    """Two sessions of many cells, with names of 300 letters."""
    folder = tmp_path_factory.mktemp("long")
    return [made(folder, str(seed), cells=70, lanes=2, rounds=2, hostile_names=True, seed=seed, starts=False)
            for seed in range(2)]  # fmt: skip


@pytest.mark.parametrize("limit", [LIMIT, 1_500])
def test_no_report_is_longer_than_a_comment_and_what_is_left_out_is_said(long_stories: list[Story], limit: int) -> None:
    text = story_markdown(long_stories, compare(long_stories), limit)
    assert len(text) <= limit
    assert re.search(r"\*\d+ lines and rows are left out, since a comment holds [\d,]+ characters", text)
    assert "### Compared" in text
    assert all(len({len(row) for row in each}) == 1 for each in tables(text))
    assert text.count("<details>") == text.count("</details>")


def test_nothing_is_left_out_of_a_hundred_cells(tmp_path: Path) -> None:
    text = story_markdown([made(tmp_path, cells=100, lanes=2, rounds=2)], None)
    assert "left out" not in text
    (cells,) = [each for each in tables(text) if each[0][:2] == ["cell", "p50 ms"]]
    assert len(cells) == 101
