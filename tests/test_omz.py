from __future__ import annotations

import re
from pathlib import Path

import pytest

from ovbench.errors import BadModel
from ovbench.models.omz import CLASSIFIERS, find, note_of, precisions_of
from ovbench.options import Channels

NAME = "mobilenet-v2-pytorch"


def zoo(root: Path, *precisions: str, name: str = NAME, kind: str = "public") -> Path:
    """A model's folder with an empty IR for each precision."""
    folder = root / kind / name
    for precision in precisions:
        (folder / precision).mkdir(parents=True)
        (folder / precision / f"{name}.xml").touch()
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_models_folder_means_its_fp32_ir(tmp_path: Path) -> None:
    folder = zoo(tmp_path, "FP16", "FP32", "FP16-INT8")
    assert find(str(folder), None) == folder / "FP32" / f"{NAME}.xml"


def test_fp16_is_the_second_choice(tmp_path: Path) -> None:
    folder = zoo(tmp_path, "FP16", "FP16-INT8")
    assert find(str(folder), None) == folder / "FP16" / f"{NAME}.xml"


@pytest.mark.parametrize("precision", ["FP32", "FP16", "FP16-INT8"])
def test_a_precisions_folder_means_its_own_ir(tmp_path: Path, precision: str) -> None:
    folder = zoo(tmp_path, "FP32", "FP16", "FP16-INT8")
    assert find(str(folder / precision), None) == folder / precision / f"{NAME}.xml"


@pytest.mark.parametrize("kind", ["public", "intel"])
@pytest.mark.parametrize("given", [NAME, "{kind}/" + NAME, NAME + "/FP16"])
def test_a_name_is_looked_for_here_and_below_the_models_folder(tmp_path: Path, kind: str, given: str) -> None:
    given = given.format(kind=kind)
    precision = "FP16" if given.endswith("FP16") else "FP32"
    models = tmp_path / "models"
    there = zoo(models, "FP32", "FP16", kind=kind) / precision / f"{NAME}.xml"
    assert find(given, None) is None
    assert find(given, models) == there
    here = zoo(tmp_path, "FP32", "FP16", kind=kind)
    found = find(given, models)
    assert found is not None
    assert found.resolve() == here.resolve() / precision / f"{NAME}.xml"


def test_a_name_directly_below_the_models_folder(tmp_path: Path) -> None:
    folder = zoo(tmp_path, "FP32", kind="mine")
    assert find(NAME, tmp_path / "mine") == folder / "FP32" / f"{NAME}.xml"


def test_a_folder_of_one_ir_means_it(tmp_path: Path) -> None:
    (tmp_path / "model.xml").touch()
    found = find(".", None)
    assert found is not None
    assert found.resolve() == tmp_path.resolve() / "model.xml"


def test_what_is_not_there_or_is_no_ir_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "saved_model.pb").touch()
    for given in ("nowhere", "model.onnx", "tensorflow"):
        assert find(given, tmp_path) is None


def refusal(given: Path) -> str:
    with pytest.raises(BadModel) as caught:
        find(str(given), None)
    return str(caught.value)


def test_a_folder_without_an_ir_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "public" / NAME).mkdir(parents=True)
    said = refusal(tmp_path / "public" / NAME)
    assert said == (
        f"{tmp_path / 'public' / NAME} has no IR: {NAME}.xml, FP32/{NAME}.xml and FP16/{NAME}.xml were looked for: "
        "convert the model first, or give its file"
    )
    zoo(tmp_path, "FP32", name="other")
    assert "has no IR: public.xml, FP32/public.xml and" in refusal(tmp_path / "public")


def test_several_models_in_a_folder_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.xml").touch()
    assert refusal(tmp_path) == f"{tmp_path} has 2 IRs (a.xml, b.xml): give one of them, or a folder with one model"
    (tmp_path / f"{tmp_path.name}.xml").touch()
    assert find(str(tmp_path), None) == tmp_path / f"{tmp_path.name}.xml"


def test_quantized_irs_alone_are_no_base(tmp_path: Path) -> None:
    folder = zoo(tmp_path, "FP16-INT8")
    said = refusal(folder)
    assert said == f"{folder} has quantized IRs alone (FP16-INT8): add FP32 or FP16, or give the .xml itself"


def test_precisions_and_the_note_of_which_was_taken(tmp_path: Path) -> None:
    folder = zoo(tmp_path, "FP16-INT8", "FP16", "FP32")
    assert list(precisions_of(folder)) == ["FP32", "FP16", "FP16-INT8"]
    assert precisions_of(tmp_path) == {}
    path = find(str(folder), None)
    assert path is not None
    assert note_of(path) == f"{NAME}: the IR in FP32 (FP16, FP16-INT8 beside it)"
    alone = find(str(zoo(tmp_path, "FP16", name="alone")), None)
    assert alone is not None
    assert note_of(alone) == "alone: the IR in FP16"
    (tmp_path / "model.xml").touch()
    assert note_of(tmp_path / "model.xml") == ""


def test_the_table_is_what_could_be() -> None:
    assert len(CLASSIFIERS) > 40
    for name, takes in CLASSIFIERS.items():
        red, blue = takes.mean if takes.channels is Channels.RGB else takes.mean[::-1], takes.mean[2]
        assert red[0] >= red[2], f"{name}: photographs are redder than blue"
        assert 0 <= blue < 128
        assert min(takes.scale) >= 1
        side = re.search(r"-(128|224)\b", name)
        assert takes.short_side >= (int(side[1]) if side else 224)
