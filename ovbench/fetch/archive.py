"""A downloaded archive unpacked: nothing of it may land outside its folder."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

from ovbench.errors import BadImages, BadInput
from ovbench.fetch.downloads import Advance


def check_python() -> None:
    """Raise BadInput where tarfile cannot refuse members that lead out (PEP 706)."""
    if not hasattr(tarfile, "data_filter"):
        raise BadInput("this Python's tarfile cannot unpack safely: use 3.10.12, 3.11.4 or a later one")


def unpack(archive: Path, folder: Path, on_progress: Advance) -> None:
    """Unpack a ``.tgz`` into ``folder`` through tarfile's ``data`` filter.

    Raises BadImages for a member that leads out of the folder or is neither file nor folder, and for an archive that
    is cut off; OSError when the folder cannot be written. What was unpacked before stays: remove the folder.
    """
    size_bytes = archive.stat().st_size
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r|gz") as members:
            for member in members:
                members.extract(member, folder, filter="data")
                on_progress(file.tell() / size_bytes)
    except tarfile.FilterError as error:
        raise BadImages(f"{archive} is refused: {error}: get the archive from its makers") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BadImages(f"{archive} is cut off or no .tgz archive: {error}: fetch it again") from error
