"""One model quantized to INT8 on the user's pictures, written as a plain IR."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ovbench.cli.app import (
    AsJson,
    Channels,
    Mean,
    ModelsDir,
    Resize,
    Scale,
    Shape,
    app,
    progress,
    read_option,
    tell,
)
from ovbench.errors import BadModel, BadOption

IgnoredNames = Annotated[
    list[str], typer.Option(metavar="NAME", help="Operation to leave in floating point, repeatable.")
]
IgnoredTypes = Annotated[list[str], typer.Option(metavar="TYPE", help="The same by type, such as GroupConvolution.")]
IgnoredPatterns = Annotated[
    list[str], typer.Option(metavar="REGEX", help="The same by regular expression of the name.")
]


@app.command(epilog="Example: ovbench quantize model.xml --images pictures -o model-int8.xml")
def quantize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, folder, or the name of an Open Model "
                                         "Zoo model.")],
    images: Annotated[str, typer.Option(help="Pictures: a folder (ImageFolder for labels) or an .npy file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .xml to write, with its .bin beside it.")],
    calib_size: Annotated[str, typer.Option(help="Pictures to calibrate on.")] = "200",
    eval_size: Annotated[str, typer.Option("--eval", help="Other pictures to compare on; unset: all the rest.")] = "",
    preset: Annotated[str, typer.Option(help="NNCF's preset: performance or mixed.")] = "performance",
    fast_bias_correction: Annotated[bool, typer.Option(help="Correct biases the fast way.")] = True,
    ignored_name: IgnoredNames = [],  # noqa: B006  (typer copies it)
    ignored_type: IgnoredTypes = [],  # noqa: B006
    ignored_pattern: IgnoredPatterns = [],  # noqa: B006
    max_drop: Annotated[str, typer.Option(help="Largest drop of top-1 [share], held on those pictures.")] = "",
    mean: Mean = "",
    scale: Scale = "",
    channels: Channels = "",
    resize: Resize = "",
    shape: Shape = "",
    models_dir: ModelsDir = "",
    seed: Annotated[str, typer.Option(help="Seed of the draw of pictures.")] = "0",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT where it exists.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Quantize a model to INT8 on pictures.

    Writes it as an IR, and says what became of size and answers.
    """
    from ovbench.config import Precision
    from ovbench.options import IgnoredScope, Settings

    settings = Settings(
        model=(model,),
        models_dir=models_dir,
        precision=(Precision.FP32, Precision.INT8),
        images=images,
        calib_size=read_option("calib_size", calib_size),
        eval_size=read_option("eval_size", eval_size, "--eval"),
        preset=read_option("preset", preset),
        fast_bias_correction=fast_bias_correction,
        ignored=IgnoredScope(tuple(ignored_name), tuple(ignored_type), tuple(ignored_pattern)),
        max_drop=read_option("max_drop", max_drop),
        mean=read_option("mean", mean),
        scale=read_option("scale", scale),
        channels=read_option("channels", channels),
        resize=read_option("resize", resize),
        shape=read_option("shape", shape),
        seed=read_option("seed", seed),
    )
    source, provenance = quantize_to(out, settings, force)
    told(source, out, provenance, as_json)


def check_out(out: Path, model: Path, force: bool) -> None:
    """Raise BadOption where OUT is no .xml, is the model or is there already, before anything takes time."""
    if out.suffix != ".xml":
        raise BadOption(f"--out {out}: give a file that ends in .xml, its weights go to the .bin beside it")
    if out.resolve() == model.resolve():
        raise BadOption(f"--out {out}: that is the model itself: name another file")
    for each in (out, out.with_suffix(".bin")):
        if each.exists() and not force:
            raise BadOption(f"--out {out}: {each} exists: name another, or say --force to replace it")


def quantize_to(out: Path, settings: Any, force: bool) -> tuple[Any, dict[str, Any]]:
    """Write the INT8 model whole or not at all; the source, and what it was made from."""
    from ovbench import quantization, runtime
    from ovbench.artifacts import ArtifactCache, default_root
    from ovbench.models import source as sources
    from ovbench.models import variants
    from ovbench.suite import check_models

    check_models(settings)
    (given,) = settings.model
    with progress("Model") as advance:
        source = sources.resolve(
            given, settings, ArtifactCache(default_root()), lambda doing, share: advance(share, doing)
        )
    check_out(out, source.path, force)
    if source.preprocessing is None or source.calibration is None:
        raise BadModel(f"{given} takes no picture, so pictures cannot calibrate it: {source.reason}")
    quantization.refuse_quantized(runtime.read_model(source.path, source.shape))
    for note in source.notes:
        tell(note)
    with quantization.draft_of(out) as draft, progress("INT8") as advance:
        quantized = variants.quantized(source, settings, lambda stage, share: advance(share, stage))
        quantization.save_model(quantized, draft)
    return source, quantization.provenance(quantized)


def told(source: Any, out: Path, provenance: dict[str, Any], as_json: bool) -> None:
    """Measure both files as they lie on the disk, and print what changed."""
    from ovbench.config import Precision
    from ovbench.precision import Variant
    from ovbench.report.objects import object_text
    from ovbench.report.quantization import quantized_fields, quantized_text

    with progress("Answers") as advance:
        shares, agreement = compare(source, [source.path, out], advance)
    files = (Variant(Precision.FP32, source.path, embedded=False), Variant(Precision.INT8, out, embedded=False))
    sizes = (files[0].size_bytes, files[1].size_bytes)
    if as_json:
        sys.stdout.write(object_text(quantized_fields(source.path, out, sizes, agreement, shares, provenance)))
    else:
        sys.stdout.write(quantized_text(source.name, out, sizes, agreement, shares[1], provenance))


def compare(source: Any, paths: Sequence[Path], advance: Any) -> tuple[list[dict[str, float]], Any]:
    """Of FP32 and INT8: shares of MACs by kernel; and how INT8's answers agree, None where they cannot be compared."""
    import numpy as np

    from ovbench import runtime, worker
    from ovbench.agreement import NO_LABEL, measure_agreement
    from ovbench.answers import answer

    shares, found = [], []
    images = source.evaluation if source.classes is not None else None
    for place, path in enumerate(paths):
        model = runtime.read_model(path, source.shape)
        properties = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        compiled = worker.compile_model(runtime.core(), model, "CPU", properties)
        shares.append(worker.mac_shares(model, compiled))
        if images is not None and len(images):

            def on_image(done: int, before: int = place) -> None:
                advance((before + done / len(images)) / len(paths), "")

            found.append(answer(compiled, images, source.preprocessing.to_input, on_image))
    if images is None or not found:
        return shares, None
    reference, candidate = found
    if reference.unreadable:
        tell(f"pictures left out of the comparison: {len(reference.unreadable)}, the first: {reference.unreadable[0]}")
    labels = [images.label(number) for number in reference.numbers.tolist()]
    known = np.array([NO_LABEL if label is None else label for label in labels])
    return shares, measure_agreement(candidate.logits, reference.logits, known, reference.numbers)
