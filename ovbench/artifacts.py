"""The artifact cache: what is slow to make is made once per content, and proven whole each time it is read.

An artifact is a folder ``<root>/<kind>/<sha256 of its key>/`` with a manifest of what it holds. It is filled
under another name beside it and renamed when complete. Nothing is synced to disk: an artifact that a power
cut left half written fails its checksums and is made again. Folders that last no longer than their use are here too:
they are swept by the same rule, a lock that is free.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import filelock
import platformdirs

from ovbench.errors import BadModel, NotWritable

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None

CACHE_DIR_VARIABLE = "OVBENCH_CACHE_DIR"
FORMAT_VERSION = 1  # of the folder's layout and manifest; part of every key, so that formats never mix
MANIFEST = "artifact.json"
MANIFEST_PACKAGES = ("ovbench", "openvino", "nncf", "numpy")
CHUNK_BYTES = 1 << 20  # read at once while hashing: large enough to keep sha256 busy, small beside a model
TEMPORARY = "ovbench-"  # how the names of temporary folders begin
OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the cache is at fault, not the builder that met it


def default_root() -> Path:
    """The user's cache folder for ovbench, or the folder named by OVBENCH_CACHE_DIR."""
    chosen = os.environ.get(CACHE_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("ovbench", appauthor=False)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def model_sha256(model: Path) -> str:
    """SHA-256 of a model's content: of a file with the weights that lie beside it, or of all files of a folder.

    Raises BadModel when a file is missing or cannot be read. A ``.bin`` that is not there counts as none:
    whether the model can do without is for OpenVINO to say.
    """
    digest = hashlib.sha256()
    try:
        if model.is_dir():
            for path in sorted(each for each in model.rglob("*") if each.is_file()):
                digest.update(f"{path.relative_to(model).as_posix()} {file_sha256(path)};".encode())
            return digest.hexdigest()
        digest.update(file_sha256(model).encode())
        for path in _weights_of(model):
            digest.update(file_sha256(path).encode())
    except OSError as error:
        raise BadModel(f"cannot read model {error.filename}: {error.strerror}: check the path") from error
    return digest.hexdigest()


def _weights_of(model: Path) -> list[Path]:
    """Files beside a model that hold its weights: a ``.bin``, Paddle's ``.pdiparams``, those that an ONNX names."""
    if model.suffix == ".onnx":
        content = model.read_bytes()
        beside = sorted(path for path in model.parent.iterdir() if path != model and path.is_file())
        return [path for path in beside if path.name.encode() in content]
    weights = model.with_suffix({".xml": ".bin", ".pdmodel": ".pdiparams"}.get(model.suffix, model.suffix))
    return [weights] if weights != model and weights.exists() else []


def canonical_json(value: JSON) -> str:
    """One text per value: keys sorted, no spaces, ASCII only; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """An empty folder in the system's temporary one, removed after its use; before it, those of killed processes are.

    The lock beside it says that its owner lives. (The number of a process would not: another process may have it by
    now, or the owner lives in another container.)
    """
    for left in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*.lock"):
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(left).acquire(timeout=0):
            _remove_locked(left)  # a lock not free or not ours means: leave it
    handle, name = tempfile.mkstemp(prefix=f"{TEMPORARY}{purpose}-", suffix=".lock")
    os.close(handle)
    lock = Path(name)
    with filelock.FileLock(lock, thread_local=False):  # whichever thread is done with it
        folder = lock.with_suffix("")
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove_locked(lock)


def _remove_locked(lock: Path) -> None:
    """Remove a temporary folder and its lock, which we hold; Windows removes that as it is released."""
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    with contextlib.suppress(PermissionError):
        lock.unlink(missing_ok=True)


def _stay_silent(_folder: Path, _reason: str) -> None:
    """Default of the cache's callbacks."""


@dataclass(frozen=True)
class ArtifactCache:
    """Folders of built things under ``root``, shared by all processes of a user.

    ``on_wait(folder, reason)`` is called once when another process is building the artifact that is asked
    for; ``on_damage(folder, reason)`` when one failed its checks and is made again.
    """

    root: Path
    on_wait: Callable[[Path, str], None] = _stay_silent
    on_damage: Callable[[Path, str], None] = _stay_silent

    def path(self, kind: str, key: Mapping[str, JSON]) -> Path:
        """Where the artifact of this key lies, once it is built."""
        assert re.fullmatch(r"[a-z0-9_-]+", kind), kind
        identity = canonical_json({"format": FORMAT_VERSION, "kind": kind, "key": dict(key)})
        return self.root / kind / hashlib.sha256(identity.encode()).hexdigest()

    def fetch(self, kind: str, key: Mapping[str, JSON], build: Callable[[Path], None]) -> Path:
        """Return the artifact's folder, verified; build it first if it is missing or damaged.

        ``key`` must say everything the content depends on. ``build(folder)`` fills an empty folder with at
        least one file; whatever it raises comes through, and leaves nothing behind. Among all threads and
        processes one builds, the others wait. Raises NotWritable when the cache cannot be written or is full.
        """
        folder = self.path(kind, key)
        if _damage(folder, kind, key) is None:
            return folder
        with self._locked(folder):
            if os.path.lexists(folder):
                reason = _damage(folder, kind, key)
                if reason is None:
                    return folder
                self.on_damage(folder, reason)
                with self._refusals_named():
                    _remove(folder)
            self._sweep(folder)
            self._build(folder, kind, key, build)
        return folder

    def _build(self, folder: Path, kind: str, key: Mapping[str, JSON], build: Callable[[Path], None]) -> None:
        with self._refusals_named():
            draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".tmp", dir=folder.parent))
        try:
            try:
                build(draft)
            except OSError as error:
                if error.errno in OUT_OF_ROOM:
                    raise self._not_writable(error) from error
                raise
            with self._refusals_named():
                files = _listing(draft)
                assert files, f"the builder of {kind} wrote no file"
                manifest = {"format": FORMAT_VERSION, "kind": kind, "key": dict(key), "files": files}
                text = json.dumps({**manifest, "created_by": _versions()}, indent=1, sort_keys=True)
                (draft / MANIFEST).write_text(text, encoding="utf-8")
                draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    @contextlib.contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Hold the artifact's lock; the operating system frees it when its holder dies."""
        with self._refusals_named():
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(_lock_path(folder))
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=0)
        if not lock.is_locked:
            self.on_wait(folder, "another process is building it")
            with self._refusals_named():
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _sweep(self, held: Path) -> None:
        """Remove drafts that killed builders left: those whose lock is free, or is ours."""
        for draft in self.root.glob("*/*.tmp"):
            folder = draft.parent / draft.name.partition(".")[0]
            if folder == held:
                shutil.rmtree(draft, ignore_errors=True)
                continue
            lock = filelock.FileLock(_lock_path(folder))
            with contextlib.suppress(filelock.Timeout, OSError), lock.acquire(timeout=0):
                shutil.rmtree(draft, ignore_errors=True)  # a lock not free or not ours means: leave it

    @contextlib.contextmanager
    def _refusals_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> NotWritable:
        where = error.filename or self.root
        return NotWritable(
            f"cannot write {where} in the artifact cache {self.root}: {error.strerror or error}: "
            f"allow it, or set {CACHE_DIR_VARIABLE} to another folder with room"
        )


def _damage(folder: Path, kind: str, key: Mapping[str, JSON]) -> str | None:
    """Why the artifact cannot be trusted, or None when every byte is as it was built."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = _listing(folder)
        wanted: dict[str, JSON] = {"format": FORMAT_VERSION, "kind": kind, "key": dict(key), "files": found}
        recorded: dict[str, Any] = {name: manifest[name] for name in wanted}
        if canonical_json(recorded) == canonical_json(wanted):
            return None
        files = recorded["files"]
        changed = [name for name in sorted({*files, *found}) if files.get(name) != found.get(name)]
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is not a manifest"
    return f"{changed[0]} is not as it was built" if changed else f"{MANIFEST} is of another artifact"


def _listing(folder: Path) -> dict[str, dict[str, str | int]]:
    """Size and SHA-256 of each file in the folder but the manifest, by its path relative to the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in files
    }


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _remove(folder: Path) -> None:
    """Take the folder away in one step, then delete it: no reader ever sees half of it under its own name."""
    grave = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".tmp", dir=folder.parent))
    folder.rename(grave / "damaged")
    shutil.rmtree(grave)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in MANIFEST_PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions
