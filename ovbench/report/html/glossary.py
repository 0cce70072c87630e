"""What the page's words mean, for a reader who has not read docs/glossary.md."""

from __future__ import annotations

from ovbench.report.html.parts import Part

MEANINGS = (
    ("cell", "One configuration of a model: precision, hint, streams, cache and what else was set."),
    ("FASTER, SLOWER, SAME", "The whole 95 % interval of the ratio lies beyond the band around 1, or within it."),
    ("UNSURE", "The interval reaches over the edge of the band or the floor: there is no evidence either way."),
    ("HELD, FAILED", "A gate, a figure held against its floor: its whole interval is at or above the floor, or below."),
    ("over FP32", "The time of the same cell in FP32, over the cell's, both in one round: above 1 it is faster."),
    ("p50, p95, p99", "The latency that so many of 100 calls stay within; p50 is the median."),
    ("FPS", "Images a second."),
    ("Pareto front", "The cells that no other beats in both, latency and images a second."),
    ("round", "One burst of calls of every cell, in a shuffled order: what the machine does meets all of them alike."),
    ("lane", "A fresh process in which all cells were measured again; intervals are over lanes."),
    ("cost", "The median time of a call in a round or, under the throughput hint, its time over its inferences."),
    (
        "interval [low, high]",
        "95 % unless a heading says otherwise; [?]: too few lanes for one. A dash: too little to say.",
    ),
)


def words_part() -> Part:
    """All of them."""
    return Part(facts=MEANINGS)
