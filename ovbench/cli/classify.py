"""Pictures classified in several precisions, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ovbench.cli.app import (
    AsJson,
    Channels,
    Device,
    Mean,
    ModelsDir,
    Resize,
    Scale,
    Shape,
    Variant,
    app,
    in_own_flags,
    progress,
    read_settings,
    tell,
)
from ovbench.errors import BadOption


@app.command(epilog="Example: ovbench classify cat.jpg --model model.xml --labels names.txt")
def classify(
    files: Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Pictures, or folders of them.")],
    model: Annotated[str, typer.Option(help="'embedded', a file, a folder or an Open Model Zoo name.")] = "embedded",
    precision: Annotated[str, typer.Option(help="Comma-separated; unset: FP32, and INT8 where it can be had.")] = "",
    top: Annotated[int, typer.Option(help="How many classes to show.")] = 5,
    as_json: AsJson = False,
    labels: Annotated[Path | None, typer.Option(help="Names of the classes, one a line.")] = None,
    images: Annotated[str, typer.Option(help="Folder of pictures that INT8 is calibrated on.")] = "",
    calib_size: Annotated[str, typer.Option(help="How many of them.")] = "200",
    variant: Variant = [],  # noqa: B006  (typer copies it)
    shape: Shape = "",
    mean: Mean = "",
    scale: Scale = "",
    channels: Channels = "",
    resize: Resize = "",
    device: Device = "CPU",
    models_dir: ModelsDir = "",
    seed: Annotated[str, typer.Option(help="Seed of which pictures INT8 is calibrated on.")] = "0",
) -> None:
    """Say what is on pictures, in each precision.

    The best classes side by side, and the time of one inference.
    """
    from dataclasses import replace

    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.classify import classify as classify_files
    from ovbench.classify import usual_precisions
    from ovbench.report.classify import classified_fields, classified_text
    from ovbench.report.objects import object_text

    if top < 1:
        raise BadOption(f"--top {top}: give a number of classes, 1 or more")
    texts = {
        "images": images, "calib_size": calib_size, "variant": "\n".join(variant), "shape": shape, "mean": mean,
        "scale": scale, "channels": channels, "resize": resize, "device": device, "models_dir": models_dir,
        "seed": seed,
    }  # fmt: skip
    settings = read_settings(model, texts, precision, usual_precisions)
    settings = replace(settings, eval_size=0)  # its pictures are those given: all others may calibrate
    with progress("Classify") as advance:
        classified = classify_files(
            files,
            settings,
            ArtifactCache(default_root()),
            lambda doing, share: advance(share, doing),
            top,
            read_labels(labels),
        )
    classified = replace(classified, notes=tuple(map(in_own_flags, classified.notes)))
    for each in classified.unreadable:
        tell(str(each))
    if as_json:
        sys.stdout.write(object_text(classified_fields(classified)))
    else:
        sys.stdout.write(classified_text(classified, sys.stdout.isatty()))


def read_labels(path: Path | None) -> list[str]:
    """Names of classes from a file, one a line; none without a file. Raises BadOption."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BadOption(f"--labels {path}: no such text file: give one with a class name on each line") from None
    return [line.strip() for line in lines if line.strip()]
