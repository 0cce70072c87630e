"""The cells beside benchmark_app, as they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ovbench.config import AUTO, Config, Hint, Precision
from ovbench.reference import Kind, Ran, Reference, Run, Turn
from ovbench.report.page import WIDTH, open_page
from ovbench.report.reference import broken_promise_text, reference_notes, reference_table, why_text
from ovbench.samples import Block

FP32 = Config()
INT8 = Config(precision=Precision.INT8)
INT8_THROUGHPUT = Config(precision=Precision.INT8, hint=Hint.THROUGHPUT, streams=AUTO)
WOBBLE = (0.99, 1.01, 1.0, 0.995, 1.005)
SYNC = Ran("f32", "1", "2", "1", "f32")
ASYNC = Ran("f32", "2", "2", "4", "f32")


def measured(
    config: Config, ours_ns: int, like_ns: float, users_ns: float, ran: Ran, like: Ran | None = None, **users: str
) -> Reference:
    """Five rounds; the wobble is of benchmark_app's runs, the Python call takes 2 % of ours."""
    turns = tuple(
        Turn(
            number,
            Block(number, (ours_ns,) * 500, (round(0.98 * ours_ns),) * 500, 500 * ours_ns),
            ran,
            {
                Kind.LIKE: Run(500, 500 * like_ns * wobble, like_ns * wobble, "1", like or ran),
                Kind.USERS: Run(500, 500 * users_ns * wobble, users_ns * wobble, "1", replace(ran, **users)),
            },
        )
        for number, wobble in enumerate(WOBBLE)
    )
    return Reference(config, turns)


REFERENCES = {
    each.config: each
    for each in (
        measured(FP32, 4_400_000, 4.2e6, 2.5e6, SYNC, precision="bf16", inputs="u8"),
        measured(INT8, 2_000_000, 1.95e6, 1.9e6, SYNC, precision="bf16", inputs="u8"),
        measured(INT8_THROUGHPUT, 1_000_000, 1.01e6, 1.1e6, ASYNC, requests="2"),
    )
}
TABLE = """\
                                     asked for  ours / its            as users  ours / its
 cell                      ours      the same   [95 %]                run it    [95 %]
 ────────────────────────────────────────────────────────────────────────────────────────────────
 FP32-LATENCY-1-off        4.40 ms   4.20 ms    1.048 [1.037, 1.058]  2.50 ms   1.76 [1.74, 1.78]
 INT8-LATENCY-1-off        2.00 ms   1.95 ms    1.026 [1.016, 1.036]  1.90 ms   1.05 [1.04, 1.06]
 INT8-THROUGHPUT-AUTO-off  1000 FPS  990 FPS    1.010 [1.000, 1.020]  909 FPS   1.10 [1.09, 1.11]
"""
NOTES = """\
5 rounds, each run a fresh process: p50 of a call beside its median latency, or FPS. Asked for the same: no hint, our \
streams, requests, precision and input types. As users run it: the hint alone, or -nstreams.
FP32-LATENCY-1-off: its latency leaves out the Python call, 2.0 % of ours; its report rounds to 0.01 ms, up to 0.1 %; \
as users run it: bf16 arithmetic (ours f32), u8 input through a Convert (ours f32)
INT8-LATENCY-1-off: its latency leaves out the Python call, 2.0 % of ours; its report rounds to 0.01 ms, up to 0.3 %; \
as users run it: bf16 arithmetic (ours f32), u8 input through a Convert (ours f32)
INT8-THROUGHPUT-AUTO-off: its window holds start and drain of its requests (4), up to 0.2 %; as users run it: 2 infer \
requests (ours 4)
INT8-LATENCY-1-off over FP32: ours 2.20 [2.20, 2.20], benchmark_app 2.15 [2.15, 2.15], as users run it 1.32 [1.32, \
1.32]; ours / its 1.021 [1.021, 1.021]: within 10 %"""


def table_text(references: Mapping[Config, Reference]) -> str:
    console, stream = open_page(coloured=False)
    console.print(reference_table(references))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines() if line.strip()) + "\n"


def test_the_table() -> None:
    text = table_text(REFERENCES)
    assert text == TABLE
    assert max(map(len, text.splitlines())) <= WIDTH


def test_long_names_fold_and_figures_stay_whole() -> None:
    config = replace(INT8_THROUGHPUT, model="a-model-with-a-name-of-its-own", threads=256, requests=512, batch=64)
    text = table_text({**REFERENCES, config: replace(REFERENCES[INT8_THROUGHPUT], config=config)})
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    assert "1.010 [1.000, 1.020]" in text


def test_the_notes() -> None:
    assert "\n".join(reference_notes(REFERENCES)) == NOTES


def test_equal_causes_are_told_once() -> None:
    other = replace(INT8, precision=Precision.FP32, hint=Hint.NONE)
    twin = replace(REFERENCES[INT8_THROUGHPUT], config=other)
    (line,) = (line for line in reference_notes({**REFERENCES, other: twin}) if "infer requests" in line)
    assert line.startswith(f"{INT8_THROUGHPUT.id}, {other.id}: ")


def test_models_are_named_where_there_are_several() -> None:
    other = replace(FP32, model="other")
    lines = reference_notes({FP32: REFERENCES[FP32], other: replace(REFERENCES[FP32], config=other)})
    assert lines[1].startswith("embedded/FP32-LATENCY-1-off, other/FP32-LATENCY-1-off: ")


def test_no_reason_is_told_that_does_not_apply() -> None:
    assert why_text(Reference(FP32)) == ""
    alike = measured(FP32, 4_400_000, 4.2e6, 2.5e6, SYNC)
    assert "as users run it" not in why_text(alike)
    assert "bf16" not in why_text(alike)


def test_too_few_rounds_are_said() -> None:
    few = replace(REFERENCES[FP32], turns=REFERENCES[FP32].turns[:2])
    assert "Fewer than 5 rounds give no interval: raise --ov-reference-rounds." in reference_notes({FP32: few})
    assert "[?]" in table_text({FP32: few})


def test_a_broken_promise_says_what_ran_instead() -> None:
    broken = measured(FP32, 10**6, 1e6, 1e6, SYNC, replace(SYNC, precision="bf16", streams="2"))
    text = "FP32-LATENCY-1-off: asked for the same, benchmark_app ran bf16 arithmetic (ours f32), 2 streams (ours 1)"
    assert broken_promise_text(broken) == text
    assert text in reference_notes({FP32: broken})
    assert broken_promise_text(REFERENCES[FP32]) == ""


def test_a_gap_beyond_the_target_is_said() -> None:
    far = measured(INT8, 1_500_000, 1.95e6, 1.9e6, SYNC)
    (line,) = (line for line in reference_notes({FP32: REFERENCES[FP32], INT8: far}) if "over FP32" in line)
    assert line.endswith(": more than 10 % apart")


def test_a_gap_that_is_not_clear_is_not_called_near_or_far() -> None:
    few = {config: replace(each, turns=each.turns[:2]) for config, each in REFERENCES.items()}
    (line,) = (line for line in reference_notes(few) if "over FP32" in line)
    assert line.endswith(": too uncertain to say whether within 10 %")


def test_what_could_not_be_compared_is_told_once() -> None:
    faults = {each: Reference(each, fault="there is no benchmark_app") for each in (FP32, INT8)}
    assert reference_notes(faults) == [
        "FP32-LATENCY-1-off, INT8-LATENCY-1-off: not compared: there is no benchmark_app"
    ]
    assert "FP32" not in table_text(faults)
