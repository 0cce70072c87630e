"""``ovbench fetch`` as a command: what it prints, its exit codes, one line for what cannot be."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

import pytest
from loopback import Loopback, serve, status
from test_fetch import PICTURES, packed, random_weights

from ovbench import cli
from ovbench.fetch import catalogue, mobilenet


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # which has precedence over NO_PROXY
    monkeypatch.setenv("OVBENCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ovbench", "fetch", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def offer(monkeypatch: pytest.MonkeyPatch, server: Loopback, name: str, **changes: object) -> None:
    """The catalogue's item, of the server's content, but still at its own addresses, where nobody is to ask."""
    item = catalogue.ITEMS[name]
    ours = server.download(addresses=("http://127.0.0.1:9/not-to-be-asked",))
    monkeypatch.setitem(catalogue.ITEMS, name, dataclasses.replace(item, download=ours, **changes))


def test_images_are_fetched_and_their_path_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serve(packed(*PICTURES)) as server:
        offer(monkeypatch, server, "imagenette2-320")
        assert run(monkeypatch, "imagenette2-320", "--url", server.url) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == (f"{Path('imagenette2-320/val')}\n", "")
        assert run(monkeypatch, "imagenette2-320", "--url", server.url, "--json") == 0
        assert server.asked == [None]
    told = capsys.readouterr()
    path = str(Path("imagenette2-320/val"))
    assert json.loads(told.out) == {"name": "imagenette2-320", "path": path, "was_there": True}
    assert told.err == "ovbench: imagenette2-320 was there already: remove it to fetch it again\n"
    assert (tmp_path / path / "n03888257" / "b.JPEG").read_bytes() == b"b"


def test_a_model_is_fetched_into_open_model_zoos_layout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(mobilenet, "read_weights", lambda _path: random_weights(10))
    with serve(b"weights") as server:
        offer(monkeypatch, server, mobilenet.NAME, check=lambda: None)
        assert run(monkeypatch, mobilenet.NAME, "--url", server.url, "--out", "models") == 0
    folder = Path("models/public/mobilenet-v2-pytorch")
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        f"{precision}/mobilenet-v2-pytorch.{suffix}" for precision in ("FP32", "FP16") for suffix in ("xml", "bin")
    }
    assert {path.name for path in (tmp_path / "models" / "public").iterdir()} == {"mobilenet-v2-pytorch"}


def test_what_cannot_be_fetched_is_one_line_and_exit_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serve(b"weights", status(404)) as server:
        offer(monkeypatch, server, "imagenette2-320")
        refused = {
            "answers 404 Not Found": ["imagenette2-320", "--url", server.url],
            "fetch resnet: give one of mobilenet-v2-pytorch, imagenette2-320": ["resnet"],
            "fetch (nothing): give one of": [],
            "--nonsense": ["--nonsense"],
        }
        for told, arguments in refused.items():
            assert run(monkeypatch, *arguments) == 4
            said = capsys.readouterr()
            assert said.out == ""
            assert len(said.err.splitlines()) == 1
            assert said.err.startswith("ovbench: ")
            assert told in said.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_an_interrupt_ends_with_130_and_the_next_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(_share: float, _doing: str) -> None:
        raise KeyboardInterrupt

    with serve(packed(*PICTURES)) as server:
        offer(monkeypatch, server, "imagenette2-320")
        with monkeypatch.context() as patch:
            patch.setattr("ovbench.cli.fetch.progress", lambda _title: contextlib.nullcontext(interrupt))
            assert run(monkeypatch, "imagenette2-320", "--url", server.url) == 130
        assert list(tmp_path.glob("imagenette*")) == []
        assert run(monkeypatch, "imagenette2-320", "--url", server.url) == 0
        assert server.asked == [None]
    assert capsys.readouterr().out == f"{Path('imagenette2-320/val')}\n"


def test_the_list_says_what_there_is_and_from_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--list") == 0
    table = capsys.readouterr().out
    for item in catalogue.ITEMS.values():
        assert item.name in table
        assert all(address in table for address in item.download.addresses)
    assert "341.7 MB" in table
    assert "ovbench[torch]" in " ".join(table.split())
    assert run(monkeypatch, "--list", "--json") == 0
    told = json.loads(capsys.readouterr().out)["items"]
    assert [each["name"] for each in told] == list(catalogue.ITEMS)
    assert told[0]["size_bytes"] == 14_212_972
