"""The configurations that may be best on a host: the axes of the search, and each plausible combination once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ovbench.config import AUTO, MODE_OF_HINT, Config, Hint, Mode, Precision, Streams, cell_name

# Opening one takes 0.1 to 0.4 s on two cores: as many as this take most of a minute, half of the default budget.
MOST_CANDIDATES = 200
# Per picture MobileNetV2 on two cores is within a few per cent from 1 to 4 and loses from 8 on (docs/method.md). 0 is
# the model's own batch, which counts as one picture, as everywhere.
BATCHES = (0, 2, 4)
FEW_BATCHES = (0, 4)
STREAMS_STEPS = (2, 4, 8, 16)
SWITCHES = (None, True, False)


@dataclass(frozen=True)
class Space:
    """The axes that are searched, simple values first.

    ``threads`` 0 is all cores, ``batches`` 0 the model's own. ``requests`` None is OpenVINO's optimal number and, where
    the number of streams is known, twice that. None in ``pinnings`` and ``hyper_threadings`` leaves it to OpenVINO:
    what that comes to is known once it is opened, so both others may be there, and one of them is an alias.
    """

    precisions: tuple[Precision, ...]
    hints: tuple[Hint, ...] = (Hint.LATENCY, Hint.THROUGHPUT)
    streams: tuple[Streams, ...] = (1,)
    threads: tuple[int, ...] = (0,)
    requests: tuple[int, ...] | None = None
    batches: tuple[int, ...] = (0,)
    pinnings: tuple[bool | None, ...] = (None,)
    hyper_threadings: tuple[bool | None, ...] = (None,)
    model: str = "embedded"
    device: str = "CPU"


def candidate_name(config: Config) -> str:
    """``INT8 thr 2 t1 r4 nopin``: as in every table, without the model cache that no candidate uses."""
    return " ".join(word for word in cell_name(config).split() if word != config.cache.value)


def default_space(cores: int, threads_per_core: int, precisions: tuple[Precision, ...]) -> Space:
    """What may be best on a host with so many cores to use (hardware threads, if ``threads_per_core`` is above 1).

    Streams and threads go up in equal steps. Where that makes more than MOST_CANDIDATES, first threads are thinned,
    since leaving cores idle is seldom best, then batches, then streams. OpenVINO's own choice of streams comes first: a
    number that is the same becomes its alias.
    """
    space = Space(precisions, pinnings=SWITCHES, hyper_threadings=SWITCHES if threads_per_core > 1 else (None,))
    ladders = [_ladder(cores, step) for step in STREAMS_STEPS]
    threads = [(0, *reversed(rungs[:-1])) for rungs in ladders]
    for streams, batches, left in itertools.product(ladders, (BATCHES, FEW_BATCHES), (*threads, (0,))):
        space = replace(space, streams=(AUTO, *streams), threads=left, batches=batches)
        if _distinct(space) <= MOST_CANDIDATES:
            break
    return space


def _ladder(top: int, step: int) -> tuple[int, ...]:
    """1 and up to ``top``, each about ``step`` times the one before."""
    rungs = []
    while top > 1:
        rungs.append(top)
        top //= step
    return (1, *reversed(rungs))


def _distinct(space: Space) -> int:
    """How many candidates are left when what OpenVINO would choose itself is known."""
    switches = {axis: getattr(space, axis)[: len(SWITCHES) - 1] for axis in ("pinnings", "hyper_threadings")}
    return len(candidates(replace(space, **switches)))


def candidates(space: Space) -> tuple[Config, ...]:
    """Each plausible combination once, those without pinning or hyper-threading set first.

    So an alias takes the simplest name. Left out is what comes to the same or cannot be better: more streams than
    threads, streams or requests that a sync cell has no use for, threads for streams that OpenVINO chooses, and both
    switches set at once where either may be left open.
    """
    found = dict.fromkeys(_combinations(space))
    return tuple(sorted(found, key=lambda config: (config.pinning is not None) + (config.hyper_threading is not None)))


def _combinations(space: Space) -> Iterator[Config]:
    open_switches = None in space.pinnings and None in space.hyper_threadings
    for precision, hint in itertools.product(space.precisions, space.hints):
        sync = MODE_OF_HINT[hint] is Mode.SYNC
        for streams, threads in _layouts(space, sync):
            requests = (0,) if sync else _requests(space, streams)
            for number, batch, pinning, hyper_threading in itertools.product(
                requests, space.batches, space.pinnings, space.hyper_threadings
            ):
                if open_switches and pinning is not None and hyper_threading is not None:
                    continue
                yield Config(
                    space.model, space.device, precision, hint, streams, threads=threads, requests=number, batch=batch,
                    pinning=pinning, hyper_threading=hyper_threading,
                )  # fmt: skip


def _layouts(space: Space, sync: bool) -> Iterator[tuple[Streams, int]]:
    """Streams and threads; one request at a time runs in one stream, so sync cells have the fewest only."""
    numbers = [each for each in space.streams if isinstance(each, int)]
    wanted = (min(numbers),) if sync and numbers else space.streams
    for streams, threads in itertools.product(wanted, space.threads):
        if isinstance(streams, int) and 0 < threads < streams:
            continue
        if streams == AUTO and threads and 0 in space.threads:
            continue
        yield streams, threads


def _requests(space: Space, streams: Streams) -> tuple[int, ...]:
    if space.requests is not None:
        return space.requests
    return (0, 2 * streams) if isinstance(streams, int) else (0,)
