"""Classes of folders: who is asked, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ovbench.errors import BadImages
from ovbench.images.folder import FolderPictures, open_images
from ovbench.images.labels import resolve_labels

MODEL_LABELS = ("tench", "goldfish", "great_white_shark", "crane", "hen", "crane")


def pictures_in(root: Path, *folders: str) -> FolderPictures:
    """Pictures that need not exist: labels are of names."""
    return FolderPictures(root, tuple(f"{folder}/{i}.jpg" for folder in folders for i in range(2)))


def refusal(pictures: FolderPictures, model_labels: tuple[str, ...], outputs: int) -> str:
    with pytest.raises(BadImages) as error:
        resolve_labels(pictures, model_labels, outputs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("place", ["val", "."])
def test_synsets_are_found_in_the_folder_and_above_it(tmp_path: Path, place: str) -> None:
    root = tmp_path / "val"
    root.mkdir()
    path = (tmp_path / place / "synsets.txt").resolve()
    path.write_text("n01 tench, Tinca tinca\nn02 goldfish\nn03\n\n", encoding="utf-8")
    labels = resolve_labels(pictures_in(root, "n01", "n03"), ("n03", "n02", "n01"), 3)
    assert labels.class_of == {"n01": 0, "n03": 2}
    assert labels.outputs == 3
    assert labels.said_by == str(path)


def test_the_model_s_labels_come_next(tmp_path: Path) -> None:
    (tmp_path / "synsets.txt").write_text("of\nsomething\nelse\n")
    labels = resolve_labels(pictures_in(tmp_path, "goldfish", "great white shark"), MODEL_LABELS, 6)
    assert labels.class_of == {"goldfish": 1, "great white shark": 2}
    assert labels.said_by == "the model's labels"


def test_sorted_order_is_believed_of_as_many_folders_as_outputs(tmp_path: Path) -> None:
    labels = resolve_labels(pictures_in(tmp_path, "b", "a", "c"), (), 3)
    assert labels.class_of == {"a": 0, "b": 1, "c": 2}
    assert labels.said_by == "the folders' sorted order"


@pytest.mark.parametrize("folders", [("a", "b"), ("a", "b", "c", "d", "e")])
def test_sorted_order_of_other_numbers_is_not(tmp_path: Path, folders: tuple[str, ...]) -> None:
    assert refusal(pictures_in(tmp_path, *folders), (), 4) == (
        f"labels of {tmp_path} are not known: {len(folders)} folders, 4 outputs: add synsets.txt, "
        "the folder of each output on its line"
    )


@pytest.mark.parametrize("said_by", ["synsets.txt", "the model's labels", "the folders' sorted order"])
def test_a_background_class_shifts_by_one_and_it_is_said(tmp_path: Path, said_by: str) -> None:
    if said_by == "synsets.txt":
        (tmp_path / said_by).write_text("a\nb\n")
    labels = resolve_labels(pictures_in(tmp_path, "a", "b"), ("a", "b") if "model" in said_by else (), 3)
    assert labels.class_of == {"a": 1, "b": 2}
    assert labels.said_by.endswith(f"{said_by}, after a background class at output 0")


@pytest.mark.parametrize("outputs", [5, 8])
def test_labels_that_do_not_fit_the_outputs_are_refused(tmp_path: Path, outputs: int) -> None:
    assert refusal(pictures_in(tmp_path, "tench"), MODEL_LABELS, outputs) == (
        f"labels do not fit: the model's labels has 6 classes, the model {outputs} outputs: give a list of all"
    )


def test_an_ambiguous_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(pictures_in(tmp_path, "crane", "tench"), MODEL_LABELS, 6) == (
        "labels do not fit: the model's labels has 'crane' 2 times: "
        "give the folders unique names and list them in synsets.txt"
    )


def test_a_folder_that_is_no_class_is_refused(tmp_path: Path) -> None:
    assert refusal(pictures_in(tmp_path, "hen", "misc", "tench"), MODEL_LABELS, 6) == (
        "labels do not fit: the model's labels has no 'misc', as 1 of 3 folders: "
        "rename or remove it, or list it in synsets.txt"
    )


def test_synsets_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "synsets.txt").write_bytes(b"\xff\xfe\x00")
    assert refusal(pictures_in(tmp_path, "a"), (), 1) == (
        f"labels {tmp_path / 'synsets.txt'} cannot be read: it is no UTF-8 text: give one class a line"
    )


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    flat = FolderPictures(tmp_path, ("1.jpg", "2.jpg"))
    assert refusal(flat, MODEL_LABELS, 6) == (
        f"labels of {tmp_path} are not known: put the images of each class in a folder named by it"
    )


def test_an_array_s_class_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "photos.npy"
    np.save(path, np.zeros((3, 4, 4, 3), np.uint8))
    with pytest.raises(BadImages, match=r"put class numbers into photos\.labels\.npy beside it"):
        resolve_labels(open_images(path), MODEL_LABELS, 6)
    np.save(tmp_path / "photos.labels.npy", np.array([4, 0, 4], np.int32))
    pictures = open_images(path)
    labels = resolve_labels(pictures, MODEL_LABELS, 6)
    assert labels.said_by == "photos.labels.npy"
    drawn = pictures.draw(0, None, seed=0, labels=labels).evaluation
    assert {drawn.image_name(i): drawn.label(i) for i in range(3)} == {
        "photos.npy[0]": 4,
        "photos.npy[1]": 0,
        "photos.npy[2]": 4,
    }
    with pytest.raises(BadImages, match="class 4, the model has 4 outputs"):
        resolve_labels(pictures, MODEL_LABELS, 4)
