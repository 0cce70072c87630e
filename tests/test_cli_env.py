"""``ovbench env`` as a command: one page, or one object, of where it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import CommandLine
from ovbench import environment, hosts, machine
from ovbench.environment import Kind
from ovbench.report.page import WIDTH


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(hosts.PROFILES_VARIABLE, str(tmp_path))
    monkeypatch.setattr(environment, "SAMPLE_S", 0.0)


def test_the_page_says_what_is_here(command_line: CommandLine) -> None:
    code, out, err = command_line("env")
    assert (code, err) == (0, "")
    assert out.startswith("ovbench ")
    lines = out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    for name in ("devices", "precision", "instructions", "cores", "clock", "memory", "others now", "noise"):
        assert sum(line.startswith(f"{name} ") for line in lines) == 1, name
    assert "ovbench selfcheck` has not run on this host" in out


def test_the_object_says_the_same(command_line: CommandLine) -> None:
    code, out, err = command_line("env", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["host"]["cores"] == told["cores"]["available"] == machine.available_cores()
    assert told["fingerprint"] == machine.fingerprint().fingerprint_id
    assert told["versions"] == machine.library_versions()
    assert told["profile"] is None
    kinds = [each["kind"] for each in told["disturbances"]]
    assert Kind.NO_PROFILE.value in kinds
    assert set(kinds) <= {kind.value for kind in Kind}


def test_a_profile_that_cannot_be_read_is_one_line(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / f"{machine.fingerprint().fingerprint_id}.json").write_text("{", encoding="utf-8")
    code, out, err = command_line("env")
    assert (code, out) == (4, "")
    assert err.startswith("ovbench: host profile ")
    assert len(err.splitlines()) == 1
