"""Every option, declared once: its flag, ini key, type, default, unit and help; and the settings they add up to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
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
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.help}{unit} (default: {shown})"

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


UNITS_S = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MAX_SECONDS = 7 * 24 * 3600.0  # nobody waits longer; beyond it a typing error is likelier
MAX_DIMENSION = 2**31 - 1  # of a tensor's shape; more overflows OpenVINO's own arithmetic
UNITS_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _seconds(text: str) -> float:
    match = re.fullmatch(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(ms|s|m|min|h|)", text)
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


def _optional(parse: Callable[[str], E]) -> Callable[[str], E | None]:
    return lambda text: parse(text) if text else None


def _write_optional(value: object) -> str:
    return "" if value is None else str(value)


def _baseline(text: str) -> str:
    if text and not re.fullmatch(r"(python|model)=.+|\d{1,4}|promoted|.+\.json", text):
        raise ValueError(
            "give python=PATH of another environment's Python, model=PATH of another model, or a stored session: its "
            "number, 'promoted' or its .json file"
        )
    return text


def _value(member: Enum) -> str:
    return str(member.value)


class Unsure(Enum):
    """What an UNSURE verdict of a gate does."""

    REPORT = "report"
    FAIL = "fail"


_ratio = _number(0.0, 1000.0, "give a ratio such as 1.5")
_share = _number(0.0, 1.0, "give a share from 0 to 1, such as 0.95")

OPTIONS: tuple[Option, ...] = (
    Option("model", "embedded", "Model to measure: 'embedded' or a path to an .xml file.", _text),
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
    Option("plan", "false", "Print cells, aliases and the estimated time; measure nothing.", _switch, switch=True),
)  # fmt: skip
BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class Settings:
    """All options of one run, parsed."""

    model: str = "embedded"
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
    max_memory: int | None = None
    seed: int = 0
    min_speedup: float | None = None
    min_top1_agreement: float = 0.95
    min_top5_overlap: float = 0.80
    min_cache_gain: float = 1.0
    baseline: str = ""
    tolerance: float = 0.03
    unsure: Unsure = Unsure.REPORT
    plan: bool = False

    def matrix(self, model_name: str) -> Matrix:
        """The axes to cross, for a model of this name."""
        return Matrix(
            models=(model_name,),
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
    return {
        option.name: str(value).lower()
        if isinstance(value := getattr(settings, option.name), bool)
        else option.write(value)
        for option in OPTIONS
    }
