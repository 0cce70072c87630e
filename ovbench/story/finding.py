"""Which journal is meant: the newest of a suite run, a stored session's by number or name, or a file."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from ovbench import sessions
from ovbench.errors import BadInput, BadOption
from ovbench.records import SUFFIX
from ovbench.story.reading import is_of_suite

NEAREST = 3  # difflib's own number of good guesses; more make a refusal too long to read
LIST = "`ovbench sessions` lists them"


def journal_at(name: str) -> Path | None:
    """The journal that a path names: itself, or the one of a stored session's .json; None for what is no path.

    Raises BadInput for a path of no file, and for a stored session without its journal.
    """
    path = Path(name)
    if not path.is_file():
        if path.name != name:
            raise BadOption(f"SESSION {name}: no such file: give a journal, or a session's number; {LIST}")
        return None
    return _journal_of(path) if path.suffix == ".json" else path


def journal_named(name: str, folder: Path) -> Path:
    """The journal of a session in ``folder`` by number (7 or 0007), ``promoted``, stored name or journal's name.

    Raises BadInput, saying which are near, where there is none.
    """
    direct = folder / (name if name.endswith(SUFFIX) else name + SUFFIX)
    if direct.is_file():
        return direct
    stored = sessions.find_path(folder, name)
    if stored is not None and stored.is_file():
        return _journal_of(stored)
    near = _nearest(name, folder)
    nearest = f"the nearest are {', '.join(near)}" if near else "there are none"
    raise BadOption(f"SESSION {name}: no such session in {folder}: {nearest}; {LIST}")


def _nearest(name: str, folder: Path) -> list[str]:
    """The sessions whose number, stored name or journal's name is most like ``name``, each by its shortest name."""
    called = {path.stem: path.stem for path in sorted(folder.glob(f"*{SUFFIX}"))}
    for session in sessions.list_sessions(folder)[0]:
        journal = Path(session.journal).stem
        if journal in called:  # the others cannot be told
            called |= dict.fromkeys((session.number, session.path.stem, journal), session.number)
    alike = difflib.get_close_matches(name, called, n=max(1, len(called)), cutoff=0.0)
    return list(dict.fromkeys(called[each] for each in alike))[:NEAREST]


def newest_journal(folder: Path) -> Path:
    """The newest journal of a suite run; one that cannot be read counts, so that it is not passed over in silence.

    Raises BadOption where there is none.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}"), reverse=True):
        try:
            with path.open("rb") as file:
                first = json.loads(file.readline())
        except (OSError, ValueError):
            return path
        if not isinstance(first, dict) or is_of_suite(first):
            return path
    raise BadOption(f"no suite has run in {folder}: run `ovbench run` first, or name a session's file")


def _journal_of(stored: Path) -> Path:
    session = sessions.read_session(stored)
    path = stored.parent / Path(session.journal).name
    if not session.journal or not path.is_file():
        raise BadInput(f"session {stored} has no journal beside it: it was moved or pruned; {LIST}")
    return path
