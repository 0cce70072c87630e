"""What the journal keeps of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from ovbench import quantization, runtime
from ovbench.artifacts import model_sha256
from ovbench.config import Precision
from ovbench.errors import BadInput
from ovbench.images.sets import ImageSet
from ovbench.models.source import Source, given_file
from ovbench.options import Shape
from ovbench.precision import QUANTIZED
from ovbench.preprocessing import Preprocessing


def source_fields(source: Source, variants: Mapping[Precision, Path]) -> dict[str, Any]:
    """What the journal keeps of a source: its file, how pictures become inputs, which pictures, what INT8 was made of.

    ``variants`` are the files that are measured. Raises BadModel where the source's own file is gone.
    """
    int8 = next((precision for precision in variants if precision in QUANTIZED), None)
    made = int8 is not None and given_file(source.given, int8) is None
    return {
        "name": source.name,
        "path": str(source.path),
        "sha256": model_sha256(source.path),
        "preprocessing": None if source.preprocessing is None else _plain(source.preprocessing),
        "calibration": _images_fields(source.calibration) if made else None,
        "evaluation": _images_fields(source.evaluation),
        "given": {precision.value: str(path) for precision, path in source.given.items()},
        "int8": None if int8 is None else _provenance_of(variants[int8], source.shape),
        "notes": list(source.notes),
    }


def _plain(preprocessing: Preprocessing) -> dict[str, Any]:
    return {name: each.value if isinstance(each, Enum) else each for name, each in asdict(preprocessing).items()}


def _images_fields(images: ImageSet | None) -> dict[str, Any] | None:
    if images is None or not len(images):
        return None
    return {"name": images.name, "count": len(images), "content_hash": images.content_hash()}


def _provenance_of(path: Path, shape: Shape) -> dict[str, Any] | None:
    """What an INT8 file says it was made from, empty where ovbench did not make it; None where it cannot be read."""
    try:
        return quantization.provenance(runtime.read_model(path, shape))
    except BadInput:  # its cells say why
        return None
