"""An own bench's paired comparison as one line, for the test's report and the end of the run."""

from __future__ import annotations

from ovbench.ab import Answer
from ovbench.report.comparison import verdict_text
from ovbench.report.numbers import ratio


def paired_text(answer: Answer) -> str:
    """``latency: B is FASTER, time B / A 0.512 [0.501, 0.522], 5 pairs, band ±3.0 %``, and what to distrust."""
    if answer.comparison.failed:
        return f"FAILED: {answer.comparison.failed}"
    found = answer.metrics[0]
    pairs = 0 if found.estimate is None else found.estimate.count
    text = (
        f"{found.metric}: {verdict_text(found)}, time B / A {ratio(found.estimate, digits=3)}, {pairs} pairs, "
        f"band ±{100 * found.band:.1f} %"
    )
    return f"{text}: {found.reason}" if found.reason else text
