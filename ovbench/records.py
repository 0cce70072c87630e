"""The journal: one JSON line per fact of a session, synced as it is written, in a format that stays readable."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ovbench.config import Config, Mode
from ovbench.errors import BadInput, NotWritable
from ovbench.samples import Block, Replicate

FORMAT = 1
SUFFIX = ".jsonl"


@dataclass
class Journal:
    """One session's journal. The file comes into being with the first line."""

    path: Path

    def write(self, kind: str, **fields: Any) -> None:
        """Append one line, flush and sync it. Raises NotWritable."""
        line = json.dumps({"format": FORMAT, "kind": kind, "time": time.time(), **fields}, allow_nan=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotWritable(f"cannot write the journal {self.path}: {error.strerror}: free it or make room") from None


def new_session_id() -> str:
    """``20261122T214729-3fa9c1``: sorts by time, is unique enough for a folder."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def replicate_fields(config: Config, replicate: Replicate) -> dict[str, Any]:
    """A finished replicate with every sample, in order."""
    return {
        "cell": config.id,
        "config": config.axes,
        "lane": replicate.lane,
        "mode": replicate.mode.value,
        "blocks": [block_fields(block) for block in replicate.blocks],
    }


def block_fields(block: Block) -> dict[str, Any]:
    """One block with every sample."""
    return {
        "round": block.round,
        "wall_ns": list(block.wall_ns),
        "latency_ns": list(block.latency_ns),
        "window_ns": block.window_ns,
    }


def block_from_fields(fields: Mapping[str, Any]) -> Block:
    """The inverse of ``block_fields``."""
    return Block(fields["round"], tuple(fields["wall_ns"]), tuple(fields["latency_ns"]), fields["window_ns"])


def replicate_from_fields(fields: Mapping[str, Any]) -> tuple[Config, Replicate]:
    """The inverse of ``replicate_fields``, from a line of kind ``replicate``."""
    blocks = tuple(map(block_from_fields, fields["blocks"]))
    return Config.from_axes(fields["config"]), Replicate(fields["lane"], Mode(fields["mode"]), blocks)


@dataclass(frozen=True)
class Whole:
    """What can be read of a journal: its whole lines in order, and whether a kill cut one more off."""

    lines: tuple[Mapping[str, Any], ...]
    cut_off: bool


def read_journal(path: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a journal; a last line cut off by a kill is left out. Raises BadInput as ``read_whole`` does."""
    return iter(read_whole(path).lines)


def read_whole(path: Path) -> Whole:
    """The lines of a journal, and whether it was cut off: a line is whole once its newline is written.

    Raises BadInput for a file that cannot be read, holds something else, or is of a format that is newer than FORMAT.
    """
    try:
        whole, _, rest = path.read_bytes().rpartition(b"\n")
    except OSError as error:
        raise BadInput(f"cannot read the journal {path}: {error.strerror}: name another") from None
    written = whole.split(b"\n") if whole else []
    return Whole(tuple(_read_line(path, number, line) for number, line in enumerate(written, 1)), bool(rest))


def _read_line(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
        version, _kind = fields["format"], fields["kind"]
        newer = version > FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadInput(
            f"line {number} of {path} is none of a journal: name another file, or remove that line"
        ) from None
    if newer:
        raise BadInput(
            f"{path} is of the journal's format {version}, this ovbench reads up to {FORMAT}: upgrade ovbench"
        )
    return cast("Mapping[str, Any]", fields)


def check_writable(folder: Path) -> None:
    """Raise NotWritable unless a file can be made in ``folder`` (which is made if missing); leaves nothing behind."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    probe = folder / f".ovbench-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        for each in made:
            each.rmdir()
    except OSError as error:
        raise NotWritable(
            f"cannot write to {folder}: {error.strerror}: make it writable, or name another with -o ov_results=DIR"
        ) from None
