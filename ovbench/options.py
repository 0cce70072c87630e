"""Every option, declared once: its flag, ini key, type, default, unit and help; and the settings they add up to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from ovbench.config import AUTO, Cache, Hint, Matrix, Precision, Streams
from ovbench.errors import BadOption

E = TypeVar("E")
Shape = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Option:
    """One option. ``parse`` turns text into a value and raises ValueError with the remedy; ``write`` is its inverse."""

    name: str
    default: str
    help: str
    parse: Callable[[str], Any]
    write: Callable[[Any], str] = str
    unit: str = ""
    switch: bool = False
    repeated: bool = False  # given several times, one value each; its text is one value a line

    @property
    def flag(self) -> str:
        """Command-line flag, ``--ov-budget``."""
        return "--ov-" + self.name.replace("_", "-")

    @property
    def key(self) -> str:
        """Ini key and pytest's ``dest``, ``ov_budget``."""
        return "ov_" + self.name

    @property
    def text(self) -> str:
        """Help with unit and default, as ``pytest --help`` shows it."""
        shown = "off" if self.switch else (self.default or "none")
        again = "; may be given several times" if self.repeated else ""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.help}{unit} (default: {shown}{again})"

    def read(self, text: str) -> Any:
        """Parse ``text``; BadOption names flag, value and remedy."""
        try:
            return self.parse(text.strip())
        except ValueError as error:
            shown = text if text.strip() and text.isprintable() else repr(text)
            raise BadOption(f"{self.flag} {shown}: {error}") from None


def _listed(parse_one: Callable[[str], E]) -> Callable[[str], tuple[E, ...]]:
    def parse(text: str) -> tuple[E, ...]:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts):
            raise ValueError("give one value, or several with commas between")
        return tuple(dict.fromkeys(parse_one(part) for part in parts))

    return parse


def _lines(parse_one: Callable[[str], E]) -> Callable[[str], tuple[E, ...]]:
    """One value a line; an empty text is none."""

    def parse(text: str) -> tuple[E, ...]:
        parts = [part.strip() for part in text.split("\n") if part.strip()]
        return tuple(parse_one(part) for part in parts)

    return parse


def _write_lines(values: Sequence[str]) -> str:
    return "\n".join(values)


def _commas(values: tuple[Any, ...] | None) -> str:
    return "" if values is None else ",".join(str(getattr(value, "value", value)) for value in values)


def _one_of(kind: type[Enum], allowed: tuple[Any, ...] = ()) -> Callable[[str], Any]:
    members = {str(member.value).lower(): member for member in (allowed or list(kind))}

    def parse(text: str) -> Any:
        if text.lower() not in members:
            raise ValueError(f"not one of {', '.join(str(member.value) for member in members.values())}")
        return members[text.lower()]

    return parse


def _whole(minimum: int, meaning: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < minimum:
            raise ValueError(f"give a whole number of at least {minimum}{meaning}")
        return int(text)

    return parse


def _streams(text: str) -> Streams:
    if text.upper() == AUTO:
        return AUTO
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise ValueError("give AUTO or a number of streams of at least 1")
    return int(text)


def _number(minimum: float, maximum: float, remedy: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum:
            raise ValueError(remedy)
        return value

    return parse


UNITS_S = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MAX_SECONDS = 7 * 24 * 3600.0  # nobody waits longer; beyond it a typing error is likelier
MAX_DIMENSION = 2**31 - 1  # of a tensor's shape; more overflows OpenVINO's own arithmetic
UNITS_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _seconds(text: str) -> float:
    match = re.fullmatch(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(us|ms|s|m|min|h|)", text)
    seconds = float(match[1]) * UNITS_S[match[2]] if match else math.inf
    if seconds > MAX_SECONDS:
        raise ValueError("give a duration such as 40s, 90, 500ms or 2m, of at most a week")
    return seconds


def _bytes(text: str) -> int | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d+\.?\d*)\s*([A-Za-z]*)", text)
    size = float(match[1]) * UNITS_BYTES.get(match[2].upper(), 0) if match else 0.0
    if not 1 <= size < math.inf:
        raise ValueError("give a size such as 4GB or 512MiB")
    return int(size)


def _shape(text: str) -> dict[str, tuple[int, ...]]:
    """``1,3,224,224`` or ``data[1,3,224,224],mask[1,10]`` -> dimensions by input name, "" for the only input."""
    if not text:
        return {}
    remedy = "give dimensions of at least 1: 1,3,224,224, or name[1,3,224,224] for each of several inputs"
    text = re.sub(r"\s*([\[\],])\s*", r"\1", text)
    if re.fullmatch(r"\d+(,\d+)*", text):
        shapes = {"": text}
    else:
        found = re.findall(r"([^\[\],]+)\[(\d+(?:,\d+)*)\]", text)
        shapes = dict(found)
        if len(shapes) < len(found) or ",".join(f"{name}[{dims}]" for name, dims in found) != text:
            raise ValueError(remedy)
    parsed = {name: tuple(int(each) for each in dims.split(",")) for name, dims in shapes.items()}
    if not all(1 <= size <= MAX_DIMENSION for dims in parsed.values() for size in dims):
        raise ValueError(remedy)
    return parsed


def _write_shape(shape: Shape) -> str:
    return ",".join(
        f"{name}[{','.join(map(str, dims))}]" if name else ",".join(map(str, dims)) for name, dims in shape.items()
    )


def _text(text: str) -> str:
    if not text:
        raise ValueError("give a value")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("give true or false")
    return text.lower() == "true"


def _write_switch(on: bool) -> str:
    return str(on).lower()


def _optional(parse: Callable[[str], E]) -> Callable[[str], E | None]:
    return lambda text: parse(text) if text else None


def _write_member(member: Enum | None) -> str:
    return "" if member is None else str(member.value)


def _write_optional(value: object) -> str:
    return "" if value is None else str(value)


def _baseline(text: str) -> str:
    if text and not re.fullmatch(r"(python|model)=.+|\d{1,4}|promoted|.+\.json", text):
        raise ValueError(
            "give python=PATH of another environment's Python, model=PATH of another model, or a stored session: its "
            "number, 'promoted' or its .json file"
        )
    return text


REPORT_FORMS = (".html", ".md", ".json")


def _report(text: str) -> str:
    if text and not text.endswith(REPORT_FORMS):
        raise ValueError("give a file that ends in .html, .md or .json")
    return text


def _models(text: str) -> tuple[str, ...]:
    given = _lines(str)(text)
    if not given:
        raise ValueError("give 'embedded', a file, a folder or the name of an Open Model Zoo model")
    return given


def _variants(text: str) -> dict[Precision, str]:
    """``INT8=model.xml``, one a line."""
    found: dict[Precision, str] = {}
    for precision, path in _lines(_variant)(text):
        if precision in found:
            raise ValueError(f"{precision.value} is given twice: give one file for each precision")
        found[precision] = path
    return found


def _variant(text: str) -> tuple[Precision, str]:
    name, _, path = text.partition("=")
    members = {each.value.lower(): each for each in Precision}
    if name.strip().lower() not in members or not path.strip():
        raise ValueError("give a precision and its file, such as INT8=model-int8.xml")
    return members[name.strip().lower()], path.strip()


def _write_variants(variants: Mapping[Precision, str]) -> str:
    return "\n".join(f"{precision.value}={path}" for precision, path in variants.items())


def _three(text: str) -> tuple[float, float, float] | None:
    """``123.7,116.3,103.5``, or one number for all three channels."""
    if not text:
        return None
    parse = _number(-1e6, 1e6, "give one number, or three with commas between in the model's order of channels")
    values = tuple(parse(part) for part in re.split(r"[,\s]+", text))
    if len(values) == 1:
        return values * 3
    if len(values) != 3:
        raise ValueError("give one number, or three with commas between in the model's order of channels")
    return values


def _scales(text: str) -> tuple[float, float, float] | None:
    values = _three(text)
    if values is not None and 0.0 in values:
        raise ValueError("nothing can be divided by 0: give scales above 0")
    return values


def _write_three(values: Sequence[float] | None) -> str:
    return "" if values is None else ",".join(map(str, values))


@dataclass(frozen=True)
class IgnoredScope:
    """Operations that quantization leaves in floating point: by name, by type, by regular expression of the name."""

    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def _ignored(text: str) -> IgnoredScope:
    """``name:block1/conv``, ``type:GroupConvolution`` or ``pattern:.*head.*``, one a line."""
    found: dict[str, list[str]] = {"name": [], "type": [], "pattern": []}
    for line in _lines(str)(text):
        kind, _, value = line.partition(":")
        if kind.strip() not in found or not value.strip():
            raise ValueError("give name:..., type:GroupConvolution or pattern:..., as NNCF's IgnoredScope has them")
        found[kind.strip()].append(value.strip())
    return IgnoredScope(tuple(found["name"]), tuple(found["type"]), tuple(found["pattern"]))


def _write_ignored(scope: IgnoredScope) -> str:
    kinds = (("name", scope.names), ("type", scope.types), ("pattern", scope.patterns))
    return "\n".join(f"{kind}:{value}" for kind, values in kinds for value in values)


def _value(member: Enum) -> str:
    return str(member.value)


class Unsure(Enum):
    """What an UNSURE verdict of a gate does."""

    REPORT = "report"
    FAIL = "fail"


class Preset(Enum):
    """NNCF's presets: MIXED quantizes activations asymmetrically where they are, PERFORMANCE never does."""

    PERFORMANCE = "performance"
    MIXED = "mixed"


class Channels(Enum):
    """Order of the colours that a model takes."""

    BGR = "BGR"
    RGB = "RGB"


class Resize(Enum):
    """How a picture of any size becomes one of the model's: Model API's ``resize_type``."""

    STANDARD = "standard"
    CROP = "crop"
    FIT = "fit_to_window"
    LETTERBOX = "fit_to_window_letterbox"


class Place(Enum):
    """Where mean, scale, channel order and layout are dealt with."""

    OUTSIDE = "outside"
    MODEL = "model"


_share_of_accuracy = _number(0.0, 1.0, "give a share from 0 to 1, such as 0.01 for one point")
_ratio = _number(0.0, 1000.0, "give a ratio such as 1.5")
_share = _number(0.0, 1.0, "give a share from 0 to 1, such as 0.95")

OPTIONS: tuple[Option, ...] = (
    Option("model", "embedded", "Model to measure: 'embedded', a file (.xml, .onnx, .tflite, .pb, .pdmodel), a folder "
           "(TensorFlow SavedModel, Open Model Zoo) or the name of an Open Model Zoo model; see docs/models.md.",
           _models, _write_lines, repeated=True),
    Option("models_dir", "", "Folder in which names of Open Model Zoo models are looked for, besides the current one.",
           str),
    Option("variant", "", "A file that is a precision already, such as INT8=model-int8.xml: it is not made again.",
           _variants, _write_variants, repeated=True),
    Option("device", "CPU", "OpenVINO device.", _text),
    Option("precision", "FP32,BF16,INT8", "Precisions, comma-separated.", _listed(_one_of(Precision)), _commas),
    Option("hint", "LATENCY,THROUGHPUT", "Performance hints, comma-separated; LATENCY is measured sync, "
           "others async.", _listed(_one_of(Hint)), _commas),
    Option("streams", "", "NUM_STREAMS values, comma-separated, crossed with every hint; unset: 1 for LATENCY, "
           "AUTO,2,4 for THROUGHPUT.", _optional(_listed(_streams)), _commas),
    Option("threads", "0", "INFERENCE_NUM_THREADS values, comma-separated; 0 leaves it to OpenVINO.",
           _listed(_whole(0, " (0: OpenVINO's choice)")), _commas),
    Option("requests", "0", "Infer requests in flight in async cells, comma-separated; 0 takes "
           "OPTIMAL_NUMBER_OF_INFER_REQUESTS.", _listed(_whole(0, " (0: OpenVINO's choice)")), _commas),
    Option("batch", "0", "Batch sizes, comma-separated; 0 keeps the model's own.",
           _listed(_whole(0, " (0: the model's own)")), _commas),
    Option("cache", "off,warm", "Model cache states of the matrix, comma-separated: off, warm.",
           _listed(_one_of(Cache, (Cache.OFF, Cache.WARM))), _commas),
    Option("shape", "", "Input shape for dynamic models: 1,3,224,224, or name[...] for several inputs.",
           _shape, _write_shape),
    Option("budget", "40s", "Time for the campaign that measures all selected cells.", _seconds, unit="s, ms, m or h"),
    Option("warmup", "100ms", "Warm-up of each contestant in each lane before its first round.", _seconds,
           unit="s, ms, m or h"),
    Option("images", "", "Pictures for calibration and accuracy: a folder (ImageFolder for labels) or an .npy file; "
           "unset: the embedded ones, for the embedded model.", str),
    Option("calib_size", "200", "Pictures that INT8 is calibrated on.", _whole(1, "")),
    Option("eval_size", "", "Pictures that accuracy is measured on, none of the calibration's; unset: 1000 embedded "
           "ones, or all there are.", _optional(_whole(1, "")), _write_optional),
    Option("mean", "", "Mean of the model's inputs, 0..255, one or three in the model's order of channels; unset: what "
           "the model says.", _three, _write_three),
    Option("scale", "", "Scale that inputs are divided by, one or three; unset: what the model says.", _scales,
           _write_three),
    Option("channels", "", "Order of the model's channels: BGR or RGB; unset: what the model says.",
           _optional(_one_of(Channels)), _write_member),
    Option("resize", "", "How pictures get the model's size: standard, crop, fit_to_window or fit_to_window_letterbox; "
           "unset: what the model says.", _optional(_one_of(Resize)), _write_member),
    Option("preprocess", "outside", "Where mean, scale, channels and layout are dealt with: outside, or in the model's "
           "graph (model), which is then what is measured.", _one_of(Place), _value),
    Option("preset", "performance", "NNCF's preset of INT8: performance or mixed.", _one_of(Preset), _value),
    Option("fast_bias_correction", "true", "NNCF's fast bias correction: true, or false for the slow one.", _switch,
           _write_switch),
    Option("ignored", "", "What INT8 leaves in floating point: name:..., type:GroupConvolution or pattern:....",
           _ignored, _write_ignored, repeated=True),
    Option("max_drop", "", "Largest drop of top-1 that INT8 may have against FP32: quantizes with accuracy control and "
           "judges the drop; unset: neither.", _optional(_share_of_accuracy), _write_optional, unit="share"),
    Option("max_memory", "", "Memory that the contestants of one lane may take together; unset: half of what is free.",
           _bytes, _write_optional, unit="GB, MB, GiB or MiB"),
    Option("seed", "0", "Seed of the order of blocks, of inputs and of image subsets.", _whole(0, "")),
    Option("min_speedup", "", "Floor of INT8's speed-up over FP32; unset: by instruction set for the embedded model, "
           "1.0 for others.", _optional(_ratio), _write_optional, unit="ratio"),
    Option("min_top1_agreement", "0.95", "Floor of top-1 agreement with FP32.", _share, unit="share"),
    Option("min_top5_overlap", "0.80", "Floor of the mean overlap of top-5 sets with FP32's.", _share, unit="share"),
    Option("min_cache_gain", "1.0", "Floor of the warm cache's gain at start-up: time without / time with.", _ratio,
           unit="ratio"),
    Option("baseline", "", "What every cell is compared with: python=PATH or model=PATH in paired lanes; a stored "
           "session by number, file or 'promoted'.", _baseline),
    Option("tolerance", "0.03", "Slow-down against the baseline that still counts as the same.",
           _number(0.0, 10.0, "give a share such as 0.03 for 3 %"), unit="share"),
    Option("unsure", "report", "What an UNSURE verdict does: report it, or fail (exit code 6).",
           _one_of(Unsure), _value),
    Option("profile", "false", "Count time layer by layer: saved beside the journal, printed FP32 beside INT8.",
           _switch, _write_switch, switch=True),
    Option("reference", "false", "Measure LATENCY-1 and THROUGHPUT-AUTO cells through benchmark_app too, in turns with "
           "ours.", _switch, _write_switch, switch=True),
    Option("reference_rounds", "5", "Rounds of --ov-reference.", _whole(2, "")),
    Option("report", "", "Write a report of this run to this file: .html, .md or .json.", _report),
    Option("plan", "false", "Print cells, aliases and the estimated time; measure nothing.", _switch, _write_switch,
           switch=True),
)  # fmt: skip
BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class Settings:
    """All options of one run, parsed."""

    model: tuple[str, ...] = ("embedded",)
    models_dir: str = ""
    variant: Mapping[Precision, str] = field(default_factory=dict)
    device: str = "CPU"
    precision: tuple[Precision, ...] = (Precision.FP32, Precision.BF16, Precision.INT8)
    hint: tuple[Hint, ...] = (Hint.LATENCY, Hint.THROUGHPUT)
    streams: tuple[Streams, ...] | None = None
    threads: tuple[int, ...] = (0,)
    requests: tuple[int, ...] = (0,)
    batch: tuple[int, ...] = (0,)
    cache: tuple[Cache, ...] = (Cache.OFF, Cache.WARM)
    shape: Shape = field(default_factory=dict)
    budget: float = 40.0
    warmup: float = 0.1
    images: str = ""
    calib_size: int = 200
    eval_size: int | None = None
    mean: tuple[float, float, float] | None = None
    scale: tuple[float, float, float] | None = None
    channels: Channels | None = None
    resize: Resize | None = None
    preprocess: Place = Place.OUTSIDE
    preset: Preset = Preset.PERFORMANCE
    fast_bias_correction: bool = True
    ignored: IgnoredScope = IgnoredScope()
    max_drop: float | None = None
    max_memory: int | None = None
    seed: int = 0
    min_speedup: float | None = None
    min_top1_agreement: float = 0.95
    min_top5_overlap: float = 0.80
    min_cache_gain: float = 1.0
    baseline: str = ""
    tolerance: float = 0.03
    unsure: Unsure = Unsure.REPORT
    profile: bool = False
    reference: bool = False
    reference_rounds: int = 5
    report: str = ""
    plan: bool = False

    def matrix(self, model_names: Sequence[str]) -> Matrix:
        """The axes to cross, for models of these names."""
        return Matrix(
            models=tuple(model_names),
            devices=(self.device,),
            precisions=self.precision,
            hints=self.hint,
            streams=self.streams,
            caches=self.cache,
            threads=self.threads,
            requests=self.requests,
            batches=self.batch,
        )


def read_settings(given: Mapping[str, str | None]) -> Settings:
    """Parse what was given by option name; what is absent or None takes its default. Raises BadOption."""
    values = {}
    for option in OPTIONS:
        text = given.get(option.name)
        values[option.name] = option.read(option.default if text is None else text)
    return Settings(**values)


def write_settings(settings: Settings) -> dict[str, str]:
    """The text of every option; ``read_settings`` of it gives the same settings."""
    return {option.name: option.write(getattr(settings, option.name)) for option in OPTIONS}


NOT_AGAIN = ("report", "plan")  # options that say nothing of what is measured


def given_flags(written: Mapping[str, str]) -> list[str]:
    """The flags that ask for the same again: of written settings (option name -> text) those that are not the default.

    What is missing is taken as the default: it may be an older version's.
    """
    words = []
    for option in OPTIONS:
        text = written.get(option.name)
        if text is None or option.name in NOT_AGAIN or text == option.write(option.read(option.default)):
            continue
        values = text.split("\n") if option.repeated else [text]
        words += [option.flag] if option.switch else [f"{option.flag}={value}" for value in values]
    return words
