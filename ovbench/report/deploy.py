"""What a pick is deployed with: its model, its properties, a file for benchmark_app, and a Python script that runs."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import string
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ovbench import __version__, runtime, worker
from ovbench.config import Mode
from ovbench.errors import BadModel, BadOption, NotWritable
from ovbench.quantization import save_model
from ovbench.race import Goal
from ovbench.reference import like_words
from ovbench.report.numbers import significant
from ovbench.report.objects import object_text, plain
from ovbench.stats import Estimate
from ovbench.story.figures import inverse
from ovbench.tune.tuned import Tuned

FORMAT = 1
MODEL, WEIGHTS, CONFIG, LOAD_CONFIG, SCRIPT = "model.xml", "model.bin", "config.json", "benchmark_app.json", "infer.py"
FILES = (WEIGHTS, MODEL, LOAD_CONFIG, SCRIPT, CONFIG)
"""In the order in which they are put in place: who finds the last finds all of one and the same pick."""
WRITTEN_BY = "ovbench tune"
RUN_S = 10  # of the printed benchmark_app command: ten times the second in which its start and drain are 1 %


def check_out(out: Path, model: Path) -> None:
    """Raise BadOption or NotWritable where the files cannot go to ``out``, before anything takes time.

    Files of an earlier pick are replaced, unless ``model`` is among them. What else lies there stays.
    """
    if model.resolve() == (out / MODEL).resolve():
        raise BadOption(f"-o {out}: the model itself lies there: name another folder")
    taken = [name for name in FILES if (out / name).exists()]
    if taken and not _is_ours(out):
        raise BadOption(f"-o {out}: {taken[0]} is there, not written by {WRITTEN_BY}: name another folder")
    with _draft_in(out):
        pass


def _is_ours(out: Path) -> bool:
    try:
        return bool(json.loads((out / CONFIG).read_text(encoding="utf-8"))["written_by"] == WRITTEN_BY)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write(out: Path, tuned: Tuned) -> list[Path]:
    """Put all FILES into ``out``, whole or not at all; their paths. Raises NotWritable, BadModel."""
    request = request_of(tuned)
    config = config_fields(tuned, request)
    with _draft_in(out) as draft:
        _save_as_measured(request, draft / MODEL)
        texts = {
            LOAD_CONFIG: object_text({request["device"]: request["properties"]}),
            SCRIPT: script(tuned, request),
            CONFIG: object_text(config),
        }
        with _refusals_named(out):
            for name, text in texts.items():
                (draft / name).write_text(text, encoding="utf-8")
            for name in reversed(FILES):
                (out / name).unlink(missing_ok=True)
            for name in FILES:
                (draft / name).replace(out / name)
    return [out / name for name in reversed(FILES)]


def request_of(tuned: Tuned) -> dict[str, Any]:
    """The message that opens the pick in a lane."""
    return tuned.order.open_request(tuned.decision.pick.config, None)


def _save_as_measured(request: Mapping[str, Any], path: Path) -> None:
    """The graph with the shape and batch that was measured: to give it them again takes more than a reshape."""
    try:
        model = worker.read_model(runtime.core(), request["model"], dict(request["shape"]), request["batch"])
    except (worker.Refusal, RuntimeError) as error:
        raise BadModel(f"{request['model']}: {worker.one_line(error)}: it has changed since it was measured") from None
    save_model(model, path)


@contextlib.contextmanager
def _draft_in(out: Path) -> Iterator[Path]:
    """A folder in ``out`` (made if missing) to fill; nothing of it is left, nor of an ``out`` that stayed empty."""
    made = [each for each in (out, *out.parents) if not each.exists()]
    draft = out / f".draft-{secrets.token_hex(4)}"
    with _refusals_named(out):
        draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        for each in made:
            with contextlib.suppress(OSError):  # it holds something now
                each.rmdir()


@contextlib.contextmanager
def _refusals_named(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable(
            f"cannot write to {out}: {error.strerror or error}: make it writable and make room, or name another with -o"
        ) from error


# ------------------------------------------------------------------------------------------------------- what they say


def config_fields(tuned: Tuned, request: Mapping[str, Any]) -> dict[str, Any]:
    """All that ``config.json`` holds; ``properties`` are what ``compile_model`` takes, ``model`` lies beside it."""
    decision, pick, figures = tuned.decision, tuned.decision.pick, tuned.decision.pick.figures
    return {
        "written_by": WRITTEN_BY,
        "format": FORMAT,
        "version": __version__,
        "model": MODEL,
        "made_from": request["model"],
        "device": request["device"],
        "precision": pick.config.precision.value,
        "properties": request["properties"],
        "mode": request["mode"],
        "requests": decision.opened["effective"]["requests"],
        "batch": request["batch"],
        "goal": tuned.aim.goal.value,
        "measured": {
            "images_per_s": figures.images_per_s,
            "p50_ns": figures.p50_ns,
            "p99_ns": figures.p99_ns,
            "inferences": figures.inferences,
            "interval": interval_fields(tuned.aim.goal, pick.cost),
            "peak_resident_bytes": decision.peak_resident_bytes,
            "runner_up": None if pick.runner_up is None else pick.runner_up.id,
            "over_runner_up": plain(pick.margin),
            "constraints": plain(decision.statuses),
        },
        "effective": dict(decision.opened["effective"]),
        "machine": asdict(tuned.host),
        "versions": dict(tuned.versions),
        "journal": tuned.journal.path.name,
        "benchmark_app": benchmark_app_words(tuned, request),
    }


def benchmark_app_words(tuned: Tuned, request: Mapping[str, Any]) -> list[str]:
    """The command that runs the pick in benchmark_app, to be given in the folder.

    Properties come from the file; streams, threads and precision stand in the command too, since its own flags win.
    ``-hint none`` keeps the file's hint: benchmark_app refuses -nstreams beside another. The input keeps its type.
    """
    words = like_words(request, tuned.decision.opened, RUN_S)
    words[words.index("-m") + 1] = MODEL
    return ["benchmark_app", *words, "-load_config", LOAD_CONFIG]


def interval_fields(goal: Goal, cost: Estimate) -> dict[str, Any]:
    """The 95 % interval over lanes of what was raced for, and the figure it is of."""
    if goal is Goal.LATENCY:
        return {"of": "p50_ns", **asdict(cost)}
    return {"of": "images_per_s", **asdict(images_per_s(cost))}


def images_per_s(cost: Estimate) -> Estimate:
    """Images a second from ns an image."""
    rate = inverse(cost)
    low, high = (None if each is None else each * 1e9 for each in (rate.low, rate.high))
    return Estimate(rate.value * 1e9, low, high, rate.count)


HEAD = '''"""Runs the model as ovbench tune picked it; in your program, give `infer_all` your own inputs.

`python $script` runs it on random inputs for a second and prints images a second.
"""
# model:    $name, $precision
# goal:     $goal
# measured: $images_per_s images/s on $cpu, OpenVINO $openvino

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
$imports
import numpy as np
import openvino as ov

MODEL = Path(__file__).with_name("$model")
DEVICE = $device
PROPERTIES = $properties
BATCH = $batch  # images in one request
$requests
compiled = ov.Core().compile_model(MODEL, DEVICE, PROPERTIES)
'''
SYNC = '''request = compiled.create_infer_request()


def infer_all(batches: Iterable[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """The outputs of each batch; a batch is one array per input of the model. One request after another."""
    found = []
    for batch in batches:
        request.infer(dict(enumerate(batch)), share_outputs=True)
        found.append([request.get_output_tensor(index).data.copy() for index in range(len(compiled.outputs))])
    return found


'''
ASYNC = '''queue = ov.AsyncInferQueue(compiled, REQUESTS)


def infer_all(batches: Iterable[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """The outputs of each batch, in order; a batch is one array per input. REQUESTS of them are in flight."""
    found: dict[int, list[np.ndarray]] = {}

    def keep(request: Any, number: int) -> None:
        found[number] = [request.get_output_tensor(index).data.copy() for index in range(len(compiled.outputs))]

    queue.set_callback(keep)
    for number, batch in enumerate(batches):
        queue.start_async(dict(enumerate(batch)), userdata=number)
    queue.wait_all()
    return [found[number] for number in range(len(found))]


'''
TAIL = '''def random_batch() -> list[np.ndarray]:
    """One array per input, of its shape and type."""
    draw = np.random.default_rng(0).random
    return [draw(tuple(port.shape)).astype(port.element_type.to_dtype()) for port in compiled.inputs]


def for_seconds(batch: list[np.ndarray], seconds: float) -> Iterator[list[np.ndarray]]:
    """The same batch again and again, until the time is up."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield batch


if __name__ == "__main__":
    batch = random_batch()
    infer_all(for_seconds(batch, 0.2))
    begin = time.perf_counter()
    count = BATCH * len(infer_all(for_seconds(batch, 1.0)))
    print(f"{count / (time.perf_counter() - begin):.1f} images/s")
'''


def script(tuned: Tuned, request: Mapping[str, Any]) -> str:
    """A Python program that runs the pick as it was measured; names in it are escaped, whatever a model is called."""
    pick = tuned.decision.pick
    asynchronous = request["mode"] == Mode.ASYNC.value
    requests = tuned.decision.opened["effective"]["requests"]
    return string.Template(HEAD + (ASYNC if asynchronous else SYNC) + TAIL).substitute(
        script=SCRIPT,
        name=ascii(tuned.files.source.name),
        precision=pick.config.precision.value,
        goal=tuned.aim.goal.value,
        images_per_s=significant(pick.figures.images_per_s),
        cpu=ascii(tuned.host.cpu_brand),
        openvino=ascii(tuned.versions.get("openvino")),
        model=MODEL,
        device=json.dumps(request["device"]),
        imports="from typing import Any\n" if asynchronous else "",
        properties=json.dumps(request["properties"], indent=4).replace("\n}", ",\n}"),
        batch=request["batch"] or 1,
        requests=f"REQUESTS = {requests}  # in flight\n" if asynchronous else "",
    )
