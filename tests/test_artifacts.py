"""The artifact cache: one build per content, whoever asks, and nothing served that is not whole."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import string
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovbench.artifacts import (
    CACHE_DIR_VARIABLE,
    MANIFEST,
    ArtifactCache,
    canonical_json,
    default_root,
    file_sha256,
    model_sha256,
    temporary_folder,
)
from ovbench.errors import BadModel, NotWritable

KEY = {"model": "abc", "seed": 7}
CONTENT = {"model.xml": b"<net/>", "sub/model.bin": bytes(range(256)) * 16}
PATIENCE_S = 60  # for a child process to answer; reached only when a test fails
SPAWN = multiprocessing.get_context("spawn")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
keys = st.dictionaries(st.text(max_size=5), values, max_size=4)


class Builder:
    """Fills a folder with CONTENT and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        for name, data in CONTENT.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)


class Heard(list[str]):
    def __call__(self, folder: Path, reason: str) -> None:
        self.append(reason)


def content_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.glob("*/*") if path.suffix != ".lock"]


# ----------------------------------------------------------------------------------------------------- keys


@given(keys, st.randoms())
def test_the_path_ignores_the_order_of_keys(key: dict[str, Any], random: Any) -> None:
    items = list(key.items())
    random.shuffle(items)
    cache = ArtifactCache(Path("cache"))
    assert cache.path("int8", dict(items)) == cache.path("int8", key)


@given(keys, keys)
def test_distinct_keys_have_distinct_paths(one: dict[str, Any], other: dict[str, Any]) -> None:
    cache = ArtifactCache(Path("cache"))
    same = typed(one) == typed(other)
    assert (cache.path("int8", one) == cache.path("int8", other)) is same


def typed(value: Any) -> Any:
    """The value with its types spelled out: 1, 1.0 and True are equal to Python, and not to us."""
    if isinstance(value, dict):
        return {name: typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return type(value), repr(value)


@given(keys)
def test_canonical_json_reads_back_as_the_same_value(key: dict[str, Any]) -> None:
    assert typed(json.loads(canonical_json(key))) == typed(key)


def test_the_kind_is_part_of_the_path() -> None:
    cache = ArtifactCache(Path("cache"))
    assert cache.path("int8", KEY).name != cache.path("embedded", KEY).name


def test_a_key_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError):
        canonical_json({"ratio": float("nan")})


# ---------------------------------------------------------------------------------------------------- fetch


def test_what_was_built_is_served_again_without_building(tmp_path: Path) -> None:
    build, damage = Builder(), Heard()
    cache = ArtifactCache(tmp_path, on_damage=damage)
    first = cache.fetch("int8", KEY, build)
    second = cache.fetch("int8", dict(reversed(KEY.items())), build)
    assert (first, build.calls, damage) == (second, 1, [])
    assert content_of(first) == CONTENT
    assert leftovers(tmp_path) == [first]


def test_the_manifest_says_what_the_artifact_is(tmp_path: Path) -> None:
    folder = ArtifactCache(tmp_path).fetch("int8", KEY, Builder())
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["kind"], manifest["key"]) == ("int8", KEY)
    assert manifest["files"]["sub/model.bin"] == {
        "bytes": len(CONTENT["sub/model.bin"]),
        "sha256": file_sha256(folder / "sub/model.bin"),
    }
    assert "python" in manifest["created_by"]


def test_an_artifact_can_be_built_from_another_one(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)

    def build(folder: Path) -> None:
        source = cache.fetch("embedded", KEY, Builder())
        (folder / "copy").write_bytes((source / "model.xml").read_bytes())

    assert content_of(cache.fetch("int8", KEY, build)) == {"copy": CONTENT["model.xml"]}
    assert len(leftovers(tmp_path)) == 2


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: flip(folder / "sub/model.bin", 1000), "sub/model.bin is not as it was built"),
        (lambda folder: os.truncate(folder / "sub/model.bin", 100), "sub/model.bin is not as it was built"),
        (lambda folder: os.truncate(folder / "model.xml", 0), "model.xml is not as it was built"),
        (lambda folder: (folder / "model.xml").unlink(), "model.xml is not as it was built"),
        (lambda folder: (folder / "stranger").touch(), "stranger is not as it was built"),
        (lambda folder: (folder / MANIFEST).unlink(), "No such file"),
        (lambda folder: os.truncate(folder / MANIFEST, 40), "is not a manifest"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"), "is not a manifest"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "is not a manifest"),
        (lambda folder: (folder / MANIFEST).write_text('{"files": 1}'), "is not a manifest"),
        (lambda folder: rewrite_key(folder), "is of another artifact"),
    ],
)
def test_a_damaged_artifact_is_reported_and_built_again(tmp_path: Path, harm: Any, reason: str) -> None:
    build, damage = Builder(), Heard()
    cache = ArtifactCache(tmp_path, on_damage=damage)
    harm(cache.fetch("int8", KEY, build))
    folder = cache.fetch("int8", KEY, build)
    assert content_of(folder) == CONTENT
    assert build.calls == 2
    assert len(damage) == 1
    assert reason in damage[0]
    assert leftovers(tmp_path) == [folder]


def rewrite_key(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "key": {}}))


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from([*CONTENT, MANIFEST]), position=st.integers(0, 1 << 16))
def test_no_flipped_byte_anywhere_is_ever_served(name: str, position: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        cache = ArtifactCache(Path(root))
        flip(cache.fetch("int8", KEY, Builder()) / name, position)
        assert content_of(cache.fetch("int8", KEY, Builder())) == CONTENT


def test_a_file_in_the_artifacts_place_is_replaced(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    place = cache.path("int8", KEY)
    place.parent.mkdir()
    place.write_text("in the way")
    assert content_of(cache.fetch("int8", KEY, Builder())) == CONTENT


@pytest.mark.parametrize("error", [ValueError("bad weights"), KeyboardInterrupt(), SystemExit(3), OSError(2, "gone")])
def test_a_build_that_fails_leaves_nothing_and_may_be_tried_again(tmp_path: Path, error: BaseException) -> None:
    def fail(folder: Path) -> None:
        Builder()(folder)
        raise error

    cache = ArtifactCache(tmp_path)
    with pytest.raises(type(error)) as raised:
        cache.fetch("int8", KEY, fail)
    assert raised.value is error
    assert leftovers(tmp_path) == []
    assert content_of(cache.fetch("int8", KEY, Builder())) == CONTENT


# --------------------------------------------------------------------------------------------- not writable


def assert_names_the_remedy(error: BaseException, place: Path) -> None:
    message = str(error)
    assert str(place) in message
    assert CACHE_DIR_VARIABLE in message
    assert "\n" not in message


def test_a_root_below_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "cache"
    with pytest.raises(NotWritable) as refused:
        ArtifactCache(root).fetch("int8", KEY, Builder())
    assert_names_the_remedy(refused.value, root)


def test_a_read_only_cache_is_refused_but_serves_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ArtifactCache(tmp_path)
    have = cache.fetch("int8", KEY, Builder())

    def refuse(path: Path, *_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert cache.fetch("int8", KEY, Builder()) == have
    with pytest.raises(NotWritable) as refused:
        cache.fetch("int8", {}, Builder())
    assert_names_the_remedy(refused.value, tmp_path)


def test_a_disk_that_fills_while_building_is_named(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        Builder()(folder)
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "model.bin"))

    with pytest.raises(NotWritable, match="No space left") as refused:
        ArtifactCache(tmp_path).fetch("int8", KEY, fill)
    assert_names_the_remedy(refused.value, tmp_path)
    assert leftovers(tmp_path) == []


def test_a_disk_that_fills_at_the_manifest_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(NotWritable, match="No space left"):
        ArtifactCache(tmp_path).fetch("int8", KEY, Builder())
    assert leftovers(tmp_path) == []


def test_the_root_is_the_users_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.setenv(CACHE_DIR_VARIABLE, "here")
    assert default_root() == Path.cwd() / "here"
    monkeypatch.setenv(CACHE_DIR_VARIABLE, "")
    assert default_root().is_absolute()
    assert default_root().parts[-1] in ("ovbench", "Cache")


# ------------------------------------------------------------------------------------------- many processes


def fetch_in_child(root: Path, start: Any, answers: Any) -> None:
    """One of many that ask for the same thing at once; each build adds its process to a file."""

    def build(folder: Path) -> None:
        with (root / "builds").open("a") as log:
            log.write(f"{os.getpid()}\n")
        Builder()(folder)

    start.wait(PATIENCE_S)
    answers.put(content_of(ArtifactCache(root).fetch("int8", KEY, build)))


def test_of_many_processes_one_builds_and_all_are_served(tmp_path: Path) -> None:
    count = 4
    start, answers = SPAWN.Barrier(count), SPAWN.Queue()
    children = [SPAWN.Process(target=fetch_in_child, args=(tmp_path, start, answers)) for _ in range(count)]
    for child in children:
        child.start()
    served = [answers.get(timeout=PATIENCE_S) for _ in children]
    for child in children:
        child.join(PATIENCE_S)
    assert served == [CONTENT] * count
    assert len((tmp_path / "builds").read_text().split()) == 1


def build_until_told(root: Path, key: dict[str, Any], building: Any, go_on: Any) -> None:
    def build(folder: Path) -> None:
        Builder()(folder)
        building.set()
        go_on.wait(PATIENCE_S)

    ArtifactCache(root).fetch("int8", key, build)


def test_who_waits_for_another_process_says_so_and_does_not_build(tmp_path: Path) -> None:
    building, go_on, build, waited = SPAWN.Event(), SPAWN.Event(), Builder(), Heard()
    child = SPAWN.Process(target=build_until_told, args=(tmp_path, KEY, building, go_on))
    child.start()
    assert building.wait(PATIENCE_S)

    def on_wait(folder: Path, reason: str) -> None:
        waited.append(reason)
        go_on.set()

    folder = ArtifactCache(tmp_path, on_wait=on_wait).fetch("int8", KEY, build)
    child.join(PATIENCE_S)
    assert (content_of(folder), build.calls, len(waited)) == (CONTENT, 0, 1)


def test_drafts_of_killed_builders_are_swept_and_of_living_ones_kept(tmp_path: Path) -> None:
    other = {"model": "other"}
    children = []
    for key in ({"model": "dead"}, KEY, other):
        building, go_on = SPAWN.Event(), SPAWN.Event()  # of its own: a killed waiter spoils an event for all
        child = SPAWN.Process(target=build_until_told, args=(tmp_path, key, building, go_on))
        child.start()
        assert building.wait(PATIENCE_S)
        children.append(child)
    for child in children[:2]:
        child.kill()
        child.join(PATIENCE_S)
    assert len(leftovers(tmp_path)) == 3

    cache, build = ArtifactCache(tmp_path), Builder()
    folder = cache.fetch("int8", KEY, build)
    assert build.calls == 1
    drafts = [path for path in leftovers(tmp_path) if path != folder]
    assert [path.name.partition(".")[0] for path in drafts] == [cache.path("int8", other).name]
    go_on.set()
    children[2].join(PATIENCE_S)
    assert content_of(cache.fetch("int8", other, build)) == CONTENT
    assert build.calls == 1


# ----------------------------------------------------------------------------------------- temporary folders

HOLD = """
import sys
from ovbench.artifacts import temporary_folder
with temporary_folder("cache") as folder:
    (folder / "kept").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_temporary_folders_of_killed_processes_are_swept_and_of_living_ones_kept(temporary: Path) -> None:
    command = [sys.executable, "-c", HOLD]
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with (
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed,
    ):
        assert living.stdout is not None
        assert killed.stdout is not None
        held, left = (Path(child.stdout.readline().strip()) for child in (living, killed))
        killed.kill()
        killed.wait()
        assert list(left.iterdir()) == [left / "kept"]
        with temporary_folder("lane") as ours:
            names = {path.name for path in temporary.iterdir()}
            assert names == {each for folder in (held, ours) for each in (folder.name, f"{folder.name}.lock")}
            assert list(ours.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_a_temporary_folder_is_removed_whatever_happens_and_by_whichever_thread(temporary: Path) -> None:
    kept = contextlib.ExitStack()
    (kept.enter_context(temporary_folder("lane")) / "log").touch()
    closing = threading.Thread(target=kept.close)
    closing.start()
    closing.join()
    assert list(temporary.iterdir()) == []

    def cut_off() -> None:
        with temporary_folder("cache") as folder:
            (folder / "filled").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert list(temporary.iterdir()) == []


# -------------------------------------------------------------------------------------------------- hashing


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_file_sha256_is_sha256_at_every_chunk_boundary(tmp_path: Path, size: int) -> None:
    import hashlib

    data = (string.ascii_letters.encode() * (size // 52 + 1))[:size]
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_model_sha256_sees_weights_that_lie_beside_other_formats(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"graph, weights in net.weights")
    (tmp_path / "net.pdmodel").write_bytes(b"graph")
    for name in ("net.weights", "net.pdiparams", "unrelated.txt"):
        (tmp_path / name).write_bytes(b"1")
    before = {name: model_sha256(tmp_path / name) for name in ("net.onnx", "net.pdmodel")}
    (tmp_path / "unrelated.txt").write_bytes(b"2")
    assert {name: model_sha256(tmp_path / name) for name in before} == before
    (tmp_path / "net.weights").write_bytes(b"2")
    (tmp_path / "net.pdiparams").write_bytes(b"2")
    after = {name: model_sha256(tmp_path / name) for name in before}
    assert not set(after.values()) & set(before.values())


def test_model_sha256_sees_both_files_and_not_the_name(tmp_path: Path) -> None:
    def model(name: str, xml: bytes, weights: bytes) -> str:
        (tmp_path / name).with_suffix(".bin").write_bytes(weights)
        (tmp_path / name).write_bytes(xml)
        return model_sha256(tmp_path / name)

    assert model("a.xml", b"xml", b"bin") == model("b.xml", b"xml", b"bin")
    assert (
        len({model("a.xml", x, b) for x, b in [(b"xml", b"bin"), (b"xm", b"lbin"), (b"xml", b""), (b"", b"bin")]}) == 4
    )
    assert model("a.onnx", b"xml", b"1") == model("a.onnx", b"xml", b"2")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"gone\.xml"):
        model_sha256(tmp_path / "gone.xml")
