"""A file of questions: ``ab.toml`` read into comparisons, and a question written as the command that asks it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ovbench import runtime
from ovbench.ab import METRICS, Question
from ovbench.errors import BadOption
from ovbench.models.names import EMBEDDED, name_of
from ovbench.options import BY_NAME
from ovbench.policy import Policy, Target
from ovbench.sides import Side, parse_side
from ovbench.toml import NUMBER, check_keys, check_kind, read_toml

AGREEMENT = "top1_agreement"
# Key of the file -> kind of its value, and the suite's option that parses it.
KEYS: Mapping[str, tuple[Any, str]] = {
    "model": (str, "model"),
    "precision": (str, "precision"),
    "device": (str, "device"),
    "tolerance": (NUMBER, "tolerance"),
    "budget": ((str, int, float), "budget"),
    "min_agreement": (NUMBER, "min_top1_agreement"),
    "seed": (int, "seed"),
    "metrics": (list, ""),
}
FIELDS = {"budget": "budget_s"}  # where the field of Question is called otherwise


def read_questions(path: Path) -> list[Question]:
    """Every ``[[comparison]]`` of the file, top-level keys being their defaults, paths relative to the file's folder.

    Raises BadOption, one line, for a file that cannot be read, an unknown key, a missing or double name, a value of
    the wrong type.
    """
    table = read_toml(path)
    check_keys(str(path), table, (*KEYS, "comparison"))
    defaults = {key: value for key, value in table.items() if key != "comparison"}
    _check_values(str(path), defaults, path.parent)
    given = table.get("comparison", [])
    check_kind(str(path), "comparison", given, list)
    questions: list[Question] = []
    for number, each in enumerate(given, 1):
        where = f"{path}, [[comparison]] {number}"
        check_kind(where, "comparison", each, dict)
        question = _read_question(where, each, defaults, path.parent)
        if any(question.name == other.name for other in questions):
            raise BadOption(f"{where}: name {question.name!r} is taken: give each comparison its own")
        questions.append(question)
    return questions


def _read_question(where: str, table: Mapping[str, Any], defaults: Mapping[str, Any], folder: Path) -> Question:
    name = table.get("name", "")
    check_kind(where, "name", name, str)
    if not name.strip() or not name.isprintable():
        raise BadOption(f"{where}: name {name!r}: give each comparison a name of one line")
    check_keys(f"{where} ({name})", table, ("name", "a", "b", *KEYS))
    own = {key: value for key, value in table.items() if key in KEYS}
    values = _check_values(f"{where} ({name})", {**defaults, **own}, folder)
    return Question(
        name=name,
        a=read_side(f"{where} ({name}) a", table.get("a", []), folder),
        b=read_side(f"{where} ({name}) b", table.get("b", []), folder),
        **values,
    )


def _check_values(where: str, table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Fields of Question from keys of the file."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        kind, option = KEYS[key]
        if key == "budget" and isinstance(value, bool):
            raise BadOption(f'{where}: budget = {str(value).lower()}: give a duration such as "60s"')
        if key != "budget":
            check_kind(where, key, value, kind)
        values[FIELDS.get(key, key)] = (
            _metrics(where, value) if key == "metrics" else _parsed(where, key, value, option, folder)
        )
    return values


def _parsed(where: str, key: str, value: Any, option: str, folder: Path) -> Any:
    try:
        parsed = BY_NAME[option].parse(str(value).strip())
    except ValueError as error:
        raise BadOption(f"{where}: {key} = {value!r}: {error}") from None
    if key in ("precision", "model"):
        if len(parsed) != 1:
            raise BadOption(f"{where}: {key} = {value!r}: give one, or {key}=... on a side")
        return _model(parsed[0], folder) if key == "model" else parsed[0]
    return parsed


def _metrics(where: str, value: list[Any]) -> tuple[str, ...]:
    unknown = [each for each in value if each not in tuple(METRICS)]
    if unknown or not value:
        raise BadOption(f"{where}: metrics = {value!r}: give {', '.join(METRICS)} or some of them")
    return tuple(dict.fromkeys(value))


def read_side(where: str, given: Any, folder: Path) -> Side:
    """A list of ``KEY=VALUE`` or a table of the same keys, in which ``env`` may be a table and ``affinity`` a list."""
    if isinstance(given, dict):
        parts = [part for key, value in given.items() for part in _parts(where, key, value)]
    elif isinstance(given, list) and all(isinstance(each, str) for each in given):
        parts = list(given)
    else:
        raise BadOption(f'{where}: {given!r}: give a list such as ["precision=INT8"], or a table')
    return parse_side(where, [_rooted(part, folder) for part in parts])


def _parts(where: str, key: str, value: Any) -> list[str]:
    if key == "env" and isinstance(value, dict):
        return [part for name, each in value.items() for part in _parts(where, f"env:{name}", each)]
    if isinstance(value, bool):
        return [f"{key}={'YES' if value else 'NO'}"]  # as OpenVINO writes its switches
    if isinstance(value, list) and key == "affinity":
        return [f"{key}={','.join(str(each) for each in value)}"]
    if not isinstance(value, str | int | float):
        raise BadOption(f"{where}: {key} = {value!r}: give text, a number, true or false")
    return [f"{key}={value}"]


def _rooted(part: str, folder: Path) -> str:
    key, equals, value = part.partition("=")
    if not equals or not value or key not in ("python", "model"):
        return part
    return f"{key}={folder / value}" if key == "python" else f"{key}={_model(value, folder)}"


def _model(given: str, folder: Path) -> str:
    return given if given == EMBEDDED else str(folder / given)


def target_of(question: Question, metric: str = "") -> Target:
    """What the policy's patterns may name."""
    return Target(name_of(question.model), question.name, metric)


def with_policy(question: Question, policy: Policy) -> Question:
    """The question as a gate asks it: each metric with the policy's tolerance where it names one, with its floor."""
    floor = policy.floor(target_of(question, AGREEMENT))
    named = {metric: policy.tolerance(target_of(question, metric)) for metric in question.metrics}
    return replace(
        question,
        tolerances={metric: share for metric, share in named.items() if share is not None},
        min_agreement=question.min_agreement if floor is None else floor,
    )


def reason_to_skip(question: Question) -> str:
    """Why this machine cannot run the comparison at all, such as BF16 where the chip has none; "" if it can."""
    for side in (question.a, question.b):
        reason = runtime.unsupported(side.precision or question.precision, question.device)
        if reason:
            return reason
    return ""


def command(question: Question, metric: str = "") -> str:
    """The ``ovbench ab`` command that asks this again, all metrics or one; quoted for a shell."""
    question = replace(question, tolerance=question.tolerance_of(metric))
    words = ["ovbench", "ab"]
    for flag, side in (("--a", question.a), ("--b", question.b)):
        words += [word for part in side.written for word in (flag, part)]
    plain = {each.name: each.default for each in fields(Question)}
    for field, flag, text in (
        ("model", "--model", question.model),
        ("precision", "--precision", question.precision.value),
        ("device", "--device", question.device),
        ("tolerance", "--tolerance", f"{question.tolerance:g}"),
        ("budget_s", "--budget", f"{question.budget_s:g}s"),
        ("min_agreement", "--min-agreement", f"{question.min_agreement or 0:g}"),
        ("seed", "--seed", str(question.seed)),
    ):
        if getattr(question, field) != plain[field]:
            words += [flag, text]
    metrics = (metric,) if metric in METRICS else question.metrics
    if metrics != tuple(METRICS):
        words += [word for each in metrics for word in ("--metric", each)]
    return shlex.join(words)
