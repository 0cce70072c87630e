"""The user's pictures: found, read, refused, drawn and hashed, from folders and arrays."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.errors import BadImages, UnreadableImage
from ovbench.images import pictures as pictures_room
from ovbench.images.folder import FolderPictures, open_images, read_image
from ovbench.images.pictures import Labels, Pictures
from ovbench.images.quiet import SILENCE
from ovbench.images.sets import Image, Subset

SCENE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encoded(suffix: str, picture: np.ndarray = SCENE) -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


JPEG = encoded(".jpg")


def folder_of(root: Path, *names: str) -> Path:
    """A folder with a different small picture under each name."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(".png", np.full((4, 6, 3), number, np.uint8)))
    return root


def one_line(error: pytest.ExceptionInfo[BadImages]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# ------------------------------------------------------------------------------------------------------- found


def test_pictures_are_found_in_folders_of_any_depth_in_one_order(tmp_path: Path) -> None:
    folder_of(tmp_path, "z.JPG", "b/2.png", "b/1.Jpeg", "a/deep/x.bmp", "b-c/1.png", "a.webp")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "jpg").write_text("no suffix")
    folder_of(tmp_path, ".hidden.png", ".cache/1.png")
    pictures = open_images(tmp_path)
    names = [pictures.image_name(i) for i in range(len(pictures))]
    assert names == ["a/deep/x.bmp", "a.webp", "b/1.Jpeg", "b/2.png", "b-c/1.png", "z.JPG"]
    assert [pictures.class_name(i) for i in range(len(pictures))] == ["deep", None, "b", "b", "b-c", None]


def test_links_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    elsewhere = folder_of(tmp_path / "elsewhere", "1.png", "2.png")
    root = folder_of(tmp_path / "root", "a/3.png")
    (root / "b").symlink_to(elsewhere)
    (root / "c").symlink_to(elsewhere)
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "link.png").symlink_to(elsewhere / "1.png")
    pictures = open_images(root)
    assert [pictures.image_name(i) for i in range(len(pictures))] == ["a/3.png", "a/link.png", "b/1.png", "b/2.png"]
    assert pictures.image(1).shape == (4, 6, 3)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("nothing here")
    with pytest.raises(BadImages) as error:
        open_images(tmp_path)
    assert one_line(error) == f"no image in {tmp_path}: give a folder with .jpg, .png, .bmp or .webp files"


@pytest.mark.parametrize(("name", "found"), [("gone", "does not exist"), ("cat.txt", "is a file")])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "cat.txt").write_text("a file")
    with pytest.raises(BadImages) as error:
        open_images(tmp_path / name)
    assert one_line(error) == f"images {tmp_path / name}: {found}: give a folder of images or a .npy file"


# -------------------------------------------------------------------------------------------------------- read


def test_channels_are_blue_green_red_whatever_the_file_has(tmp_path: Path) -> None:
    gray = np.arange(24, dtype=np.uint8).reshape(4, 6)
    three = np.stack([gray, gray + 100, gray + 200], axis=2)
    for name, stored, expected in [
        ("gray.png", gray, np.repeat(gray[:, :, None], 3, axis=2)),
        ("alpha.png", np.dstack([three, np.full_like(gray, 7)]), three),
        ("deep.png", three.astype(np.uint16) * 257, three),
        ("plain.bmp", three, three),
    ]:
        path = tmp_path / name
        path.write_bytes(encoded(path.suffix, stored))
        assert np.array_equal(read_image(path), expected), name
        assert read_image(path).dtype == np.uint8


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really_a.png.JPEG"  # one of ImageNet's is
    path.write_bytes(encoded(".png"))
    assert np.array_equal(read_image(path), SCENE)


def with_segment(marker: int, content: bytes) -> bytes:
    """The JPEG with one more segment in front."""
    return JPEG[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + JPEG[2:]


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    quarter_turn = b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    path = tmp_path / "camera.jpg"
    path.write_bytes(with_segment(0xE1, quarter_turn))
    assert read_image(path).shape == (40, 24, 3)


PROGRESSIVE = cv2.imencode(".jpg", SCENE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


@given(cut=st.floats(0, 1, exclude_max=True), whole=st.sampled_from([JPEG, PROGRESSIVE, with_segment(0xE1, JPEG)]))
def test_a_jpeg_that_is_cut_off_anywhere_is_refused(
    cut: float, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.jpg"
    path.write_bytes(whole)
    assert read_image(path).shape == SCENE.shape
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(UnreadableImage) as error:
        read_image(path)
    assert one_line(error).startswith(f"image {path} cannot be read, it is ")


def test_a_jpeg_with_bytes_after_its_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "motion.jpg"
    path.write_bytes(JPEG + b"\xff\xda a film follows")
    assert np.array_equal(read_image(path), cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".jp2"])
def test_half_a_file_is_refused_and_nothing_printed(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"half{suffix}"
    whole = encoded(suffix, np.tile(SCENE, (5, 5, 1)))  # large enough for libpng to have begun
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage) as error:
        read_image(path)
    assert one_line(error) == f"image {path} cannot be read, it is damaged or no image: copy it again or remove it"
    assert capfd.readouterr() == ("", "")


def test_libjpeg_is_not_heard_but_others_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.jpg"
    path.write_bytes(JPEG[:-2] + bytes(10) + JPEG[-2:])
    read_image(path)
    assert capfd.readouterr() == ("", "")
    with SILENCE:
        with SILENCE:
            pass
        cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        os.write(2, b"a progress bar")
    assert capfd.readouterr().err == "a progress bar"
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert "Corrupt JPEG data" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "it is empty"), (b"<html>", "damaged or no image"), (None, "No such file")]
)
def test_what_is_no_picture_is_named_with_the_reason(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "odd.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImage) as error:
        read_image(path)
    assert str(path) in one_line(error)
    assert reason in one_line(error)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_in_another_encoding_is_a_fault_of_its_picture(tmp_path: Path) -> None:
    folder_of(tmp_path, "日本.png", "a b.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(encoded(".png"))
    pictures = open_images(tmp_path)
    drawn = pictures.draw(0, None, seed=0)
    assert len(drawn.evaluation) == 2
    expected = f"image {tmp_path}/caf\\xe9.png cannot be read, its name is no UTF-8: copy it again or remove it"
    assert [str(fault) for fault in drawn.unreadable] == [expected]
    assert [str(fault) for fault in pictures.draw(2, 0, seed=0).unreadable] in ([], [expected])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be read by root")
def test_a_file_that_may_not_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    path = folder_of(tmp_path, "secret.png") / "secret.png"
    path.chmod(0)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_image(path)


# ------------------------------------------------------------------------------------------------------- drawn


class Numbered(Pictures):
    """As many pictures as wanted, some of which show at once that they are none, some only when decoded."""

    def __init__(self, count: int, odd: frozenset[int] = frozenset(), damaged: frozenset[int] = frozenset()) -> None:
        self.root, self.count, self.odd, self.damaged = Path("numbered"), count, odd, damaged

    def __len__(self) -> int:
        return self.count

    def image(self, i: int) -> Image:
        self.check(i, whole=True)
        return np.full((1, 1, 3), i, np.uint8)

    def image_name(self, i: int) -> str:
        return f"{i}.png"

    def class_name(self, i: int) -> str | None:
        return None

    def check(self, i: int, whole: bool) -> None:
        if i in self.odd or (whole and i in self.damaged):
            raise UnreadableImage(f"{i}.png")

    def size_bytes(self, i: int) -> int:
        return 1

    def content(self, i: int, whole: bool) -> bytes:
        return bytes([i])


def numbers(images: object) -> tuple[int, ...]:
    assert isinstance(images, pictures_room.DrawnImages)
    return images.numbers


few = st.frozensets(st.integers(0, 99), max_size=9)


@given(
    count=st.integers(20, 100),
    calibration=st.integers(0, 8),
    evaluation=st.one_of(st.none(), st.integers(0, 3)),
    seed=st.integers(0, 2**32),
    odd=few.filter(lambda drawn: len(drawn) < 5),
    damaged=few.filter(lambda drawn: len(drawn) < 4),
)
def test_subsets_are_disjoint_complete_and_the_seed_s_own(
    count: int, calibration: int, evaluation: int | None, seed: int, odd: frozenset[int], damaged: frozenset[int]
) -> None:
    pictures = Numbered(count, odd, damaged)
    drawn = pictures.draw(calibration, evaluation, seed)
    ours, theirs = numbers(drawn.calibration), numbers(drawn.evaluation)
    lost = {int(str(each).removesuffix(".png")) for each in drawn.unreadable}
    assert len(ours) == calibration
    assert len(set(ours) | set(theirs) | lost) == len(ours) + len(theirs) + len(lost)
    assert not set(ours) & (odd | damaged)
    assert lost <= odd | damaged
    if evaluation is None:
        assert set(ours) | set(theirs) | lost == set(range(count))
    else:
        assert len(theirs) == evaluation

    again = pictures.draw(calibration, 0, seed)
    assert numbers(again.calibration) == ours
    everything, other = pictures.draw(0, None, seed), pictures.draw(0, None, seed + 1)
    assert numbers(everything.evaluation) != numbers(other.evaluation)
    assert set(numbers(everything.evaluation)) - damaged == set(numbers(other.evaluation)) - damaged
    assert all(numbers(each.evaluation)[0] not in damaged for each in (everything, other))


@pytest.mark.parametrize(
    ("calibration", "evaluation", "flags"),
    [
        (8, None, "--ov-calib-size"),
        (5, 4, "--ov-calib-size, --ov-eval-size"),
        (0, 9, "--ov-eval-size"),
    ],
)
def test_too_few_pictures_are_refused(calibration: int, evaluation: int | None, flags: str) -> None:
    with pytest.raises(BadImages) as error:
        Numbered(10, odd=frozenset({1, 2})).draw(calibration, evaluation, seed=0)
    least = 1 if evaluation is None else evaluation
    assert one_line(error) == (
        f"numbered has 8 images and 2 that cannot be read; {calibration} to calibrate on and {least} to evaluate "
        f"are wanted: add images or ask for fewer ({flags})"
    )


def test_damaged_files_are_named_and_replaced(tmp_path: Path) -> None:
    folder_of(tmp_path, *(f"{i}.png" for i in range(10)))
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "4.png").write_bytes(b"not a picture")
    (tmp_path / "5.png").write_bytes(encoded(".png")[:-200])
    (tmp_path / "6.png").unlink()
    (tmp_path / "6.png").symlink_to(tmp_path / "gone.png")
    everything = open_images(tmp_path).draw(6, 0, seed=1)
    assert len(everything.calibration) == 6
    drawn = open_images(tmp_path).draw(0, None, seed=1)
    assert sorted(str(fault).split(":")[0].removeprefix(f"image {tmp_path}/") for fault in drawn.unreadable) == [
        "3.png cannot be read, it is empty",
        "4.png cannot be read, it is no image that OpenCV reads",
        "6.png cannot be read, No such file or directory",
    ]
    names = [drawn.evaluation.image_name(i) for i in range(len(drawn.evaluation))]
    assert sorted(names) == ["0.png", "1.png", "2.png", "5.png", "7.png", "8.png", "9.png"]
    with pytest.raises(UnreadableImage, match=r"5\.png"):
        drawn.evaluation.image(names.index("5.png"))
    with pytest.raises(BadImages, match="has 6 images and 4 that cannot be read; 7 to calibrate on"):
        open_images(tmp_path).draw(7, 0, seed=1)


def test_a_drawn_set_has_names_and_labels(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "val", "cat/1.png", "dog/2.png", "3.png")
    pictures = open_images(root)
    drawn = pictures.draw(0, None, seed=3, labels=Labels({"cat": 7, "dog": 2}, 10, "a test")).evaluation
    assert drawn.name == "val-evaluation"
    assert drawn.classes == 10
    found = {drawn.image_name(i): (drawn.label(i), int(drawn.image(i)[0, 0, 0])) for i in range(3)}
    assert found == {"cat/1.png": (7, 0), "dog/2.png": (2, 1), "3.png": (None, 2)}
    unlabelled = pictures.draw(0, None, seed=3).evaluation
    assert [unlabelled.label(i) for i in range(3)] == [None] * 3
    assert unlabelled.classes == 0


# ------------------------------------------------------------------------------------------------------ hashed


def content_hash(root: Path, subset: Subset = Subset.EVALUATION, labels: Labels | None = None) -> str:
    return pictures_room.DrawnImages(open_images(root), subset, (0, 1, 2), labels).content_hash()


def three(root: Path) -> Path:
    for i in range(3):
        path = root / "a" / f"{i}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(".bmp", np.full((64, 64, 3), i, np.uint8)))
    return root


def alter(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def test_a_hash_is_of_content_names_and_labels(tmp_path: Path) -> None:
    root = three(tmp_path / "first")
    before = content_hash(root)
    assert content_hash(three(tmp_path / "copy")) == before
    os.utime(root / "a" / "1.bmp", (1, 1))
    assert content_hash(root) == before
    different = [before, content_hash(root, labels=Labels({"a": 1}, 2, "x")), content_hash(root, Subset.CALIBRATION)]
    alter(root / "a" / "1.bmp", 6000)
    different.append(content_hash(root))
    (root / "a" / "2.bmp").rename(root / "a" / "3.bmp")
    different.append(content_hash(root))
    (root / "a" / "3.bmp").unlink()
    (root / "a" / "3.bmp").symlink_to(root / "gone")
    different.append(content_hash(root))
    assert len(set(different[:2] + different[3:])) == 5
    assert different[2] == before  # a small set is read whole, whatever it is for


def test_of_a_large_set_sizes_and_ends_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_room, "HASHED_WHOLE_BYTES", 1000)
    root = three(tmp_path)
    evaluation, calibration = content_hash(root), content_hash(root, Subset.CALIBRATION)
    alter(root / "a" / "1.bmp", 6000)
    assert content_hash(root) == evaluation
    assert content_hash(root, Subset.CALIBRATION) != calibration
    alter(root / "a" / "1.bmp", -1)
    assert content_hash(root) != evaluation


# ------------------------------------------------------------------------------------------------------ arrays


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_holds_pictures_in_rgb(tmp_path: Path, order: str) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    path = tmp_path / "photos.npy"
    np.save(path, np.asarray(stored, order=order))
    pictures = open_images(path)
    assert len(pictures) == 5
    for i in range(5):
        assert np.array_equal(pictures.image(i), stored[i, :, :, ::-1])
    assert pictures.image_name(3) == "photos.npy[3]"
    drawn = pictures.draw(2, None, seed=0)
    assert (len(drawn.calibration), len(drawn.evaluation)) == (2, 3)
    before = pictures.draw(2, None, seed=0).evaluation.content_hash()
    assert before == drawn.evaluation.content_hash()
    stored[numbers(drawn.evaluation)[0]] ^= 1
    np.save(path, np.asarray(stored, order=order))
    assert open_images(path).draw(2, None, seed=0).evaluation.content_hash() != before


def test_an_array_is_never_in_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "many.npy"
    whole = np.lib.format.open_memmap(path, "w+", np.uint8, (400, 64, 64, 3))
    whole[399] = 9
    del whole
    tracemalloc.start()
    pictures = open_images(path)
    assert pictures.image(399).min() == 9
    pictures.draw(3, None, 0).evaluation.content_hash()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < path.stat().st_size / 4


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "float32 [2, 4, 4, 3]"),
        (np.zeros((2, 3, 4, 4), np.uint8), "uint8 [2, 3, 4, 4]"),
        (np.zeros((4, 4, 3), np.uint8), "uint8 [4, 4, 3]"),
        (np.zeros((0, 4, 4, 3), np.uint8), "uint8 [0, 4, 4, 3]"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(BadImages) as error:
        open_images(tmp_path / "a.npy")
    assert one_line(error) == (f"images {tmp_path / 'a.npy'} are {found}: give uint8 [images, height, width, 3], RGB")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "objects", "archive"])
def test_a_damaged_array_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npy"
    if damage == "archive":
        np.savez(tmp_path / "a", np.zeros((2, 4, 4, 3), np.uint8))
        shutil.move(tmp_path / "a.npz", path)
    else:
        np.save(path, np.array([{}]) if damage == "objects" else np.zeros((2, 4, 4, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[:-1]}.get(damage, whole))
    with pytest.raises(BadImages) as error:
        open_images(path)
    assert one_line(error) == (f"images {path} cannot be read: it is cut off or no .npy file: write it with numpy.save")


@pytest.mark.parametrize("given_labels", [np.zeros(3, np.int64), np.zeros(2, np.float32), np.array([0, -1])])
def test_labels_that_are_not_one_number_a_picture_are_refused(tmp_path: Path, given_labels: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4, 3), np.uint8))
    np.save(tmp_path / "a.labels.npy", given_labels)
    with pytest.raises(BadImages) as error:
        open_images(tmp_path / "a.npy")
    assert one_line(error).startswith(f"labels {tmp_path / 'a.labels.npy'} are ")
    assert one_line(error).endswith(": give 2 whole numbers from 0, one an image")


# -------------------------------------------------------------------------------------------------- the real ones


REAL = os.environ.get("OVBENCH_TEST_IMAGES", "")


@pytest.mark.skipif(not REAL, reason="OVBENCH_TEST_IMAGES names no folder of real images")
def test_all_real_pictures_are_found_and_read() -> None:
    pictures = open_images(Path(REAL))
    assert isinstance(pictures, FolderPictures)
    drawn = pictures.draw(min(50, len(pictures) - 1), None, seed=0)
    assert drawn.unreadable == ()
    assert len(drawn.calibration) + len(drawn.evaluation) == len(pictures)
    for i in range(min(20, len(drawn.evaluation))):
        assert drawn.evaluation.image(i).shape[2] == 3
