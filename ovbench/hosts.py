"""What a host has shown of itself in A/A runs: its noise band and its false alarms, kept by fingerprint."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ovbench.errors import BadInput, NotWritable
from ovbench.stats import MIN_REPLICATES

PROFILES_VARIABLE = "OVBENCH_PROFILE_DIR"
FORMAT = 1

# Where no profile is: 24 pairs of unchanged INT8 MobileNetV2 had an SD of 1.1 %; `noise_band` of it is 2.1 % for the
# eleven pairs that fit into a minute (docs/method.md).
DEFAULT_BAND = 0.02
MIN_PAIRS_FOR_PROFILE = 10  # the SD of fewer is off by a quarter and more


@dataclass(frozen=True)
class Profile:
    """A host's own noise. ``pair_sd`` is the SD of the log ratio of an unchanged pair, by metric.

    ``pair_wall_s`` is what a pair takes in which all those metrics are measured. ``false_alarms`` of ``comparisons``
    of unchanged sides were FASTER or SLOWER. ``speed_sd`` is the SD of a single thread's speed over the run, as a
    share; shares are of all rounds, and of all cores' time. None: the host does not tell.
    """

    fingerprint: str
    pairs: int
    pair_sd: Mapping[str, float]
    false_alarms: int
    comparisons: int
    band: float
    pair_wall_s: float
    rejected_share: float
    steal_share: float | None
    openvino: str
    quota_cores: float | None = None
    speed_sd: float | None = None
    governor: str | None = None

    def pairs_within(self, budget_s: float) -> int:
        """How many pairs a comparison of all metrics makes in ``budget_s`` for each."""
        return int(budget_s * len(self.pair_sd) / self.pair_wall_s) if self.pair_wall_s else 0

    def smallest_slowdown(self, budget_s: float, tolerance: float) -> float | None:
        """The least slow-down that a comparison of ``budget_s`` a metric finds in 95 of 100 cases; None: too few pairs.

        The lower end of the 99 % interval must lie beyond the tolerance: with T of the noncentral t distribution,
        T > t(.995) in 95 % of cases gives the noncentrality, the slow-down beyond the tolerance in standard errors.
        That is for ``ovbench ab``. A gate's p-values pay for looks and family: with an SD of 1.1 % and 11 pairs it
        finds 5.3 % alone and 6.5 % among 36, where this says 4.8 %.
        """
        from scipy.special import nctdtrinc, stdtrit

        pairs = self.pairs_within(budget_s)
        if pairs < MIN_REPLICATES:
            return None
        standard_errors = float(nctdtrinc(pairs - 1, 0.05, stdtrit(pairs - 1, 0.995)))
        reach = standard_errors * max(self.pair_sd.values()) / math.sqrt(pairs)
        return (1 + tolerance) * math.exp(reach) - 1


def noise_band(pair_sd: float, pairs: int) -> float:
    """The band in which 99 % of unchanged comparisons of ``pairs`` pairs end SAME.

    2 x t(.995, pairs - 1) x SD / sqrt(pairs) on the log scale:

    ``pair_sd`` is the SD of one pair's log ratio. It is twice the half-width of the 99 % interval, since the interval's
    centre strays from 1 as well. Simulated with normal noise (200,000 comparisons each): 98.6 % end SAME after exactly
    5 pairs, 99.0 to 99.2 % after 6 to 20, 99.0 to 99.5 % where each pair from the fifth on may end it; none of them
    FASTER or SLOWER. That is for the true SD. With one that was estimated it is 98.7 to 99.0 % (the larger of two
    metrics' SDs, alike in truth, of 24 pairs), 96 % (one metric, 24 pairs), 90 to 92 % (one metric, 10 pairs).
    """
    from scipy.special import stdtrit

    half_width = float(stdtrit(pairs - 1, 0.995)) * pair_sd / math.sqrt(pairs)
    return math.exp(2 * half_width) - 1


def alarm_bound(alarms: int, comparisons: int) -> float:
    """The rate of false alarms that so many independent comparisons exclude: Clopper and Pearson's upper 95 % bound.

    One-sided; for no alarm about 3 / comparisons ("rule of three"), 1 where nothing was compared.
    """
    from scipy.special import betaincinv

    return 1.0 if alarms >= comparisons else float(betaincinv(alarms + 1, comparisons - alarms, 0.95))


def profile_folder() -> Path:
    """Where profiles lie: the user's data folder, or OVBENCH_PROFILE_DIR."""
    named = os.environ.get(PROFILES_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("ovbench", appauthor=False)) / "hosts"


def read_profile(fingerprint: str, folder: Path | None = None) -> Profile | None:
    """The profile of a host, None without one. Raises BadInput for one that cannot be read."""
    path = (folder or profile_folder()) / f"{fingerprint}.json"
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.pop("format") != FORMAT:
            raise ValueError("another format")
        return _checked(Profile(**stored))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"host profile {path} cannot be read ({error}): run `ovbench selfcheck` again") from None


def _checked(profile: Profile) -> Profile:
    """The profile, if what others reckon with are numbers in their range; raises ValueError and TypeError."""
    figures = [profile.band, profile.pair_wall_s, *profile.pair_sd.values()]
    if not profile.pair_sd or not all(0 <= each < math.inf for each in figures):
        raise ValueError("figures out of range")
    return profile


def write_profile(profile: Profile, folder: Path | None = None) -> Path:
    """Store a host's profile in place of its last one. Raises NotWritable."""
    path = (folder or profile_folder()) / f"{profile.fingerprint}.json"
    draft = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"format": FORMAT, **dataclasses.asdict(profile)}, indent=2), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise _not_writable(path, error) from None
    return path


def check_writable(folder: Path | None = None) -> None:
    """Raise NotWritable, before anything is measured, where no profile could be kept."""
    place = folder or profile_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise _not_writable(place, error) from None


def _not_writable(path: Path, error: OSError) -> NotWritable:
    return NotWritable(f"cannot write the host profile {path}: {error.strerror}: set {PROFILES_VARIABLE}")


def band_of(profile: Profile | None) -> float:
    """The host's own band; DEFAULT_BAND where there is no profile."""
    return DEFAULT_BAND if profile is None else profile.band
