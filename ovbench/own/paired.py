"""Two sides compared by a test: ``ov_paired(a, b)`` is the question, what it returns the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovbench.config import Precision
from ovbench.errors import BadInput, BadOption
from ovbench.options import Unsure
from ovbench.own.held import hold_answer
from ovbench.own.session import REMARKS, SMOKE
from ovbench.own.wishes import MARKER, PAIRED, Wish, read_value, read_wish, rooted

if TYPE_CHECKING:  # sessions without our fixtures import nothing of it
    from ovbench.ab import Answer, Question
    from ovbench.suite import Suite


@dataclass(frozen=True)
class Paired:
    """The answer of one paired comparison: time B / A (above 1, B is slower), its 99 % interval, the verdict on B.

    ``ratio`` is None where nothing could be measured, ``low`` and ``high`` where the pairs are too few; ``verdict`` is
    FASTER, SLOWER, SAME or UNSURE.
    """

    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


class AskPaired:
    """Callable ``ov_paired(a, b, metric="latency", budget="20s")``: is B slower or faster than A?"""

    def __init__(self, item: pytest.Item, suite: Suite) -> None:
        self.item, self.suite = item, suite

    def __call__(
        self,
        a: dict[str, Any] | list[str],
        b: dict[str, Any] | list[str],
        metric: str = "latency",
        budget: str | float = "20s",
    ) -> Paired:
        """Measure both sides in fresh pairs of processes until the answer is clear or ``budget`` is spent.

        Sides are what ``ovbench ab --a`` and ``--b`` take, as a table or a list of KEY=VALUE. Fails the test, in one
        line, where something given cannot be used or a side cannot run, and where B is on evidence less than the
        marker's ``min_speedup`` times as fast as A.
        """
        if self.suite.smoke:
            pytest.skip(SMOKE)
        wish = read_wish(self.item)
        try:
            answer = self._answer(self._question(wish, a, b, metric, budget))
        except BadInput as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        from ovbench.report.own import paired_text

        text = paired_text(answer)
        self.item.add_report_section("call", MARKER, text)
        self.item.config.stash[REMARKS].append(f"{self.item.nodeid}: {text}")
        if answer.comparison.failed:
            pytest.fail(text, pytrace=False)
        if wish.min_speedup is not None:
            self._hold(answer, wish.min_speedup)
        found = answer.metrics[0]
        estimate = found.estimate
        return Paired(
            ratio=None if estimate is None else estimate.value,
            low=None if estimate is None else estimate.low,
            high=None if estimate is None else estimate.high,
            verdict=found.verdict.value,
            text=text,
        )

    def _question(self, wish: Wish, a: Any, b: Any, metric: str, budget: str | float) -> Question:
        """What a side leaves open is the marker's model and precision; without one, FP32 as of ``ovbench ab``."""
        from ovbench.ab import METRICS, Question
        from ovbench.questions import read_side

        settings = self.suite.settings
        where = f"{wish.where}: {PAIRED}"
        if metric not in METRICS:
            raise BadOption(f"{where}: metric={metric!r}: give {' or '.join(METRICS)}")
        models = wish.axes.get("model") or tuple(rooted(each, Path.cwd()) for each in settings.model)
        precisions = wish.axes.get("precision") or (Precision.FP32,)
        for name, values in (("model", models), ("precision", precisions)):
            if len(values) > 1:
                raise BadOption(f"{where}: {len(values)} values of {name}: give the marker one, or {name} on each side")
        folder = self.item.path.parent
        return Question(
            name=self.item.nodeid,
            a=read_side(f"{where} a", a, folder),
            b=read_side(f"{where} b", b, folder),
            model=models[0],
            precision=precisions[0],
            device=settings.device,
            metrics=(metric,),
            tolerance=settings.tolerance,
            budget_s=read_value(where, "budget", budget, str(budget)),
            seed=settings.seed,
        )

    def _answer(self, question: Question) -> Answer:
        from ovbench import ab, hosts
        from ovbench.comparison import pair_fields
        from ovbench.report.comparison import answer_fields

        suite = self.suite
        if not suite.journal.path.exists():
            suite.write_header()
        answer = ab.ask(
            question,
            suite.cache,
            hosts.band_of(hosts.read_profile(suite.host.fingerprint_id)),
            suite.progress,
            lambda asked, pair: suite.journal.write("pair", comparison=asked.name, **pair_fields(pair)),
        )
        suite.journal.write("comparison", **answer_fields(answer))
        return answer

    def _hold(self, answer: Answer, floor: float) -> None:
        from ovbench.questions import command
        from ovbench.report.gates import gate_text

        found = answer.metrics[0]
        gate = hold_answer(self.suite, answer, floor)
        if gate is None:  # no round was kept: no evidence, so no failure unless that is asked for
            give_up = pytest.fail if self.suite.settings.unsure is Unsure.FAIL else pytest.skip
            give_up(f"UNSURE, {found.reason}: nothing to hold the floor of {floor:g} against")
        if gate.fails:
            pytest.fail(f"{gate_text(gate)}\n  reproduce: {command(answer.question, found.metric)}", pytrace=False)
