"""What is fetched: from a server that misbehaves, out of an archive that means harm, out of a file of weights."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import pickle
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Answer, Loopback, deaf, instead, lengthless, serve, silent_after, status, until, whole

from ovbench import worker
from ovbench.errors import BadImages, BadInput, BadModel, NotWritable
from ovbench.fetch import archive, catalogue, mobilenet
from ovbench.fetch.catalogue import ITEMS, Item, fetch
from ovbench.fetch.downloads import CHUNK_BYTES, Download, Patience, download
from ovbench.runtime import core

CONTENT = np.random.default_rng(0).bytes(3 * CHUNK_BYTES + 1000)
PATIENCE = Patience(connect_s=60.0, silence_s=60.0, attempts=2, pause_s=0.0)  # that much only on a busy machine
MOBILENET_V2_MACS = 300_774_272  # torchvision's mobilenet_v2 at 224x224, 1000 classes


@pytest.fixture(autouse=True, scope="module")
def _no_proxy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")  # which has precedence over NO_PROXY
        yield


def nothing(_share: float) -> None:
    """Progress that nobody looks at."""


def get(what: Download, folder: Path, patience: Patience = PATIENCE, on_progress: Any = nothing) -> Path:
    return download(what, folder, on_progress, patience)


def refusal(what: Download, folder: Path, patience: Patience = PATIENCE, kind: type[BadInput] = BadInput) -> str:
    """The one line with which it is refused; the file must not be there under its own name."""
    with pytest.raises(kind) as refused:
        get(what, folder, patience)
    line = str(refused.value)
    assert "\n" not in line
    assert not (folder / what.file).exists()
    return line


# ------------------------------------------------------------------------------------------------------- downloads


def test_a_file_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    shares: list[float] = []
    with serve(CONTENT) as server:
        for _ in range(2):
            assert get(server.download(), tmp_path, on_progress=shares.append).read_bytes() == CONTENT
        assert server.asked == [None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {path.name for path in tmp_path.iterdir()} <= {"thing.bin", "thing.bin.lock"}


def test_a_kept_file_that_changed_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "thing.bin").write_bytes(b"not it")
    with serve(CONTENT) as server:
        assert get(server.download(), tmp_path).read_bytes() == CONTENT
        assert server.asked == [None]


@settings(max_examples=15)
@given(breaks=st.lists(st.integers(0, len(CONTENT) - 1), max_size=4))
def test_wherever_it_breaks_off_it_goes_on_from_what_is_here(breaks: list[int]) -> None:
    patience = dataclasses.replace(PATIENCE, attempts=len(breaks) + 1)
    with tempfile.TemporaryDirectory() as folder, serve(CONTENT, *map(until, breaks), whole) as server:
        assert get(server.download(), Path(folder), patience).read_bytes() == CONTENT
        starts = [start or 0 for start in server.asked]
        assert len(starts) == len(breaks) + 1
        assert starts == sorted(starts), "nothing that came is asked for again"
        reached = 0
        for start, end in zip(starts[1:], breaks, strict=True):
            reached = max(reached, end)
            assert reached - CHUNK_BYTES < start <= reached


def test_what_has_come_is_kept_for_the_next_call(tmp_path: Path) -> None:
    with serve(CONTENT, until(CHUNK_BYTES), until(2 * CHUNK_BYTES), whole) as server:
        line = refusal(server.download(), tmp_path)
        assert server.url in line
        assert "IncompleteRead" in line
        assert (tmp_path / "thing.bin.part").read_bytes() == CONTENT[: 2 * CHUNK_BYTES]
        assert get(server.download(), tmp_path).read_bytes() == CONTENT
        assert server.asked == [None, CHUNK_BYTES, 2 * CHUNK_BYTES]
    assert not (tmp_path / "thing.bin.part").exists()


def test_an_interrupt_keeps_what_has_come(tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with serve(CONTENT) as server:
        with pytest.raises(KeyboardInterrupt):
            get(server.download(), tmp_path, on_progress=interrupt)
        assert not (tmp_path / "thing.bin").exists()
        here = (tmp_path / "thing.bin.part").stat().st_size
        assert get(server.download(), tmp_path).read_bytes() == CONTENT
        assert server.asked == [None, here]


def test_a_whole_part_is_checked_and_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "thing.bin.part").write_bytes(CONTENT)
    with serve(CONTENT) as server:
        assert get(server.download(), tmp_path).read_bytes() == CONTENT
        assert server.asked == []


@pytest.mark.parametrize("kept", [CONTENT[:1000], CONTENT + b"more"], ids=["short", "too long"])
def test_a_server_without_ranges_starts_over(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "thing.bin.part").write_bytes(kept)
    with serve(CONTENT, deaf) as server:
        assert get(server.download(), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [status(416), status(206), status(206, Content_Range="bytes 7-9/10")],
    ids=["unsatisfiable", "no range", "another range"],
)
def test_a_part_that_cannot_be_gone_on_with_is_thrown_away(tmp_path: Path, answer: Answer) -> None:
    (tmp_path / "thing.bin.part").write_bytes(CONTENT[:1000])
    with serve(CONTENT, answer, whole) as server:
        assert get(server.download(), tmp_path).read_bytes() == CONTENT
        assert server.asked == [1000, None]


def test_wrong_bytes_are_thrown_away_and_both_checksums_said(tmp_path: Path) -> None:
    other = bytes(len(CONTENT))
    with serve(CONTENT, instead(other)) as server:
        line = refusal(server.download(), tmp_path)
        assert hashlib.sha384(CONTENT).hexdigest() in line
        assert hashlib.sha384(other).hexdigest() in line
        assert {path.name for path in tmp_path.iterdir()} <= {"thing.bin.lock"}
        server.answers[:] = [whole]
        assert get(server.download(), tmp_path).read_bytes() == CONTENT


def test_a_part_of_something_else_does_no_lasting_harm(tmp_path: Path) -> None:
    (tmp_path / "thing.bin.part").write_bytes(bytes(1000))
    with serve(CONTENT) as server:
        assert "hash" in refusal(server.download(), tmp_path)
        assert get(server.download(), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "told", "asked"),
    [
        (instead(b"<html>"), f"has 6 bytes, not the {len(CONTENT)} expected", 1),
        (lengthless(CONTENT + b"more"), f"gives more than the {len(CONTENT)} bytes expected", 1),
        (lengthless(CONTENT[:-1]), f"ended after {len(CONTENT) - 1} of {len(CONTENT)} bytes", 2),
        (status(404), "answers 404 Not Found", 1),
        (status(503), "answers 503 Service Unavailable", 2),
        (status(429), "answers 429 Too Many Requests", 2),
    ],
    ids=["page", "too long", "too short", "404", "503", "429"],
)
def test_what_a_server_does_wrong_is_said_in_one_line(tmp_path: Path, answer: Answer, told: str, asked: int) -> None:
    with serve(CONTENT, answer) as server:
        line = refusal(server.download(), tmp_path)
        assert f"cannot fetch thing.bin: {server.url}: {told}: " in line
        assert len(server.asked) == asked


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    part = tmp_path / "thing.bin.part"
    with serve(CONTENT, silent_after(2 * CHUNK_BYTES)) as server:
        for silence_s in (0.1, 1.0, 10.0):  # a busy machine may not have heard all that was sent after the first
            patience = dataclasses.replace(PATIENCE, silence_s=silence_s, attempts=1)
            assert "timed out" in refusal(server.download(), tmp_path, patience)
            if part.exists() and part.stat().st_size == 2 * CHUNK_BYTES:
                break
    assert part.read_bytes() == CONTENT[: 2 * CHUNK_BYTES]


def test_nobody_listening_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused, and nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/thing.bin"
        line = refusal(Download("thing.bin", 10, "md5:0", (address,)), tmp_path)
    assert line.startswith(f"cannot fetch thing.bin: {address}: Connection refused: ")


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/x", "http://"])
def test_an_address_that_is_none_is_said_in_one_line(tmp_path: Path, address: str) -> None:
    assert address in refusal(Download("thing.bin", 10, "md5:0", (address,)), tmp_path)


def test_the_second_address_is_asked_when_the_first_fails(tmp_path: Path) -> None:
    with serve(CONTENT, status(404)) as first, serve(CONTENT) as second:
        both = first.download(addresses=(first.url, second.url))
        assert get(both, tmp_path / "a").read_bytes() == CONTENT
        second.answers[:] = [status(403)]
        line = refusal(both, tmp_path / "b")
    assert f"{first.url}: answers 404 Not Found; {second.url}: answers 403 Forbidden" in line


def test_two_at_once_do_not_write_the_same_part(tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / "thing.bin.lock"), serve(CONTENT) as server:
        assert "by another ovbench: wait for it" in refusal(server.download(), tmp_path)
        assert server.asked == []


def test_a_cache_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serve(CONTENT) as server:
        line = refusal(server.download(), tmp_path / "file", kind=NotWritable)
    assert "OVBENCH_CACHE_DIR" in line


@contextlib.contextmanager
def full_disk(room_bytes: int) -> Iterator[None]:
    """No file of this process may grow larger than this; Python has writes fail where the kernel would kill."""
    resource = pytest.importorskip("resource", reason="only POSIX can limit the size of a process's files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_full_of_a_download_is_said_in_one_line(tmp_path: Path) -> None:
    with serve(CONTENT) as server, full_disk(CHUNK_BYTES):
        line = refusal(server.download(), tmp_path, kind=NotWritable)
    assert line.startswith(f"cannot keep thing.bin in {tmp_path}: File too large: ")


# ---------------------------------------------------------------------------------------------- archives and folders


def packed(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
            else:
                info = tarfile.TarInfo(each[0])
                info.size = len(each[1])
                tar.addfile(info, io.BytesIO(each[1]))
    return stream.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


PICTURES = (
    ("imagenette2-320/train/n01440764/a.JPEG", b"a"),
    ("imagenette2-320/val/n03888257/b.JPEG", b"b"),
    ("imagenette2-320/noisy.csv", b"c"),
)


def images_of(server: Loopback) -> Item:
    return dataclasses.replace(ITEMS["imagenette2-320"], download=server.download(file="imagenette2-320.tgz"))


def fetch_quietly(item: Item, out: Path) -> catalogue.Fetched:
    return fetch(item, out, out.parent / "cache", lambda _share, _doing: None, PATIENCE)


def test_images_are_laid_out_with_all_classes_and_then_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[tuple[float, str]] = []
    with serve(packed(*PICTURES)) as server:
        fetched = fetch(images_of(server), out, tmp_path / "cache", lambda *each: told.append(each), PATIENCE)
        assert fetched == catalogue.Fetched(out / "imagenette2-320" / "val", was_there=False)
        again = fetch_quietly(images_of(server), out)
        assert again == dataclasses.replace(fetched, was_there=True)
        assert server.asked == [None]
    laid = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert laid.pop("imagenette2-320/synsets.txt") == catalogue.SYNSETS.read_bytes()
    assert laid == dict(PICTURES)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert list(dict.fromkeys(doing for _, doing in told)) == [
        "downloading imagenette2-320.tgz",
        "unpacking",
    ]


def test_the_bar_is_drawn_in_steps_that_can_be_seen(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    def make(_file: Path, folder: Path, on_progress: Callable[[float], None]) -> None:
        (folder / "val").touch()
        for done in range(20_001):
            on_progress(done / 20_000)

    with serve(CONTENT) as server:
        item = dataclasses.replace(images_of(server), make=make)
        fetch(item, tmp_path / "out", tmp_path / "cache", lambda *each: told.append(each), PATIENCE)
    shares = [share for share, doing in told if doing == "unpacking"]
    assert shares[0] == pytest.approx(catalogue.DOWNLOADED_AT)
    assert 90 < len(shares) <= 101


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"x"),
        ("imagenette2-320/../../evil", b"x"),
        special("imagenette2-320/link", tarfile.SYMTYPE, "../../../evil"),
        special("imagenette2-320/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("imagenette2-320/link", tarfile.LNKTYPE, "../../evil"),
        special("imagenette2-320/pipe", tarfile.FIFOTYPE),
    ],
    ids=["parent", "inner parent", "symlink", "absolute symlink", "hard link", "pipe"],
)
def test_an_archive_that_leads_out_is_refused_and_leaves_nothing(
    tmp_path: Path, member: tarfile.TarInfo | tuple[str, bytes]
) -> None:
    with serve(packed(*PICTURES, member)) as server, pytest.raises(BadImages) as refused:
        fetch_quietly(images_of(server), tmp_path / "out")
    assert "is refused: " in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"out", "cache"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            packed(*PICTURES, ("imagenette2-320/val/c.JPEG", CONTENT))[: len(CONTENT) // 2],
            "is cut off or no .tgz archive",
        ),
        (b"<html>no archive</html>", "is cut off or no .tgz archive"),
        (packed(("other/val/a.JPEG", b"a")), "holds no imagenette2-320/train"),
    ],
    ids=["cut off", "page", "another data set"],
)
def test_what_is_no_such_archive_leaves_nothing(tmp_path: Path, content: bytes, told: str) -> None:
    with serve(content) as server, pytest.raises(BadImages, match=told) as refused:
        fetch_quietly(images_of(server), tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_half_of_it_there_is_not_taken_for_all(tmp_path: Path) -> None:
    (tmp_path / "imagenette2-320" / "train").mkdir(parents=True)
    with serve(b"") as server, pytest.raises(BadInput, match="is there without val: remove it"):
        fetch_quietly(images_of(server), tmp_path)
    assert server.asked == []


def test_a_place_that_cannot_be_written_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serve(packed(*PICTURES)) as server, pytest.raises(NotWritable, match="give another --out"):
        fetch(images_of(server), tmp_path / "file", tmp_path / "cache", lambda *_: None, PATIENCE)
    assert server.asked == []


def test_a_disk_that_fills_while_it_is_laid_out_leaves_nothing(tmp_path: Path) -> None:
    def fill(_file: Path, folder: Path, _on_progress: Callable[[float], None]) -> None:
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with serve(CONTENT) as server, pytest.raises(NotWritable, match="No space left on device: make room"):
        fetch_quietly(dataclasses.replace(images_of(server), make=fill), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_python_that_unpacks_unsafely_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    archive.check_python()
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(BadInput, match=r"use 3\.10\.12"):
        archive.check_python()


def test_the_classes_are_imagenets_in_order() -> None:
    synsets = [line.split()[0] for line in catalogue.SYNSETS.read_text(encoding="utf-8").splitlines()]
    assert len(set(synsets)) == 1000
    assert synsets == sorted(synsets)
    # The class numbers that fast.ai's ten classes have in every ImageNet classifier.
    ten = "n01440764 n02102040 n02979186 n03000684 n03028079 n03394916 n03417042 n03425413 n03445777 n03888257"
    assert [synsets.index(each) for each in ten.split()] == [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]
    assert len(catalogue.labels()) == 1000
    assert catalogue.labels()[497] == "church"


# ------------------------------------------------------------------------------------------------------------ weights


def random_weights(classes: int) -> dict[str, np.ndarray]:
    """A state dict of torchvision's mobilenet_v2, values such that activations neither vanish nor explode."""
    random = np.random.default_rng(0)
    state: dict[str, np.ndarray] = {}

    def normalized(convolution: str, normalization: str, *shape: int) -> None:
        out, fan_in = shape[0], np.prod(shape[1:])
        state[f"{convolution}.weight"] = (random.standard_normal(shape) * (2 / fan_in) ** 0.5).astype(np.float32)
        for name, low, high in (
            ("weight", 0.8, 1.2),
            ("bias", 0, 1),
            ("running_mean", -0.1, 0.1),
            ("running_var", 0.5, 2),
        ):
            state[f"{normalization}.{name}"] = random.uniform(low, high, out).astype(np.float32)
        state[f"{normalization}.num_batches_tracked"] = np.array(7)

    normalized("features.0.0", "features.0.1", 32, 3, 3, 3)
    before, number = 32, 0
    table = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    for expansion, channels, blocks in table:
        for _ in range(blocks):
            number += 1
            here, hidden, i = f"features.{number}.conv", before * expansion, 0
            if expansion > 1:
                normalized(f"{here}.0.0", f"{here}.0.1", hidden, before, 1, 1)
                i = 1
            normalized(f"{here}.{i}.0", f"{here}.{i}.1", hidden, 1, 3, 3)
            normalized(f"{here}.{i + 1}", f"{here}.{i + 2}", channels, hidden, 1, 1)
            before = channels
    normalized("features.18.0", "features.18.1", 1280, 320, 1, 1)
    state["classifier.1.weight"] = (random.standard_normal((classes, 1280)) * 0.1).astype(np.float32)
    state["classifier.1.bias"] = random.standard_normal(classes).astype(np.float32)
    return state


@given(st.integers(0, 1000))
def test_a_folded_convolution_does_its_batch_normalization_too(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights, values = random.standard_normal((5, 4, 1, 1)), random.standard_normal((4, 9))
    scale, shift, mean = random.standard_normal((3, 5, 1))
    variance = random.uniform(0.01, 4.0, (5, 1))
    separate = (weights[:, :, 0, 0] @ values - mean) / np.sqrt(variance + 1e-5) * scale + shift
    kernel, bias = mobilenet.fold(weights, scale[:, 0], shift[:, 0], mean[:, 0], variance[:, 0])
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(kernel[:, :, 0, 0] @ values + bias[:, None], separate, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights as IR in both precisions."""
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet, "read_weights", lambda _path: random_weights(1000))
        mobilenet.convert(Path("checkpoint"), folder, ["tench", "great white shark"])
    return folder


def ir_of(folder: Path, precision: str) -> Any:
    return core().read_model(folder / precision / "mobilenet-v2-pytorch.xml")


def test_the_ir_is_mobilenet_v2_as_open_model_zoo_names_it(converted: Path) -> None:
    model = ir_of(converted, "FP32")
    macs = worker.macs_by_layer(model)
    assert (len(macs), sum(macs.values())) == (53, MOBILENET_V2_MACS)
    kinds = [node.get_type_name() for node in model.get_ops()]
    assert {kind: kinds.count(kind) for kind in ("GroupConvolution", "Convolution", "MatMul", "Clamp", "Add")} == {
        "GroupConvolution": 17,
        "Convolution": 35,
        "MatMul": 1,
        "Clamp": 35,
        "Add": 53 + 10,  # biases and residuals
    }
    (into,), (out,) = model.inputs, model.outputs
    assert (into.get_any_name(), list(into.get_shape())) == ("data", [1, 3, 224, 224])
    assert (out.get_any_name(), list(out.get_shape())) == ("prob", [1, 1000])
    assert into.get_node().get_layout() == worker.import_openvino().Layout("NCHW")


def test_the_ir_says_how_pictures_become_its_input(converted: Path) -> None:
    for precision in mobilenet.PRECISIONS:
        model = ir_of(converted, precision)
        told = {key: model.get_rt_info(["model_info", key]).value for key in (*mobilenet.MODEL_INFO, "labels")}
        assert told == {**mobilenet.MODEL_INFO, "labels": "tench great_white_shark"}


def test_fp16_is_half_the_file_and_nearly_the_same_answers(converted: Path) -> None:
    sizes = [(converted / each / "mobilenet-v2-pytorch.bin").stat().st_size for each in ("FP32", "FP16")]
    assert 0.45 < sizes[1] / sizes[0] < 0.55
    picture = np.random.default_rng(1).standard_normal((1, 3, 224, 224), np.float32)
    exact, rounded = (
        worker.compile_model(core(), ir_of(converted, each), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(picture)[0]
        for each in ("FP32", "FP16")
    )
    assert 0 < abs(exact - rounded).max() < 0.05 * exact.std()


def test_other_weights_are_refused_in_one_line() -> None:
    state = random_weights(10)
    cut = {name: each for name, each in state.items() if name != "features.0.0.weight"}
    faults = {
        "it has no 'features.0.0.weight'": cut,
        "it has an unknown 'fc.weight'": {**state, "fc.weight": np.zeros(1)},
        "their shapes do not fit": {**state, "classifier.1.weight": np.zeros((10, 7), np.float32)},
        "do not fit": {**state, "features.1.conv.0.1.bias": np.zeros(31, np.float32)},
    }
    for told, weights in faults.items():
        with pytest.raises(BadModel) as refused:
            mobilenet.build(weights)
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_disk_full_of_the_model_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobilenet, "read_weights", lambda _path: random_weights(10))
    with serve(b"weights") as server:
        item = dataclasses.replace(ITEMS[mobilenet.NAME], download=server.download(), check=lambda: None)
        with full_disk(4_000_000), pytest.raises(NotWritable) as refused:
            fetch_quietly(item, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "out" / "public").iterdir()) == []


def test_without_torch_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mobilenet.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"pip install 'ovbench\[torch\]'"):
        fetch_quietly(ITEMS["mobilenet-v2-pytorch"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@dataclasses.dataclass(frozen=True)
class Harm:
    """Makes a file when it is read from a pickle."""

    file: Path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_checkpoint_is_read_and_gives_torchs_answers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch, of the extra [torch], is not installed")
    state = {name: torch.from_numpy(np.array(each)) for name, each in random_weights(1000).items()}
    picture = np.random.default_rng(1).standard_normal((1, 3, 224, 224), np.float32)
    wanted = torchs_answer(torch, state, torch.from_numpy(picture)).numpy()
    for zipped in (True, False):  # the published checkpoint is of the older kind
        path = tmp_path / f"{zipped}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        model = mobilenet.build(mobilenet.read_weights(path))
        compiled = worker.compile_model(core(), model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        np.testing.assert_allclose(compiled(picture)[0], wanted, rtol=1e-4, atol=1e-4 * abs(wanted).max())


def torchs_answer(torch: Any, state: dict[str, Any], values: Any) -> Any:
    """MobileNetV2 as torchvision runs it: batch normalizations apart, strides from the paper's table."""
    functional = torch.nn.functional

    def step(values: Any, convolution: str, normalization: str, stride: int = 1, clamped: bool = True) -> Any:
        kernel = state[f"{convolution}.weight"]
        groups = kernel.shape[0] if kernel.shape[1] == 1 else 1
        values = functional.conv2d(values, kernel, None, stride, kernel.shape[-1] // 2, 1, groups)
        names = ("running_mean", "running_var", "weight", "bias")
        values = functional.batch_norm(values, *(state[f"{normalization}.{each}"] for each in names), eps=1e-5)
        return functional.relu6(values) if clamped else values

    values = step(values, "features.0.0", "features.0.1", 2)
    number = 0
    for blocks, first_stride in ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)):
        for block in range(blocks):
            number += 1
            here, before, i = f"features.{number}.conv", values, int(number > 1)
            if i:
                values = step(values, f"{here}.0.0", f"{here}.0.1")
            values = step(values, f"{here}.{i}.0", f"{here}.{i}.1", first_stride if block == 0 else 1)
            values = step(values, f"{here}.{i + 1}", f"{here}.{i + 2}", clamped=False)
            if block > 0:
                values = values + before
    values = step(values, "features.18.0", "features.18.1").mean([2, 3])
    return functional.linear(values, state["classifier.1.weight"], state["classifier.1.bias"])


def test_what_is_no_state_dict_is_refused_and_not_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch, of the extra [torch], is not installed")
    harm = tmp_path / "harm"
    path = tmp_path / "checkpoint.pth"
    state = {name: torch.from_numpy(np.array(each)) for name, each in random_weights(10).items()}
    torch.save(state, path)
    good = path.read_bytes()
    makes: dict[str, Callable[[], object]] = {
        "torch.load": lambda: torch.save({"x": Harm(harm)}, path),
        "refuses it": lambda: path.write_bytes(pickle.dumps(Harm(harm))),
        "cut off": lambda: path.write_bytes(good[: len(good) // 2]),
        "holds more": lambda: path.write_bytes(b"<html>"),
        "or holds": lambda: path.write_bytes(b""),
        "no state dict": lambda: torch.save([1, 2], path),
        "of tensors": lambda: torch.save({"epoch": 3, "state_dict": state}, path),
    }
    for told, make in makes.items():
        make()
        with pytest.raises(BadModel) as refused:
            mobilenet.read_weights(path)
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not harm.exists()
