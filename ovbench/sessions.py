"""Stored sessions: what pytest-benchmark's storage holds, which of them is the baseline, and which may go."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovbench.config import Config
from ovbench.errors import BadInput, BadOption, NotWritable

OUTCOME_KEY = "ovbench"  # where a stored session says how it ended and on which machine
PATTERN = "[0-9][0-9][0-9][0-9]_*.json"  # pytest-benchmark's own names
PROMOTED = "promoted"
PROMOTED_FILE = "baseline.json"
PROMOTED_FORMAT = 1


@dataclass(frozen=True)
class StoredRow:
    """One row of a stored session: its cell, its median in seconds, one log speed-up over FP32 per lane."""

    question: str
    config: Config
    median_s: float
    log_speedups: tuple[float, ...]


@dataclass(frozen=True)
class StoredSession:
    """One stored session; ``passed`` is False too for files that do not say, the rest is "" or 0 there."""

    path: Path
    date: str
    passed: bool
    fingerprint: str
    isa: str
    cores: int
    openvino: str
    journal: str
    rows: tuple[StoredRow, ...]

    @property
    def number(self) -> str:
        """``0007``."""
        return self.path.name.partition("_")[0]

    def row(self, question: str, config: Config) -> StoredRow | None:
        """The row that asks this of this cell."""
        return next((row for row in self.rows if row.question == question and row.config == config), None)


def read_session(path: Path) -> StoredSession:
    """Read one stored session. Raises BadInput where it cannot be read or is none."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        said = stored.get(OUTCOME_KEY, {})
        return StoredSession(
            path=path,
            date=str(stored["datetime"]),
            passed=said.get("passed") is True,
            fingerprint=str(said.get("fingerprint", "")),
            isa=str(said.get("isa", "")),
            cores=int(said.get("cores", 0)),
            openvino=str(said.get("openvino", "")),
            journal=str(said.get("journal", "")),
            rows=tuple(row for each in stored["benchmarks"] if (row := _row(each)) is not None),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            f"stored session {path} cannot be read ({error}): choose another with `ovbench sessions`"
        ) from None


def _row(stored: Mapping[str, Any]) -> StoredRow | None:
    """A row of the suite; None for benchmarks of other origin."""
    question, separator, _ = str(stored["fullname"]).partition("/")
    params = stored["params"]
    if not separator or not isinstance(params, dict) or set(params) != set(Config().axes):
        return None
    logs = tuple(float(each) for each in stored["extra_info"].get("log_speedups_over_fp32", ()))
    median_s = float(stored["stats"]["median"])
    if not all(map(math.isfinite, (*logs, median_s))) or median_s <= 0:
        return None
    return StoredRow(question, Config.from_axes(params), median_s, logs)


def list_sessions(folder: Path) -> tuple[tuple[StoredSession, ...], tuple[str, ...]]:
    """All sessions of a machine's folder, oldest first; and one line for each file that cannot be read."""
    sessions, faults = [], []
    for path in sorted(folder.glob(PATTERN)):
        try:
            sessions.append(read_session(path))
        except BadInput as error:
            faults.append(str(error))
    return tuple(sessions), tuple(faults)


def find_path(folder: Path, name: str) -> Path | None:
    """The file of a session named by its number (7 or 0007), ``promoted``, its stored name or its path; or None."""
    if name == PROMOTED:
        promoted = read_promoted(folder)
        return None if promoted is None else folder / promoted
    if re.fullmatch(r"\d{1,4}", name):
        return next(iter(sorted(folder.glob(f"{int(name):04}_*.json"))), None)
    candidates = (Path(name), folder / f"{name}.json")
    return next((path for path in candidates if path.suffix == ".json" and path.is_file()), None)


def find_session(folder: Path, name: str, flag: str) -> StoredSession:
    """The session that ``flag`` names. Raises BadOption, saying what there is."""
    path = find_path(folder, name)
    if path is not None and path.is_file():
        return read_session(path)
    if name == PROMOTED:
        raise BadOption(f"{flag} {name}: no session is promoted in {folder}: run `ovbench baseline set NUMBER`")
    numbers = ", ".join(each.name[:4] for each in sorted(folder.glob(PATTERN))) or "none"
    raise BadOption(f"{flag} {name}: no such session in {folder}: there are {numbers}")


def find_passed(folder: Path, name: str) -> Path | None:
    """The file of a session that passed and that ovbench can compare with; None for any other."""
    path = find_path(folder, name)
    if path is None or not path.is_file():
        return None
    try:
        return path if read_session(path).passed else None
    except BadInput:
        return None


# ----------------------------------------------------------------------------------------------------- promotion


def read_promoted(folder: Path) -> str | None:
    """File name of the promoted session, None without one. Raises BadInput for a note that cannot be read."""
    path = folder / PROMOTED_FILE
    if not path.exists():
        return None
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["session"]
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError("it names no session")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} cannot be read ({error}): run `ovbench baseline set NUMBER` again") from None
    return name


def promote(folder: Path, number: str) -> StoredSession:
    """Make a session the baseline, in one step. Raises BadOption for a failed or unknown one, NotWritable."""
    session = find_session(folder, number, "baseline set")
    if session.path.parent.resolve() != folder.resolve():
        raise BadOption(f"baseline set {number}: it does not lie in {folder}: copy it there first")
    if not session.passed:
        raise BadOption(f"baseline set {number}: that session did not pass: promote one that did (`ovbench sessions`)")
    note = {
        "format": PROMOTED_FORMAT,
        "session": session.path.name,
        "fingerprint": session.fingerprint,
        "promoted_at": time.time(),
    }
    path = folder / PROMOTED_FILE
    draft = path.with_suffix(".tmp")
    try:
        draft.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise NotWritable(f"cannot write {path}: {error.strerror}: make the folder writable") from None
    return session


def prune(folder: Path, keep: int) -> tuple[Path, ...]:
    """Remove all but the newest ``keep`` sessions, with their journals, never the promoted one; what was removed.

    Files that cannot be read stay: what is in them is not known. Raises BadOption, NotWritable.
    """
    if keep < 0:
        raise BadOption(f"--prune {keep}: give the number of sessions to keep, 0 or more")
    promoted = read_promoted(folder)
    sessions, _ = list_sessions(folder)
    removed = []
    for session in sessions[: max(0, len(sessions) - keep)]:
        if session.path.name == promoted:
            continue
        journal = folder / Path(session.journal).name if session.journal else None
        for path in (session.path, journal):
            if path is None:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise NotWritable(f"cannot remove {path}: {error.strerror}: make the folder writable") from None
        removed.append(session.path)
    return tuple(removed)
