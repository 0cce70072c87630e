"""All comparisons of a gate as one family: what each was answered becomes the rows that the gate judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ovbench.ab import CONFIDENCE, Answer, MetricAnswer, Question
from ovbench.gate import Evidence, Judgement, Row, judge_matrix, looks_at
from ovbench.questions import AGREEMENT, command, target_of
from ovbench.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Asked:
    """A question with the policy's limits in it, and what became of it: an answer, or why there is none.

    ``skipped``: this machine cannot run it. ``refused``: one of its sides cannot be used, as was found on asking.
    """

    question: Question
    answer: Answer | None = None
    skipped: str = ""
    refused: str = ""


def rows_of(asked: Sequence[Asked]) -> tuple[Row, ...]:
    """A row per comparison and metric, judged as one family, and one for outputs and for a failed side each."""
    judgements = iter(
        judge_matrix(
            [
                Evidence(
                    each.question.name,
                    logs := _logs(each, metric),
                    each.question.tolerance_of(metric),
                    looks_at(len(logs)),
                )
                for each in asked
                for metric in each.question.metrics
            ],
            tolerance=0.0,  # each names its own
            confidence=CONFIDENCE,
        )
    )
    rows: list[Row] = []
    for each in asked:
        rows += [_row(each, metric, next(judgements)) for metric in each.question.metrics]
        if each.answer is not None:
            rows += _agreement_rows(each.question, each.answer) + _failure_rows(each.question, each.answer)
    return tuple(rows)


def _logs(each: Asked, metric: str) -> tuple[float, ...]:
    """What the family may judge: nothing where the machine was too busy to tell."""
    if each.answer is None or each.answer.comparison.busy:
        return ()
    return each.answer.comparison.log_ratios(metric)


def _row(each: Asked, metric: str, judgement: Judgement) -> Row:
    tolerance = each.question.tolerance_of(metric)
    answered, reason = judgement.verdict, each.skipped or each.refused
    estimate = judgement.estimate
    if each.answer is not None and judgement.verdict is Verdict.SKIPPED:
        told = _told(each.answer, metric)
        estimate = told.estimate
        reason = each.answer.comparison.failed or told.reason
        answered = Verdict.SKIPPED if each.answer.comparison.failed else Verdict.UNSURE
    elif judgement.verdict is Verdict.UNSURE:
        reason = _doubt(judgement, tolerance)
    return Row(
        target=target_of(each.question, metric),
        answer=answered,
        estimate=estimate,
        limit=tolerance,
        reason=reason,
        command=command(each.question, metric),
        refused=bool(each.refused),
    )


def _told(answer: Answer, metric: str) -> MetricAnswer:
    return next(each for each in answer.metrics if each.metric == metric)


def _doubt(judgement: Judgement, tolerance: float) -> str:
    """Why a measured metric is UNSURE."""
    estimate = judgement.estimate
    if estimate is None or estimate.low is None:
        count = 0 if estimate is None else estimate.count
        return f"{count} pairs are too few for an interval: raise the budget"
    if estimate.low > 1 + tolerance:
        return "beyond the tolerance, but among so many looks and comparisons it may be chance: raise the budget"
    return "the interval is neither inside nor beyond the tolerance: raise the budget"


def _agreement_rows(question: Question, answer: Answer) -> list[Row]:
    floor = question.min_agreement
    if floor is None:
        return []
    agreement = answer.outputs.agreement if answer.outputs is not None else None
    outcome = Outcome.FAILED if answer.agreement_failed else Outcome.HELD
    return [
        Row(
            target=target_of(question, AGREEMENT),
            answer=Outcome.SKIPPED if agreement is None else outcome,
            estimate=None if agreement is None else agreement.top1,
            limit=floor,
            reason="the outputs are no classification" if agreement is None else "",
            command=command(question),
        )
    ]


def _failure_rows(question: Question, answer: Answer) -> list[Row]:
    if not answer.comparison.failed:
        return []
    return [Row(target_of(question), Outcome.FAILED, reason=answer.comparison.failed, command=command(question))]
