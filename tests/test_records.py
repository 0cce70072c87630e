"""The journal: each line safe before the next is written, and readable whatever cut it off."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench import records
from ovbench.config import Config, Mode
from ovbench.errors import BadInput, NotWritable
from ovbench.records import FORMAT, Journal, check_writable, new_session_id, read_journal, read_whole, replicate_fields
from ovbench.samples import Block, Replicate


def test_a_journal_that_got_no_line_leaves_no_file(tmp_path: Path) -> None:
    assert not Journal(tmp_path / "results" / "a.jsonl").path.parent.exists()


def test_lines_are_read_back_in_order_with_format_kind_and_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "er" / "a.jsonl")
    journal.write("session", seed=3, names=["é", "\n"])
    journal.write("end", exit_status=0)
    first, last = read_journal(journal.path)
    assert (first["format"], first["kind"], first["seed"], first["names"]) == (FORMAT, "session", 3, ["é", "\n"])
    assert (last["kind"], last["exit_status"]) == ("end", 0)
    assert first["time"] <= last["time"]


def test_every_line_is_synced_when_its_write_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    synced: list[str] = []
    monkeypatch.setattr(records.os, "fsync", lambda _handle: synced.append(journal.path.read_text("utf-8")))
    for number in range(3):
        journal.write("cell", number=number)
        assert len(synced) == number + 1
        assert synced[-1] == journal.path.read_text("utf-8")  # flushed before it was synced
        assert synced[-1].count("\n") == number + 1


@given(st.integers(1, 400))
def test_a_last_line_cut_off_anywhere_is_left_out(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "a.jsonl")
        for number in range(3):
            journal.write("cell", number=number)
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole[: max(0, len(whole) - cut)])
        left = whole[: max(0, len(whole) - cut)].count(b"\n")
        assert [line["number"] for line in read_journal(journal.path)] == list(range(left))
        assert read_whole(journal.path).cut_off is (journal.path.read_bytes()[-1:] not in (b"", b"\n"))


@pytest.mark.parametrize(("line", "said"), [
    ("{cut", "line 2 of {path} is none of a journal: name another file, or remove that line"),
    ("[]", "line 2 of {path} is none of a journal: name another file, or remove that line"),
    ('{"format": 1}', "line 2 of {path} is none of a journal: name another file, or remove that line"),
    ('{"format": 2, "kind": "cell"}',
     "{path} is of the journal's format 2, this ovbench reads up to 1: upgrade ovbench"),
])  # fmt: skip
def test_a_line_that_is_whole_and_cannot_be_read_is_named(tmp_path: Path, line: str, said: str) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.write("session")
    with journal.path.open("a") as file:
        file.write(line + "\n")
    journal.write("end")
    with pytest.raises(BadInput) as caught:
        read_journal(journal.path)
    assert str(caught.value) == said.format(path=journal.path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_what_json_has_no_word_for_is_refused_and_not_written(tmp_path: Path, value: object) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.write("session")
    before = journal.path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        journal.write("cell", value=value)
    assert journal.path.read_bytes() == before


def test_a_journal_that_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(NotWritable) as caught:
        Journal(tmp_path / "results" / "a.jsonl").write("session")
    assert str(tmp_path / "results" / "a.jsonl") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_replicate_keeps_every_sample_in_order_and_knows_its_cell() -> None:
    block = Block(2, (5, 3, 9), (4, 2, 8), 20)
    config = Config(streams=4, threads=2)
    told = json.loads(json.dumps(replicate_fields(config, Replicate(6, Mode.SYNC, (block,)))))
    assert told == {
        "cell": "FP32-LATENCY-4-off-threads=2",
        "config": config.axes,
        "lane": 6,
        "mode": "sync",
        "blocks": [{"round": 2, "wall_ns": [5, 3, 9], "latency_ns": [4, 2, 8], "window_ns": 20}],
    }
    assert Config.from_axes(told["config"]) == config


def test_session_ids_differ_and_name_their_time() -> None:
    first, second = new_session_id(), new_session_id()
    assert first != second
    assert len(first) == len("20261122T214729-3fa9c1")


@pytest.mark.parametrize("missing", ["", "a", "a/b/c"])
def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path, missing: str) -> None:
    check_writable(tmp_path / missing)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_results_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "0001_run.json").write_text("{}")
    check_writable(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["0001_run.json"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_folder_is_named_in_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "results").write_text("a file")
    folder = tmp_path / "results" / below
    with pytest.raises(NotWritable) as caught:
        check_writable(folder)
    assert str(folder) in str(caught.value)
    assert "ov_results" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NotWritable, match=str(tmp_path)):
        check_writable(tmp_path / "results")
