"""One file of known content from the net: resumed where the server allows, checked, and kept for the next time."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from ovbench.errors import BadInput, NotWritable

Advance = Callable[[float], None]
"""Told which share of the file is here, 0..1."""

CHUNK_BYTES = 1 << 16  # read at once, and all that a broken connection can lose
PART_SUFFIX = ".part"
TRY_LATER = (408, 425, 429)  # the only answers of RFC 9110's 4xx that another attempt may change


@dataclass(frozen=True)
class Download:
    """A file whose content is known beforehand, and where to ask for it, in order.

    ``checksum`` is ``algorithm:hexadecimal``, as pooch takes it.
    """

    file: str
    size_bytes: int
    checksum: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Patience:
    """How long a server may take to answer and to stay silent, and how often each address is asked."""

    connect_s: float = 10.0
    silence_s: float = 30.0
    attempts: int = 3
    pause_s: float = 1.0


class _Unusable(Exception):
    """This address will not give the file, however often it is asked."""


class _BrokenOff(Exception):
    """The answer did not come or ended early; the next attempt goes on from what is here."""


def download(what: Download, folder: Path, on_progress: Advance, patience: Patience | None = None) -> Path:
    """The file's path in ``folder``, verified; downloaded unless it is there already.

    What has come stays in ``<file>.part`` when a connection fails or the user interrupts, and the next call goes on
    from there, at whichever address. A file with the wrong checksum is thrown away. Raises BadInput, one line with
    each address and what is wrong there, when none gives the file, and NotWritable when it cannot be kept.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # what it would say on stderr our bar says

    def receive(address: str, output_file: str, _pooch: Any) -> None:
        part = folder / (what.file + PART_SUFFIX)
        _gather(what, address, part, on_progress, patience or Patience())
        part.replace(output_file)

    faults = []
    try:
        with _alone(what, folder):
            for address in what.addresses:
                try:
                    return Path(pooch.retrieve(address, what.checksum, what.file, folder, downloader=receive))
                except (_Unusable, _BrokenOff) as error:
                    faults.append(f"{address}: {error}")
                except ValueError as error:  # pooch's only way to say that the checksum is another
                    faults.append(f"{address}: {str(error).partition('. Deleted')[0]}")
    except OSError as error:
        raise NotWritable(
            f"cannot keep {what.file} in {folder}: {error.strerror or error}: "
            "allow it, make room or set OVBENCH_CACHE_DIR to another folder"
        ) from error
    raise BadInput(
        f"cannot fetch {what.file}: {'; '.join(faults)}: check the connection and run it again, or give --url"
    )


@contextlib.contextmanager
def _alone(what: Download, folder: Path) -> Iterator[None]:
    """Keep other processes from writing the same part."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{what.file}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BadInput(f"{folder / what.file} is being downloaded by another ovbench: wait for it") from None
    try:
        yield
    finally:
        lock.release()


def _gather(what: Download, address: str, part: Path, on_progress: Advance, patience: Patience) -> None:
    """Complete the part, in as many attempts as patience allows."""
    for left in reversed(range(patience.attempts)):
        try:
            return _receive(what, address, part, on_progress, patience)
        except _BrokenOff:
            if not left:
                raise
            time.sleep(patience.pause_s)
    return None


def _receive(what: Download, address: str, part: Path, on_progress: Advance, patience: Patience) -> None:
    """Ask once, for what is not here yet."""
    import requests

    here = part.stat().st_size if part.exists() else 0
    if here == what.size_bytes:
        return
    # Identity: a length and a range are of the bytes that travel, and a compressed answer's are not the file's.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={here}-"} if here else {})}
    try:
        with requests.get(
            address, headers=headers, stream=True, timeout=(patience.connect_s, patience.silence_s)
        ) as response:
            here = _start(what, response, part, here)
            with part.open("ab" if here else "wb") as file:
                for chunk in response.iter_content(CHUNK_BYTES):
                    here += file.write(chunk)
                    if here > what.size_bytes:
                        break
                    on_progress(here / what.size_bytes)
    except ValueError as error:  # requests' base for an address that is none
        raise _Unusable(str(error)) from error
    except requests.RequestException as error:
        raise _BrokenOff(_cause(error)) from error
    if here > what.size_bytes:
        part.unlink()
        raise _Unusable(f"gives more than the {what.size_bytes} bytes expected")
    if here < what.size_bytes:
        raise _BrokenOff(f"ended after {here} of {what.size_bytes} bytes")


def _start(what: Download, response: Any, part: Path, here: int) -> int:
    """At which byte of the file the answer's body begins: 0, or ``here``. Raises unless it is of this file."""
    status = response.status_code
    said = f"answers {status} {response.reason}"
    given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if status == 416 or (status == 206 and (given is None or int(given[1]) != here)):
        part.unlink(missing_ok=True)
        raise _BrokenOff(f"{said}, and not the rest from byte {here}")
    if status >= 500 or status in TRY_LATER:
        raise _BrokenOff(said)
    if status not in (200, 206):
        raise _Unusable(said)
    total = given[2] if status == 206 and given else response.headers.get("Content-Length", "*")
    if total not in ("*", str(what.size_bytes)):
        raise _Unusable(f"has {total} bytes, not the {what.size_bytes} expected")
    return here if status == 206 else 0


def _cause(error: BaseException) -> str:
    """What was wrong at the bottom of requests' and urllib3's wrappings, without the address they repeat."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
