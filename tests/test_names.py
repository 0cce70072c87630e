"""What rows call models, told from what was given alone, and never the same for two of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovbench.errors import BadOption
from ovbench.models.names import EMBEDDED, name_of, names_of

parts = st.sampled_from(["a", "b", "net"])
files = st.lists(parts, min_size=1, max_size=4).map(lambda each: "/".join(each) + ".xml")
models = st.just(EMBEDDED) | files | files.map(lambda each: each.removesuffix(".xml"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("embedded", "embedded"),
        ("models/net.v2.xml", "net.v2"),
        ("net.onnx", "net"),
        ("public/mobilenet-v2-1.0-224", "mobilenet-v2-1.0-224"),
        ("public/mobilenet-v2-1.0-224/", "mobilenet-v2-1.0-224"),
        ("resnet-50-tf", "resnet-50-tf"),
        ("a\x1b[31mred\nline \udcff.xml", "a�[31mred�line �"),
    ],
)
def test_a_model_is_called_by_its_file_folder_or_name(given: str, name: str) -> None:
    assert name_of(given) == name


def test_the_folder_that_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert name_of(".") == tmp_path.name


@given(st.lists(models, min_size=1, max_size=5, unique_by=lambda each: each.removesuffix(".xml")))
def test_no_two_models_have_one_name(given: list[str]) -> None:
    names = names_of(given)
    assert list(names) == given
    assert len(set(names.values())) == len(given)


def test_equal_names_get_the_folder_that_tells_them_apart() -> None:
    assert names_of(["x/FP32/net.xml", "x/FP16/net.xml", "other.xml"]) == {
        "x/FP32/net.xml": "FP32-net",
        "x/FP16/net.xml": "FP16-net",
        "other.xml": "other",
    }


@pytest.mark.parametrize("twice", [["embedded", "embedded"], ["a/net.xml", "a/../a/net.xml"], ["net.xml", "./net.xml"]])
def test_a_model_given_twice_is_refused(twice: list[str]) -> None:
    with pytest.raises(BadOption, match=r"--ov-model .*: given twice"):
        names_of(twice)
